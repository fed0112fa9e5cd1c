//! One image of [`super::Shapes`]: background, clutter behind a shape, noise over all.

use taskweave_kernels::Rng;

use super::silhouette::Silhouette;
use super::texture::{Color, Texture, blend, color};

/// How hard scenes are.
#[derive(Debug, Clone)]
pub(super) struct Level {
    /// How far the two colors of a texture may lie apart, per channel.
    spread: f64,
    /// How far the colors of shape and background lie apart at least.
    contrast: f64,
    /// The most strokes of clutter.
    clutter: usize,
    /// The smallest radius of a shape, as a part of the size of the image.
    smallest: f64,
    /// By which part a shape may be flattened.
    stretch: f64,
    /// Standard deviation of the noise.
    noise: f64,
}

impl Level {
    /// The level of a difficulty from 0 to 1. The parameters go with its cube: networks find the upper half of
    /// the scale far harder than people do.
    pub(super) fn new(difficulty: f64) -> Self {
        let between = |easy: f64, hard: f64| easy + (hard - easy) * difficulty.powi(3);
        Self {
            spread: between(0.04, 0.6),
            contrast: between(0.7, 0.1),
            clutter: between(0.0, 12.0).round() as usize,
            smallest: between(0.36, 0.2),
            stretch: between(0.0, 0.3),
            noise: between(0.0, 0.17),
        }
    }
}

/// What is to be seen.
pub(super) struct Scene {
    size: usize,
    back: Texture,
    clutter: Vec<Stroke>,
    shape: Figure,
    noise: f64,
}

/// A shape in its pose.
struct Figure {
    silhouette: Silhouette,
    center: [f32; 2],
    radius: f32,
    /// Takes a place relative to the center to the coordinates of the silhouette.
    inverse: [[f32; 2]; 2],
    fill: Texture,
}

/// A line with round ends; a blob where both ends are close.
struct Stroke {
    from: [f32; 2],
    to: [f32; 2],
    radius: f32,
    color: Color,
}

impl Scene {
    /// A random scene of `size` × `size` pixels around a shape.
    pub(super) fn random(rng: &mut Rng, silhouette: Silhouette, size: usize, level: &Level) -> Self {
        let back = Texture::random(rng, level.spread, size);
        let clutter = (0..rng.below(level.clutter + 1)).map(|_| Stroke::random(rng, size as f64)).collect();
        let fill = contrasting(rng, &back, level, size);
        let shape = Figure::random(rng, silhouette, [size as f64, level.smallest, level.stretch], fill);
        Self { size, back, clutter, shape, noise: level.noise }
    }

    /// The values `[3, size, size]` and the mask `[size, size]`.
    pub(super) fn render(&self, rng: &mut Rng) -> (Vec<f32>, Vec<u32>) {
        let area = self.size * self.size;
        let (mut values, mut mask) = (vec![0.0; 3 * area], vec![0; area]);
        for place in 0..area {
            let (x, y) = ((place % self.size) as f32 + 0.5, (place / self.size) as f32 + 0.5);
            let behind =
                self.clutter.iter().fold(self.back.at(x, y), |below, stroke| stroke.over(below, x, y));
            let cover = self.shape.cover(x, y);
            let seen = if cover > 0.0 { blend(behind, self.shape.fill.at(x, y), cover) } else { behind };
            mask[place] = u32::from(cover >= 0.5);
            for (channel, value) in seen.into_iter().enumerate() {
                let noise = (self.noise * rng.normal()) as f32;
                values[channel * area + place] = (value + noise).clamp(0.0, 1.0);
            }
        }
        (values, mask)
    }
}

impl Figure {
    fn random(
        rng: &mut Rng,
        silhouette: Silhouette,
        [size, smallest, stretch]: [f64; 3],
        fill: Texture,
    ) -> Self {
        let radius = size * rng.range(smallest, 0.42);
        let stretch = rng.range(1.0 - stretch, 1.0);
        let (sin, cos) = rng.range(0.0, std::f64::consts::TAU).sin_cos();
        let center = [(); 2].map(|()| rng.range(radius, size - radius) as f32);
        let (wide, high) = (radius, radius * stretch);
        let inverse = [[cos / wide, sin / wide], [-sin / high, cos / high]].map(|row| row.map(|v| v as f32));
        Self { silhouette, center, radius: radius as f32, inverse, fill }
    }

    /// Which part of the pixel around a place the shape covers, by 3 × 3 samples.
    fn cover(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (x - self.center[0], y - self.center[1]);
        // A shape reaches to 1.02 times its radius, a pixel to 0.71 from its center.
        if dx.hypot(dy) > 1.02 * self.radius + 0.71 {
            return 0.0;
        }
        let steps = [-1.0 / 3.0, 0.0, 1.0 / 3.0];
        let samples = steps.iter().flat_map(|sx| steps.iter().map(move |sy| (dx + sx, dy + sy)));
        let [along, across] = self.inverse;
        let inside = samples.filter(|(x, y)| {
            self.silhouette.contains(along[0] * x + along[1] * y, across[0] * x + across[1] * y)
        });
        inside.count() as f32 / 9.0
    }
}

impl Stroke {
    fn random(rng: &mut Rng, size: f64) -> Self {
        let from = [(); 2].map(|()| rng.range(0.0, size));
        let is_line = rng.chance(0.5);
        let (length, radius) = match is_line {
            true => (rng.range(0.15, 0.5), rng.range(0.012, 0.03)),
            false => (rng.range(0.0, 0.06), rng.range(0.03, 0.08)),
        };
        let (sin, cos) = rng.range(0.0, std::f64::consts::TAU).sin_cos();
        let to = [from[0] + size * length * cos, from[1] + size * length * sin];
        let as_f32 = |point: [f64; 2]| point.map(|v| v as f32);
        Self { from: as_f32(from), to: as_f32(to), radius: (size * radius) as f32, color: color(rng) }
    }

    /// The color at a place, where `below` is what the stroke is drawn on.
    fn over(&self, below: Color, x: f32, y: f32) -> Color {
        let ([ax, ay], [bx, by]) = (self.from, self.to);
        let (dx, dy) = (bx - ax, by - ay);
        let along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy).max(1e-6);
        let along = along.clamp(0.0, 1.0);
        let distance = (x - ax - along * dx).hypot(y - ay - along * dy);
        let cover = (self.radius - distance + 0.5).clamp(0.0, 1.0);
        if cover > 0.0 { blend(below, self.color, cover) } else { below }
    }
}

/// A texture that has the contrast of the level to `back`, or the one of 16 that has most.
fn contrasting(rng: &mut Rng, back: &Texture, level: &Level, size: usize) -> Texture {
    let mut best = Texture::random(rng, level.spread, size);
    for _ in 1..16 {
        if f64::from(best.contrast(back)) >= level.contrast {
            break;
        }
        let next = Texture::random(rng, level.spread, size);
        if next.contrast(back) > best.contrast(back) {
            best = next;
        }
    }
    best
}
