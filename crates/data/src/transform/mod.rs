//! Augmentation: a random change of a sample.
//!
//! An *image* is an input of rank 3, f32 `[channels, height, width]`; a *map* is a label of rank 2,
//! `[height, width]` of the image, such as a mask. Geometric transforms move images and maps together, by the
//! same parameters; the others change images alone.
//!
//! | type | changes | random parameters |
//! | --- | --- | --- |
//! | [`Flip`] | images and maps | mirrored or not |
//! | [`Shift`] | images and maps | rows and columns |
//! | [`Cutout`] | images | place of the hole |
//! | [`ColorJitter`] | images | brightness, contrast, saturation |
//! | [`Noise`] | images | one number per value |
//! | [`Normalize`] | images | none |
//! | [`RandAugment`] | images and maps | which changes, how strong |
//! | [`Views`] | one input becomes several copies | those of each copy |
//! | [`Spread`] | one label becomes that of several tasks | none |
//! | [`Compose`] | what its parts change | those of its parts |

mod color_jitter;
mod compose;
mod config;
mod cutout;
mod flip;
mod image;
mod noise;
mod normalize;
mod rand_augment;
mod relocate;
mod shift;
mod spread;
mod views;

use taskweave_kernels::{Result, Rng};

use crate::Sample;

pub use color_jitter::ColorJitter;
pub use compose::Compose;
pub use config::TransformConfig;
pub use cutout::Cutout;
pub use flip::Flip;
pub use noise::Noise;
pub use normalize::Normalize;
pub use rand_augment::RandAugment;
pub use shift::{Padding, Shift};
pub use spread::Spread;
pub use views::Views;

/// A random change of a sample: a function of the sample and of what is drawn from `rng`.
///
/// # Example
/// A transform of one's own: the label is forgotten now and then.
/// ```
/// use taskweave_data::{Dataset, Sample, Shapes, ShapesConfig, Transform};
/// use taskweave_kernels::{Result, Rng};
///
/// struct Forget {
///     task: String,
///     p: f64,
/// }
///
/// impl Transform for Forget {
///     fn apply(&self, mut sample: Sample, rng: &mut Rng) -> Result<Sample> {
///         if rng.chance(self.p) {
///             sample.targets.remove(&self.task);
///         }
///         Ok(sample)
///     }
/// }
///
/// let shapes = Shapes::new(ShapesConfig::default())?;
/// let sample = Forget { task: "mask".into(), p: 1.0 }.apply(shapes.get(0)?, &mut Rng::new(0))?;
/// assert_eq!(sample.targets.names().collect::<Vec<_>>(), ["class"]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub trait Transform: Send + Sync {
    /// The changed sample.
    ///
    /// # Errors
    /// Where the transform does not apply to such a sample.
    fn apply(&self, sample: Sample, rng: &mut Rng) -> Result<Sample>;
}

impl<T: Transform + ?Sized> Transform for Box<T> {
    fn apply(&self, sample: Sample, rng: &mut Rng) -> Result<Sample> {
        (**self).apply(sample, rng)
    }
}
