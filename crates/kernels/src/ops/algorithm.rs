//! Which algorithm computes a convolution.

use super::depthwise::Depthwise;
use super::host::Real;
use super::unfold::Window;
use super::winograd::Layer;

/// Winograd's algorithm pays from this many channels in and out on, where each value is worth the way into
/// transformed form and back: measured, it is even with im2col or better at 32 and slower at 16.
const WINOGRAD_CHANNELS: usize = 32;

/// It pays from this many tiles of 4 × 4 outputs on, where the kernels are worth their way: measured, at 128
/// and not at 32.
const WINOGRAD_TILES: usize = 64;

/// Outputs per channel up to which a depthwise convolution is a direct loop: measured, it is even at 4.
const DEPTHWISE_OUTPUTS: usize = 2;

/// A way to compute one convolution and its gradients on slices.
pub(super) trait Algorithm<T> {
    /// The outputs for images, a weight and a bias.
    fn forward(&self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T>;

    /// The gradient of the images from that of the outputs.
    fn input_gradient(&self, dy: &[T], weight: &[T]) -> Vec<T>;

    /// The gradient of the weight.
    fn weight_gradient(&self, x: &[T], dy: &[T]) -> Vec<T>;
}

/// The algorithm that is faster than im2col for a convolution in `groups` with `out` outputs, if there is one.
pub(super) fn faster<T: Real>(
    batch: usize,
    [groups, out]: [usize; 2],
    window: Window,
) -> Option<Box<dyn Algorithm<T>>> {
    if window.image_len() == 0 {
        return None;
    }
    if window.channels == 1 && groups > 1 && out <= DEPTHWISE_OUTPUTS * groups {
        return Some(Box::new(Depthwise { channels: groups, out, window }));
    }
    let channels = [window.channels, out];
    let fits = window.kernel == [3, 3] && [window.stride, window.dilation, groups] == [1; 3];
    let tiles = batch * window.output.iter().map(|n| n.div_ceil(4)).product::<usize>();
    let half_filled = 2 * batch * window.positions() >= 16 * tiles;
    let pays = channels.iter().all(|&n| n >= WINOGRAD_CHANNELS) && tiles >= WINOGRAD_TILES && half_filled;
    (fits && pays).then(|| {
        let Window { image: inputs, output: outputs, padding, .. } = window;
        Box::new(Layer { channels, inputs, outputs, padding }) as Box<dyn Algorithm<T>>
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_faster(batch: usize, channels: usize, plane: usize) -> bool {
        let window = Window {
            channels,
            image: [plane; 2],
            kernel: [3, 3],
            output: [plane; 2],
            stride: 1,
            padding: 1,
            dilation: 1,
        };
        faster::<f32>(batch, [1, 64], window).is_some()
    }

    #[test]
    fn few_channels_few_tiles_and_tiny_planes_are_unfolded() {
        assert!(is_faster(16, 64, 8) && is_faster(1, 32, 32));
        assert!(!is_faster(16, 3, 8) && !is_faster(15, 64, 8) && !is_faster(500, 64, 2));
    }
}
