//! Multi-gate mixture of experts.
//!
//! Every task mixes the outputs of the same experts with weights of its own: f_k(x) = Σₑ softmax(W_k x + b_k)ₑ yₑ(x).
//! Reference: Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018,
//! <https://doi.org/10.1145/3219819.3220007>.

use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use taskweave_kernels::ops::{self, Activation};
use taskweave_kernels::{Error, Named, Result};

use super::Sharing;
use crate::{Linear, Mode, Stage};

/// Experts that all tasks share, and a gate for each task. Experts are multi-layer perceptrons with ReLU after every layer.
///
/// # Shapes
/// `[rows, in]` → per task `[rows, out]`.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{Mmoe, Mode, Params, Sharing};
/// use taskweave_kernels::{Named, Rng};
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let sharing = Mmoe::new(&params.shared(), "x", &[4, 8, 5], 3, &["click", "buy"])?;
/// let inputs = Named::new([("x", Tensor::ones((2, 4), DType::F32, &Device::Cpu)?)])?;
/// let features = sharing.share(&inputs, &["buy".into()], Mode::Eval)?;
/// assert_eq!(features["buy"].dims(), [2, 5]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Mmoe {
    view: String,
    layers: Vec<[Tensor; 2]>,
    gates: Named<Linear>,
}

impl Mmoe {
    /// Experts over the input called `view`, their layers from `widths[0]` values to `widths[1]` and so on.
    ///
    /// # Errors
    /// [`Error::Parameter`] for fewer than two widths, a width of 0 or no expert, [`Error::Name`] for a task that comes twice.
    pub fn new(
        vb: &VarBuilder<'_>,
        view: &str,
        widths: &[usize],
        experts: usize,
        tasks: &[&str],
    ) -> Result<Self> {
        if widths.len() < 2 || widths.contains(&0) {
            return Err(Error::parameter(
                "widths of experts",
                "at least two, each at least 1",
                format!("{widths:?}"),
            ));
        }
        if experts == 0 {
            return Err(Error::parameter("experts", "at least 1", experts));
        }
        let layer = |(i, pair): (usize, &[usize])| -> Result<[Tensor; 2]> {
            let bound = 1.0 / (pair[0] as f64).sqrt();
            let (init, vb) = (Init::Uniform { lo: -bound, up: bound }, vb.pp(format!("layer.{i}")));
            let weight = vb.get_with_hints((experts, pair[1], pair[0]), "weight", init)?;
            Ok([weight, vb.get_with_hints((experts, pair[1]), "bias", init)?])
        };
        let layers = widths.windows(2).enumerate().map(layer).collect::<Result<_>>()?;
        let gate = |&task| Ok((task, Linear::new(&vb.pp("gate").pp(task), widths[0], experts)?));
        let gates = Named::new(tasks.iter().map(gate).collect::<Result<Vec<_>>>()?)?;
        Ok(Self { view: view.into(), layers, gates })
    }
}

impl Sharing for Mmoe {
    fn share(&self, inputs: &Named<Tensor>, tasks: &[String], mode: Mode<'_>) -> Result<Named<Tensor>> {
        let x = inputs.require("view", &self.view)?;
        let outputs = self.layers.iter().try_fold(x.clone(), |x, [weight, bias]| {
            ops::expert_linear(&x, weight, Some(bias), Activation::Relu)
        })?;
        let mixed = |task: &String| {
            let gate = self.gates.require("task", task)?.forward(x, mode)?;
            Ok((task.clone(), ops::mix(&gate, &outputs)?))
        };
        Named::new(tasks.iter().map(mixed).collect::<Result<Vec<_>>>()?)
    }
}
