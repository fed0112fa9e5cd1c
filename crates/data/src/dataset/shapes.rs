//! Shapes: images of ten shapes, drawn from a seed, with the exact foreground.
//!
//! An image shows one of ten shapes (circle, square, triangle, star, cross, ring, heart, crescent, arrow, bowtie) in
//! random place, rotation, scale and stretch, on a background; both are flat, graded, striped or checkered in
//! random colors. Blobs and lines lie behind the shape as clutter, and noise lies over all. Pixels at the edge
//! are mixed by coverage in 3 × 3 samples, and the mask is 1 where the shape covers at least half of the pixel.
//!
//! Sample i is a function of (seed, i), whatever the length. Every ten samples in a row are the ten classes in
//! random order.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Rng};

use super::check_index;
use super::scene::{Level, Scene};
use super::silhouette::Silhouette;
use crate::{Dataset, Label, Labels, Sample, Spec};

/// Images of ten shapes with the tasks `class` and `mask`; nothing is read from disk.
///
/// # Shapes
/// `image` f32 `[3, size, size]` in \[0, 1\], `class` u32 `[]`, `mask` u32 `[size, size]` of 0 and 1.
///
/// # Example
/// ```
/// use taskweave_data::{Dataset, Shapes, ShapesConfig};
/// let shapes = Shapes::new(ShapesConfig { len: 100, seed: 7, ..ShapesConfig::default() })?;
/// let sample = shapes.get(3)?;
/// assert_eq!(sample.inputs["image"].dims(), [3, 32, 32]);
/// assert_eq!(sample.targets["mask"].value().dims(), [32, 32]);
/// assert_eq!(shapes.spec().targets["class"].classes()?[3], "star");
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Shapes {
    config: ShapesConfig,
    spec: Spec,
    level: Level,
    rng: Rng,
}

/// The parameters of [`Shapes`], checked by [`Shapes::new`].
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `len` | 2000 | ≥ 1 | number of samples |
/// | `size` | 32 | 16 to 1024 | height and width in pixels |
/// | `seed` | 0 | | which images |
/// | `difficulty` | 0.5 | \[0, 1\] | less contrast and scale; more pattern, clutter, stretch and noise |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShapesConfig {
    /// Number of samples.
    pub len: usize,
    /// Height and width in pixels.
    pub size: usize,
    /// Which images.
    pub seed: u64,
    /// How hard they are, from 0 to 1.
    pub difficulty: f64,
}

impl Default for ShapesConfig {
    fn default() -> Self {
        Self { len: 2000, size: 32, seed: 0, difficulty: 0.5 }
    }
}

impl Shapes {
    /// The data set of these parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`] for one out of range.
    pub fn new(config: ShapesConfig) -> Result<Self> {
        if config.len == 0 {
            return Err(Error::parameter("len of shapes", "a number ≥ 1", config.len));
        }
        if !(16..=1024).contains(&config.size) {
            return Err(Error::parameter("size of shapes", "16 to 1024 pixels", config.size));
        }
        if !(0.0..=1.0).contains(&config.difficulty) {
            return Err(Error::parameter("difficulty of shapes", "a number in [0, 1]", config.difficulty));
        }
        let names = Silhouette::ALL.map(Silhouette::name).to_vec();
        let mut spec = Spec::of_images([3, config.size, config.size], names)?;
        spec.targets.insert("mask", Labels::two_regions())?;
        let rng = Rng::new(config.seed).fork("shapes");
        let level = Level::new(config.difficulty);
        Ok(Self { config, spec, level, rng })
    }

    /// Its parameters.
    pub fn config(&self) -> &ShapesConfig {
        &self.config
    }

    fn class(&self, index: usize) -> usize {
        let mut classes: [usize; 10] = std::array::from_fn(|class| class);
        self.rng.fork("class").fork_at(index as u64 / 10).shuffle(&mut classes);
        classes[index % 10]
    }
}

impl Dataset for Shapes {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.config.len
    }

    fn get(&self, index: usize) -> Result<Sample> {
        check_index(index, self.len())?;
        let size = self.config.size;
        let class = self.class(index);
        let mut rng = self.rng.fork_at(index as u64);
        let (values, mask) =
            Scene::random(&mut rng, Silhouette::ALL[class], size, &self.level).render(&mut rng);
        let image = Tensor::from_vec(values, (3, size, size), &Device::Cpu)?;
        let mask = Label::new(Tensor::from_vec(mask, (size, size), &Device::Cpu)?);
        Ok(Sample {
            inputs: Named::new([("image", image)])?,
            targets: Named::new([("class", Label::class(class as u32)?), ("mask", mask)])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::class_labels;

    fn shapes(config: ShapesConfig) -> Shapes {
        Shapes::new(config).unwrap()
    }

    fn values(data: &Shapes, index: usize) -> Vec<f32> {
        data.get(index).unwrap().inputs["image"].flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_sample_depends_on_seed_and_index_alone() {
        let long = shapes(ShapesConfig::default());
        let short = shapes(ShapesConfig { len: 12, ..ShapesConfig::default() });
        let other = shapes(ShapesConfig { seed: 1, ..ShapesConfig::default() });
        assert_eq!(values(&long, 11), values(&short, 11));
        assert_ne!(values(&long, 11), values(&other, 11));
        assert_ne!(values(&long, 11), values(&long, 1));
        assert!(short.get(12).is_err());
    }

    #[test]
    fn classes_are_balanced_and_not_periodic() {
        let labels =
            class_labels(&shapes(ShapesConfig { len: 50, ..ShapesConfig::default() }), "class").unwrap();
        for block in labels.chunks(10) {
            let mut block = block.to_vec();
            block.sort_unstable();
            assert_eq!(block, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(labels[..10], labels[10..20]);
    }

    #[test]
    fn images_lie_in_range_and_masks_cover_a_fair_part() {
        for difficulty in [0.0, 0.5, 1.0] {
            let data = shapes(ShapesConfig { len: 40, size: 24, difficulty, ..ShapesConfig::default() });
            for index in 0..40 {
                assert!(values(&data, index).iter().all(|value| (0.0..=1.0).contains(value)));
                let mask = data.get(index).unwrap().targets["mask"].value().flatten_all().unwrap();
                let mask = mask.to_vec1::<u32>().unwrap();
                let share = mask.iter().sum::<u32>() as f32 / mask.len() as f32;
                assert!(mask.iter().all(|&value| value < 2) && (0.02..0.5).contains(&share), "{share}");
            }
        }
    }

    #[test]
    fn an_easy_foreground_stands_out_by_color() {
        // At difficulty 0 every color of the shape is at least 0.7 from every color of the background, unless
        // sixteen draws gave none; so the mean colors of the two regions differ clearly.
        let data = shapes(ShapesConfig { len: 60, difficulty: 0.0, ..ShapesConfig::default() });
        let gap = |index: usize| {
            let sample = data.get(index).unwrap();
            let mask = sample.targets["mask"].value().flatten_all().unwrap().to_vec1::<u32>().unwrap();
            let front = mask.iter().sum::<u32>() as f32;
            let planes = values(&data, index);
            let difference = |plane: &[f32]| {
                let inside: f32 = plane.iter().zip(&mask).map(|(value, &is)| value * is as f32).sum();
                let all: f32 = plane.iter().sum();
                inside / front - (all - inside) / (1024.0 - front)
            };
            planes.chunks(1024).map(|plane| difference(plane).powi(2)).sum::<f32>().sqrt()
        };
        assert!((0..60).filter(|&index| gap(index) > 0.5).count() >= 57);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let refused = |config: ShapesConfig| matches!(Shapes::new(config), Err(Error::Parameter { .. }));
        assert!(refused(ShapesConfig { len: 0, ..ShapesConfig::default() }));
        assert!(refused(ShapesConfig { size: 8, ..ShapesConfig::default() }));
        assert!(refused(ShapesConfig { difficulty: f64::NAN, ..ShapesConfig::default() }));
        assert!(serde_json::from_str::<ShapesConfig>(r#"{ "sise": 32 }"#).is_err());
    }
}
