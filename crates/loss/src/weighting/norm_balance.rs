//! Norm balancing: every gradient brought to the same length.
//!
//! Given the norms of the gradients, returns
//!     wᵢ = √(mean of ‖gⱼ‖²) / ‖gᵢ‖
//! the root mean square of all norms over the task's own. Guarantees: no task's scale matters to the direction of the
//! update. Conflicts are left as they are.
//! Variants: this is the balancing of neural tangent kernels with one sample (NTKMTL, n = 1). A gradient of 0 stays 0
//! and keeps the weight 1.
//! Reference: Qin et al., "NTKMTL: Mitigating Task Imbalance in Multi-Task Learning from Neural Tangent Kernel
//! Perspective", 2025.

use taskweave_kernels::Result;

use super::{Weighting, scaled::Scaled, stateless::stateless};
use crate::{Gramian, no_parameters::no_parameters};

/// Gradients of equal length. It has no parameters.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{NormBalance, Weighting}};
/// // Norms 1 and 7: their root mean square is 5.
/// let gramian = Gramian::new(["class", "mask"], &[[1.0, 0.0], [0.0, 49.0]])?;
/// assert_eq!(NormBalance.weights(&gramian)?, [5.0, 5.0 / 7.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NormBalance;

no_parameters!(NormBalance);

impl Weighting for NormBalance {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        let largest = scaled.norms.iter().fold(0.0, |most: f64, norm| most.max(*norm));
        let squares: f64 = scaled.norms.iter().map(|norm| (norm / largest).powi(2)).sum();
        let mean = largest * (squares / size.max(1) as f64).sqrt();
        Ok(scaled.weights(&vec![mean; scaled.len()], size, 1.0))
    }
}

stateless!(NormBalance);
