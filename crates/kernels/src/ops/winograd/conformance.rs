//! Convolutions and gradients against the definition, in double and single precision.

use super::layer::Layer;
use crate::Rng;
use crate::ops::algorithm::Algorithm;
use crate::ops::host::Real;

fn layer(channels: [usize; 2], inputs: [usize; 2], padding: usize) -> Layer {
    Layer { channels, inputs, outputs: inputs.map(|n| n + 2 * padding - 2), padding }
}

/// Batch and layer: one tile, planes that tiles do not divide, padding beyond the kernel, rows of tiles in pieces.
fn table() -> Vec<(usize, Layer)> {
    vec![
        (1, layer([1, 1], [3, 3], 0)),
        (1, layer([1, 1], [1, 1], 1)),
        (2, layer([3, 5], [5, 7], 1)),
        (3, layer([2, 3], [9, 13], 0)),
        (1, layer([17, 18], [9, 13], 2)),
        (2, layer([2, 2], [2, 3], 4)),
        (11, layer([20, 70], [4, 4], 1)),
        (33, layer([2, 3], [8, 8], 1)),
        (1, layer([2, 2], [50, 70], 1)),
        (1, layer([1, 1], [3, 600], 1)),
        (0, layer([2, 2], [4, 4], 1)),
    ]
}

/// Images, gradients of outputs, weight and bias.
fn draw<T: Real>(batch: usize, layer: &Layer) -> [Vec<T>; 4] {
    let mut rng = Rng::new(1);
    let [inputs, outputs] = layer.channels;
    let mut normal = |n: usize| (0..n).map(|_| T::from_f64(rng.normal() as f32 as f64)).collect();
    [
        normal(batch * inputs * layer.inputs.iter().product::<usize>()),
        normal(batch * outputs * layer.outputs.iter().product::<usize>()),
        normal(outputs * inputs * 9),
        normal(outputs),
    ]
}

/// Calls `f` with the places in `x`, `y` and the weight of every product of the convolution.
fn each_product(batch: usize, layer: &Layer, mut f: impl FnMut(usize, usize, usize)) {
    let ([inputs, outputs], [height, width], [rows, columns]) = (layer.channels, layer.inputs, layer.outputs);
    for place in 0..batch * outputs * inputs * 9 {
        let (tap, from, to) = (place % 9, place / 9 % inputs, place / 9 / inputs % outputs);
        let (image, weight) = (place / 9 / inputs / outputs, (to * inputs + from) * 9 + tap);
        for position in 0..rows * columns {
            let line = (position / columns + tap / 3).wrapping_sub(layer.padding);
            let column = (position % columns + tap % 3).wrapping_sub(layer.padding);
            if line < height && column < width {
                let x = ((image * inputs + from) * height + line) * width + column;
                f(x, (image * outputs + to) * rows * columns + position, weight);
            }
        }
    }
}

/// Outputs, gradient of the images and gradient of the weight.
fn defined(batch: usize, layer: &Layer, [x, dy, weight, bias]: &[Vec<f64>; 4]) -> [Vec<f64>; 3] {
    let plane = layer.outputs.iter().product::<usize>();
    let mut y: Vec<f64> = (0..dy.len()).map(|i| bias[i / plane % bias.len()]).collect();
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
    each_product(batch, layer, |at_x, at_y, at_weight| {
        y[at_y] += x[at_x] * weight[at_weight];
        dx[at_x] += dy[at_y] * weight[at_weight];
        dw[at_weight] += dy[at_y] * x[at_x];
    });
    [y, dx, dw]
}

fn computed<T: Real>(layer: &Layer, [x, dy, weight, bias]: &[Vec<T>; 4]) -> [Vec<f64>; 3] {
    [layer.forward(x, weight, bias), layer.input_gradient(dy, weight), layer.weight_gradient(x, dy)]
        .map(|values| values.into_iter().map(T::to_f64).collect())
}

fn assert_close(found: &[Vec<f64>; 3], expected: &[Vec<f64>; 3], tolerance: f64) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len());
        let scale = expected.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
        let error = found.iter().zip(expected).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
        assert!(error <= tolerance * scale, "{error} at a scale of {scale}");
    }
}

#[test]
fn double_precision_equals_the_definition() {
    for (batch, layer) in table() {
        let values = draw(batch, &layer);
        assert_close(&computed(&layer, &values), &defined(batch, &layer, &values), 1e-12);
    }
}

#[test]
fn single_precision_is_accurate_at_depth() {
    for (batch, layer) in [(1, layer([256, 16], [8, 8], 1)), (16, layer([16, 32], [8, 8], 1))] {
        let single = computed(&layer, &draw::<f32>(batch, &layer));
        assert_close(&single, &defined(batch, &layer, &draw(batch, &layer)), 5e-6);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let all = |threads: usize| -> Vec<[Vec<f64>; 3]> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let one = |(batch, layer): &(usize, Layer)| computed(layer, &draw::<f32>(*batch, layer));
        pool.install(|| table().iter().map(one).collect())
    };
    assert_eq!(all(1), all(2));
}

#[test]
fn values_that_are_not_finite_stay_within_their_image() {
    let (batch, layer) = (5, layer([2, 3], [5, 6], 1));
    let [x, dy, weight, bias] = draw::<f32>(batch, &layer);
    let clean = [layer.forward(&x, &weight, &bias), layer.input_gradient(&dy, &weight)];
    for bad in [f32::NAN, f32::INFINITY] {
        let (mut x, mut dy) = (x.clone(), dy.clone());
        (x[2 * 60 + 17], dy[2 * 90 + 17]) = (bad, bad);
        let found = [layer.forward(&x, &weight, &bias), layer.input_gradient(&dy, &weight)];
        for ((found, clean), len) in found.iter().zip(&clean).zip([90, 60]) {
            for (image, (found, clean)) in found.chunks(len).zip(clean.chunks(len)).enumerate() {
                assert_eq!(found == clean, image != 2, "image {image}");
            }
        }
    }
}
