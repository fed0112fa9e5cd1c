//! How the gradients of some parameters meet.
//!
//! Given the gradients gᵢ of the tasks,
//!     cosine = gᵢ·gⱼ / (‖gᵢ‖ ‖gⱼ‖),   norm ratio = ‖gᵢ‖ / ‖gⱼ‖,   conflict rate = share of pairs with gᵢ·gⱼ < 0.
//! A zero gradient conflicts with nobody: its cosines are 0, and a ratio to it does not exist.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Named, Result};
use taskweave_loss::Gramian;

/// Norms, cosines, norm ratios and the conflict rate of the tasks' gradients.
///
/// # Example
/// ```
/// use taskweave_cotrain::diagnostics::Alignment;
/// use taskweave_loss::Gramian;
/// // g₁ = (3, 0), g₂ = (−4, 3)
/// let alignment = Alignment::of(&Gramian::new(["class", "mask"], &[[9.0, -12.0], [-12.0, 25.0]])?)?;
/// assert_eq!(alignment.pairs[0].cosine, -0.8);
/// assert_eq!(alignment.pairs[0].norm_ratio, Some(0.6));
/// assert_eq!((alignment.norms["mask"], alignment.conflict_rate), (5.0, 1.0));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// ‖gᵢ‖ of every task.
    pub norms: Named<f64>,
    /// Every pair of tasks once, in row order.
    pub pairs: Vec<Pair>,
    /// The share of pairs with a negative inner product.
    pub conflict_rate: f64,
}

/// How the gradients of two tasks meet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The first task.
    pub first: String,
    /// The second task.
    pub second: String,
    /// The cosine of the angle between them.
    pub cosine: f64,
    /// The norm of the first over that of the second; nothing where the second is zero.
    pub norm_ratio: Option<f64>,
}

impl Alignment {
    /// How the gradients of a Gramian meet.
    ///
    /// # Errors
    /// None: a Gramian has finite entries and unique tasks.
    pub fn of(gramian: &Gramian) -> Result<Self> {
        let (tasks, norms): (Vec<&str>, _) = (gramian.tasks().collect(), gramian.norms());
        let places = (0..tasks.len()).flat_map(|i| (i + 1..tasks.len()).map(move |j| (i, j)));
        let pair = |(i, j): (usize, usize)| Pair {
            first: tasks[i].into(),
            second: tasks[j].into(),
            cosine: gramian.cosine(i, j),
            norm_ratio: Some(norms[i] / norms[j]).filter(|ratio| ratio.is_finite()),
        };
        Ok(Self {
            pairs: places.map(pair).collect(),
            norms: Named::new(tasks.iter().copied().zip(norms.iter().copied()))?,
            conflict_rate: gramian.conflict_rate(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_gradient_has_no_ratio_to_it() {
        let gramian = Gramian::new(["a", "b", "c"], &[[4.0, 0.0, -2.0], [0.0; 3], [-2.0, 0.0, 1.0]]).unwrap();
        let found = Alignment::of(&gramian).unwrap();
        let facts: Vec<_> = found.pairs.iter().map(|p| (p.cosine, p.norm_ratio)).collect();
        assert_eq!(facts, [(0.0, None), (-1.0, Some(2.0)), (0.0, Some(0.0))]);
        assert_eq!(found.conflict_rate, 1.0 / 3.0);
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Alignment>(&text).unwrap(), found);
    }
}
