//! Two colors and the pattern that mixes them.

use taskweave_kernels::Rng;

/// Red, green and blue in [0, 1].
pub(super) type Color = [f32; 3];

/// Two colors and the pattern that mixes them.
#[derive(Debug, Clone)]
pub(super) struct Texture {
    colors: [Color; 2],
    pattern: Pattern,
    /// What is added to the phase per pixel, along two axes at right angles.
    wave: [f32; 2],
    phase: f32,
}

#[derive(Debug, Clone, Copy)]
enum Pattern {
    Flat,
    Gradient,
    Stripes,
    Checker,
}

impl Texture {
    /// A random texture whose colors differ by up to `spread` per channel, for an image of `size` pixels.
    pub(super) fn random(rng: &mut Rng, spread: f64, size: usize) -> Self {
        let first = color(rng);
        let second = first.map(|value| (value + rng.range(-spread, spread) as f32).clamp(0.0, 1.0));
        let patterns = [Pattern::Flat, Pattern::Gradient, Pattern::Stripes, Pattern::Checker];
        let pattern = patterns[rng.below(4)];
        let period = match pattern {
            Pattern::Flat | Pattern::Gradient => 2.0 * size as f64,
            Pattern::Stripes | Pattern::Checker => size as f64 * rng.range(0.14, 0.4),
        };
        let (sin, cos) = rng.range(0.0, std::f64::consts::TAU).sin_cos();
        let per_pixel = std::f64::consts::TAU / period;
        Self {
            colors: [first, second],
            pattern,
            wave: [(per_pixel * cos) as f32, (per_pixel * sin) as f32],
            phase: rng.range(0.0, std::f64::consts::TAU) as f32,
        }
    }

    /// The color at a place.
    pub(super) fn at(&self, x: f32, y: f32) -> Color {
        let [cos, sin] = self.wave;
        let along = || (self.phase + cos * x + sin * y).sin();
        let across = || (self.phase + cos * y - sin * x).sin();
        // The factor makes soft waves into stripes with an edge of about a pixel.
        let mix = match self.pattern {
            Pattern::Flat => return self.colors[0],
            Pattern::Gradient => along(),
            Pattern::Stripes => (3.0 * along()).clamp(-1.0, 1.0),
            Pattern::Checker => (4.0 * along() * across()).clamp(-1.0, 1.0),
        };
        blend(self.colors[0], self.colors[1], 0.5 + 0.5 * mix)
    }

    /// How far the colors of two textures are apart at least.
    pub(super) fn contrast(&self, other: &Self) -> f32 {
        let pairs = self.colors.iter().flat_map(|a| other.colors.iter().map(move |b| distance(*a, *b)));
        pairs.fold(f32::INFINITY, f32::min)
    }
}

/// A random color.
pub(super) fn color(rng: &mut Rng) -> Color {
    [(); 3].map(|()| rng.uniform() as f32)
}

/// `from` at 0, `to` at 1.
pub(super) fn blend(from: Color, to: Color, share: f32) -> Color {
    std::array::from_fn(|channel| from[channel] + share * (to[channel] - from[channel]))
}

fn distance(a: Color, b: Color) -> f32 {
    (0..3).map(|channel| (a[channel] - b[channel]).powi(2)).sum::<f32>().sqrt()
}
