//! Sequential: one schedule after the other.
//!
//! ```text
//! rate(t) = rateᵢ(t − startᵢ)   with   startᵢ ≤ t < startᵢ₊₁,   start = 0, milestones…
//! ```
//! Every part counts its own time from 0. A metric is observed by the part whose time it is.

use serde_json::Value;
use taskweave_kernels::{Error, Result, State, Stateful};

use super::Rate;
use crate::range;

/// One schedule after the other, such as a warm-up and then a cosine.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `parts` | required | at least one | the schedules |
/// | `milestones` | required | one less than `parts`, > 0, strictly increasing | when each but the first starts |
///
/// # Example
/// ```
/// use taskweave_cotrain::rate::{Exponential, LinearWarmup, Rate, Sequential};
/// let warmup = Box::new(LinearWarmup::new(0.5, 2)?);
/// let decay = Box::new(Exponential::new(0.5)?);
/// let both = Sequential::new(vec![warmup, decay], vec![2])?;
/// assert_eq!([0, 1, 2, 3].map(|t| both.rate(1.0, t)), [0.5, 0.75, 1.0, 0.5]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Sequential {
    parts: Vec<Box<dyn Rate>>,
    milestones: Vec<u64>,
}

impl Sequential {
    /// The `parts`, of which each but the first starts at its milestone.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter outside its range.
    pub fn new(parts: Vec<Box<dyn Rate>>, milestones: Vec<u64>) -> Result<Self> {
        if parts.len() != milestones.len() + 1 {
            let expected = format!("{}, one more than milestones", milestones.len() + 1);
            return Err(Error::parameter("number of parts", expected, parts.len()));
        }
        range::increasing("milestones", &milestones)?;
        if let Some(first) = milestones.first() {
            range::at_least("first milestone", 1, *first)?;
        }
        Ok(Self { parts, milestones })
    }

    /// Which part `time` falls to, and the time of that part.
    fn at(&self, time: u64) -> (usize, u64) {
        let part = self.milestones.partition_point(|&milestone| milestone <= time);
        (part, part.checked_sub(1).map_or(time, |before| time - self.milestones[before]))
    }
}

impl Rate for Sequential {
    fn rate(&self, base: f64, time: u64) -> f64 {
        let (part, time) = self.at(time);
        self.parts[part].rate(base, time)
    }

    fn observe(&mut self, time: u64, metric: f64) {
        let (part, time) = self.at(time);
        self.parts[part].observe(time, metric);
    }
}

impl Stateful for Sequential {
    fn save(&self) -> Result<State> {
        State::of(&self.values()?)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let values: Vec<Value> = state.read("Sequential")?;
        if values.len() != self.parts.len() {
            return Err(Error::state("Sequential", format!("{} parts", self.parts.len()), values.len()));
        }
        let before = self.values()?;
        self.take(values).or_else(|error| self.take(before).and(Err(error)))
    }
}

impl Sequential {
    /// What the parts remember.
    fn values(&self) -> Result<Vec<Value>> {
        self.parts.iter().map(|part| Ok(part.save()?.values)).collect()
    }

    fn take(&mut self, values: Vec<Value>) -> Result<()> {
        let states = values.into_iter().map(|values| State { values, ..State::default() });
        self.parts.iter_mut().zip(states).try_for_each(|(part, state)| part.restore(&state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::{Constant, ReduceOnPlateau};

    fn two_plateaus() -> Sequential {
        let plateau = || Box::new(ReduceOnPlateau::new(0.5, 0, 0.0).unwrap());
        Sequential::new(vec![plateau(), plateau()], vec![2]).unwrap()
    }

    #[test]
    fn a_metric_is_observed_by_the_part_whose_time_it_is() {
        let mut both = two_plateaus();
        [1.0, 1.0, 1.0].iter().enumerate().for_each(|(t, metric)| both.observe(t as u64, *metric));
        assert_eq!([both.rate(1.0, 1), both.rate(1.0, 2)], [0.5, 1.0]);
    }

    #[test]
    fn a_state_that_fits_in_part_changes_nothing() {
        let mut both = two_plateaus();
        both.observe(0, 1.0);
        both.observe(0, 1.0);
        let before = both.save().unwrap().values;
        let fresh = two_plateaus().save().unwrap().values;
        let broken = State::of(&[fresh[0].clone(), Value::from("broken")]).unwrap();
        assert!(matches!(both.restore(&broken), Err(Error::State { .. })));
        assert!(matches!(both.restore(&State::of(&[0]).unwrap()), Err(Error::State { .. })));
        assert_eq!(both.save().unwrap().values, before);
    }

    #[test]
    fn milestones_fit_the_parts() {
        let parts = || -> Vec<Box<dyn Rate>> { vec![Box::new(Constant), Box::new(Constant)] };
        for milestones in [vec![], vec![0], vec![1, 2]] {
            assert!(matches!(Sequential::new(parts(), milestones), Err(Error::Parameter { .. })));
        }
        assert!(matches!(Sequential::new(vec![], vec![]), Err(Error::Parameter { .. })));
    }
}
