//! Binary cross-entropy: gradients against central differences, the ends of its range.

mod gradcheck;

use candle_core::{DType, Device, Tensor, Var};
use gradcheck::{Row, assert_close, check_all, flat, row};
use taskweave_kernels::{Error, ops};

fn table() -> Vec<Row> {
    let loss = |name, shape: &'static [usize], pos_weight: f64| {
        row(name, &[shape, shape], move |a| ops::bce_with_logits(&a[0], &a[1], pos_weight))
    };
    vec![
        loss("bce", &[7], 1.0),
        loss("bce, positives count", &[3, 5], 2.5),
        loss("bce of one", &[1], 0.3),
        loss("bce of none", &[0, 2], 1.0),
        loss("bce of a scalar", &[], 1.0),
        row("bce, transposed", &[&[3, 5], &[5, 3]], |a| ops::bce_with_logits(&a[0].t()?, &a[1], 1.5)),
        row("bce used twice", &[&[4], &[4]], |a| {
            let y = ops::bce_with_logits(&a[0], &a[1], 1.0)?;
            Ok(((&y * &y)? + &y)?)
        }),
    ]
}

#[test]
fn gradients_are_right() {
    check_all(&table());
}

#[test]
fn the_ends_of_the_range_are_finite_and_nan_is_kept() {
    for dtype in [DType::F32, DType::F64] {
        let tensor = |values: &[f64]| Tensor::new(values, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        let x = Var::from_tensor(&tensor(&[800.0, 800.0, -800.0, -800.0, f64::NAN])).unwrap();
        let losses = ops::bce_with_logits(&x, &tensor(&[1.0, 0.0, 1.0, 0.0, 0.5]), 2.0).unwrap();
        let slopes = losses.backward().unwrap().get(&x).unwrap().clone();
        assert_eq!(flat(&losses)[..4], [0.0, 800.0, 1600.0, 0.0]);
        assert_eq!(flat(&slopes)[..4], [0.0, 1.0, -2.0, 0.0]);
        assert!(flat(&losses)[4].is_nan() && flat(&slopes)[4].is_nan());
    }
    let confident = Tensor::new(&[60f64], &Device::Cpu).unwrap();
    let loss = flat(&ops::bce_with_logits(&confident, &confident.ones_like().unwrap(), 1.0).unwrap())[0];
    assert!((loss / (-60f64).exp() - 1.0).abs() < 1e-14, "{loss}");
}

#[test]
fn many_numbers_are_those_of_the_definition() {
    let values: Vec<f64> = (0..40_000).map(|i| 9.0 * (i as f64 * 0.37).sin()).collect();
    let x = Tensor::new(values.as_slice(), &Device::Cpu).unwrap();
    let t = (x.cos().unwrap() * 0.5).unwrap().affine(1.0, 0.5).unwrap();
    let expected: Vec<f64> = values.iter().zip(flat(&t)).map(|(x, t)| (1.0 + x.exp()).ln() - t * x).collect();
    assert_close("bce", &flat(&ops::bce_with_logits(&x, &t, 1.0).unwrap()), &expected, 1e-14);
}

#[test]
fn other_dtypes_take_the_composition() {
    let x = Tensor::zeros(3, DType::BF16, &Device::Cpu).unwrap();
    let losses = ops::bce_with_logits(&x, &x, 1.0).unwrap();
    assert_close("bce in bf16", &flat(&losses), &[2f64.ln(); 3], 1e-2);
}

#[test]
fn misfits_are_typed_errors() {
    let zeros = |n: usize, dtype| Tensor::zeros(n, dtype, &Device::Cpu).unwrap();
    let x = zeros(3, DType::F32);
    assert!(matches!(ops::bce_with_logits(&x, &zeros(2, DType::F32), 1.0), Err(Error::Shape { .. })));
    assert!(matches!(ops::bce_with_logits(&x, &zeros(3, DType::F64), 1.0), Err(Error::DType { .. })));
    let whole = zeros(3, DType::U32);
    assert!(matches!(ops::bce_with_logits(&whole, &whole, 1.0), Err(Error::DType { .. })));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(ops::bce_with_logits(&x, &x, bad), Err(Error::Parameter { .. })));
    }
}
