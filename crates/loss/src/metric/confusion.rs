//! Counts of true against predicted class, and what follows from them.

use taskweave_kernels::{Error, Result};

/// Counts of true (row) against predicted (column) class.
///
/// Classes that never occur, neither as truth nor as prediction, take no part in any mean over classes.
///
/// # Example
/// ```
/// use taskweave_loss::metric::Confusion;
/// let mut confusion = Confusion::new(3)?;
/// for (truth, predicted) in [(0, 0), (0, 1), (1, 1)] {
///     confusion.count(truth, predicted);
/// }
/// assert_eq!(confusion.rows().collect::<Vec<_>>(), [[1, 1, 0], [0, 1, 0], [0, 0, 0]]);
/// assert_eq!(confusion.accuracy(), 2.0 / 3.0);
/// assert_eq!(confusion.mean_iou(), 0.5); // (1/2 + 1/2) / 2: class 2 does not occur
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// No counts yet.
    ///
    /// # Errors
    /// [`Error::Parameter`] for less than two classes or more than 65 536.
    pub fn new(classes: usize) -> Result<Self> {
        if !(2..=1 << 16).contains(&classes) {
            return Err(Error::parameter("classes", "2 to 65536", classes));
        }
        Ok(Self { classes, counts: vec![0; classes * classes] })
    }

    /// Counts one element; classes out of range are not counted.
    pub fn count(&mut self, truth: u32, predicted: u32) {
        let (row, column) = (truth as usize, predicted as usize);
        if row < self.classes && column < self.classes {
            self.counts[row * self.classes + column] += 1;
        }
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many elements were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The counts, one row per true class.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u64]> {
        self.counts.chunks(self.classes)
    }

    /// Share of elements that are right; 0 where there are none.
    pub fn accuracy(&self) -> f64 {
        ratio(self.tallies().map(|t| t.hits).sum(), self.total() as f64)
    }

    /// Mean recall over the classes that occur as truth.
    pub fn balanced_accuracy(&self) -> f64 {
        mean(self.tallies().filter(|t| t.truths > 0.0).map(|t| t.hits / t.truths))
    }

    /// Mean F1 over the classes that occur.
    pub fn macro_f1(&self) -> f64 {
        mean(self.occurring().map(|t| t.dice()))
    }

    /// F1 of all decisions pooled, which equals the accuracy where every element has one class.
    pub fn micro_f1(&self) -> f64 {
        self.accuracy()
    }

    /// Mean F1 by number of true elements.
    pub fn weighted_f1(&self) -> f64 {
        ratio(self.occurring().map(|t| t.truths * t.dice()).sum(), self.total() as f64)
    }

    /// Matthews' correlation coefficient over all classes; 0 where truth or prediction is constant.
    pub fn mcc(&self) -> f64 {
        let (total, agreement) = (self.total() as f64, self.chance_agreement());
        let spread =
            |of: fn(&Tally) -> f64| total * total - self.tallies().map(|t| of(&t).powi(2)).sum::<f64>();
        let scale = (spread(|t| t.truths) * spread(|t| t.predictions)).sqrt();
        ratio(self.tallies().map(|t| t.hits).sum::<f64>() * total - agreement, scale)
    }

    /// Cohen's kappa, the agreement beyond chance; 0 where chance alone agrees fully.
    pub fn cohen_kappa(&self) -> f64 {
        let (total, agreement) = (self.total() as f64, self.chance_agreement());
        let hits: f64 = self.tallies().map(|t| t.hits).sum();
        ratio(hits * total - agreement, total * total - agreement)
    }

    /// Mean intersection over union of the classes that occur.
    pub fn mean_iou(&self) -> f64 {
        mean(self.occurring().map(|t| t.hits / (t.truths + t.predictions - t.hits)))
    }

    /// Mean Dice coefficient of the classes that occur.
    pub fn mean_dice(&self) -> f64 {
        self.macro_f1()
    }

    /// Forgets all counts.
    pub fn reset(&mut self) {
        self.counts.fill(0);
    }

    /// Σ_c truths·predictions, which is total² times the agreement expected by chance.
    fn chance_agreement(&self) -> f64 {
        self.tallies().map(|t| t.truths * t.predictions).sum()
    }

    fn occurring(&self) -> impl Iterator<Item = Tally> + '_ {
        self.tallies().filter(|t| t.truths + t.predictions > 0.0)
    }

    fn tallies(&self) -> impl Iterator<Item = Tally> + '_ {
        (0..self.classes).map(|c| Tally {
            hits: self.counts[c * self.classes + c] as f64,
            truths: self.counts[c * self.classes..][..self.classes].iter().sum::<u64>() as f64,
            predictions: self.counts[c..].iter().step_by(self.classes).sum::<u64>() as f64,
        })
    }
}

/// The counts of one class.
struct Tally {
    hits: f64,
    truths: f64,
    predictions: f64,
}

impl Tally {
    /// F1 and the Dice coefficient are one number.
    fn dice(&self) -> f64 {
        2.0 * self.hits / (self.truths + self.predictions)
    }
}

fn ratio(above: f64, below: f64) -> f64 {
    if below > 0.0 { above / below } else { 0.0 }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    ratio(sum, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_undefined_is_zero() {
        let mut confusion = Confusion::new(2).unwrap();
        assert_eq!((confusion.accuracy(), confusion.mean_iou(), confusion.mcc()), (0.0, 0.0, 0.0));
        confusion.count(1, 1);
        assert_eq!((confusion.mcc(), confusion.cohen_kappa()), (0.0, 0.0));
        assert_eq!((confusion.balanced_accuracy(), confusion.macro_f1()), (1.0, 1.0));
    }

    #[test]
    fn a_class_that_is_only_predicted_lowers_the_macro_mean() {
        let mut confusion = Confusion::new(3).unwrap();
        confusion.count(0, 0);
        confusion.count(0, 1);
        assert_eq!(confusion.macro_f1(), (2.0 / 3.0) / 2.0);
        assert_eq!(confusion.balanced_accuracy(), 0.5);
        assert_eq!(confusion.weighted_f1(), 2.0 / 3.0);
    }

    #[test]
    fn one_class_is_no_classification() {
        assert!(matches!(Confusion::new(1), Err(Error::Parameter { .. })));
    }
}
