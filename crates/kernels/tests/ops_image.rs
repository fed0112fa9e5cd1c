//! Up-sampling, transposed convolution and scaled gradients: the table, values, other dtypes, misfits.

mod gradcheck;

use candle_core::{DType, Device, Tensor, Var};
use gradcheck::{Row, assert_close, check_all, flat, row};
use taskweave_kernels::ops::{self, Conv2d, ConvTranspose2d, Corners};
use taskweave_kernels::{Error, Result, Rng};

const PLAIN: ConvTranspose2d =
    ConvTranspose2d { stride: 1, padding: 0, output_padding: 0, dilation: 1, groups: 1 };

/// Images, kernels and geometries.
const TRANSPOSED: [([usize; 4], [usize; 4], ConvTranspose2d); 9] = [
    ([2, 3, 4, 5], [3, 2, 3, 3], PLAIN),
    ([1, 1, 1, 1], [1, 1, 1, 1], PLAIN),
    ([2, 3, 4, 3], [3, 2, 1, 1], PLAIN),
    ([2, 2, 3, 4], [2, 3, 3, 3], ConvTranspose2d { padding: 1, ..PLAIN }),
    ([9, 2, 3, 2], [2, 1, 2, 2], ConvTranspose2d { stride: 2, ..PLAIN }),
    ([1, 2, 3, 3], [2, 2, 3, 3], ConvTranspose2d { stride: 2, padding: 1, output_padding: 1, ..PLAIN }),
    ([2, 1, 3, 4], [1, 2, 2, 3], ConvTranspose2d { dilation: 2, ..PLAIN }),
    ([2, 4, 3, 3], [4, 3, 3, 3], ConvTranspose2d { groups: 2, stride: 3, ..PLAIN }),
    ([2, 3, 2, 3], [3, 1, 3, 3], ConvTranspose2d { groups: 3, padding: 1, ..PLAIN }),
];

/// Images and the size asked for.
const SIZES: [([usize; 4], [usize; 2]); 6] = [
    ([2, 2, 3, 4], [6, 8]),
    ([1, 1, 1, 1], [3, 2]),
    ([1, 3, 4, 5], [7, 3]),
    ([3, 1, 5, 2], [1, 1]),
    ([1, 1, 2, 1], [5, 4]),
    ([2, 1, 4, 3], [4, 3]),
];

fn table() -> Vec<Row> {
    let mut table = vec![
        row("nearest by 2", &[&[2, 3, 3, 5]], |a| ops::upsample_nearest2d(&a[0], 2)),
        row("nearest by 1", &[&[1, 1, 3, 5]], |a| ops::upsample_nearest2d(&a[0], 1)),
        row("bilinear, transposed", &[&[1, 2, 3, 4]], |a| {
            ops::upsample_bilinear2d(&a[0].transpose(2, 3)?, [5, 7], Corners::Centers)
        }),
        row("transposed convolution, no bias", &[&[2, 2, 3, 3], &[2, 2, 2, 2]], |a| {
            ops::conv_transpose2d(&a[0], &a[1], None, PLAIN)
        }),
        row("transposed convolution of what is transposed", &[&[2, 2, 3, 4], &[2, 2, 2, 3]], |a| {
            ops::conv_transpose2d(&a[0].transpose(2, 3)?, &a[1].transpose(2, 3)?, None, PLAIN)
        }),
        row("one result used twice", &[&[1, 2, 3, 3], &[2, 2, 2, 2]], |a| {
            let y = ops::conv_transpose2d(&a[0], &a[1], None, PLAIN)?;
            let z = ops::upsample_bilinear2d(&y, [3, 5], Corners::Aligned)?;
            Ok((y.narrow(2, 0, 3)?.sqr()? + z.narrow(3, 0, 4)?)?)
        }),
    ];
    for (x, weight, config) in TRANSPOSED {
        let out = weight[1] * config.groups;
        table.push(row("transposed convolution", &[&x, &weight, &[out]], move |a| {
            ops::conv_transpose2d(&a[0], &a[1], Some(&a[2]), config)
        }));
    }
    for (shape, size) in SIZES {
        for corners in [Corners::Aligned, Corners::Centers] {
            table.push(row("bilinear", &[&shape], move |a| ops::upsample_bilinear2d(&a[0], size, corners)));
        }
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

fn draw(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = Rng::new(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Candle's own loops over the definition.
#[test]
fn transposed_convolution_equals_candles() {
    for (x, weight, config) in TRANSPOSED.into_iter().filter(|(.., config)| config.groups == 1) {
        let (x, weight) = (draw(&x, 1), draw(&weight, 2));
        let ConvTranspose2d { stride, padding, output_padding, dilation, .. } = config;
        let theirs = x.conv_transpose2d(&weight, padding, output_padding, stride, dilation).unwrap();
        let ours = ops::conv_transpose2d(&x, &weight, None, config).unwrap();
        assert_eq!(ours.dims(), theirs.dims(), "{config:?}");
        assert_close("conv_transpose2d", &flat(&ours), &flat(&theirs), 1e-12);
    }
}

/// ⟨y, conv(z)⟩ = ⟨convᵀ(y), z⟩
#[test]
fn transposed_convolution_is_the_adjoint_of_convolution() {
    for (x, weight, config) in TRANSPOSED {
        let (x, weight) = (draw(&x, 3), draw(&weight, 4));
        let ConvTranspose2d { stride, padding, dilation, groups, .. } = config;
        let back = ops::conv_transpose2d(&x, &weight, None, config).unwrap();
        let z = draw(back.dims(), 5);
        let forth = ops::conv2d(&z, &weight, None, Conv2d { stride, padding, dilation, groups }).unwrap();
        let dot = |a: &Tensor, b: &Tensor| (a * b).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
        assert!((dot(&x, &forth) - dot(&back, &z)).abs() < 1e-10, "{config:?}");
    }
}

#[test]
fn bilinear_values_are_those_of_the_definition() {
    for (shape, size) in SIZES {
        let x = draw(&shape, 6);
        for corners in [Corners::Aligned, Corners::Centers] {
            let place = |i: usize, n: usize, m: usize| match corners {
                Corners::Aligned if m == 1 => 0.0,
                Corners::Aligned => i as f64 * (n as f64 - 1.0) / (m as f64 - 1.0),
                Corners::Centers => ((i as f64 + 0.5) * n as f64 / m as f64 - 0.5).max(0.0),
            };
            let mut expected = Vec::new();
            for plane in flat(&x).chunks(shape[2] * shape[3]) {
                let at = |i: usize, j: usize| plane[i.min(shape[2] - 1) * shape[3] + j.min(shape[3] - 1)];
                for (i, j) in (0..size[0]).flat_map(|i| (0..size[1]).map(move |j| (i, j))) {
                    let (r, c) = (place(i, shape[2], size[0]), place(j, shape[3], size[1]));
                    let (top, left, u, v) = (r as usize, c as usize, r.fract(), c.fract());
                    let above = at(top, left) * (1.0 - v) + at(top, left + 1) * v;
                    let below = at(top + 1, left) * (1.0 - v) + at(top + 1, left + 1) * v;
                    expected.push(above * (1.0 - u) + below * u);
                }
            }
            let found = flat(&ops::upsample_bilinear2d(&x, size, corners).unwrap());
            assert_close("bilinear", &found, &expected, 1e-13);
        }
    }
}

#[test]
fn other_dtypes_take_the_composition() {
    let (x, weight) = (draw(&[2, 4, 3, 5], 7), draw(&[4, 2, 3, 3], 8));
    let bias = draw(&[4], 9);
    let config = ConvTranspose2d { groups: 2, stride: 2, padding: 1, ..PLAIN };
    let all = |dtype: DType| -> Vec<f64> {
        let [x, weight, bias] = [&x, &weight, &bias].map(|t| t.to_dtype(dtype).unwrap());
        let results: [Result<Tensor>; 4] = [
            ops::conv_transpose2d(&x, &weight, Some(&bias), config),
            ops::upsample_bilinear2d(&x, [5, 7], Corners::Centers),
            ops::upsample_nearest2d(&x, 2),
            ops::gradient_reversal(&x, 0.5),
        ];
        results.into_iter().flat_map(|y| flat(&y.unwrap())).collect()
    };
    assert_close("compositions", &all(DType::F16), &all(DType::F64), 2e-3);
}

#[test]
fn gradients_are_scaled_in_every_dtype() {
    for dtype in [DType::F16, DType::F32, DType::F64] {
        let values = draw(&[2, 3], 10).to_dtype(dtype).unwrap();
        let x = Var::from_tensor(&values).unwrap();
        for (y, expected) in
            [(ops::gradient_reversal(&x.t().unwrap(), 0.5), -0.5), (ops::gradient_scale(&x, 4.0), 4.0)]
        {
            let y = y.unwrap();
            assert_eq!(y.sum_all().unwrap().to_dtype(DType::F64).unwrap().rank(), 0);
            let gradients = y.backward().unwrap();
            assert_eq!(flat(gradients.get(&x).unwrap()), [expected; 6]);
        }
        assert_eq!(flat(&ops::gradient_scale(&x, -2.0).unwrap()), flat(&values));
    }
}

#[test]
fn an_empty_batch_gives_an_empty_result_and_zero_gradients() {
    let x = Var::zeros((0, 2, 4, 4), DType::F32, &Device::Cpu).unwrap();
    let weight = Var::ones((2, 1, 2, 2), DType::F32, &Device::Cpu).unwrap();
    let bias = Var::ones(1, DType::F32, &Device::Cpu).unwrap();
    let y = ops::conv_transpose2d(&x, &weight, Some(&bias), PLAIN).unwrap();
    assert_eq!(y.dims(), [0, 1, 5, 5]);
    let gradients = y.sum_all().unwrap().backward().unwrap();
    assert_eq!(flat(gradients.get(&weight).unwrap()), [0.0; 8]);
    assert_eq!(flat(gradients.get(&bias).unwrap()), [0.0]);
    for y in [
        ops::upsample_bilinear2d(&x, [8, 8], Corners::Aligned),
        ops::upsample_nearest2d(&x, 2),
        ops::gradient_scale(&x, 2.0),
    ] {
        assert_eq!(y.unwrap().elem_count(), 0);
    }
}

#[test]
fn misfits_are_typed_errors() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let (x, weight) = (zeros(&[1, 4, 3, 3]), zeros(&[4, 2, 3, 3]));
    let shape = |y: Result<Tensor>| matches!(y, Err(Error::Shape { .. }));
    let parameter = |y: Result<Tensor>| matches!(y, Err(Error::Parameter { .. }));
    let transposed = |weight: &Tensor, config| ops::conv_transpose2d(&x, weight, None, config);
    assert!(shape(transposed(&zeros(&[3, 2, 3, 3]), PLAIN)));
    assert!(shape(transposed(&zeros(&[4, 2, 0, 3]), PLAIN)));
    assert!(shape(transposed(&weight, ConvTranspose2d { groups: 3, ..PLAIN })));
    assert!(shape(transposed(&weight, ConvTranspose2d { padding: 3, ..PLAIN })));
    assert!(shape(ops::conv_transpose2d(&x, &weight, Some(&zeros(&[4])), PLAIN)));
    assert!(parameter(transposed(&weight, ConvTranspose2d { stride: 0, ..PLAIN })));
    assert!(parameter(transposed(&weight, ConvTranspose2d { output_padding: 1, ..PLAIN })));
    let double = Tensor::zeros((4, 2, 3, 3), DType::F64, &Device::Cpu).unwrap();
    assert!(matches!(transposed(&double, PLAIN), Err(Error::DType { .. })));
    assert!(parameter(ops::upsample_bilinear2d(&x, [0, 3], Corners::Aligned)));
    assert!(shape(ops::upsample_bilinear2d(&zeros(&[1, 3, 0, 4]), [2, 2], Corners::Aligned)));
    assert!(parameter(ops::gradient_reversal(&x, -1.0)));
    assert!(parameter(ops::gradient_scale(&x, f64::NAN)));
}
