//! Normalizations: the table of gradients, values against the formula, large means, other dtypes, misfits.

mod gradcheck;

use candle_core::{DType, Device, Tensor, Var};
use gradcheck::{Row, assert_close, check_all, flat, row};
use taskweave_kernels::ops::{self, Activation, BatchNorm, ChannelStats, Statistics};
use taskweave_kernels::{Error, Result, Rng};

const EPS: f64 = 1e-5;

fn layer(a: &[Tensor]) -> Result<Tensor> {
    ops::layer_norm(&a[0], [a.get(1), a.get(2)], EPS)
}

fn batch(a: &[Tensor], activation: Activation) -> Result<Tensor> {
    let stats = ops::channel_stats(&a[0])?;
    let config = BatchNorm { eps: EPS, activation };
    ops::batch_norm_then(&a[0], [&a[1], &a[2]], Statistics::Batch(&stats), config)
}

fn batch_row(name: &'static str, shape: [usize; 3], activation: Activation) -> Row {
    row(name, &[&shape, &[shape[1]], &[shape[1]]], move |a| batch(a, activation))
}

fn group(name: &'static str, x: &[usize], groups: usize) -> Row {
    row(name, &[x, &[x[1]], &[x[1]]], move |a| {
        ops::group_norm(&a[0], groups, [Some(&a[1]), Some(&a[2])], EPS)
    })
}

fn table() -> Vec<Row> {
    vec![
        row("layer norm", &[&[2, 3, 7], &[7], &[7]], layer),
        row("layer norm, more rows than a block", &[&[35, 5], &[5], &[5]], layer),
        row("layer norm, wider than the lanes", &[&[3, 45], &[45], &[45]], layer),
        row("layer norm, no parameters", &[&[4, 6]], layer),
        row("layer norm, no weight", &[&[4, 6], &[6]], |a| ops::layer_norm(&a[0], [None, Some(&a[1])], EPS)),
        row("layer norm, no bias", &[&[4, 6], &[6]], layer),
        row("layer norm, transposed", &[&[5, 4], &[5], &[5]], |a| {
            ops::layer_norm(&a[0].t()?, [Some(&a[1]), Some(&a[2])], EPS)
        }),
        row("layer norm, used twice", &[&[3, 5], &[5], &[5]], |a| {
            let y = layer(a)?;
            Ok((y.sqr()? + layer(&[y])?)?)
        }),
        row("rms norm", &[&[3, 2, 9], &[9]], |a| ops::rms_norm(&a[0], Some(&a[1]), EPS)),
        row("rms norm, no weight", &[&[34, 3]], |a| ops::rms_norm(&a[0], None, EPS)),
        group("group norm", &[2, 6, 3, 5], 3),
        group("group norm, one group", &[3, 4, 5], 1),
        group("group norm, one image and channel", &[1, 1, 3, 3], 1),
        group("group norm, each channel", &[2, 3, 37], 3),
        group("group norm, no space", &[3, 6], 2),
        row("group norm, no parameters", &[&[2, 4, 3]], |a| ops::group_norm(&a[0], 2, [None, None], EPS)),
        row("group norm, bias", &[&[2, 4, 3], &[4]], |a| ops::group_norm(&a[0], 2, [None, Some(&a[1])], EPS)),
        batch_row("batch norm, identity", [3, 2, 35], Activation::Identity),
        batch_row("batch norm, relu", [3, 2, 35], Activation::Relu),
        batch_row("batch norm, relu, one image", [1, 3, 6], Activation::Relu),
        batch_row("batch norm, gelu", [4, 3, 2], Activation::Gelu),
        batch_row("batch norm, silu", [4, 1, 5], Activation::Silu),
        batch_row("batch norm, sigmoid", [2, 2, 5], Activation::Sigmoid),
        batch_row("batch norm, tanh", [2, 2, 5], Activation::Tanh),
        batch_row("batch norm, no space", [9, 3, 1], Activation::Relu),
        row("batch norm, transposed", &[&[3, 4, 2], &[2], &[2]], |a| {
            batch(&[a[0].transpose(1, 2)?, a[1].clone(), a[2].clone()], Activation::Relu)
        }),
        row("batch norm, fixed, relu", &[&[3, 2, 5], &[2], &[2]], |a| {
            let constant = |values: &[f64]| Tensor::new(values, &Device::Cpu)?.to_dtype(a[0].dtype());
            let stats = ChannelStats { mean: constant(&[0.1, -0.2])?, var: constant(&[1.5, 0.5])? };
            let config = BatchNorm { activation: Activation::Relu, ..BatchNorm::default() };
            ops::batch_norm_then(&a[0], [&a[1], &a[2]], Statistics::Fixed(&stats), config)
        }),
    ]
}

#[test]
fn gradients_are_right() {
    check_all(&table());
}

#[test]
fn half_precision_follows_double_precision() {
    gradcheck::half_precision_follows_double_precision(&table());
}

fn draw(shape: &[usize], dtype: DType, mean: f64) -> Tensor {
    let mut rng = Rng::new(7);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| mean + rng.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// In f64 and by the definition.
fn standardized(row: &[f64]) -> Vec<f64> {
    let n = row.len() as f64;
    let mean = row.iter().sum::<f64>() / n;
    let var = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    row.iter().map(|v| (v - mean) / (var + EPS).sqrt()).collect()
}

#[test]
fn a_mean_of_a_hundred_deviations_costs_no_precision() {
    let x = draw(&[16, 3, 40, 40], DType::F32, 100.0);
    let double = x.to_dtype(DType::F64).unwrap();
    let (stats, exact) = (ops::channel_stats(&x).unwrap(), ops::channel_stats(&double).unwrap());
    assert_close("variance", &flat(&stats.var), &flat(&exact.var), 1e-6);
    for (mean, exact) in flat(&stats.mean).iter().zip(flat(&exact.mean)) {
        assert!((mean / exact - 1.0).abs() < 1e-7);
    }
    let (one, zero) = (Tensor::ones(3, DType::F32, &Device::Cpu).unwrap(), draw(&[3], DType::F32, 0.0));
    let of = |x: &Tensor| {
        let cast = |p: &Tensor| p.to_dtype(x.dtype()).unwrap();
        flat(&batch(&[x.clone(), cast(&one), cast(&zero)], Activation::Identity).unwrap())
    };
    assert_close("batch norm", &of(&x), &of(&double), 2e-5);
    let rows = draw(&[20, 1500], DType::F32, 100.0);
    let expected: Vec<f64> = flat(&rows).chunks(1500).flat_map(standardized).collect();
    assert_close("layer norm", &flat(&layer(&[rows]).unwrap()), &expected, 2e-5);
}

#[test]
fn moments_of_other_planes_are_those_of_the_definition() {
    for shape in [[3, 2, 1], [2, 1, 2500], [5, 4, 33]] {
        let x = draw(&shape, DType::F64, 1e6);
        let stats = ops::channel_stats(&x).unwrap();
        let by_channel = x.transpose(0, 1).unwrap().contiguous().unwrap();
        let n = shape[0] * shape[2];
        for (channel, values) in flat(&by_channel).chunks(n).enumerate() {
            let mean = values.iter().map(|v| v - 1e6).sum::<f64>() / n as f64 + 1e6;
            let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
            assert!((flat(&stats.mean)[channel] - mean).abs() < 1e-9);
            assert!((flat(&stats.var)[channel] - var).abs() < 1e-9);
        }
    }
}

#[test]
fn values_are_those_of_the_definition() {
    let x = draw(&[4, 6, 5], DType::F64, 1.0);
    let expected: Vec<f64> = flat(&x).chunks(10).flat_map(standardized).collect();
    assert_close("group", &flat(&ops::group_norm(&x, 3, [None, None], EPS).unwrap()), &expected, 1e-12);
    let expected: Vec<f64> = flat(&x).chunks(5).flat_map(standardized).collect();
    assert_close("layer", &flat(&layer(std::slice::from_ref(&x)).unwrap()), &expected, 1e-12);
    let root = |row: &[f64]| (row.iter().map(|v| v * v).sum::<f64>() / 5.0 + EPS).sqrt();
    let expected: Vec<f64> =
        flat(&x).chunks(5).flat_map(|r| r.iter().map(|v| v / root(r)).collect::<Vec<_>>()).collect();
    assert_close("rms", &flat(&ops::rms_norm(&x, None, EPS).unwrap()), &expected, 1e-12);
}

#[test]
fn the_fused_activation_is_the_activation() {
    let arguments =
        [draw(&[5, 3, 7], DType::F64, 2.0), draw(&[3], DType::F64, 1.0), draw(&[3], DType::F64, 0.0)];
    for activation in
        [Activation::Relu, Activation::Gelu, Activation::Silu, Activation::Sigmoid, Activation::Tanh]
    {
        let apart = ops::activate(&batch(&arguments, Activation::Identity).unwrap(), activation).unwrap();
        assert_eq!(flat(&batch(&arguments, activation).unwrap()), flat(&apart));
    }
}

/// The compositions are what runs in other dtypes and on other devices.
#[test]
fn other_dtypes_take_the_composition() {
    let x = draw(&[4, 6, 5], DType::F16, 1.0);
    let double = x.to_dtype(DType::F64).unwrap();
    let (weight, bias) = (draw(&[6], DType::F16, 1.0), draw(&[6], DType::F16, 0.0));
    let all = |x: &Tensor| -> Vec<f64> {
        let p = [&weight, &bias].map(|p| p.to_dtype(x.dtype()).unwrap());
        let (t, given) = (x.transpose(1, 2).unwrap(), [Some(&p[0]), Some(&p[1])]);
        let results = [
            ops::layer_norm(&t, given, EPS),
            ops::rms_norm(&t, given[0], EPS),
            ops::group_norm(x, 2, given, EPS),
            batch(&[x.clone(), p[0].clone(), p[1].clone()], Activation::Relu),
        ];
        results.into_iter().flat_map(|y| flat(&y.unwrap())).collect()
    };
    assert_close("compositions", &all(&x), &all(&double), 5e-3);
}

#[test]
fn an_empty_batch_has_an_empty_result_and_zero_gradients() {
    let x = Var::zeros((0, 4, 3), DType::F32, &Device::Cpu).unwrap();
    let weight = Var::ones(4, DType::F32, &Device::Cpu).unwrap();
    let wide = Var::ones(3, DType::F32, &Device::Cpu).unwrap();
    for (y, weight) in [
        (ops::layer_norm(&x, [Some(&wide), None], EPS), &wide),
        (ops::rms_norm(&x, Some(&wide), EPS), &wide),
        (ops::group_norm(&x, 2, [Some(&weight), None], EPS), &weight),
    ] {
        let y = y.unwrap();
        assert_eq!(y.dims(), [0, 4, 3]);
        let gradients = y.sum_all().unwrap().backward().unwrap();
        assert!(flat(gradients.get(weight).unwrap()).iter().all(|&v| v == 0.0));
    }
}

#[test]
fn misfits_are_typed_errors() {
    let zeros = |shape: &[usize], dtype| Tensor::zeros(shape, dtype, &Device::Cpu).unwrap();
    let (x, two) = (zeros(&[2, 4, 3], DType::F32), zeros(&[2], DType::F32));
    let (three, double) = (zeros(&[3], DType::F32), zeros(&[3], DType::F64));
    let shape = |y: Result<Tensor>| matches!(y, Err(Error::Shape { .. }));
    let dtype = |y: Result<Tensor>| matches!(y, Err(Error::DType { .. }));
    let parameter = |y: Result<Tensor>| matches!(y, Err(Error::Parameter { .. }));
    assert!(shape(ops::layer_norm(&x, [Some(&two), None], EPS)));
    assert!(shape(ops::layer_norm(&zeros(&[2, 0], DType::F32), [None, None], EPS)));
    assert!(shape(ops::layer_norm(&zeros(&[], DType::F32), [None, None], EPS)));
    assert!(dtype(ops::layer_norm(&x, [None, Some(&double)], EPS)));
    assert!(parameter(ops::layer_norm(&x, [None, None], 0.0)));
    assert!(parameter(ops::rms_norm(&x, None, f64::NAN)));
    assert!(shape(ops::group_norm(&x, 3, [None, None], EPS)));
    assert!(shape(ops::group_norm(&x, 2, [Some(&three), None], EPS)));
    assert!(shape(ops::group_norm(&zeros(&[2, 4, 0], DType::F32), 2, [None, None], EPS)));
    assert!(parameter(ops::group_norm(&x, 0, [None, None], EPS)));
    assert!(parameter(ops::group_norm(&x, 2, [None, None], -1.0)));
    let y = zeros(&[2, 3], DType::F32);
    let stats = ops::channel_stats(&y).unwrap();
    assert!(dtype(ops::batch_norm(&y, [&three, &double], Statistics::Fixed(&stats), EPS)));
}

#[test]
fn nan_is_never_hidden() {
    let x = Tensor::new(&[[f32::NAN, 1.0, 2.0], [1.0, 2.0, 3.0]], &Device::Cpu).unwrap();
    for y in [ops::layer_norm(&x, [None, None], EPS), ops::rms_norm(&x, None, EPS)] {
        let y = flat(&y.unwrap());
        assert!(y[..3].iter().all(|v| v.is_nan()) && y[3..].iter().all(|v| v.is_finite()));
    }
}
