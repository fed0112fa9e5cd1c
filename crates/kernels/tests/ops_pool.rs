//! Pooling: the table of gradients, values against plain loops, other dtypes, misfits.

mod gradcheck;

use candle_core::{DType, Device, Tensor, Var};
use gradcheck::{Row, assert_close, check_all, flat, row};
use taskweave_kernels::ops::{self, Border, Pool2d};
use taskweave_kernels::{Error, Result, Rng};

const fn windows(kernel: usize, stride: usize, padding: usize) -> Pool2d {
    Pool2d { kernel, stride, padding }
}

/// Kernel, stride, padding and the image.
const CASES: [(Pool2d, [usize; 4]); 8] = [
    (windows(2, 2, 0), [2, 3, 4, 6]),
    (windows(2, 2, 0), [1, 1, 7, 5]),
    (windows(2, 2, 0), [3, 2, 2, 37]),
    (windows(3, 2, 1), [2, 2, 7, 6]),
    (windows(3, 1, 1), [1, 2, 4, 3]),
    (windows(2, 3, 1), [2, 1, 5, 8]),
    (windows(5, 2, 2), [1, 1, 1, 2]),
    (windows(1, 2, 0), [2, 1, 3, 4]),
];

/// Images and the size asked for.
const SIZES: [([usize; 4], [usize; 2]); 5] = [
    ([2, 2, 7, 5], [3, 2]),
    ([1, 1, 4, 6], [2, 3]),
    ([1, 3, 2, 3], [5, 4]),
    ([3, 1, 5, 5], [1, 1]),
    ([1, 1, 6, 4], [6, 4]),
];

fn table() -> Vec<Row> {
    let mut table = vec![
        row("global mean", &[&[2, 3, 4, 5]], |a| ops::global_avg_pool2d(&a[0])),
        row("global mean, large", &[&[1, 2, 11, 7]], |a| ops::global_avg_pool2d(&a[0])),
        row("global mean, one value", &[&[3, 2, 1, 1]], |a| ops::global_avg_pool2d(&a[0])),
        row("global mean, transposed", &[&[2, 3, 4, 5]], |a| ops::global_avg_pool2d(&a[0].transpose(1, 3)?)),
        row("mean over time", &[&[3, 5, 7]], |a| ops::mean_pool1d(&a[0])),
        row("mean over a long time", &[&[1, 131, 2]], |a| ops::mean_pool1d(&a[0])),
        row("mean over time, one value wide", &[&[2, 9, 1]], |a| ops::mean_pool1d(&a[0])),
        row("mean over time, transposed", &[&[2, 4, 3]], |a| ops::mean_pool1d(&a[0].transpose(1, 2)?)),
        row("max pool, transposed", &[&[2, 2, 4, 6]], |a| ops::max_pool2d(&a[0].transpose(2, 3)?, 2, 2)),
        row("max pool, used twice", &[&[1, 2, 4, 4]], |a| {
            let y = ops::max_pool2d(&a[0], 2, 2)?;
            Ok((y.sqr()? + ops::avg_pool2d(&y, windows(3, 1, 1), Border::Inside)?)?)
        }),
    ];
    for (config, shape) in CASES {
        table.push(row("max pool", &[&shape], move |a| ops::max_pool2d_with(&a[0], config)));
        for border in [Border::Zeros, Border::Inside] {
            table.push(row("mean pool", &[&shape], move |a| ops::avg_pool2d(&a[0], config, border)));
        }
    }
    for (shape, size) in SIZES {
        table.push(row("adaptive max pool", &[&shape], move |a| ops::adaptive_max_pool2d(&a[0], size)));
        table.push(row("adaptive mean pool", &[&shape], move |a| ops::adaptive_avg_pool2d(&a[0], size)));
    }
    table
}

#[test]
fn gradients_are_right() {
    check_all(&table());
}

#[test]
fn half_precision_follows_double_precision() {
    gradcheck::half_precision_follows_double_precision(&table());
}

fn draw(shape: &[usize], dtype: DType) -> Tensor {
    let mut rng = Rng::new(3);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// What a window sees of each plane, window by window.
fn seen(x: &Tensor, rows: &[[usize; 2]], columns: &[[usize; 2]]) -> Vec<Vec<f64>> {
    let (_, _, h, w) = x.dims4().unwrap();
    let mut all = Vec::new();
    for plane in flat(x).chunks(h * w) {
        for &[top, bottom] in rows {
            for &[left, right] in columns {
                all.push((top..bottom).flat_map(|i| plane[i * w + left..i * w + right].to_vec()).collect());
            }
        }
    }
    all
}

fn largest(windows: &[Vec<f64>]) -> Vec<f64> {
    windows.iter().map(|w| w.iter().copied().fold(f64::MIN, f64::max)).collect()
}

fn means(windows: &[Vec<f64>]) -> Vec<f64> {
    windows.iter().map(|w| w.iter().sum::<f64>() / w.len() as f64).collect()
}

#[test]
fn values_are_those_of_the_definition() {
    for (config, shape) in CASES {
        let x = draw(&shape, DType::F64);
        let Pool2d { kernel, stride, padding } = config;
        let ranges = |size: usize| -> Vec<[usize; 2]> {
            let starts = (0..).map(|i| i * stride).take_while(|start| start + kernel <= size + 2 * padding);
            starts.map(|s| [s.saturating_sub(padding), (s + kernel - padding).min(size)]).collect()
        };
        let seen = seen(&x, &ranges(shape[2]), &ranges(shape[3]));
        assert_eq!(flat(&ops::max_pool2d_with(&x, config).unwrap()), largest(&seen), "{config:?}");
        let inside = ops::avg_pool2d(&x, config, Border::Inside).unwrap();
        assert_close("inside", &flat(&inside), &means(&seen), 1e-14);
        let zeros = ops::avg_pool2d(&x, config, Border::Zeros).unwrap();
        let all = (kernel * kernel) as f64;
        let expected: Vec<f64> = seen.iter().map(|w| w.iter().sum::<f64>() / all).collect();
        assert_close("zeros", &flat(&zeros), &expected, 1e-14);
    }
}

#[test]
fn adaptive_windows_cover_the_image() {
    for (shape, size) in SIZES {
        let x = draw(&shape, DType::F64);
        let ranges = |n: usize, count: usize| -> Vec<[usize; 2]> {
            let share = n as f64 / count as f64;
            let range = |i: usize| [(i as f64 * share).floor(), ((i + 1) as f64 * share - 1e-9).ceil()];
            (0..count).map(|i| range(i).map(|v| v as usize)).collect()
        };
        let seen = seen(&x, &ranges(shape[2], size[0]), &ranges(shape[3], size[1]));
        assert_eq!(flat(&ops::adaptive_max_pool2d(&x, size).unwrap()), largest(&seen));
        assert_close("mean", &flat(&ops::adaptive_avg_pool2d(&x, size).unwrap()), &means(&seen), 1e-14);
    }
}

#[test]
fn equal_values_give_the_gradient_to_the_first() {
    for config in [windows(2, 2, 0), windows(2, 1, 0)] {
        let x = Var::ones((1, 1, 2, 2), DType::F32, &Device::Cpu).unwrap();
        let y = ops::max_pool2d_with(&x, config).unwrap();
        assert_eq!(flat(y.backward().unwrap().get(&x).unwrap()), [1.0, 0.0, 0.0, 0.0]);
    }
}

#[test]
fn nan_is_never_hidden() {
    for place in 0..4 {
        let mut values = [1.0, -1.0, f32::INFINITY, 2.0];
        values[place] = f32::NAN;
        let x = Tensor::new(&values, &Device::Cpu).unwrap().reshape((1, 1, 2, 2)).unwrap();
        for config in [windows(2, 2, 0), windows(2, 1, 0)] {
            assert!(flat(&ops::max_pool2d_with(&x, config).unwrap())[0].is_nan());
        }
    }
}

#[test]
fn other_dtypes_take_the_composition() {
    let x = draw(&[2, 3, 5, 7], DType::F16);
    let double = x.to_dtype(DType::F64).unwrap();
    let all = |x: &Tensor| -> Vec<f64> {
        let time = x.narrow(3, 0, 1).unwrap().squeeze(3).unwrap();
        let results: [Result<Tensor>; 7] = [
            ops::max_pool2d(x, 2, 2),
            ops::max_pool2d_with(x, windows(3, 2, 1)),
            ops::adaptive_max_pool2d(x, [2, 3]),
            ops::avg_pool2d(x, windows(3, 2, 1), Border::Inside),
            ops::adaptive_avg_pool2d(x, [2, 3]),
            ops::global_avg_pool2d(x),
            ops::mean_pool1d(&time),
        ];
        results.into_iter().flat_map(|y| flat(&y.unwrap())).collect()
    };
    assert_close("compositions", &all(&x), &all(&double), 2e-3);
}

#[test]
fn an_empty_batch_gives_an_empty_result() {
    let x = Var::zeros((0, 2, 4, 4), DType::F32, &Device::Cpu).unwrap();
    for y in [
        ops::max_pool2d(&x, 2, 2),
        ops::max_pool2d(&x, 3, 1),
        ops::avg_pool2d(&x, windows(2, 2, 0), Border::Zeros),
        ops::adaptive_avg_pool2d(&x, [2, 2]),
        ops::global_avg_pool2d(&x),
        ops::mean_pool1d(&x.flatten_from(2).unwrap()),
    ] {
        let y = y.unwrap();
        assert_eq!(y.elem_count(), 0);
        assert_eq!(y.sum_all().unwrap().backward().unwrap().get(&x).unwrap().dims(), [0, 2, 4, 4]);
    }
}

#[test]
fn misfits_are_typed_errors() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let x = zeros(&[1, 3, 4, 4]);
    let shape = |y: Result<Tensor>| matches!(y, Err(Error::Shape { .. }));
    let parameter = |y: Result<Tensor>| matches!(y, Err(Error::Parameter { .. }));
    assert!(parameter(ops::max_pool2d_with(&x, windows(2, 1, 2))));
    assert!(parameter(ops::avg_pool2d(&x, windows(0, 1, 0), Border::Zeros)));
    assert!(parameter(ops::avg_pool2d(&x, windows(2, 0, 0), Border::Zeros)));
    assert!(parameter(ops::adaptive_avg_pool2d(&x, [0, 1])));
    assert!(parameter(ops::adaptive_max_pool2d(&x, [1, 0])));
    assert!(shape(ops::avg_pool2d(&x, windows(5, 1, 0), Border::Zeros)));
    assert!(shape(ops::max_pool2d_with(&zeros(&[3, 4, 4]), windows(2, 2, 0))));
    assert!(shape(ops::adaptive_max_pool2d(&zeros(&[1, 3, 0, 4]), [1, 1])));
    assert!(shape(ops::global_avg_pool2d(&zeros(&[1, 3, 0, 4]))));
    assert!(shape(ops::mean_pool1d(&zeros(&[1, 0, 4]))));
    assert!(shape(ops::mean_pool1d(&x)));
}
