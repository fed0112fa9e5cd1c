//! Softmax and its logarithm against central differences, against plain loops, and with one and two threads.

mod gradcheck;

use candle_core::{DType, Device, Tensor, Var};
use gradcheck::{Row, assert_close, check_all, flat, row};
use taskweave_kernels::ops::{log_softmax, softmax};
use taskweave_kernels::{Error, Rng};

fn table() -> Vec<Row> {
    vec![
        row("softmax", &[&[2, 3, 5]], |a| softmax(&a[0])),
        row("softmax of one", &[&[3, 1]], |a| softmax(&a[0])),
        row("softmax, long rows", &[&[2, 37]], |a| softmax(&a[0])),
        row("softmax, transposed", &[&[4, 3]], |a| softmax(&a[0].t()?)),
        row("log softmax", &[&[7]], |a| log_softmax(&a[0])),
        row("log softmax, long rows", &[&[2, 37]], |a| log_softmax(&a[0])),
        row("log softmax, transposed", &[&[4, 3]], |a| log_softmax(&a[0].t()?)),
        row("softmax used twice", &[&[2, 3]], |a| {
            let y = softmax(&a[0])?;
            Ok((log_softmax(&y)? + softmax(&y)? * y)?)
        }),
    ]
}

#[test]
fn gradients_are_right() {
    check_all(&table());
}

fn draw(shape: &[usize]) -> Tensor {
    let mut rng = Rng::new(8);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| 3.0 * rng.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

#[test]
fn values_are_those_of_the_formula() {
    for shape in [[1, 1], [5, 16], [700, 65], [2, 20_000]] {
        let x = draw(&shape);
        let row = |row: &[f64]| {
            let sum: f64 = row.iter().map(|v| v.exp()).sum();
            row.iter().map(|v| v.exp() / sum).collect::<Vec<_>>()
        };
        let expected: Vec<f64> = flat(&x).chunks(shape[1]).flat_map(row).collect();
        let logarithms: Vec<f64> = expected.iter().map(|v| v.ln()).collect();
        assert_close("softmax", &flat(&softmax(&x).unwrap()), &expected, 1e-14);
        assert_close("log softmax", &flat(&log_softmax(&x).unwrap()), &logarithms, 1e-13);
    }
}

#[test]
fn other_dtypes_take_the_composition() {
    let half = draw(&[4, 5]).to_dtype(DType::F16).unwrap();
    let double = half.to_dtype(DType::F64).unwrap();
    for f in [softmax, log_softmax] {
        assert_close("softmax in f16", &flat(&f(&half).unwrap()), &flat(&f(&double).unwrap()), 2e-3);
    }
}

#[test]
fn extremes_have_their_limits_and_nan_is_never_hidden() {
    let x =
        Tensor::new(&[[1e30f32, -1e30], [f32::NEG_INFINITY, 3.0], [f32::NAN, 3.0]], &Device::Cpu).unwrap();
    let (y, log) = (flat(&softmax(&x).unwrap()), flat(&log_softmax(&x).unwrap()));
    assert_eq!(y[..4], [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(log[2..4], [f64::NEG_INFINITY, 0.0]);
    assert!(y[4..].iter().chain(&log[4..]).all(|v| v.is_nan()));
}

#[test]
fn nothing_stays_nothing() {
    for shape in [[0, 3], [3, 0]] {
        let x = Var::zeros(&shape, DType::F32, &Device::Cpu).unwrap();
        for f in [softmax, log_softmax] {
            let y = f(&x).unwrap();
            assert_eq!(y.dims(), shape);
            let grads = y.sum_all().unwrap().backward().unwrap();
            assert_eq!(grads.get(&x).unwrap().dims(), shape);
        }
    }
}

#[test]
fn a_number_has_no_classes() {
    let x = Tensor::new(1f32, &Device::Cpu).unwrap();
    assert!(matches!(softmax(&x), Err(Error::Shape { .. })));
    assert!(matches!(log_softmax(&x), Err(Error::Shape { .. })));
}
