//! Splitting a data set into samples to learn from, to choose by and to judge by.
//!
//! For a class of n samples and the fractions f, each part p gets floor(f_p n) samples or one more, so that every
//! class keeps its proportions to within one sample. The samples that rounding down leaves over go to the parts
//! that rounding has cost most over the classes so far; so the parts keep their sizes as well.

use std::collections::BTreeMap;

use taskweave_kernels::{Error, Result, Rng};

/// Three disjoint sets of indices that make up all of a data set, each in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// To learn from.
    pub train: Vec<usize>,
    /// To choose parameters by.
    pub valid: Vec<usize>,
    /// To judge by, once.
    pub test: Vec<usize>,
}

/// Splits `0..samples` at random. `fractions` are those of train, valid and test.
///
/// # Errors
/// [`Error::Parameter`] for fractions that are negative or do not add up to 1, and for so few samples that a
/// part with a fraction > 0 gets none.
///
/// # Example
/// ```
/// use taskweave_data::split;
/// use taskweave_kernels::Rng;
/// let parts = split(10, [0.7, 0.2, 0.1], &mut Rng::new(0))?;
/// assert_eq!((parts.train.len(), parts.valid.len(), parts.test.len()), (7, 2, 1));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn split(samples: usize, fractions: [f64; 3], rng: &mut Rng) -> Result<Split> {
    divide([("samples".to_string(), (0..samples).collect())], fractions, rng)
}

/// Splits `0..labels.len()` at random such that every class has its proportions in every part, to within one
/// sample. `fractions` are those of train, valid and test.
///
/// # Errors
/// [`Error::Parameter`] for fractions that are negative or do not add up to 1, and for a class so small that a
/// part with a fraction > 0 gets none of it.
///
/// # Example
/// ```
/// use taskweave_data::stratified;
/// use taskweave_kernels::Rng;
/// let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
/// let parts = stratified(&labels, [0.5, 0.0, 0.5], &mut Rng::new(0))?;
/// assert_eq!(parts.train.iter().filter(|&&index| labels[index] == 1).count(), 2);
/// assert!(stratified(&[0, 0, 1], [0.5, 0.0, 0.5], &mut Rng::new(0)).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn stratified(labels: &[u32], fractions: [f64; 3], rng: &mut Rng) -> Result<Split> {
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(index);
    }
    divide(classes.into_iter().map(|(class, indices)| (format!("class {class}"), indices)), fractions, rng)
}

fn divide(
    groups: impl IntoIterator<Item = (String, Vec<usize>)>,
    fractions: [f64; 3],
    rng: &mut Rng,
) -> Result<Split> {
    check_fractions(fractions)?;
    let mut parts = [const { Vec::new() }; 3];
    let mut owed = [0.0; 3];
    for (name, mut indices) in groups {
        let counts = apportion(indices.len(), fractions, &mut owed);
        if (0..3).any(|part| fractions[part] > 0.0 && counts[part] == 0) {
            let expected = format!("enough samples for the fractions {fractions:?} of train, valid and test");
            return Err(Error::parameter(name, expected, indices.len()));
        }
        rng.shuffle(&mut indices);
        for (part, count) in parts.iter_mut().zip(counts) {
            part.extend(indices.drain(..count));
        }
    }
    parts.iter_mut().for_each(|part| part.sort_unstable());
    let [train, valid, test] = parts;
    Ok(Split { train, valid, test })
}

fn check_fractions(fractions: [f64; 3]) -> Result<()> {
    let total: f64 = fractions.iter().sum();
    // Written so that NaN is refused.
    if fractions.iter().all(|&fraction| fraction >= 0.0) && (total - 1.0).abs() <= 1e-6 {
        return Ok(());
    }
    let expected = "three numbers ≥ 0 that add up to 1";
    Err(Error::parameter("fractions of train, valid and test", expected, format!("{fractions:?}")))
}

/// How many of `n` samples each part gets; `owed` is what rounding has cost each part so far.
fn apportion(n: usize, fractions: [f64; 3], owed: &mut [f64; 3]) -> [usize; 3] {
    // The slack keeps 0.29 · 100 = 28.999… at 29.
    let exact = fractions.map(|fraction| fraction * n as f64);
    let mut counts = exact.map(|share| (share + 1e-6).floor() as usize);
    for part in 0..3 {
        owed[part] += exact[part] - counts[part] as f64;
    }
    let mut open: Vec<usize> = (0..3).filter(|&part| exact[part] - counts[part] as f64 > 1e-6).collect();
    open.sort_by(|&a, &b| owed[b].total_cmp(&owed[a]));
    let left = n.saturating_sub(counts.iter().sum());
    for part in open.into_iter().take(left) {
        counts[part] += 1;
        owed[part] -= 1.0;
    }
    counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn bad(fractions: [f64; 3]) -> bool {
        matches!(split(100, fractions, &mut Rng::new(0)), Err(Error::Parameter { .. }))
    }

    #[test]
    fn fractions_that_are_none_are_refused() {
        assert!(bad([0.5, 0.2, 0.2]) && bad([1.2, -0.1, -0.1]));
        assert!(bad([f64::NAN, 0.5, 0.5]) && bad([f64::INFINITY, 0.0, 0.0]));
    }

    #[test]
    fn a_class_too_small_is_named() {
        let mut labels = vec![7; 50];
        labels.push(9);
        let error = stratified(&labels, [0.8, 0.1, 0.1], &mut Rng::new(0)).unwrap_err();
        assert!(error.to_string().starts_with("class 9: expected enough samples"), "{error}");
        assert!(split(0, [1.0, 0.0, 0.0], &mut Rng::new(0)).is_err());
    }

    #[test]
    fn leftovers_even_out_over_classes() {
        // Each class is due 12, 1.5, 1.5: valid and test take turns.
        let labels: Vec<u32> = (0..150).map(|i| i % 10).collect();
        let parts = stratified(&labels, [0.8, 0.1, 0.1], &mut Rng::new(0)).unwrap();
        assert_eq!((parts.train.len(), parts.valid.len(), parts.test.len()), (120, 15, 15));
    }

    #[test]
    fn another_stream_splits_otherwise() {
        let parts = |seed| split(50, [0.5, 0.5, 0.0], &mut Rng::new(seed)).unwrap();
        assert_eq!(parts(1), parts(1));
        assert_ne!(parts(1), parts(2));
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_exhaustive_and_in_proportion(
            labels in prop::collection::vec(0u32..4, 120..300),
            train in 0.1f64..0.8,
            share in 0.1f64..0.9,
            seed: u64,
        ) {
            let fractions = [train, (1.0 - train) * share, (1.0 - train) * (1.0 - share)];
            let Ok(parts) = stratified(&labels, fractions, &mut Rng::new(seed)) else { return Ok(()) };
            let parts = [parts.train, parts.valid, parts.test];
            let mut all: Vec<usize> = parts.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            for class in 0..4 {
                let count = |part: &[usize]| part.iter().filter(|&&index| labels[index] == class).count() as f64;
                let total: f64 = parts.iter().map(|part| count(part)).sum();
                for (part, fraction) in parts.iter().zip(fractions) {
                    prop_assert!((count(part) - fraction * total).abs() < 1.0 + 1e-3);
                }
            }
        }
    }
}
