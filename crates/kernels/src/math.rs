//! Exponentials and what is made of them, written so that loops over them become vector instructions.

use crate::ops::host::Real;

/// Functions of single numbers, branch-free.
pub(crate) trait Exp: Real {
    /// eˣ to a few units in the last place; 0 below and ∞ above the range of the type.
    fn exp_fast(self) -> Self;

    /// The error function.
    fn erf(self) -> Self;

    /// 1 / (1 + e⁻ˣ)
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::one() / (Self::one() + (Self::zero() - self).exp_fast())
    }

    /// tanh x = 2σ(2x) − 1, to within the rounding of numbers around 1.
    #[inline(always)]
    fn tanh_fast(self) -> Self {
        let twice = (self + self).sigmoid();
        twice + twice - Self::one()
    }
}

/// eˣ = 2ⁿ · eʳ with n = round(x / ln 2), so that |r| ≤ ln 2 / 2, and the Taylor polynomial of eʳ.
macro_rules! exp_fast {
    ($real:ty, $bits:ty, $mantissa:expr, $round:expr, $ln2:expr, $range:expr, $coefficients:expr) => {
        #[inline(always)]
        fn exp_fast(self) -> Self {
            let x = self;
            // Adding and subtracting a large number rounds to a whole one, and leaves it in the low bits.
            let shifted = x * std::f64::consts::LOG2_E as $real + $round;
            let n = shifted - $round;
            let r = (x - n * $ln2[0]) - n * $ln2[1];
            let mut sum: $real = 0.0;
            for c in $coefficients {
                sum = sum * r + c;
            }
            let power =
                <$real>::from_bits((shifted.to_bits() << $mantissa).wrapping_add((1.0 as $real).to_bits()));
            let y = sum * power;
            let y = if x < $range[0] { 0.0 } else { y };
            let y = if x > $range[1] { <$real>::INFINITY } else { y };
            if x.is_nan() { x } else { y }
        }
    };
}

impl Exp for f32 {
    exp_fast!(
        f32,
        u32,
        23,
        12_582_912.0, // 1.5 · 2²³
        [0.693_359_4_f32, -2.121_944_4e-4_f32],
        [-87.3_f32, 88.37_f32],
        [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0]
    );

    fn erf(self) -> Self {
        libm::erff(self)
    }
}

impl Exp for f64 {
    exp_fast!(
        f64,
        u64,
        52,
        6_755_399_441_055_744.0, // 1.5 · 2⁵²
        [6.931_471_803_691_238e-1_f64, 1.908_214_929_270_587_7e-10_f64],
        [-708.0_f64, 709.4_f64],
        [
            1.0 / 6_227_020_800.0,
            1.0 / 479_001_600.0,
            1.0 / 39_916_800.0,
            1.0 / 3_628_800.0,
            1.0 / 362_880.0,
            1.0 / 40_320.0,
            1.0 / 5040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
            1.0,
            1.0
        ]
    );

    fn erf(self) -> Self {
        libm::erf(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_those_of_the_standard_library() {
        for i in -8_700..8_830 {
            let x = f64::from(i) / 100.0;
            let (single, double) = ((x as f32).exp_fast(), x.exp_fast());
            assert!((f64::from(single) / f64::from(x as f32).exp() - 1.0).abs() < 3e-7, "{x}");
            assert!((double / x.exp() - 1.0).abs() < 2e-15, "{x}");
            assert!((x.tanh_fast() - x.tanh()).abs() < 4e-16, "{x}");
            assert!((f64::from((x as f32).sigmoid()) - 1.0 / (1.0 + (-x).exp())).abs() < 2e-7, "{x}");
        }
    }

    #[test]
    fn the_ends_of_the_range_are_zero_infinity_and_nan() {
        assert_eq!(f32::NEG_INFINITY.exp_fast(), 0.0);
        assert_eq!(f64::NEG_INFINITY.exp_fast(), 0.0);
        assert_eq!(f32::INFINITY.exp_fast(), f32::INFINITY);
        assert_eq!(1e4f64.exp_fast(), f64::INFINITY);
        assert!(f32::NAN.exp_fast().is_nan() && f64::NAN.exp_fast().is_nan());
        assert_eq!((-1e30f32).sigmoid(), 0.0);
        assert_eq!(0f32.exp_fast(), 1.0);
    }
}
