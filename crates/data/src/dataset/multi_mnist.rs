//! MultiMnist: two digits on one image, each of them a task.
//!
//! Sample i draws two different samples of a data set of digits by (seed, i). One lies in the upper left corner of a canvas
//! that is 8 pixels higher and wider than a digit (36 × 36 for MNIST), the other in the lower right corner, each moved towards
//! the other by up to `jitter` pixels along both axes; where they overlap, the lighter pixel shows:
//!     canvas(y, x) = max(left(y − a, x − b), right(y − 8 + c, x − 8 + d)),   a, b, c, d uniform in 0 … jitter
//! Variants: with `jitter` 0 this is the composition of Sener and Koltun, who scale the canvas down to the size of a digit
//! afterwards; here it is kept, so that no pixel is lost. Sabour et al. move both digits by up to 4 pixels around one place.
//! Reference: Sener and Koltun, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018, section 5.1; Sabour,
//! Frosst, Hinton, "Dynamic Routing Between Capsules", NeurIPS 2017, section 6.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Rng};

use super::check_index;
use crate::{Dataset, Label, Sample, Spec};

/// Two overlaid digits: the input `image` `[1, height + 8, width + 8]` and the tasks `left` and `right`, whose classes are
/// those of the digits.
///
/// Digits come from any data set with `image` `[1, height, width]` and `class`. Parts that share no digit are made of
/// [`Subset`](crate::Subset)s of the digits that share none.
///
/// # Example
/// Two digits of one pixel each lie in two corners.
/// ```
/// use taskweave_data::{Dataset, Images, MultiMnist, MultiMnistConfig};
/// let names = (0..10).map(|digit| digit.to_string()).collect();
/// let digits = Images::new([1, 1, 1], vec![51, 255], vec![3, 8], names)?;
/// let both = MultiMnist::new(digits, MultiMnistConfig { len: 5, ..MultiMnistConfig::default() })?;
/// let sample = both.get(4)?;
/// let corner = |at: usize| sample.inputs["image"].flatten_all()?.get(at)?.to_scalar::<f32>();
/// let digit = |task: &str| sample.targets[task].value().to_scalar::<u32>();
/// let light = |digit: u32| if digit == 3 { 0.2 } else { 1.0 };
/// assert_eq!(corner(0)?, light(digit("left")?));
/// assert_eq!(corner(80)?, light(digit("right")?));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MultiMnist<D> {
    digits: D,
    config: MultiMnistConfig,
    spec: Spec,
    rng: Rng,
}

/// How much larger than a digit the canvas is.
const MARGIN: usize = 8;

/// The parameters of [`MultiMnist`], checked by [`MultiMnist::new`].
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `len` | 10000 | ≥ 1 | number of samples |
/// | `seed` | 0 | | which pairs |
/// | `jitter` | 0 | 0 to 4 | pixels by which a digit is moved towards the other at most |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiMnistConfig {
    /// Number of samples.
    pub len: usize,
    /// Which pairs.
    pub seed: u64,
    /// Pixels by which a digit is moved towards the other at most.
    pub jitter: usize,
}

impl Default for MultiMnistConfig {
    fn default() -> Self {
        Self { len: 10_000, seed: 0, jitter: 0 }
    }
}

impl<D: Dataset> MultiMnist<D> {
    /// Pairs of these digits.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter out of range and for fewer than two digits, [`Error::Unknown`] for digits without
    /// `image` or `class`, and [`Error::Shape`] for images that are not `[1, height, width]`.
    pub fn new(digits: D, config: MultiMnistConfig) -> Result<Self> {
        if config.len == 0 {
            return Err(Error::parameter("len of MultiMNIST", "a number ≥ 1", config.len));
        }
        if config.jitter > MARGIN / 2 {
            return Err(Error::parameter("jitter of MultiMNIST", "0 to 4 pixels", config.jitter));
        }
        if digits.len() < 2 {
            return Err(Error::parameter("digits of MultiMNIST", "at least 2", digits.len()));
        }
        let classes = digits.spec().targets.require("task", "class")?.clone();
        let size = match digits.spec().inputs.require("input", "image")?.as_slice() {
            &[1, height, width] => vec![1, height + MARGIN, width + MARGIN],
            other => return Err(Error::shape("input `image`", "[1, height, width]", other)),
        };
        let spec = Spec {
            inputs: Named::new([("image", size)])?,
            targets: Named::new([("left", classes.clone()), ("right", classes)])?,
        };
        let rng = Rng::new(config.seed).fork("multi_mnist");
        Ok(Self { digits, config, spec, rng })
    }

    /// The samples of the digits that make a pair, left and right.
    ///
    /// # Errors
    /// [`Error::Parameter`] for an index out of range.
    pub fn pair(&self, index: usize) -> Result<[usize; 2]> {
        check_index(index, self.len())?;
        let mut rng = self.rng.fork_at(index as u64);
        let left = rng.below(self.digits.len());
        // One of the others: those from `left` on count one further.
        let right = rng.below(self.digits.len() - 1);
        Ok([left, if right < left { right } else { right + 1 }])
    }

    /// Adds a digit to the canvas, its corner at `(y, x)`.
    fn place(&self, canvas: &mut [f32], digit: &Tensor, (y, x): (usize, usize)) -> Result<()> {
        let (_, height, width) = digit.dims3()?;
        let pixels = digit.flatten_all()?.to_vec1::<f32>()?;
        for (row, line) in
            pixels.chunks_exact(width).zip(canvas.chunks_exact_mut(width + MARGIN).skip(y).take(height))
        {
            line.iter_mut().skip(x).zip(row).for_each(|(place, value)| *place = place.max(*value));
        }
        Ok(())
    }
}

impl<D: Dataset> Dataset for MultiMnist<D> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.config.len
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let [left, right] = self.pair(index)?.map(|digit| self.digits.get(digit));
        let (left, right) = (left?, right?);
        let mut rng = self.rng.fork_at(index as u64).fork("jitter");
        let mut moved = || rng.below(self.config.jitter + 1);
        let corners = [(moved(), moved()), (MARGIN - moved(), MARGIN - moved())];
        let size = self.spec.inputs.require("input", "image")?.as_slice();
        let mut canvas = vec![0.0; size.iter().product()];
        let mut targets = Named::default();
        for ((task, digit), corner) in [("left", &left), ("right", &right)].into_iter().zip(corners) {
            self.place(&mut canvas, digit.inputs.require("input", "image")?, corner)?;
            let class = digit.targets.require("task", "class")?;
            targets.insert(task, Label::weighted(class.value().clone(), class.weight())?)?;
        }
        let image = Tensor::from_vec(canvas, size, &Device::Cpu)?;
        Ok(Sample { inputs: Named::new([("image", image)])?, targets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Images;

    /// Digits of 2 × 1 pixels, each with lights of its own.
    fn digits(count: u8) -> Images {
        let pixels = (0..count).flat_map(|digit| [20 * digit + 10, 20 * digit + 20]).collect();
        let names = (0..10).map(|digit| digit.to_string()).collect();
        Images::new([1, 2, 1], pixels, (0..u32::from(count)).collect(), names).unwrap()
    }

    fn pairs(config: MultiMnistConfig) -> MultiMnist<Images> {
        MultiMnist::new(digits(10), config).unwrap()
    }

    fn lights(sample: &Sample) -> Vec<f32> {
        let image = sample.inputs["image"].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        image.into_iter().filter(|light| *light > 0.0).map(|light| (light * 255.0).round()).collect()
    }

    #[test]
    fn without_jitter_the_digits_lie_in_the_corners_and_are_two() {
        let data = pairs(MultiMnistConfig { len: 50, ..MultiMnistConfig::default() });
        for index in 0..50 {
            let sample = data.get(index).unwrap();
            let [left, right] = data.pair(index).unwrap();
            assert_ne!(left, right);
            let image = sample.inputs["image"].flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let at = |y: usize, x: usize| (image[9 * y + x] * 255.0).round() as usize;
            assert_eq!([at(0, 0), at(1, 0)], [20 * left + 10, 20 * left + 20]);
            assert_eq!([at(8, 8), at(9, 8)], [20 * right + 10, 20 * right + 20]);
            assert_eq!(lights(&sample).len(), 4);
            let class = |task: &str| sample.targets[task].value().to_scalar::<u32>().unwrap() as usize;
            assert_eq!([class("left"), class("right")], [left, right]);
        }
    }

    #[test]
    fn where_digits_overlap_the_lighter_pixel_shows() {
        // Four pixels of jitter along each axis bring two digits of 9 × 9 pixels onto each other in part.
        let whole = Images::new(
            [1, 9, 9],
            [vec![60; 81], vec![120; 81]].concat(),
            vec![0, 1],
            digits(1).spec().targets["class"].classes().unwrap().to_vec(),
        )
        .unwrap();
        let data = MultiMnist::new(whole, MultiMnistConfig { len: 20, seed: 3, jitter: 4 }).unwrap();
        for index in 0..20 {
            let found = lights(&data.get(index).unwrap());
            let bright = found.iter().filter(|light| **light == 120.0).count();
            assert_eq!(bright, 81, "the lighter digit is whole");
            assert!(found.iter().filter(|light| **light == 60.0).count() < 81);
        }
    }

    #[test]
    fn a_sample_depends_on_seed_and_index_and_not_on_the_length() {
        let config = MultiMnistConfig { len: 30, seed: 1, jitter: 2 };
        let (short, long) = (pairs(config.clone()), pairs(MultiMnistConfig { len: 300, ..config.clone() }));
        let other = pairs(MultiMnistConfig { seed: 2, ..config });
        let all = |data: &MultiMnist<Images>| (0..30).map(|i| data.pair(i).unwrap()).collect::<Vec<_>>();
        assert_eq!(all(&short), all(&long));
        assert_ne!(all(&short), all(&other));
        assert_eq!(lights(&short.get(7).unwrap()), lights(&long.get(7).unwrap()));
        let mut seen: Vec<_> = all(&short).into_iter().flatten().collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10, "every digit is drawn");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |config| matches!(MultiMnist::new(digits(3), config), Err(Error::Parameter { .. }));
        assert!(refused(MultiMnistConfig { len: 0, ..MultiMnistConfig::default() }));
        assert!(refused(MultiMnistConfig { jitter: 5, ..MultiMnistConfig::default() }));
        assert!(MultiMnist::new(digits(1), MultiMnistConfig::default()).is_err());
        let color = Images::new([3, 1, 1], vec![0; 6], vec![0, 0], vec!["any".into()]).unwrap();
        assert!(matches!(MultiMnist::new(color, MultiMnistConfig::default()), Err(Error::Shape { .. })));
        assert!(serde_json::from_str::<MultiMnistConfig>(r#"{ "jiter": 1 }"#).is_err());
    }
}
