//! Predicted distributions as plain numbers.

use candle_core::{D, DType, Tensor};
use taskweave_kernels::{Error, Result};

use crate::learner::softmax;

/// Predicted distributions over classes as plain numbers, one row per sample or position.
///
/// # Example
/// ```
/// use taskweave_cotrain::selector::threshold::Probabilities;
/// let p = Probabilities::new(3, vec![0.2, 0.7, 0.1])?;
/// assert_eq!(p.best(), [(1, 0.7)]);
/// assert!(Probabilities::new(2, vec![0.9, f64::NAN]).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Probabilities {
    classes: usize,
    values: Vec<f64>,
}

impl Probabilities {
    /// Rows of `classes` probabilities, one after the other.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no classes, values that do not fill whole rows, values outside [0, 1], and rows whose
    /// sum is not 1 to within 10⁻³.
    pub fn new(classes: usize, values: Vec<f64>) -> Result<Self> {
        if classes == 0 || !values.len().is_multiple_of(classes.max(1)) {
            let found = format!("{} values for {classes} classes", values.len());
            return Err(Error::parameter("probabilities", "whole rows of at least one class", found));
        }
        if let Some(at) = values.iter().position(|p| !(0.0..=1.0).contains(p)) {
            let name = format!("probability of class {} in row {}", at % classes, at / classes);
            return Err(Error::parameter(name, "a number in [0, 1]", values[at]));
        }
        let mut sums = values.chunks(classes).map(|row| row.iter().sum::<f64>()).enumerate();
        if let Some((row, sum)) = sums.find(|(_, sum)| (sum - 1.0).abs() > 1e-3) {
            return Err(Error::parameter(format!("sum of the probabilities in row {row}"), "1", sum));
        }
        Ok(Self { classes, values })
    }

    /// The softmax of logits `[batch, classes, …]`: the rows of the first sample's positions, then of the second's.
    ///
    /// # Errors
    /// [`Error::Shape`] for logits of another shape, [`Error::Parameter`] for logits that are not finite.
    pub fn of_logits(logits: &Tensor) -> Result<Self> {
        let classes = match logits.dims() {
            [_, classes, ..] if *classes > 0 => *classes,
            other => return Err(Error::shape("logits", "[batch, classes, …]", other)),
        };
        let rows = logits.flatten_from(1)?.reshape((logits.dim(0)?, classes, ()))?.transpose(1, D::Minus1)?;
        let mut values = rows.to_dtype(DType::F64)?.contiguous()?.flatten_all()?.to_vec1::<f64>()?;
        values.chunks_mut(classes).for_each(softmax);
        Self::new(classes, values)
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The distributions.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks(self.classes)
    }

    /// The most probable class of each row, the first of equals, and its probability.
    pub fn best(&self) -> Vec<(u32, f64)> {
        let best = |row: &[f64]| {
            let first =
                |best: (u32, f64), (c, p): (usize, &f64)| if *p > best.1 { (c as u32, *p) } else { best };
            row.iter().enumerate().fold((0, f64::NEG_INFINITY), first)
        };
        self.rows().map(best).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn positions_of_a_map_are_rows() {
        // One sample, two classes, two positions.
        let logits = Tensor::new(&[[[0f32, 3f32.ln()], [0.0, 0.0]]], &Device::Cpu).unwrap();
        let p = Probabilities::of_logits(&logits).unwrap();
        let rows: Vec<&[f64]> = p.rows().collect();
        assert_eq!(rows[0], [0.5, 0.5]);
        assert!((rows[1][0] - 0.75).abs() < 1e-7 && p.best()[0] == (0, 0.5));
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        for bad in [vec![0.5, 0.6], vec![1.5, -0.5], vec![0.5], vec![f64::NAN, 1.0]] {
            assert!(matches!(Probabilities::new(2, bad), Err(Error::Parameter { .. })));
        }
        let named = |values: Vec<f64>| Probabilities::new(2, values).unwrap_err().to_string();
        assert!(named(vec![0.5, 0.5, 0.7, f64::NAN]).starts_with("probability of class 1 in row 1:"));
        assert!(named(vec![0.5, 0.5, 0.7, 0.7]).starts_with("sum of the probabilities in row 1:"));
        let logits = |v: f32| Tensor::new(&[[v, 0.0]], &Device::Cpu).unwrap();
        assert!(Probabilities::of_logits(&logits(800.0)).is_ok());
        assert!(matches!(Probabilities::of_logits(&logits(f32::NAN)), Err(Error::Parameter { .. })));
        assert!(matches!(Probabilities::of_logits(&logits(f32::INFINITY)), Err(Error::Parameter { .. })));
        let flat = Tensor::new(&[0f32], &Device::Cpu).unwrap();
        assert!(matches!(Probabilities::of_logits(&flat), Err(Error::Shape { .. })));
    }
}
