//! Adam on one number: what methods train of their own that is not a tensor.

use serde::{Deserialize, Serialize};

const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// A number with the moments of Adam.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trained {
    pub(crate) value: f64,
    moments: [f64; 2],
    steps: u32,
}

impl Trained {
    pub(crate) fn new(value: f64) -> Self {
        Self { value, ..Self::default() }
    }

    /// One step against a slope.
    pub(crate) fn step(&mut self, slope: f64, lr: f64) {
        self.steps += 1;
        let mut corrected = [0.0; 2];
        for (i, (beta, value)) in BETAS.into_iter().zip([slope, slope * slope]).enumerate() {
            self.moments[i] = beta * self.moments[i] + (1.0 - beta) * value;
            corrected[i] = self.moments[i] / (1.0 - beta.powi(self.steps.min(100_000) as i32));
        }
        self.value -= lr * corrected[0] / (corrected[1].sqrt() + EPSILON);
    }
}
