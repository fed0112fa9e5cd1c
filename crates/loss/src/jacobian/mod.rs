//! The gradients of every task, block by block.
//!
//! J has one row per task and one block per parameter. The blocks are never concatenated: a network of n
//! parameters and K tasks costs K·n numbers and not one more, and an aggregate is formed block by block.
//! The Gramian is G = Σ_blocks J_b J_bᵀ, summed in f64 in one pass over each block.

mod products;

use candle_core::Tensor;
use taskweave_kernels::autograd::{Gradient, Tape};
use taskweave_kernels::{Error, Named, Param, Result};

/// The gradient of every task with respect to every parameter.
///
/// Rows are tasks in the order of the losses, blocks are parameters in name order.
///
/// # Example
/// ```
/// use candle_core::{Device, Var};
/// use taskweave_kernels::{Kind, Named, Owner, Param};
/// use taskweave_loss::Jacobian;
/// let x = Var::new(&[1f64, 2.0], &Device::Cpu)?;
/// let losses = Named::new([("sum", x.sum_all()?), ("squares", x.sqr()?.sum_all()?)])?;
/// let params = Named::new([("x", Param::new(x, Kind::Weight, Owner::Shared))])?;
/// let jacobian = Jacobian::of(&losses, &params)?;
/// assert_eq!(jacobian.rows()["squares"]["x"].values().to_vec1::<f64>()?, [2.0, 4.0]);
/// assert_eq!(jacobian.gramian()?.values(), [2.0, 6.0, 6.0, 20.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Jacobian {
    rows: Named<Named<Gradient>>,
    losses: Option<Vec<f64>>,
    features: Option<Named<Tensor>>,
}

impl Jacobian {
    /// Differentiates every loss with respect to every trained parameter through candle's graph: one backward
    /// pass per task.
    ///
    /// A parameter that a task does not reach has a zero block. Buffers are left out.
    ///
    /// # Errors
    /// [`Error::Shape`] for a loss that is not a scalar.
    pub fn of(losses: &Named<Tensor>, params: &Named<Param>) -> Result<Self> {
        Self::on(&Tape::default(), losses, params)
    }

    /// The same for losses that were computed while `tape` was recorded.
    ///
    /// # Errors
    /// As [`Jacobian::of`].
    pub fn on(tape: &Tape, losses: &Named<Tensor>, params: &Named<Param>) -> Result<Self> {
        let mut trained = Named::default();
        for (name, param) in params.iter().filter(|(_, param)| param.kind.is_trained()) {
            trained.insert(name, param)?;
        }
        let trained = trained.sorted();
        let targets: Vec<&Tensor> = trained.values().map(|param| param.var.as_tensor()).collect();
        let rows = losses.try_map(|task, loss| {
            if loss.rank() != 0 {
                return Err(Error::shape(format!("loss of `{task}`"), "[] (a scalar)", loss.dims()));
            }
            let mut gradients = tape.backward(&[(loss, None)], &targets)?;
            trained.try_map(|_, param| match gradients.remove(&param.var) {
                Some(gradient) => Ok(gradient),
                None => Ok(param.var.zeros_like()?.into()),
            })
        })?;
        Ok(Self { rows, losses: None, features: None })
    }

    /// A Jacobian from rows of named blocks.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a row that lacks a block of the first, [`Error::Shape`] for a row with more blocks
    /// or a block of another shape.
    pub fn new(rows: Named<Named<Gradient>>) -> Result<Self> {
        let rows = rows.map(|_, row| row.clone().sorted());
        if let Some(first) = rows.values().next() {
            rows.iter().try_for_each(|(task, row)| matching(task, first, row))?;
        }
        Ok(Self { rows, losses: None, features: None })
    }

    /// The same with the losses that the rows are the gradients of, for methods that weigh by losses too.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a task without a loss, [`Error::Shape`] for a loss without a task, [`Error::NonFinite`]
    /// with the task whose loss is a NaN or an infinity.
    ///
    /// # Example
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use taskweave_kernels::Named;
    /// use taskweave_loss::Jacobian;
    /// let row = |x: f64| Named::new([("x", Tensor::new(x, &Device::Cpu)?.into())]);
    /// let jacobian = Jacobian::new(Named::new([("a", row(1.0)?), ("b", row(3.0)?)])?)?;
    /// let jacobian = jacobian.with_losses(Named::new([("b", 0.3), ("a", 0.1)])?)?;
    /// assert_eq!(jacobian.losses(), Some(&[0.1, 0.3][..])); // in the order of the rows
    /// assert_eq!(jacobian.gramian()?.losses(), jacobian.losses());
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn with_losses(self, losses: Named<f64>) -> Result<Self> {
        if losses.len() > self.rows.len() {
            let expected = format!("[{}], one per task", self.rows.len());
            return Err(Error::shape("losses", expected, &[losses.len()]));
        }
        let of = |task| match *losses.require("loss of task", task)? {
            loss if loss.is_finite() => Ok(loss),
            _ => Err(Error::non_finite("loss", task)),
        };
        let losses = self.rows.names().map(of).collect::<Result<_>>()?;
        Ok(Self { losses: Some(losses), ..self })
    }

    /// The same with the features that the blocks are the gradients of, for methods that look at both: gradients at a layer
    /// of the representation, one sample after the other.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a block without features, [`Error::Shape`] for features of another shape than their block or
    /// without a batch, [`Error::DType`] for features of another dtype.
    ///
    /// # Example
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use taskweave_kernels::Named;
    /// use taskweave_loss::Jacobian;
    /// let tensor = || Tensor::new(&[[1.0, -2.0]], &Device::Cpu);
    /// let row = Named::new([("features", tensor()?.into())])?;
    /// let jacobian = Jacobian::new(Named::new([("class", row)])?)?;
    /// assert!(jacobian.features().is_none());
    /// let jacobian = jacobian.with_features(Named::new([("features", tensor()?)])?)?;
    /// assert_eq!(jacobian.features().map(Named::len), Some(1));
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn with_features(self, features: Named<Tensor>) -> Result<Self> {
        for (name, block) in self.rows.values().next().into_iter().flat_map(Named::iter) {
            let (found, shape) = (features.require("features", name)?, block.shape());
            if *found.shape() != shape || shape.rank() == 0 {
                let expected = format!("{:?}, [batch, …] as the gradient", shape.dims());
                return Err(Error::shape(format!("features `{name}`"), expected, found.dims()));
            }
            if found.dtype() != block.values().dtype() {
                let expected = format!("{:?}, as the gradient", block.values().dtype());
                return Err(Error::dtype(format!("features `{name}`"), expected, found.dtype()));
            }
        }
        Ok(Self { features: Some(features), ..self })
    }

    /// The features that the blocks are the gradients of, `[batch, …]`; nothing for gradients of parameters.
    pub fn features(&self) -> Option<&Named<Tensor>> {
        self.features.as_ref()
    }

    /// The losses that the rows are the gradients of, in row order, where they are known.
    pub fn losses(&self) -> Option<&[f64]> {
        self.losses.as_deref()
    }

    /// The losses for a method that cannot do without.
    pub(crate) fn required_losses(&self, method: &str) -> Result<&[f64]> {
        self.losses().ok_or_else(|| Error::parameter(format!("losses for {method}"), "one per task", "none"))
    }

    /// The same tasks and losses, with the blocks whose names are wanted.
    ///
    /// # Errors
    /// None but those of names.
    ///
    /// # Example
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use taskweave_kernels::Named;
    /// use taskweave_loss::Jacobian;
    /// let block = |x: f64| Ok::<_, taskweave_kernels::Error>(Tensor::new(x, &Device::Cpu)?.into());
    /// let row = Named::new([("conv.weight", block(3.0)?), ("fc.bias", block(1.0)?), ("fc.weight", block(2.0)?)])?;
    /// let jacobian = Jacobian::new(Named::new([("class", row)])?)?;
    /// assert_eq!(jacobian.blocks_where(|name| name.starts_with("fc"))?.gramian()?.values(), [5.0]);
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn blocks_where(&self, wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let rows = self.rows.try_map(|_, row| {
            Named::new(row.iter().filter(|(name, _)| wanted(name)).map(|(name, block)| (name, block.clone())))
        })?;
        Ok(Self { rows, ..self.clone() })
    }

    /// The gradient of each task, by parameter.
    pub fn rows(&self) -> &Named<Named<Gradient>> {
        &self.rows
    }
}

fn matching(task: &str, first: &Named<Gradient>, row: &Named<Gradient>) -> Result<()> {
    if row.len() != first.len() {
        return Err(Error::shape(
            format!("row of `{task}`"),
            format!("{} blocks", first.len()),
            &[row.len()],
        ));
    }
    for (name, block) in first.iter() {
        let found = row.require("block", name)?.shape();
        if found != block.shape() {
            return Err(Error::shape(
                format!("block `{name}` of `{task}`"),
                format!("{:?}", block.shape()),
                found.dims(),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};
    use taskweave_kernels::{Kind, Owner};

    fn param(values: &[f64], kind: Kind) -> Param {
        Param::new(Var::new(values, &Device::Cpu).unwrap(), kind, Owner::Shared)
    }

    #[test]
    fn an_unreached_parameter_is_a_zero_block_and_a_buffer_is_none() {
        let (z, a) = (param(&[1.0, 2.0], Kind::Weight), param(&[3.0], Kind::Bias));
        let losses =
            Named::new([("z", z.var.sum_all().unwrap()), ("a", a.var.sqr().unwrap().sum_all().unwrap())])
                .unwrap();
        let params = Named::new([("z", z), ("seen", param(&[0.0], Kind::Buffer)), ("a", a)]).unwrap();
        let jacobian = Jacobian::of(&losses, &params).unwrap();
        assert_eq!(jacobian.rows()["z"].names().collect::<Vec<_>>(), ["a", "z"]);
        assert_eq!(jacobian.rows()["z"]["a"].values().to_vec1::<f64>().unwrap(), [0.0]);
        assert_eq!(jacobian.gramian().unwrap().values(), [2.0, 0.0, 0.0, 36.0]);
    }

    #[test]
    fn a_gradient_that_is_not_finite_names_its_task() {
        let x = param(&[0.0], Kind::Weight);
        let losses = Named::new([
            ("good", x.var.sum_all().unwrap()),
            ("bad", x.var.log().unwrap().sum_all().unwrap()),
        ])
        .unwrap();
        let params = Named::new([("x", x)]).unwrap();
        let error = Jacobian::of(&losses, &params).unwrap().gramian().unwrap_err();
        assert_eq!(error.to_string(), "gradient of `bad` is not finite");
    }

    #[test]
    fn long_transposed_and_mixed_blocks_are_summed_in_f64() {
        let n = 8205;
        let ramp = Tensor::arange(0u32, n as u32, &Device::Cpu).unwrap();
        let wide = |dtype| ramp.to_dtype(dtype).unwrap().reshape((1, n)).unwrap();
        let rows = [("f32", wide(DType::F32)), ("f64", wide(DType::F64))];
        let exact = (0..n).map(|i| (i * i) as f64).sum::<f64>();
        let gramian = |rows: &[(&str, Tensor)]| {
            let rows = rows
                .iter()
                .map(|(task, block)| (*task, Named::new([("x", Gradient::from(block.clone()))]).unwrap()));
            Jacobian::new(Named::new(rows).unwrap()).unwrap().gramian().unwrap()
        };
        assert_eq!(gramian(&rows).values(), [exact; 4]);
        assert_eq!(gramian(&rows[..1]).values(), [exact]);
        let square = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
        let turned = [("a", square.clone()), ("b", square.t().unwrap())];
        assert_eq!(gramian(&turned)[(0, 1)], 1.0 + 6.0 + 6.0 + 16.0);
    }

    #[test]
    fn losses_of_other_tasks_are_refused() {
        let row = || Named::new([("x", Tensor::new(1f64, &Device::Cpu).unwrap().into())]).unwrap();
        let with = |losses: &[(&str, f64)]| {
            let jacobian = Jacobian::new(Named::new([("a", row()), ("b", row())]).unwrap()).unwrap();
            jacobian.with_losses(Named::new(losses.iter().copied()).unwrap())
        };
        assert!(matches!(with(&[("a", 1.0)]), Err(Error::Unknown { .. })));
        assert!(matches!(with(&[("a", 1.0), ("c", 1.0)]), Err(Error::Unknown { .. })));
        assert!(matches!(with(&[("a", 1.0), ("b", 1.0), ("c", 1.0)]), Err(Error::Shape { .. })));
        let error = with(&[("a", 1.0), ("b", f64::NAN)]).unwrap_err();
        assert_eq!(error.to_string(), "loss of `b` is not finite");
    }

    #[test]
    fn rows_of_different_blocks_are_refused() {
        let block = |n: usize| Tensor::zeros(n, DType::F32, &Device::Cpu).unwrap();
        let row = |name: &str, n: usize| Named::new([(name, Gradient::from(block(n)))]).unwrap();
        let build = |second| Jacobian::new(Named::new([("a", row("x", 2)), ("b", second)]).unwrap());
        assert!(build(row("x", 2)).is_ok());
        assert!(matches!(build(row("y", 2)), Err(Error::Unknown { .. })));
        assert!(matches!(build(row("x", 3)), Err(Error::Shape { .. })));
        assert!(matches!(build(Named::default()), Err(Error::Shape { .. })));
    }
}
