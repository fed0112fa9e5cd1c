//! A model that sees the preference: one network for all trade-offs.
//!
//! Reference: Ruchte and Grabocka, "Scalable Pareto Front Approximation for Deep Multi-Objective Learning" (COSMOS), ICDM
//! 2021, <https://arxiv.org/abs/2103.13392> (the preference appended to the input); Navon et al., "Learning the Pareto Front
//! with Hypernetworks", ICLR 2021.

use candle_core::{DType, Device, Tensor};
use taskweave_heads::{Mode, Model};
use taskweave_kernels::{Error, Named, Result};

use super::Preference;

/// Where a model finds the preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In an input of this name, `[batch, tasks]`.
    View(String),
    /// At the end of dimension 1 of this input: further values of `[batch, values]`, further channels of one number each of
    /// `[batch, channels, …]`.
    Appended(String),
}

/// A model whose inputs hold the preference of the moment; the order of the numbers is that of the tasks.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_cotrain::pareto::{Conditioned, Place, Preference};
/// use taskweave_heads::{Backbone, Features, HardSharing, Mode, Model, Network, Stage};
/// use taskweave_kernels::Named;
/// // A trunk and heads that hand on what they see.
/// let trunk = Backbone::new(Vec::new(), Features::Vector { width: 3 });
/// let head = || Box::new(|x: &Tensor| Ok(x.clone())) as Box<dyn Stage>;
/// let network = Network::new(Box::new(HardSharing::new("x", trunk)), Named::new([("a", head()), ("b", head())])?);
///
/// let preference = Preference::new(["a", "b"])?;
/// let model = Conditioned::new(network, &preference, Place::Appended("x".into()));
/// let inputs = Named::new([("x", Tensor::new(&[[7f32]], &Device::Cpu)?)])?;
/// preference.set(&Named::new([("a", 0.25), ("b", 0.75)])?)?;
/// assert_eq!(model.forward(&inputs, Mode::Eval)?["a"].to_vec2::<f32>()?, [[7.0, 0.25, 0.75]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Conditioned {
    model: Box<dyn Model>,
    preference: Preference,
    place: Place,
}

impl Conditioned {
    /// A model that finds the preference of the moment at this place.
    pub fn new(model: impl Model + 'static, preference: &Preference, place: Place) -> Self {
        Self { model: Box::new(model), preference: preference.clone(), place }
    }

    /// The numbers for every sample, in the dtype and on the device of an input.
    fn rows(&self, like: &Tensor) -> Result<Tensor> {
        let numbers: Vec<f64> = self.preference.now().values().copied().collect();
        let dtype = if like.dtype().is_float() { like.dtype() } else { DType::F32 };
        let row = Tensor::new(numbers.as_slice(), &Device::Cpu)?.to_dtype(dtype)?;
        let rows = row.to_device(like.device())?.unsqueeze(0)?;
        Ok(rows.broadcast_as((like.dim(0)?, numbers.len()))?.contiguous()?)
    }

    /// The inputs with the preference among them.
    fn seen(&self, inputs: &Named<Tensor>) -> Result<Named<Tensor>> {
        let mut seen = inputs.clone();
        match &self.place {
            Place::View(view) => {
                // Any view says how many samples there are; their dtype is that of the first one of numbers.
                let like = inputs.values().find(|x| x.dtype().is_float()).or_else(|| inputs.values().next());
                if let Some(like) = like {
                    seen.insert(view, self.rows(like)?)?;
                }
            }
            Place::Appended(view) => {
                let x = seen.require_mut("view", view)?;
                if !x.dtype().is_float() {
                    return Err(Error::dtype(format!("view `{view}`"), "a floating-point dtype", x.dtype()));
                }
                let mut rows = self.rows(x)?;
                for _ in 2..x.rank() {
                    rows = rows.unsqueeze(rows.rank())?;
                }
                let shape: Vec<usize> = x
                    .dims()
                    .iter()
                    .enumerate()
                    .map(|(i, n)| if i < 2 { rows.dims()[i] } else { *n })
                    .collect();
                *x = Tensor::cat(&[&*x, &rows.broadcast_as(shape)?.contiguous()?], 1)?;
            }
        }
        Ok(seen)
    }
}

impl Model for Conditioned {
    fn tasks(&self) -> Vec<String> {
        self.model.tasks()
    }

    fn share(&self, inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        self.model.share(&self.seen(inputs)?, mode)
    }

    fn share_for(&self, tasks: &[String], inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        self.model.share_for(tasks, &self.seen(inputs)?, mode)
    }

    fn heads(&self, features: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        self.model.heads(features, mode)
    }
}
