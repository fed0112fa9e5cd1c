//! An axis: its range, where its marks stand, and what they say.

/// Beyond this a linear axis ends: the difference of two larger values could overflow.
const HUGE: f64 = 1e100;

/// How values are laid out along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Spacing {
    /// Equal differences take equal space.
    Linear,
    /// Equal ratios take equal space; what is not positive has no place.
    Log,
}

impl Spacing {
    /// Where a value stands along the axis; NaN where it has no place.
    pub(super) fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear if value.abs() < HUGE => value,
            Self::Log if value > 0.0 => value.log10(),
            _ => f64::NAN,
        }
    }
}

/// An axis in places (not values), with marks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Places and texts of the marks, from low to high.
    pub(super) marks: Vec<(f64, String)>,
}

impl Axis {
    /// The axis that holds all finite `places`, with about `most` marks; nothing where there is none.
    pub(super) fn around(spacing: Spacing, places: impl Iterator<Item = f64>, most: usize) -> Option<Self> {
        let (low, high) = places
            .filter(|p| p.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p), high.max(p)));
        if low > high {
            return None;
        }
        let room = if low < high { 0.0 } else { (0.05 * low.abs()).max(0.5) };
        let (low, high) = (low - room, high + room);
        let marks = match spacing {
            Spacing::Linear => linear_marks(low, high, most),
            Spacing::Log => log_marks(low, high, most),
        };
        Some(Self { low, high, marks })
    }

    /// The same axis with some room at both ends.
    pub(super) fn padded(self, share: f64) -> Self {
        let room = share * (self.high - self.low);
        Self { low: self.low - room, high: self.high + room, ..self }
    }

    /// What the mark at `place` says.
    pub(super) fn text(&self, place: f64) -> String {
        let near = self.marks.iter().find(|(mark, _)| (mark - place).abs() < 1e-9 * (self.high - self.low));
        near.map(|(_, text)| text.clone()).unwrap_or_default()
    }
}

/// Multiples of the smallest step among 1, 2, 5 times a power of ten that gives at most `most` marks.
fn linear_marks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let step = nice((high - low) / most as f64);
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let count = (last - first).clamp(0.0, 2.0 * most as f64) as usize;
    (0..=count).map(|i| (first + i as f64) * step).map(|value| (value, number(value, decimals))).collect()
}

/// Powers of ten where there are enough of them, else 1, 2 and 5 times these, else even marks.
fn log_marks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let decades = (low.floor() as i32)..=(high.ceil() as i32);
    let every = ((high - low) / most as f64).ceil().max(1.0) as i32;
    let factors: &[f64] = if high - low >= 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let marks: Vec<_> = decades
        .filter(|decade| decade.rem_euclid(every) == 0)
        .flat_map(|decade| factors.iter().map(move |factor| factor * 10f64.powi(decade)))
        .filter(|value| (low - 1e-9..=high + 1e-9).contains(&value.log10()))
        .map(|value| (value.log10(), number(value, 12)))
        .collect();
    if marks.len() >= 2 {
        return marks;
    }
    let even = linear_marks(10f64.powf(low), 10f64.powf(high), most);
    even.into_iter().filter(|(v, _)| *v > 0.0).map(|(v, text)| (v.log10(), text)).collect()
}

fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// A short number: thousands as `k`, millions as `M`, very large and very small ones with an exponent, no
/// trailing zeros beyond what `decimals` asks for.
fn number(value: f64, decimals: usize) -> String {
    let size = value.abs();
    let trimmed = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    };
    match size {
        s if s < 1e-12 => "0".to_string(),
        s if !(1e-4..1e9).contains(&s) => format!("{value:e}"),
        s if s >= 1e6 => trimmed(format!("{:.3}", value / 1e6)) + "M",
        s if s >= 1e4 => trimmed(format!("{:.3}", value / 1e3)) + "k",
        _ => trimmed(format!("{value:.decimals$}")),
    }
    .replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(spacing: Spacing, low: f64, high: f64) -> Vec<String> {
        let axis = Axis::around(spacing, [spacing.place(low), spacing.place(high)].into_iter(), 5).unwrap();
        axis.marks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn marks_are_round_numbers() {
        assert_eq!(texts(Spacing::Linear, 0.0, 10.0), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(texts(Spacing::Linear, -0.31, 0.52), ["−0.2", "0", "0.2", "0.4"]);
        assert_eq!(texts(Spacing::Linear, 0.0, 60_000.0), ["0", "20k", "40k", "60k"]);
        assert_eq!(texts(Spacing::Log, 0.004, 30.0), ["0.01", "0.1", "1", "10"]);
        assert_eq!(texts(Spacing::Log, 0.3, 3.0), ["0.5", "1", "2"]);
        assert_eq!(texts(Spacing::Log, 2.1, 2.4), ["2.1", "2.2", "2.3", "2.4"]);
    }

    #[test]
    fn there_is_an_axis_for_one_value_and_none_for_no_value() {
        let one = Axis::around(Spacing::Linear, [f64::NAN, 3.0].into_iter(), 5).unwrap();
        assert_eq!((one.low, one.high), (2.5, 3.5));
        assert_eq!(Axis::around(Spacing::Linear, [f64::NAN].into_iter(), 5), None);
        assert_eq!(Axis::around(Spacing::Log, [Spacing::Log.place(-1.0)].into_iter(), 5), None);
    }

    #[test]
    fn a_mark_finds_its_text() {
        let axis = Axis::around(Spacing::Linear, [0.0, 1.0].into_iter(), 5).unwrap();
        assert_eq!((axis.text(0.2), axis.text(0.3)), ("0.2".to_string(), String::new()));
    }
}
