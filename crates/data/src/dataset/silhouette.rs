//! The ten shapes of [`super::Shapes`], as the set of points inside.

/// A shape around the origin, within the circle of radius 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silhouette {
    Circle,
    Square,
    Triangle,
    Star,
    Cross,
    Ring,
    Heart,
    Crescent,
    Arrow,
    Bowtie,
}

impl Silhouette {
    /// All of them, in the order of the classes.
    pub(super) const ALL: [Self; 10] = [
        Self::Circle,
        Self::Square,
        Self::Triangle,
        Self::Star,
        Self::Cross,
        Self::Ring,
        Self::Heart,
        Self::Crescent,
        Self::Arrow,
        Self::Bowtie,
    ];

    /// The name of the class.
    pub(super) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Whether the point lies inside; y points up.
    pub(super) fn contains(self, x: f32, y: f32) -> bool {
        let (ax, ay) = (x.abs(), y.abs());
        let square = x * x + y * y;
        match self {
            Self::Circle => square <= 0.72,
            Self::Square => ax.max(ay) <= 0.71,
            Self::Triangle => y >= -0.5 && 3f32.sqrt() * ax + y <= 1.0,
            Self::Star => in_star(x, y),
            Self::Cross => (ax <= 0.27 && ay <= 0.96) || (ay <= 0.27 && ax <= 0.96),
            Self::Ring => (0.26..=0.9).contains(&square),
            Self::Heart => in_heart(1.34 * x, 1.34 * y + 0.12),
            Self::Crescent => square <= 0.94 && (x - 0.42).powi(2) + y * y > 0.6,
            Self::Arrow => (ay <= 0.2 && (-0.95..=0.2).contains(&x)) || (x >= 0.1 && ay <= 0.8 * (0.98 - x)),
            Self::Bowtie => ax <= 0.8 && ay <= 0.08 + 0.64 * ax,
        }
    }
}

/// Five points at radius 1, five notches at radius 0.42.
fn in_star(x: f32, y: f32) -> bool {
    let step = std::f32::consts::TAU / 5.0;
    let angle = x.atan2(y).rem_euclid(step);
    let (sin, cos) = angle.min(step - angle).sin_cos();
    let (notch_y, notch_x) = (0.42 * (step / 2.0).cos(), 0.42 * (step / 2.0).sin());
    let radius = x.hypot(y);
    // Inside of the edge from the point (0, 1) to the notch.
    notch_x * (radius * cos - 1.0) - (notch_y - 1.0) * (radius * sin) <= 0.0
}

/// (x² + y² − 1)³ ≤ x² y³
fn in_heart(x: f32, y: f32) -> bool {
    (x * x + y * y - 1.0).powi(3) <= x * x * y.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_stay_in_the_unit_circle_and_cover_a_fair_part_of_it() {
        for shape in Silhouette::ALL {
            let inside: Vec<(f32, f32)> = (0..=240)
                .flat_map(|y| (0..=240).map(move |x| (x as f32 / 100.0 - 1.2, y as f32 / 100.0 - 1.2)))
                .filter(|&(x, y)| shape.contains(x, y))
                .collect();
            let farthest = inside.iter().map(|(x, y)| x.hypot(*y)).fold(0.0, f32::max);
            assert!((0.84..1.021).contains(&farthest), "{shape:?} reaches to {farthest}");
            let area = inside.len() as f32 * 1e-4;
            assert!((0.8..2.4).contains(&area), "{shape:?} covers {area}");
        }
    }

    #[test]
    fn each_has_its_features() {
        let inside = |shape: Silhouette, points: [(f32, f32); 4]| points.map(|(x, y)| shape.contains(x, y));
        assert_eq!(
            inside(Silhouette::Ring, [(0.0, 0.0), (0.7, 0.0), (0.0, -0.7), (1.0, 0.0)]),
            [false, true, true, false]
        );
        assert_eq!(
            inside(Silhouette::Star, [(0.0, 0.9), (0.0, -0.9), (0.0, 0.0), (0.0, -0.3)]),
            [true, false, true, true]
        );
        assert_eq!(
            inside(Silhouette::Heart, [(0.0, -0.8), (0.0, 0.9), (0.5, 0.6), (0.8, -0.6)]),
            [true, false, true, false]
        );
        assert_eq!(
            inside(Silhouette::Crescent, [(-0.6, 0.0), (0.3, 0.0), (0.1, 0.85), (0.9, 0.0)]),
            [true, false, true, false]
        );
        assert_eq!(
            inside(Silhouette::Arrow, [(0.9, 0.0), (-0.9, 0.0), (-0.5, 0.4), (0.15, 0.6)]),
            [true, true, false, true]
        );
        assert_eq!(
            inside(Silhouette::Bowtie, [(0.0, 0.3), (0.7, 0.4), (-0.7, -0.4), (0.0, 0.0)]),
            [false, true, true, true]
        );
    }
}
