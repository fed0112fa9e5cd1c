//! The windows of a pooling, as a range of rows times a range of columns.

use std::ops::Range;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::ops::conv2d::FARTHEST;
use crate::{Error, Result};

/// The windows of a pooling.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `kernel` | 2 | ≥ 1 | height and width of a window |
/// | `stride` | 2 | ≥ 1 | distance between windows |
/// | `padding` | 0 | ≤ kernel / 2 | how far windows reach beyond the image |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pool2d {
    /// Height and width of a window.
    pub kernel: usize,
    /// Distance between windows.
    pub stride: usize,
    /// How far windows reach beyond the image.
    pub padding: usize,
}

impl Default for Pool2d {
    fn default() -> Self {
        Self { kernel: 2, stride: 2, padding: 0 }
    }
}

impl Pool2d {
    /// The windows over an image, checked.
    pub(super) fn spans(self, name: &str, image: [usize; 2]) -> Result<[Spans; 2]> {
        let Self { kernel, stride, padding } = self;
        if kernel == 0 || stride == 0 || padding > kernel / 2 {
            let expected = "kernel ≥ 1, stride ≥ 1, padding ≤ kernel / 2";
            return Err(Error::parameter(format!("windows of {name}"), expected, format!("{self:?}")));
        }
        if image.iter().any(|size| *size == 0 || kernel - padding > size.saturating_add(padding)) {
            let least = kernel.saturating_sub(2 * padding).max(1);
            let expected = format!("[batch, channels, ≥ {least}, ≥ {least}]");
            return Err(Error::shape(format!("input of {name}"), expected, &image));
        }
        let of = |size: usize| {
            let span = |i: usize| {
                let start = i * stride;
                start.saturating_sub(padding)..start.saturating_add(kernel - padding).min(size)
            };
            Spans { size, ranges: (0..=(size + padding - (kernel - padding)) / stride).map(span).collect() }
        };
        Ok(image.map(of))
    }
}

/// Ranges of places along one side of an image.
#[derive(Clone)]
pub(super) struct Spans {
    /// Places there are.
    pub(super) size: usize,
    pub(super) ranges: Vec<Range<usize>>,
}

impl Spans {
    /// `count` ranges that cover `size` places, i from ⌊i · size / count⌋ to ⌈(i + 1) · size / count⌉.
    pub(super) fn adaptive(name: &str, image: [usize; 2], counts: [usize; 2]) -> Result<[Self; 2]> {
        if counts.iter().any(|count| !(1..=FARTHEST).contains(count)) {
            let expected = format!("1 to {FARTHEST}");
            return Err(Error::parameter(format!("size of {name}"), expected, format!("{counts:?}")));
        }
        if image.contains(&0) {
            return Err(Error::shape(format!("input of {name}"), "[batch, channels, ≥ 1, ≥ 1]", &image));
        }
        let of = |size: usize, count: usize| Self {
            size,
            ranges: (0..count).map(|i| i * size / count..((i + 1) * size).div_ceil(count)).collect(),
        };
        Ok([of(image[0], counts[0]), of(image[1], counts[1])])
    }

    pub(super) fn count(&self) -> usize {
        self.ranges.len()
    }

    /// The length of the longest range.
    pub(super) fn longest(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).max().unwrap_or_default()
    }

    /// Place number `step` of every range, or its last.
    pub(super) fn places(&self, step: usize, device: &Device) -> Result<Tensor> {
        let place = |range: &Range<usize>| (range.start + step).min(range.end - 1) as u32;
        let places: Vec<u32> = self.ranges.iter().map(place).collect();
        Ok(Tensor::new(places, device)?)
    }
}
