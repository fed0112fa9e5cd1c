//! Sets of trade-offs: which of them are worth keeping, how good they are together, and which preferences to try.
//!
//! | function | what it gives |
//! | --- | --- |
//! | [`non_dominated`] | the points that no other point is better than |
//! | [`hypervolume`] | the volume between the points and a reference, exact for any number of objectives |
//! | [`simplex_lattice`] | preferences, evenly spread |
//!
//! Lower is better in every objective.

mod dominance;
mod hypervolume;
mod lattice;

pub use dominance::{dominates, non_dominated};
pub use hypervolume::hypervolume;
pub use lattice::simplex_lattice;

use taskweave_kernels::{Error, Result};

/// Refuses points of different lengths, without objectives, or that are not finite.
fn check(points: &[impl AsRef<[f64]>], objectives: usize) -> Result<()> {
    for (i, point) in points.iter().map(AsRef::as_ref).enumerate() {
        if point.len() != objectives || point.is_empty() {
            let expected = format!("[{}], one number per objective", objectives.max(1));
            return Err(Error::shape(format!("point {i}"), expected, &[point.len()]));
        }
        if point.iter().any(|x| !x.is_finite()) {
            return Err(Error::non_finite("an objective", format!("point {i}")));
        }
    }
    Ok(())
}
