//! Looking ahead: the losses that a step for one task alone would leave.

use taskweave_data::Batch;
use taskweave_kernels::{Error, Named, Result};

use super::{Over, Part, Step};

/// The losses of a batch before a step, and after a step on the gradient of each task alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookahead {
    /// By task.
    pub before: Named<f64>,
    /// By the task whose gradient it was, then by task.
    pub after: Named<Named<f64>>,
}

impl Step {
    /// The losses of a batch, and those after θ − `rate` · gᵢ for the gradient gᵢ of each task: of the shared parameters
    /// alone, in training mode, with the random numbers of the next step. Then everything is as it was, bit for bit. Costs
    /// two forward passes, and one backward and one forward pass per task.
    ///
    /// # Errors
    /// As for [`Step::step`], and [`Error::Parameter`] for a rate that is not a finite number > 0.
    ///
    /// # Example
    /// ```
    /// # use candle_core::{DType, Device, Tensor};
    /// # use taskweave_cotrain::Step;
    /// # use taskweave_data::Batch;
    /// # use taskweave_heads::{Mode, Model, Params};
    /// # use taskweave_kernels::{Named, Result, Rng, Target};
    /// # use taskweave_loss::{Affinity, criterion::Mse};
    /// # struct Both(Tensor);
    /// # impl Model for Both {
    /// #     fn tasks(&self) -> Vec<String> { vec!["up".into(), "down".into()] }
    /// #     fn share(&self, inputs: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
    /// #         let y = inputs["x"].broadcast_mul(&self.0)?;
    /// #         Named::new([("up", y.clone()), ("down", y)])
    /// #     }
    /// #     fn heads(&self, features: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> { Ok(features.clone()) }
    /// # }
    /// # let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
    /// # let factor = params.shared().get_with_hints(1, "factor", candle_nn::Init::Const(0.0))?;
    /// # let mut step = Step::builder(Both(factor), params).criterion("up", Mse).criterion("down", Mse).build()?;
    /// # let target = |y: f64| Target::new(Tensor::new(&[[y]], &Device::Cpu)?);
    /// # let batch = Batch {
    /// #     inputs: Named::new([("x", Tensor::new(&[[1f64]], &Device::Cpu)?)])?,
    /// #     targets: Named::new([("up", target(1.0)?), ("down", target(-2.0)?)])?,
    /// #     indices: vec![0],
    /// # };
    /// // Both tasks predict w · 1 with w = 0; `up` wants 1 and `down` wants −2, so that the losses are 1 and 4.
    /// let found = step.lookahead(&batch, 0.25)?;
    /// assert_eq!(found.after["up"]["up"], 0.25); // w = 0.25 · 2 · 1
    /// assert_eq!(found.after["up"]["down"], 6.25);
    /// assert_eq!(Affinity::of(&found.before, &found.after)?.on("up", "down")?, 1.0 - 6.25 / 4.0);
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn lookahead(&mut self, batch: &Batch, rate: f64) -> Result<Lookahead> {
        if !(rate.is_finite() && rate > 0.0) {
            return Err(Error::parameter("rate of a lookahead", "a finite number > 0", rate));
        }
        let part = Part { batch, number: 0 };
        let (before, jacobian) = (self.losses(part)?, self.rows(part, Over::Shared)?);
        let after = jacobian.rows().try_map(|_, row| {
            self.aside(|step| {
                step.shift(row, -rate)?;
                step.losses(part)
            })
        })?;
        Ok(Lookahead { before, after })
    }
}
