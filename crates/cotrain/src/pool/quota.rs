//! How many samples of each class join per round.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::Pool;

/// How many samples of each class a learner proposes per round.
///
/// # Example
/// Three labeled samples of class 0 and nine of class 1: as Blum and Mitchell have it, one and three.
/// ```
/// use taskweave_cotrain::learner::Answers;
/// use taskweave_cotrain::pool::{Pool, Quota};
/// let labeled = (0..12).map(|sample| (sample, f64::from(u8::from(sample >= 3))));
/// let pool = Pool::new(Answers::Classes(2), labeled, 12..100)?;
/// assert_eq!(Quota::Prior { rarest: 1 }.of(&pool)?, [1, 3]);
/// assert!(Quota::PerClass(vec![1]).of(&pool).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// One number per class.
    PerClass(Vec<usize>),
    /// In proportion to the labeled samples: so many of the rarest class, rounded for the others.
    Prior {
        /// Samples of the rarest class.
        rarest: usize,
    },
}

impl Default for Quota {
    fn default() -> Self {
        Self::Prior { rarest: 1 }
    }
}

impl Quota {
    /// The number for each class.
    ///
    /// # Errors
    /// [`Error::Parameter`] for numbers of another count than there are classes, and for a pool of values.
    pub fn of(&self, pool: &Pool) -> Result<Vec<usize>> {
        let counts = pool.class_counts()?;
        match self {
            Self::PerClass(quota) if quota.len() == counts.len() => Ok(quota.clone()),
            Self::PerClass(quota) => Err(Error::parameter(
                "quota",
                format!("{} numbers, one per class", counts.len()),
                quota.len(),
            )),
            Self::Prior { rarest } => {
                let least = counts.iter().copied().filter(|count| *count > 0).min().unwrap_or(1) as f64;
                let share = |count: usize| (*rarest as f64 * count as f64 / least).round() as usize;
                Ok(counts.into_iter().map(share).collect())
            }
        }
    }
}
