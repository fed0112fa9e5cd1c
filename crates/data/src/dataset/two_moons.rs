//! Two moons in two views: two half circles that hold each other, drawn twice.
//!
//! With t uniform in [0, π] and normal noise of deviation σ, a point of class 0 is (cos t, sin t) and one of class 1 is
//! (1 − cos t, ½ − sin t). The view `left` is one such point and `right` another of the same class, so that the views are
//! independent given the class, as co-training assumes; `right` is turned by a quarter and three times as large, so that no
//! rule of one view fits the other.
//!
//! Sample i is a function of (seed, i), whatever the length; classes alternate.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Rng};

use super::check_index;
use crate::{Dataset, Label, Labels, Sample, Spec};

/// What [`TwoMoons`] draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwoMoonsConfig {
    /// How many samples.
    pub len: usize,
    /// σ, the deviation of the noise, ≥ 0.
    pub noise: f64,
    /// The seed.
    pub seed: u64,
}

impl Default for TwoMoonsConfig {
    fn default() -> Self {
        Self { len: 600, noise: 0.25, seed: 0 }
    }
}

/// Two moons in two views; nothing is read from disk.
///
/// # Shapes
/// `left` and `right` f32 `[2]`, `class` u32 `[]`.
///
/// # Example
/// ```
/// use taskweave_data::{Dataset, TwoMoons, TwoMoonsConfig};
/// let moons = TwoMoons::new(TwoMoonsConfig { noise: 0.0, ..TwoMoonsConfig::default() })?;
/// let sample = moons.get(4)?;
/// let left = sample.inputs["left"].to_vec1::<f32>()?;
/// assert!((left[0].hypot(left[1]) - 1.0).abs() < 1e-6); // class 0 lies on the unit circle
/// assert_eq!(sample.targets["class"].value().to_scalar::<u32>()?, 0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TwoMoons {
    config: TwoMoonsConfig,
    spec: Spec,
    rng: Rng,
}

impl TwoMoons {
    /// The data set of a configuration.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no samples or a noise that is negative or not finite.
    pub fn new(config: TwoMoonsConfig) -> Result<Self> {
        if config.len == 0 {
            return Err(Error::parameter("samples of two moons", "at least 1", 0));
        }
        if !(config.noise.is_finite() && config.noise >= 0.0) {
            return Err(Error::parameter("noise of two moons", "a finite number ≥ 0", config.noise));
        }
        let spec = Spec {
            inputs: Named::new([("left", vec![2]), ("right", vec![2])])?,
            targets: Named::new([("class", Labels::Class(vec!["upper".into(), "lower".into()]))])?,
        };
        Ok(Self { config, spec, rng: Rng::new(config.seed).fork("two moons") })
    }

    fn point(&self, class: usize, rng: &mut Rng) -> [f64; 2] {
        let (sin, cos) = rng.range(0.0, std::f64::consts::PI).sin_cos();
        let [x, y] = if class == 0 { [cos, sin] } else { [1.0 - cos, 0.5 - sin] };
        [x + self.config.noise * rng.normal(), y + self.config.noise * rng.normal()]
    }
}

impl Dataset for TwoMoons {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.config.len
    }

    fn get(&self, index: usize) -> Result<Sample> {
        check_index(index, self.config.len)?;
        let (class, rng) = (index % 2, self.rng.fork_at(index as u64));
        let left = self.point(class, &mut rng.fork("left"));
        let [x, y] = self.point(class, &mut rng.fork("right"));
        let tensor = |[x, y]: [f64; 2]| Tensor::new(&[x as f32, y as f32], &Device::Cpu);
        Ok(Sample {
            inputs: Named::new([("left", tensor(left)?), ("right", tensor([-3.0 * y, 3.0 * x])?)])?,
            targets: Named::new([("class", Label::class(class as u32)?)])?,
        })
    }
}
