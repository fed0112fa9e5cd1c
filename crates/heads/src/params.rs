//! Seeded parameters behind candle's `VarBuilder`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use taskweave_kernels::{Error, Kind, Named, Owner, Param, Result, Rng};

use crate::seeded;

/// All parameters of a model, created as layers ask for them, each with its kind and its owner.
///
/// A parameter's initial value depends on the seed and on its name alone, so a new layer does not change the
/// initial values of the others, and stock candle-nn layers become repeatable. The kind follows from the name
/// and the hint that the layer gives, as candle-nn's own layers do:
///
/// | name ends in | and | kind |
/// | --- | --- | --- |
/// | `running_mean`, `running_var` | – | buffer |
/// | `bias` | – | bias |
/// | anything | at most one dimension | norm |
/// | anything | two dimensions, initially normal (as candle's embedding) | embedding |
/// | anything | – | weight |
///
/// Cloning is cheap and shares the parameters.
///
/// # Example
/// ```
/// use candle_core::{DType, Device};
/// use taskweave_heads::Params;
/// use taskweave_kernels::{Kind, Owner, Rng};
/// let params = Params::new(&Rng::new(1), DType::F32, &Device::Cpu);
/// candle_nn::linear(3, 2, params.task("age").pp("out"))?;
/// let named = params.named();
/// assert_eq!(named.names().collect::<Vec<_>>(), ["task.age.out.bias", "task.age.out.weight"]);
/// assert_eq!(named["task.age.out.bias"].kind, Kind::Bias);
/// assert_eq!(named["task.age.out.weight"].owner, Owner::Task("age".into()));
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Params {
    store: Arc<Mutex<Named<Param>>>,
    /// What the names of a member's parameters begin with; empty for all parameters.
    prefix: String,
    frozen: bool,
    rng: Rng,
    dtype: DType,
    device: Device,
}

impl Params {
    /// An empty set that creates parameters of `dtype` on `device` from the fork `"params"` of `rng`.
    pub fn new(rng: &Rng, dtype: DType, device: &Device) -> Self {
        Self {
            store: Arc::default(),
            prefix: String::new(),
            frozen: false,
            rng: rng.fork("params"),
            dtype,
            device: device.clone(),
        }
    }

    /// The parameters of one of several networks among these: names start with `member.<member>.`.
    ///
    /// All of them count as shared, its heads too, because several terms of an objective reach them. What is asked of
    /// the result (names, values, counts) is about the member alone.
    ///
    /// # Example
    /// ```
    /// use candle_core::{DType, Device};
    /// use taskweave_heads::Params;
    /// use taskweave_kernels::{Owner, Rng};
    /// let params = Params::new(&Rng::new(1), DType::F32, &Device::Cpu);
    /// candle_nn::linear(3, 2, params.shared().pp("common"))?;
    /// candle_nn::linear(2, 1, params.member("a").task("age"))?;
    /// assert_eq!(params.count(), 8 + 3);
    /// assert_eq!(params.member("a").count(), 3);
    /// assert_eq!(params.named()["member.a.task.age.weight"].owner, Owner::Shared);
    /// # Ok::<(), candle_core::Error>(())
    /// ```
    #[must_use]
    pub fn member(&self, member: &str) -> Self {
        Self { prefix: format!("{}member.{member}.", self.prefix), ..self.clone() }
    }

    /// The same parameters, of which those that are created from here on are buffers: saved and restored, and never
    /// trained. So are those of a network that is the running mean of another.
    ///
    /// # Example
    /// ```
    /// use candle_core::{DType, Device};
    /// use taskweave_heads::Params;
    /// use taskweave_kernels::Rng;
    /// let params = Params::new(&Rng::new(1), DType::F32, &Device::Cpu);
    /// candle_nn::linear(3, 2, params.member("mean").frozen().shared())?;
    /// assert_eq!((params.count(), params.named().len()), (0, 2));
    /// # Ok::<(), candle_core::Error>(())
    /// ```
    #[must_use]
    pub fn frozen(&self) -> Self {
        Self { frozen: true, ..self.clone() }
    }

    /// A builder for layers that all tasks share; names start with `shared.`.
    pub fn shared(&self) -> VarBuilder<'static> {
        self.builder(Owner::Shared, "shared")
    }

    /// A builder for layers of one task; names start with `task.<task>.`.
    pub fn task(&self, task: &str) -> VarBuilder<'static> {
        let owner = if self.prefix.is_empty() { Owner::Task(task.into()) } else { Owner::Shared };
        self.builder(owner, &format!("task.{task}"))
    }

    /// All parameters, ordered by name. The tensors are shared, not copied.
    pub fn named(&self) -> Named<Param> {
        let mut named = self.lock().clone().sorted();
        if !self.prefix.is_empty() {
            let others: Vec<String> =
                named.names().filter(|name| !name.starts_with(&self.prefix)).map(String::from).collect();
            others.iter().for_each(|name| drop(named.remove(name)));
        }
        named
    }

    /// All values by name, buffers included. The tensors are shared, not copied.
    pub fn tensors(&self) -> Named<Tensor> {
        self.named().map(|_, param| param.var.as_tensor().clone())
    }

    /// Where the parameters are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How many numbers are trained; buffers do not count.
    pub fn count(&self) -> usize {
        self.named().values().filter(|p| p.kind.is_trained()).map(Param::count).sum()
    }

    /// Sets every parameter to a saved value.
    ///
    /// # Errors
    /// [`Error::State`] where a name is missing or unknown, or where a shape or dtype differs. Nothing has
    /// changed then.
    pub fn load(&self, saved: &Named<Tensor>) -> Result<()> {
        let named = self.named();
        if let Some(extra) = saved.names().find(|name| !named.contains(name)) {
            return Err(Error::state(
                "the model",
                "only parameters that the model has",
                format!("`{extra}`"),
            ));
        }
        for (name, param) in named.iter() {
            let value =
                saved.get(name).ok_or_else(|| Error::state("the model", format!("`{name}`"), "nothing"))?;
            if value.shape() != param.var.shape() || value.dtype() != param.var.dtype() {
                let expected = format!("`{name}` {:?} {:?}", param.var.dtype(), param.var.shape());
                return Err(Error::state(
                    "the model",
                    expected,
                    format!("{:?} {:?}", value.dtype(), value.shape()),
                ));
            }
        }
        for (name, param) in named.iter() {
            param.var.set(&saved.require("parameter", name)?.to_device(&self.device)?)?;
        }
        Ok(())
    }

    fn builder(&self, owner: Owner, path: &str) -> VarBuilder<'static> {
        let backend: Box<dyn SimpleBackend> = Box::new(Backend { params: self.clone(), owner });
        VarBuilder::from_backend(backend, self.dtype, self.device.clone())
            .pp(format!("{}{path}", self.prefix))
    }

    fn lock(&self) -> MutexGuard<'_, Named<Param>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Backend {
    params: Params,
    owner: Owner,
}

impl Backend {
    fn existing(&self, shape: &Shape, name: &str) -> candle_core::Result<Option<Tensor>> {
        let store = self.params.lock();
        let Some(param) = store.get(name) else { return Ok(None) };
        if param.var.shape() != shape {
            return Err(
                Error::shape(format!("parameter `{name}`"), format!("{shape:?}"), param.var.dims()).into()
            );
        }
        if param.owner != self.owner {
            return Err(Error::Name { name: name.into() }.into());
        }
        Ok(Some(param.var.as_tensor().clone()))
    }
}

impl SimpleBackend for Backend {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        if let Some(tensor) = self.existing(&shape, name)? {
            return Ok(tensor);
        }
        let value = seeded::draw(init, &shape, dtype, &mut self.params.rng.fork(name))?;
        let var = Var::from_tensor(&value.to_device(device)?)?;
        let tensor = var.as_tensor().clone();
        let kind = if self.params.frozen { Kind::Buffer } else { kind(name, init, &shape) };
        let param = Param::new(var, kind, self.owner.clone());
        self.params.lock().insert(name, param)?;
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        let param = self.params.lock().require("parameter", name)?.clone();
        Ok(param.var.as_tensor().clone())
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.params.lock().contains(name)
    }
}

fn kind(name: &str, init: Init, shape: &Shape) -> Kind {
    match name.rsplit('.').next() {
        Some("running_mean" | "running_var") => Kind::Buffer,
        Some("bias") => Kind::Bias,
        _ if shape.rank() <= 1 => Kind::Norm,
        _ if shape.rank() == 2 && matches!(init, Init::Randn { .. }) => Kind::Embedding,
        _ => Kind::Weight,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(seed: u64) -> Params {
        Params::new(&Rng::new(seed), DType::F32, &Device::Cpu)
    }

    fn values(params: &Params, name: &str) -> Vec<f32> {
        params.named()[name].var.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_value_depends_on_seed_and_name_and_not_on_the_order_of_creation() {
        let (a, b, c) = (fresh(0), fresh(0), fresh(1));
        candle_nn::linear(5, 4, a.shared().pp("l")).unwrap();
        candle_nn::linear(2, 2, b.shared().pp("k")).unwrap();
        candle_nn::linear(5, 4, b.shared().pp("l")).unwrap();
        candle_nn::linear(5, 4, c.shared().pp("l")).unwrap();
        assert_eq!(values(&a, "shared.l.weight"), values(&b, "shared.l.weight"));
        assert_ne!(values(&a, "shared.l.weight"), values(&c, "shared.l.weight"));
    }

    #[test]
    fn stock_layers_get_the_right_kinds() {
        let params = fresh(0);
        let vb = params.shared();
        candle_nn::batch_norm(3, 1e-5, vb.pp("bn")).unwrap();
        candle_nn::embedding(7, 3, vb.pp("words")).unwrap();
        candle_nn::layer_norm(3, 1e-5, vb.pp("ln")).unwrap();
        candle_nn::conv2d(3, 4, 3, Default::default(), vb.pp("conv")).unwrap();
        let named = params.named();
        let kind = |name: &str| named[format!("shared.{name}").as_str()].kind;
        assert_eq!(kind("bn.running_var"), Kind::Buffer);
        assert_eq!(kind("bn.weight"), Kind::Norm);
        assert_eq!(kind("ln.weight"), Kind::Norm);
        assert_eq!(kind("words.weight"), Kind::Embedding);
        assert_eq!(kind("conv.weight"), Kind::Weight);
        assert_eq!(kind("conv.bias"), Kind::Bias);
        assert_eq!(params.count(), 3 + 3 + 21 + 6 + 4 * 27 + 4);
    }

    #[test]
    fn a_name_means_one_parameter() {
        let params = fresh(0);
        let first = candle_nn::linear(3, 2, params.shared().pp("l")).unwrap();
        let again = candle_nn::linear(3, 2, params.shared().pp("l")).unwrap();
        assert_eq!(first.weight().id(), again.weight().id());
        assert!(candle_nn::linear(3, 5, params.shared().pp("l")).is_err());
        candle_nn::linear(1, 1, params.task("a").pp("b.l")).unwrap();
        assert!(candle_nn::linear(1, 1, params.task("a.b").pp("l")).is_err());
    }

    #[test]
    fn loading_is_all_or_nothing() {
        let (params, other) = (fresh(0), fresh(1));
        candle_nn::linear(3, 2, params.shared().pp("l")).unwrap();
        candle_nn::linear(3, 2, other.shared().pp("l")).unwrap();
        let before = values(&params, "shared.l.weight");
        let mut partial = other.tensors();
        partial.remove("shared.l.weight");
        assert!(matches!(params.load(&partial), Err(Error::State { .. })));
        let mut extra = other.tensors();
        extra.insert("more", Tensor::new(1f32, &Device::Cpu).unwrap()).unwrap();
        assert!(matches!(params.load(&extra), Err(Error::State { .. })));
        let wide = other.tensors().map(|_, t| t.to_dtype(DType::F64).unwrap());
        assert!(matches!(params.load(&wide), Err(Error::State { .. })));
        assert_eq!(values(&params, "shared.l.weight"), before);
        params.load(&other.tensors()).unwrap();
        assert_eq!(values(&params, "shared.l.weight"), values(&other, "shared.l.weight"));
    }
}
