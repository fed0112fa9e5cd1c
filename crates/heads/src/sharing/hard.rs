//! Hard sharing: one trunk whose features every task gets.
//!
//! Reference: Caruana, "Multitask Learning", Machine Learning 28, 1997.

use candle_core::Tensor;
use taskweave_kernels::{Named, Result};

use super::Sharing;
use crate::{Backbone, Mode};

/// One trunk over one view; every task gets its features. The trunk runs once.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_heads::{Backbone, Features, HardSharing, Mode, Sharing};
/// use taskweave_kernels::Named;
/// let trunk = Backbone::new(vec![Box::new(|x: &Tensor| x * 2.0)], Features::Vector { width: 1 });
/// let inputs = Named::new([("x", Tensor::new(&[[3f32]], &Device::Cpu)?)])?;
/// let features = HardSharing::new("x", trunk).share(&inputs, &["a".into(), "b".into()], Mode::Eval)?;
/// assert_eq!(features["b"].to_vec2::<f32>()?, [[6.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct HardSharing {
    view: String,
    trunk: Backbone,
}

impl HardSharing {
    /// A trunk over the input called `view`.
    pub fn new(view: &str, trunk: Backbone) -> Self {
        Self { view: view.into(), trunk }
    }
}

impl Sharing for HardSharing {
    fn share(&self, inputs: &Named<Tensor>, tasks: &[String], mode: Mode<'_>) -> Result<Named<Tensor>> {
        let features = self.trunk.forward(inputs.require("view", &self.view)?, mode)?;
        Named::new(tasks.iter().map(|task| (task.clone(), features.clone())))
    }
}
