//! Trimmed mean: of each coordinate, the mean without the largest and the smallest values.
//!
//! With the values of a coordinate in ascending order v₁ ≤ … ≤ v_m and b of them trimmed on either side,
//!     d = (v_{b+1} + … + v_{m−b}) / (m − 2b).
//! Cost: a sort of m values per coordinate, on the host. Guarantees: up to b gradients that are anything at all cannot
//! move a coordinate beyond the range of the others.
//! Reference: Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018,
//! <https://arxiv.org/abs/1803.01498>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{Aggregated, Aggregator, coordinates::by_coordinate};
use crate::Jacobian;

/// The mean without the extremes, coordinate by coordinate.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `trim` | 1 | 2 · trim < m | values that are left out on either side |
///
/// # Errors
/// [`Error::Parameter`] where nothing is left.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Aggregator, Jacobian, aggregator::TrimmedMean};
/// let row = |x: f64| Named::new([("x", Tensor::new(x, &Device::Cpu)?.into())]);
/// let rows = Named::new([("a", row(1.0)?), ("b", row(-900.0)?), ("c", row(3.0)?), ("d", row(5.0)?)])?;
/// let found = TrimmedMean { trim: 1 }.aggregate(&Jacobian::new(rows)?)?;
/// assert_eq!(found.gradient["x"].clone().into_dense()?.to_scalar::<f64>()?, 2.0); // (1 + 3) / 2
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrimmedMean {
    /// How many values are left out on either side.
    pub trim: usize,
}

impl Default for TrimmedMean {
    fn default() -> Self {
        Self { trim: 1 }
    }
}

impl Aggregator for TrimmedMean {
    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        let (tasks, trim) = (jacobian.rows().len(), self.trim);
        if trim.saturating_mul(2) >= tasks.max(1) {
            return Err(Error::parameter("trim", format!("less than half of {tasks} tasks"), trim));
        }
        by_coordinate(jacobian, |values| {
            values.sort_by(f64::total_cmp);
            let kept = &values[trim..tasks - trim];
            kept.iter().sum::<f64>() / kept.len() as f64
        })
    }
}

impl Stateful for TrimmedMean {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("trimmed_mean")
    }
}
