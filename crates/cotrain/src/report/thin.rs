//! Thinning a long curve to what a screen can show.

/// At most this many points are drawn of one series: two per pixel of a phone.
const MOST: usize = 800;

/// Keeps the shape of a curve in at most [`MOST`] points: the lowest and the highest of each of equally many
/// neighbors, in their order. Peaks survive, which taking every k-th point would lose.
///
/// A NaN is a gap in the line; a stretch of neighbors without any finite value stays one gap.
pub(super) fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST {
        return points.to_vec();
    }
    points.chunks(points.len().div_ceil(MOST / 2)).flat_map(extremes).collect()
}

fn extremes(chunk: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let finite = || chunk.iter().enumerate().filter(|(_, (_, y))| y.is_finite());
    let low = finite().min_by(|a, b| a.1.1.total_cmp(&b.1.1));
    let high = finite().max_by(|a, b| a.1.1.total_cmp(&b.1.1));
    match (low, high) {
        (Some((i, &low)), Some((j, _))) if i == j => vec![low],
        (Some((i, &low)), Some((j, &high))) if i < j => vec![low, high],
        (Some((_, &low)), Some((_, &high))) => vec![high, low],
        _ => chunk.first().map(|&(x, _)| (x, f64::NAN)).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_curve_stays_as_it_is() {
        let points: Vec<_> = (0..MOST).map(|i| (i as f64, 0.0)).collect();
        assert_eq!(thin(&points), points);
    }

    #[test]
    fn a_long_curve_keeps_its_order_its_only_peak_and_its_gap() {
        let mut points: Vec<_> = (0..100_000).map(|i| (f64::from(i), 0.001 * f64::from(i % 7))).collect();
        points[54_321].1 = 9.0;
        points[70_000..80_000].iter_mut().for_each(|p| p.1 = f64::NAN);
        let few = thin(&points);
        assert!(few.len() <= MOST);
        assert!(few.contains(&(54_321.0, 9.0)));
        assert!(few.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(few.iter().any(|p| p.1.is_nan()));
    }
}
