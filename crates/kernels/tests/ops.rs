//! Every differentiable function against central differences in f64, in f32, and with one and two threads.

mod gradcheck;

use candle_core::{DType, Device, Tensor, Var};
use gradcheck::{Row, assert_close, check_all, flat, row};
use taskweave_kernels::ops::{self, ChannelStats, Conv2d, Statistics};
use taskweave_kernels::{Error, Result, Rng};

fn conv(name: &'static str, x: [usize; 4], weight: [usize; 4], config: Conv2d) -> Row {
    row(name, &[&x, &weight, &[weight[0]]], move |a| ops::conv2d(&a[0], &a[1], Some(&a[2]), config))
}

fn trained_norm(a: &[Tensor]) -> Result<Tensor> {
    let stats = ops::channel_stats(&a[0])?;
    ops::batch_norm(&a[0], [&a[1], &a[2]], Statistics::Batch(&stats), 1e-5)
}

fn table() -> Vec<Row> {
    let plain = Conv2d::default();
    vec![
        conv("conv 3x3", [2, 3, 5, 7], [4, 3, 3, 3], Conv2d { padding: 1, ..plain }),
        conv("conv 1x1", [3, 5, 4, 3], [2, 5, 1, 1], plain),
        conv("conv 1x1 strided", [2, 2, 5, 5], [3, 2, 1, 1], Conv2d { stride: 2, ..plain }),
        conv("conv stride 2", [1, 2, 7, 6], [3, 2, 3, 3], Conv2d { stride: 2, padding: 1, ..plain }),
        conv(
            "conv stride 2, even and odd",
            [2, 2, 6, 5],
            [3, 2, 3, 3],
            Conv2d { stride: 2, padding: 1, ..plain },
        ),
        conv("conv stride 3", [1, 1, 8, 9], [2, 1, 2, 3], Conv2d { stride: 3, padding: 2, ..plain }),
        conv("conv dilated", [2, 2, 7, 7], [2, 2, 3, 3], Conv2d { dilation: 2, padding: 1, ..plain }),
        conv("conv grouped", [2, 4, 4, 4], [6, 2, 3, 3], Conv2d { groups: 2, padding: 1, ..plain }),
        conv("conv depthwise", [9, 3, 4, 4], [3, 1, 3, 3], Conv2d { groups: 3, padding: 1, ..plain }),
        conv("conv wide padding", [1, 1, 2, 2], [1, 1, 3, 3], Conv2d { padding: 4, ..plain }),
        conv(
            "conv wide padding, stride 2",
            [1, 1, 2, 3],
            [1, 1, 3, 3],
            Conv2d { padding: 4, stride: 2, ..plain },
        ),
        conv("conv one value", [1, 1, 1, 1], [1, 1, 1, 1], plain),
        conv("conv beyond the image", [1, 1, 2, 2], [1, 1, 5, 5], Conv2d { padding: 2, ..plain }),
        conv("conv even kernel", [2, 1, 4, 3], [2, 1, 2, 2], Conv2d { padding: 1, dilation: 2, ..plain }),
        conv("conv images in twos", [17, 1, 4, 8], [2, 1, 3, 3], Conv2d { padding: 1, ..plain }),
        conv("conv small images", [20, 2, 3, 2], [3, 2, 3, 3], Conv2d { padding: 1, ..plain }),
        conv("conv small, stride 2", [17, 2, 4, 5], [2, 2, 3, 3], Conv2d { stride: 2, padding: 1, ..plain }),
        conv("conv small, grouped", [17, 4, 3, 3], [6, 2, 3, 3], Conv2d { groups: 2, padding: 1, ..plain }),
        conv("conv small, 1x1", [17, 3, 4, 8], [2, 3, 1, 1], plain),
        conv("conv small, 1x1 grouped", [20, 4, 2, 3], [4, 2, 1, 1], Conv2d { groups: 2, ..plain }),
        conv("conv small, 1x1 strided", [17, 2, 3, 4], [3, 2, 1, 1], Conv2d { stride: 2, ..plain }),
        conv(
            "conv depthwise, stride 2",
            [3, 2, 7, 6],
            [2, 1, 3, 3],
            Conv2d { groups: 2, stride: 2, ..plain },
        ),
        conv(
            "conv depthwise, twofold",
            [2, 3, 5, 4],
            [6, 1, 3, 2],
            Conv2d { groups: 3, padding: 1, ..plain },
        ),
        conv(
            "conv depthwise, wide padding",
            [1, 2, 3, 2],
            [2, 1, 3, 3],
            Conv2d { groups: 2, padding: 4, ..plain },
        ),
        conv(
            "conv depthwise, dilated",
            [2, 2, 7, 9],
            [4, 1, 3, 3],
            Conv2d { groups: 2, padding: 1, dilation: 2, stride: 2 },
        ),
        row("batch norm, images", &[&[3, 2, 2, 3], &[2], &[2]], trained_norm),
        row("batch norm, rows", &[&[4, 9], &[9], &[9]], trained_norm),
        row("batch norm, fixed", &[&[2, 2, 9], &[2], &[2]], |a| {
            let mean = Tensor::new(&[0.3f64, -1.0], &Device::Cpu)?.to_dtype(a[0].dtype())?;
            let var = Tensor::new(&[0.5f64, 2.0], &Device::Cpu)?.to_dtype(a[0].dtype())?;
            ops::batch_norm(&a[0], [&a[1], &a[2]], Statistics::Fixed(&ChannelStats { mean, var }), 1e-5)
        }),
        row("max pool", &[&[2, 3, 4, 6]], |a| ops::max_pool2d(&a[0], 2, 2)),
        row("max pool, overlapping", &[&[2, 1, 5, 5]], |a| ops::max_pool2d(&a[0], 3, 1)),
        row("global mean", &[&[2, 3, 4, 5]], |a| ops::global_avg_pool2d(&a[0])),
        row("nearest", &[&[2, 2, 3, 2]], |a| ops::upsample_nearest2d(&a[0], 3)),
        row("pixel shuffle", &[&[2, 8, 2, 3]], |a| ops::pixel_shuffle(&a[0], 2)),
        row("relu", &[&[3, 7]], |a| ops::relu(&a[0])),
        row("relu, transposed", &[&[3, 7]], |a| ops::relu(&a[0].t()?)),
        row("linear", &[&[2, 3, 4], &[5, 4], &[5]], |a| ops::linear(&a[0], &a[1], Some(&a[2]))),
        row("dropout", &[&[5, 8]], |a| ops::dropout(&a[0], 0.4, &mut Rng::new(5))),
        row("conv of a transposed image", &[&[2, 3, 5, 4], &[2, 3, 3, 3]], |a| {
            ops::conv2d(&a[0].transpose(2, 3)?, &a[1], None, Conv2d::default())
        }),
        row("one result used twice", &[&[1, 2, 3, 3]], |a| {
            let y = ops::upsample_nearest2d(&a[0], 2)?;
            let z = ops::max_pool2d(&y, 2, 1)?;
            Ok((z.narrow(2, 0, 4)? + y.narrow(2, 0, 4)?.narrow(3, 0, 5)?)?)
        }),
    ]
}

#[test]
fn gradients_are_right() {
    check_all(&table());
}

/// The compositions, which run on other devices too; a gradient of candle's own goes the same way there.
#[test]
fn half_precision_follows_double_precision() {
    gradcheck::half_precision_follows_double_precision(&table());
}

#[test]
fn zeros_and_equal_values_have_the_same_gradient_in_every_dtype() {
    for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
        let zeros = Var::zeros(3, dtype, &Device::Cpu).unwrap();
        let slope = |y: Tensor| y.sum_all().unwrap().backward().unwrap();
        let gradients = slope(ops::relu(&zeros).unwrap());
        assert_eq!(flat(gradients.get(&zeros).unwrap()), [0.0; 3], "{dtype:?}");
        let equal = Var::ones((1, 1, 2, 2), dtype, &Device::Cpu).unwrap();
        let gradients = slope(ops::max_pool2d(&equal, 2, 2).unwrap());
        assert_eq!(flat(gradients.get(&equal).unwrap()), [1.0, 0.0, 0.0, 0.0], "{dtype:?}");
    }
}

/// Candle's own convolution is the second opinion on values; it loops over the definition.
#[test]
fn convolution_equals_candles() {
    for (groups, stride, padding, dilation) in
        [(1, 1, 1, 1), (2, 1, 0, 1), (1, 2, 2, 1), (1, 1, 2, 2), (4, 3, 1, 1)]
    {
        let config = Conv2d { stride, padding, dilation, groups };
        assert_equals_candles([3, 4, 9, 8], config);
        assert_equals_candles([17, 4, 5, 4], config);
    }
}

fn assert_equals_candles(shape: [usize; 4], config: Conv2d) {
    let mut rng = Rng::new(3);
    let mut draw = |shape: [usize; 4]| {
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
        Tensor::from_vec(values, &shape, &Device::Cpu).unwrap()
    };
    let Conv2d { stride, padding, dilation, groups } = config;
    let (x, weight) = (draw(shape), draw([8, 4 / groups, 3, 3]));
    let ours = ops::conv2d(&x, &weight, None, config).unwrap();
    let theirs = x.conv2d(&weight, padding, stride, dilation, groups).unwrap();
    assert_eq!(ours.dims(), theirs.dims());
    assert_close("conv2d", &flat(&ours), &flat(&theirs), 1e-12);
}

/// Enough channels and tiles for Winograd's algorithm, with the gradients too.
#[test]
fn wide_convolution_equals_candles() {
    let mut rng = Rng::new(4);
    let mut draw = |shape: &[usize]| {
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
        Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
    };
    let (x, weight, scale) = (draw(&[5, 32, 16, 18]), draw(&[33, 32, 3, 3]), draw(&[5, 33, 16, 18]));
    let ours = ops::conv2d(&x, &weight, None, Conv2d { padding: 1, ..Conv2d::default() }).unwrap();
    let theirs = x.conv2d(&weight, 1, 1, 1, 1).unwrap();
    assert_close("wide conv2d", &flat(&ours), &flat(&theirs), 1e-12);
    let gradients = [ours, theirs].map(|y| (y * scale.as_tensor()).unwrap().backward().unwrap());
    for var in [&x, &weight] {
        let [ours, theirs] = [0, 1].map(|i| flat(gradients[i].get(var).unwrap()));
        assert_close("gradient of wide conv2d", &ours, &theirs, 1e-12);
    }
}

#[test]
fn other_dtypes_take_the_composition() {
    let x = Tensor::ones((1, 2, 4, 4), DType::F16, &Device::Cpu).unwrap();
    let weight = Tensor::ones((1, 2, 3, 3), DType::F16, &Device::Cpu).unwrap();
    let one = Tensor::ones(2, DType::F16, &Device::Cpu).unwrap();
    assert_eq!(flat(&ops::conv2d(&x, &weight, None, Conv2d::default()).unwrap()), [18.0; 4]);
    assert_eq!(flat(&ops::upsample_nearest2d(&x, 2).unwrap()).len(), 128);
    assert_eq!(flat(&trained_norm(&[x.clone(), one.clone(), one.clone()]).unwrap()), [1.0; 32]);
    assert_eq!(flat(&ops::max_pool2d(&x, 2, 2).unwrap()), [1.0; 8]);
}

#[test]
fn an_empty_batch_gives_an_empty_result_and_zero_gradients() {
    let x = Var::zeros((0, 2, 4, 4), DType::F32, &Device::Cpu).unwrap();
    let weight = Var::ones((3, 2, 3, 3), DType::F32, &Device::Cpu).unwrap();
    let y = ops::conv2d(&x, &weight, None, Conv2d::default()).unwrap();
    assert_eq!(y.dims(), [0, 3, 2, 2]);
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert_eq!(flat(grads.get(&weight).unwrap()), [0.0; 54]);
}

#[test]
fn nan_is_never_hidden() {
    let x = Tensor::new(&[[[[f32::NAN, 1.0], [2.0, 3.0]]]], &Device::Cpu).unwrap();
    assert!(!ops::all_finite(&ops::relu(&x).unwrap()).unwrap());
    assert!(!ops::all_finite(&ops::max_pool2d(&x, 2, 2).unwrap()).unwrap());
}

#[test]
fn misfits_are_typed_errors() {
    let x = Tensor::zeros((1, 3, 4, 4), DType::F32, &Device::Cpu).unwrap();
    let weight =
        |shape: (usize, usize, usize, usize)| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let conv = |w: &Tensor, config| ops::conv2d(&x, w, None, config);
    let plain = Conv2d::default();
    assert!(matches!(conv(&weight((2, 2, 3, 3)), plain), Err(Error::Shape { .. })));
    assert!(matches!(conv(&weight((2, 3, 5, 5)), plain), Err(Error::Shape { .. })));
    assert!(matches!(conv(&weight((2, 3, 0, 3)), plain), Err(Error::Shape { .. })));
    assert!(matches!(
        conv(&weight((2, 3, 3, 3)), Conv2d { stride: 0, ..plain }),
        Err(Error::Parameter { .. })
    ));
    assert!(matches!(ops::max_pool2d(&x, 5, 1), Err(Error::Shape { .. })));
    assert!(matches!(ops::max_pool2d(&x, 2, 0), Err(Error::Parameter { .. })));
    assert!(matches!(ops::pixel_shuffle(&x, 2), Err(Error::Shape { .. })));
    assert!(matches!(
        ops::linear(&x, &Tensor::zeros((2, 5), DType::F32, &Device::Cpu).unwrap(), None),
        Err(Error::Shape { .. })
    ));
    let three = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
    let stats = ops::channel_stats(&x).unwrap();
    let lone = Tensor::zeros((1, 3), DType::F32, &Device::Cpu).unwrap();
    assert!(matches!(trained_norm(&[lone, three.clone(), three.clone()]), Err(Error::Shape { .. })));
    assert!(matches!(
        ops::batch_norm(&x, [&three, &three], Statistics::Fixed(&stats), 0.0),
        Err(Error::Parameter { .. })
    ));
}
