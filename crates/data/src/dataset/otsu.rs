//! Otsu's threshold: an image as two regions.
//!
//! Of all thresholds t on luminance in 256 levels, takes the one that maximizes the variance between the classes
//! {l ≤ t} and {l > t},
//!
//! ```text
//! σ²(t) = w₀ w₁ (μ₀ − μ₁)²        w: numbers of pixels, μ: mean levels
//! ```
//!
//! and the smallest where several do. Which region is the foreground is told by the border of the image: the
//! region that most of its pixels belong to is the background, and the dark one where they are equally many. An
//! image of a single level is background all over. Cost: one pass over the pixels, one over the levels.
//! Reference: Nobuyuki Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE Transactions on
//! Systems, Man, and Cybernetics, 1979.

/// Luminance of every pixel, for values `[channels, …]`: 0.299 red + 0.587 green + 0.114 blue, and the mean of the
/// channels where there are not three (ITU-R BT.601).
pub(crate) fn luminance(values: &[f32], channels: usize) -> Vec<f32> {
    let count = values.len() / channels.max(1);
    let weights = match channels {
        3 => vec![0.299, 0.587, 0.114],
        _ => vec![1.0 / channels as f32; channels],
    };
    let mut light = vec![0.0; count];
    for (plane, weight) in values.chunks_exact(count.max(1)).zip(weights) {
        light.iter_mut().zip(plane).for_each(|(light, value)| *light += weight * value);
    }
    light
}

/// 1 for the pixels of the foreground and 0 for the others, for luminance in [0, 1], rows of `width`.
pub(super) fn two_regions(light: &[f32], width: usize) -> Vec<u32> {
    let levels: Vec<u8> = light.iter().map(|light| (light * 255.0).round() as u8).collect();
    let Some(threshold) = threshold(&levels) else {
        return vec![0; light.len()];
    };
    let bright: Vec<bool> = levels.iter().map(|&level| level > threshold).collect();
    let height = bright.len() / width;
    let at_border = |place: &usize| {
        let (y, x) = (place / width, place % width);
        y == 0 || x == 0 || y + 1 == height || x + 1 == width
    };
    let border: Vec<bool> = (0..bright.len()).filter(at_border).map(|place| bright[place]).collect();
    let background = 2 * border.iter().filter(|bright| **bright).count() > border.len();
    bright.into_iter().map(|bright| u32::from(bright != background)).collect()
}

/// The best threshold; none where all levels are equal.
fn threshold(levels: &[u8]) -> Option<u8> {
    let mut histogram = [0u64; 256];
    levels.iter().for_each(|&level| histogram[usize::from(level)] += 1);
    let weighted = |(level, count): (usize, &u64)| level as u64 * count;
    let (all, sum) = (levels.len() as u64, histogram.iter().enumerate().map(weighted).sum::<u64>());
    let (mut below, mut sum_below) = (0, 0);
    let mut best = (0.0, None);
    for (level, &count) in histogram.iter().enumerate() {
        below += count;
        sum_below += level as u64 * count;
        let between = variance(below, sum_below, all - below, sum - sum_below);
        if between > best.0 {
            best = (between, Some(level as u8));
        }
    }
    best.1
}

/// w₀ w₁ (μ₀ − μ₁)² from counts and sums; 0 where a class is empty.
fn variance(count0: u64, sum0: u64, count1: u64, sum1: u64) -> f64 {
    if count0 == 0 || count1 == 0 {
        return 0.0;
    }
    let (w0, w1) = (count0 as f64, count1 as f64);
    let gap = sum0 as f64 / w0 - sum1 as f64 / w1;
    w0 * w1 * gap * gap
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_lies_below_the_brighter_class() {
        // Levels 1 1 2 9: σ²(1) = 2·2·(1 − 5.5)² = 81, σ²(2) = 3·1·(4/3 − 9)² = 176.3
        assert_eq!(threshold(&[1, 1, 2, 9]), Some(2));
        assert_eq!(threshold(&[7, 7, 7]), None);
        assert_eq!(threshold(&[0, 255]), Some(0));
    }

    #[test]
    fn the_border_is_background_whether_dark_or_bright() {
        let dot = [0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1];
        let expected = [0, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(two_regions(&dot, 3), expected);
        assert_eq!(two_regions(&dot.map(|light| 1.0 - light), 3), expected);
    }

    #[test]
    fn a_tie_at_the_border_makes_the_dark_half_background() {
        assert_eq!(two_regions(&[0.8, 0.2, 0.8, 0.2], 2), [1, 0, 1, 0]);
    }

    #[test]
    fn a_constant_image_is_background() {
        assert_eq!(two_regions(&[0.5; 4], 2), [0; 4]);
    }

    #[test]
    fn luminance_weighs_colors_and_averages_other_channels() {
        assert_eq!(luminance(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 3), [0.299, 0.587]);
        assert_eq!(luminance(&[0.2, 0.4], 1), [0.2, 0.4]);
        assert_eq!(luminance(&[0.5, 1.0], 2), [0.75]);
    }
}
