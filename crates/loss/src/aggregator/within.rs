//! Within: a weighting that sees the gradients of some blocks only, such as those of the last shared layer.
//!
//! The weights hold for all blocks. Cost: the Gramian of the chosen blocks, one pass over all rows for the sum. Guarantees:
//! those of the weighting hold for the chosen blocks, not for the others.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{Aggregated, Aggregator};
use crate::{Jacobian, Weighting, WeightingConfig, attempt::attempt, weighting::checked};

/// Weights from some of the blocks, for all of them.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `blocks` | required | beginning of names | the blocks whose names begin with it are seen |
/// | `of` | required | a weighting | the method |
///
/// # Errors
/// Those of the method, and those of [`checked`] for its weights; [`Error::Unknown`] where no block has such a name. A call
/// that is refused leaves the state as it was.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Aggregator, Jacobian, aggregator::Within, weighting::Mgda};
/// let block = |x: f64| Ok::<_, taskweave_kernels::Error>(Tensor::new(x, &Device::Cpu)?.into());
/// let row = |conv: f64, fc: f64| Named::new([("conv.weight", block(conv)?), ("fc.weight", block(fc)?)]);
/// let jacobian = Jacobian::new(Named::new([("a", row(5.0, 3.0)?), ("b", row(2.0, 1.0)?)])?)?;
/// let found = Within::new("fc", Box::new(Mgda::default())).aggregate(&jacobian)?;
/// assert_eq!(found.weights, Some(vec![0.0, 1.0])); // `b` is the shorter one in `fc`
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Within {
    blocks: String,
    of: Box<dyn Weighting>,
}

/// The parameters of [`Within`] in a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithinConfig {
    /// What the names of the blocks that are seen begin with.
    pub blocks: String,
    /// The method.
    pub of: WeightingConfig,
}

impl WithinConfig {
    /// The aggregator in its initial state.
    ///
    /// # Errors
    /// Those of [`WeightingConfig::build`].
    pub fn build(&self) -> Result<Within> {
        Ok(Within::new(&self.blocks, self.of.build()?))
    }
}

impl Within {
    /// The weights of a method on the blocks whose names begin so.
    pub fn new(blocks: impl Into<String>, of: Box<dyn Weighting>) -> Self {
        Self { blocks: blocks.into(), of }
    }
}

impl Aggregator for Within {
    fn weighs(&self) -> bool {
        true
    }

    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        let seen = jacobian.blocks_where(|name| name.starts_with(&self.blocks))?;
        if seen.rows().values().next().is_some_and(Named::is_empty) {
            let known = jacobian.rows().values().next().into_iter().flat_map(Named::names);
            return Err(Error::Unknown {
                what: "block that begins with".into(),
                name: self.blocks.clone(),
                known: known.map(String::from).collect(),
            });
        }
        let gramian = seen.gramian()?;
        attempt(self, |within| {
            let weights = checked(gramian.tasks(), within.of.weights(&gramian)?)?;
            Ok(Aggregated { gradient: jacobian.combined(&weights)?, weights: Some(weights) })
        })
    }

    fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        self.of.prepare(tasks)
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        self.of.prefer(preference)
    }
}

impl Stateful for Within {
    fn save(&self) -> Result<State> {
        self.of.save()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.of.restore(state)
    }
}
