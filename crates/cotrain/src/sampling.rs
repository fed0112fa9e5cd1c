//! Which tasks learn at a step.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Rng};

/// Whether a step trains all tasks of its batch or one drawn at random.
///
/// # Example
/// ```
/// use taskweave_cotrain::Sampling;
/// use taskweave_kernels::{Named, Rng};
/// let sampling = Sampling::One { weights: Named::new([("class", 1.0), ("mask", 0.0)])? };
/// let drawn = sampling.choose(vec!["class".into(), "mask".into()], &mut Rng::new(0))?;
/// assert_eq!(drawn, ["class"]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sampling {
    /// All tasks of the batch.
    #[default]
    All,
    /// One task of the batch, drawn with probability proportional to its weight.
    One {
        /// A finite weight ≥ 0 per task, not all 0.
        weights: Named<f64>,
    },
}

impl Sampling {
    /// The tasks that learn, among those `present` in the batch; none where all of those weigh 0.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a task without a weight.
    pub fn choose(&self, present: Vec<String>, rng: &mut Rng) -> Result<Vec<String>> {
        let Self::One { weights } = self else { return Ok(present) };
        let weight = |task: &String| weights.require("task", task).copied();
        let total = present.iter().map(weight).sum::<Result<f64>>()?;
        let mut left = rng.uniform() * total;
        for task in present {
            left -= weight(&task)?;
            if left < 0.0 {
                return Ok(vec![task]);
            }
        }
        Ok(Vec::new())
    }

    pub(crate) fn check(&self, tasks: &[String]) -> Result<()> {
        let Self::One { weights } = self else { return Ok(()) };
        tasks.iter().try_for_each(|task| weights.require("task", task).map(|_| ()))?;
        if let Some(name) = weights.names().find(|name| !tasks.iter().any(|task| task == name)) {
            return Err(Error::Unknown { what: "task".into(), name: name.into(), known: tasks.to_vec() });
        }
        let valid =
            weights.values().all(|w| w.is_finite() && *w >= 0.0) && weights.values().any(|w| *w > 0.0);
        if !valid {
            let found = format!("{:?}", weights.values().collect::<Vec<_>>());
            return Err(Error::parameter("weights of task sampling", "finite numbers ≥ 0, not all 0", found));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_drawn_by_their_weights() {
        let weights = Named::new([("a", 1.0), ("b", 3.0)]).unwrap();
        let (sampling, mut rng) = (Sampling::One { weights }, Rng::new(0));
        let mut draw = || sampling.choose(vec!["a".into(), "b".into()], &mut rng).unwrap().remove(0);
        let b = (0..4000).filter(|_| draw() == "b").count();
        assert!((2900..3100).contains(&b), "{b} of 4000");
    }

    #[test]
    fn bad_weights_are_refused() {
        let check = |w: f64| Sampling::One { weights: Named::new([("a", w)]).unwrap() }.check(&["a".into()]);
        assert!(check(1.0).is_ok());
        assert!(check(0.0).is_err() && check(-1.0).is_err() && check(f64::NAN).is_err());
        assert!(matches!(
            Sampling::One { weights: Named::default() }.check(&["a".into()]),
            Err(Error::Unknown { .. })
        ));
    }
}
