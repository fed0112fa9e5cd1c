//! Two losses of two numbers with a narrow valley, in which gradients conflict and differ in length.
//!
//! Reference: Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS 2021, appendix B; the scale of the
//! first loss is that of Navon et al., "Multi-Task Learning as a Bargaining Game", ICML 2022.

mod descent;
mod methods;
mod picture;

use std::cmp::Ordering;
use std::ops::{Add, Mul, Sub};

pub use descent::{Path, descend};
pub use methods::METHODS;
pub use picture::report;

/// The starting points of the literature.
pub const STARTS: [[f64; 2]; 5] = [[-8.5, 7.5], [0.0, 0.0], [9.0, 9.0], [-7.5, -0.5], [9.0, -1.0]];

/// The tasks.
pub const TASKS: [&str; 2] = ["first", "second"];

/// The two losses at `x`, the first one times `scale`, with their gradients.
pub fn losses(x: [f64; 2], scale: f64) -> [Slope; 2] {
    let (a, b) = (Slope { value: x[0], slope: [1.0, 0.0] }, Slope { value: x[1], slope: [0.0, 1.0] });
    let turn = (b * -1.0).tanh();
    let valley = |inside: Slope| inside.abs().at_least(5e-6).ln() + 6.0;
    let f = [valley((a * -1.0 - 7.0) * 0.5 - turn), valley((a * -1.0 + 3.0) * 0.5 + turn + 2.0)];
    let bowl = |x: Slope| (x * x + (b * -1.0 - 8.0) * (b * -1.0 - 8.0) * 0.1) * 0.1 - 20.0;
    let q = [bowl(a * -1.0 + 7.0), bowl(a * -1.0 - 7.0)];
    let (above, below) = ((b * 0.5).tanh().at_least(0.0), (b * -0.5).tanh().at_least(0.0));
    [(f[0] * above + q[0] * below) * scale, f[1] * above + q[1] * below]
}

/// A number with its slopes in both coordinates.
#[derive(Clone, Copy)]
pub struct Slope {
    pub value: f64,
    pub slope: [f64; 2],
}

impl Slope {
    fn of(self, value: f64, factor: f64) -> Self {
        Self { value, slope: self.slope.map(|slope| factor * slope) }
    }

    fn tanh(self) -> Self {
        let value = self.value.tanh();
        self.of(value, 1.0 - value * value)
    }

    fn ln(self) -> Self {
        self.of(self.value.ln(), 1.0 / self.value)
    }

    fn abs(self) -> Self {
        self.of(self.value.abs(), if self.value < 0.0 { -1.0 } else { 1.0 })
    }

    /// The larger of it and a bound; where they are equal, half of its slope.
    fn at_least(self, least: f64) -> Self {
        let share = match self.value.partial_cmp(&least) {
            Some(Ordering::Greater) => 1.0,
            Some(Ordering::Equal) => 0.5,
            _ => 0.0,
        };
        self.of(self.value.max(least), share)
    }
}

impl Add for Slope {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let slope = [self.slope[0] + other.slope[0], self.slope[1] + other.slope[1]];
        Self { value: self.value + other.value, slope }
    }
}

impl Sub for Slope {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + other * -1.0
    }
}

impl Mul for Slope {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.of(self.value * other.value, other.value) + other.of(0.0, self.value)
    }
}

impl Add<f64> for Slope {
    type Output = Self;

    fn add(self, other: f64) -> Self {
        Self { value: self.value + other, ..self }
    }
}

impl Sub<f64> for Slope {
    type Output = Self;

    fn sub(self, other: f64) -> Self {
        self + -other
    }
}

impl Mul<f64> for Slope {
    type Output = Self;

    fn mul(self, other: f64) -> Self {
        self.of(self.value * other, other)
    }
}
