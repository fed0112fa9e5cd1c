//! One number per task, moved by Adam on the host.

use serde::{Deserialize, Serialize};
use taskweave_kernels::optim::{Adam, Formula, Now, Rule};
use taskweave_kernels::{Named, Result};

use super::shares::same_tasks;

/// One number per task; empty before the first step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trained(Named<Number>);

/// A number with what Adam remembers about it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Number {
    value: f64,
    slots: [f64; 2],
    steps: u64,
}

impl Trained {
    /// The same, or `initial` for every task at the first step.
    ///
    /// # Errors
    /// [`Error::State`](taskweave_kernels::Error::State) where they are of other tasks; `protocol` names whose they are.
    pub(super) fn of(&self, tasks: &[String], initial: f64, protocol: &str) -> Result<Self> {
        if self.0.is_empty() {
            let number = Number { value: initial, slots: [0.0; 2], steps: 0 };
            return Ok(Self(Named::new(tasks.iter().map(|task| (task.clone(), number)))?));
        }
        same_tasks(&self.0, tasks, protocol)?;
        Ok(self.clone())
    }

    pub(super) fn values(&self) -> Named<f64> {
        self.0.map(|_, number| number.value)
    }

    /// The softmax of the numbers.
    pub(super) fn softmax(&self) -> Named<f64> {
        let most = self.0.values().fold(f64::NEG_INFINITY, |most, number| most.max(number.value));
        let powers = self.0.map(|_, number| (number.value - most).exp());
        let sum: f64 = powers.values().sum();
        powers.map(|_, power| power / sum)
    }

    /// After one step of Adam against these slopes, and then no less than `least`; a task without a slope stays.
    pub(super) fn stepped(&self, slopes: &Named<f64>, lr: f64, least: f64) -> Result<Self> {
        let mut next = self.clone();
        for (task, slope) in slopes.iter() {
            let number = next.0.require_mut("task", task)?;
            number.steps += 1;
            let now = Now { rate: lr, decay: 0.0, step: number.steps };
            let Ok(value) = Adam::default().at(now).apply(&number.value, slope, &mut number.slots);
            number.value = value.max(least);
        }
        Ok(next)
    }
}

/// The slopes with respect to the numbers, given those with respect to their softmax w: Σⱼ sⱼ wⱼ (δⱼₖ − wₖ).
pub(super) fn through_softmax(slopes: &Named<f64>, weights: &Named<f64>) -> Result<Named<f64>> {
    let mut mean = 0.0;
    for (task, slope) in slopes.iter() {
        mean += slope * weights.require("task", task)?;
    }
    Ok(weights.map(|task, weight| weight * (slopes.get(task).copied().unwrap_or(0.0) - mean)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_has_the_length_of_the_rate_and_a_bound_holds() {
        let tasks = ["a".to_string(), "b".into()];
        let start = Trained::default().of(&tasks, 0.1, "x").unwrap();
        let slopes = Named::new([("a", 3.0), ("b", -0.2)]).unwrap();
        let next = start.stepped(&slopes, 0.5, 0.0).unwrap().values();
        assert_eq!(next["a"], 0.0);
        assert!((next["b"] - 0.6).abs() < 1e-7);
        let other = ["a".to_string()];
        assert!(start.of(&other, 0.1, "x").is_err());
    }

    #[test]
    fn slopes_pass_through_the_softmax_as_differences_do() {
        let numbers = |values: [f64; 3]| {
            let number = |value| Number { value, slots: [0.0; 2], steps: 0 };
            Trained(Named::new(["a", "b", "c"].into_iter().zip(values.map(number))).unwrap())
        };
        let at = [0.3, -0.2, 0.9];
        let slopes = Named::new([("a", 2.0), ("b", -1.0), ("c", 0.5)]).unwrap();
        let value = |values: [f64; 3]| {
            let w = numbers(values).softmax();
            slopes.iter().map(|(task, slope)| slope * w[task]).sum::<f64>()
        };
        let found = through_softmax(&slopes, &numbers(at).softmax()).unwrap();
        for (i, found) in found.values().enumerate() {
            let (mut above, mut below) = (at, at);
            above[i] += 1e-5;
            below[i] -= 1e-5;
            assert!((found - (value(above) - value(below)) / 2e-5).abs() < 1e-9);
        }
    }
}
