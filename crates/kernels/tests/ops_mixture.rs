//! Mixtures of experts: gradients against central differences, values against the definition.

mod gradcheck;

use candle_core::{DType, Device, Tensor};
use gradcheck::{Row, arguments, assert_close, check_all, flat, row};
use taskweave_kernels::ops::{self, Activation};
use taskweave_kernels::{Error, Result};

/// Sizes: rows, experts, in, out.
fn layer(name: &'static str, x: &[usize], [experts, out]: [usize; 2], activation: Activation) -> Row {
    let weight = [experts, out, x[x.len() - 1]];
    row(name, &[x, &weight, &[experts, out]], move |a| {
        ops::expert_linear(&a[0], &a[1], Some(&a[2]), activation)
    })
}

/// Two layers of experts, mixed by the gates of every task.
fn mixture(a: &[Tensor]) -> Result<Tensor> {
    let hidden = ops::expert_linear(&a[0], &a[1], None, Activation::Tanh)?;
    let outputs = ops::expert_linear(&hidden, &a[2], Some(&a[3]), Activation::Identity)?;
    ops::mix(&ops::expert_linear(&a[0], &a[4], None, Activation::Identity)?, &outputs)
}

fn table() -> Vec<Row> {
    vec![
        layer("experts, shared input", &[5, 3], [4, 2], Activation::Identity),
        layer("experts, shared input, tanh", &[7, 5], [3, 17], Activation::Tanh),
        layer("experts, shared input, silu", &[2, 3], [2, 5], Activation::Silu),
        layer("experts, an input each", &[5, 4, 3], [4, 2], Activation::Identity),
        layer("experts, an input each, sigmoid", &[3, 2, 5], [2, 19], Activation::Sigmoid),
        layer("experts, an input each, gelu", &[2, 3, 4], [3, 2], Activation::Gelu),
        layer("experts, more rows than a block", &[300, 2, 2], [2, 1], Activation::Identity),
        layer("experts, one of everything", &[1, 1, 1], [1, 1], Activation::Tanh),
        layer("experts without rows", &[0, 2, 3], [2, 2], Activation::Relu),
        row("experts without bias, transposed", &[&[3, 4], &[2, 5, 3]], |a| {
            ops::expert_linear(&a[0].t()?, &a[1], None, Activation::Identity)
        }),
        row("mix", &[&[5, 3], &[5, 3, 4]], |a| ops::mix(&a[0], &a[1])),
        row("mix of one", &[&[2, 1], &[2, 1, 1]], |a| ops::mix(&a[0], &a[1])),
        row("mix, wide", &[&[3, 2], &[3, 2, 37]], |a| ops::mix(&a[0], &a[1])),
        row("mix, many rows", &[&[70, 2], &[70, 2, 1]], |a| ops::mix(&a[0], &a[1])),
        row("mix for tasks", &[&[5, 3, 4], &[5, 4, 6]], |a| ops::mix(&a[0], &a[1])),
        row("mix without rows", &[&[0, 3], &[0, 3, 2]], |a| ops::mix(&a[0], &a[1])),
        row("mix, transposed", &[&[3, 5], &[3, 5, 4]], |a| ops::mix(&a[0].t()?, &a[1].transpose(0, 1)?)),
        row("outputs mixed twice", &[&[4, 2], &[4, 2], &[4, 2, 3]], |a| {
            Ok((ops::mix(&a[0], &a[2])? * ops::mix(&a[1], &a[2])?)?)
        }),
        row("mixture", &[&[4, 3], &[2, 5, 3], &[2, 4, 5], &[2, 4], &[3, 2, 3]], mixture),
    ]
}

#[test]
fn gradients_are_right() {
    check_all(&table());
}

#[test]
fn an_expert_is_a_layer_of_its_own() {
    let row = layer("definition", &[9, 3, 4], [3, 6], Activation::Relu);
    let a: Vec<Tensor> = arguments(&row, DType::F64).iter().map(|v| v.as_detached_tensor()).collect();
    let own = ops::expert_linear(&a[0], &a[1], Some(&a[2]), Activation::Relu).unwrap();
    let shared = ops::expert_linear(&a[0].get_on_dim(1, 0).unwrap(), &a[1], Some(&a[2]), Activation::Relu);
    let shared = shared.unwrap();
    for e in 0..3 {
        let [weight, bias] = [&a[1], &a[2]].map(|p| p.get(e).unwrap());
        for (found, input) in [(&own, e), (&shared, 0)] {
            let x = a[0].get_on_dim(1, input).unwrap();
            let expected = ops::linear_then(&x, [Some(&weight), Some(&bias)], Activation::Relu).unwrap();
            assert_close("expert", &flat(&found.get_on_dim(1, e).unwrap()), &flat(&expected), 1e-14);
        }
    }
}

#[test]
fn gates_far_apart_choose_one_expert() {
    let gates = Tensor::new(&[[[800f32, -800.0], [-800.0, 800.0]]], &Device::Cpu).unwrap();
    let outputs = Tensor::new(&[[[1f32, 2.0], [3.0, 4.0]]], &Device::Cpu).unwrap();
    assert_eq!(flat(&ops::mix(&gates, &outputs).unwrap()), [1.0, 2.0, 3.0, 4.0]);
    let nan = Tensor::new(&[[f32::NAN, 0.0]], &Device::Cpu).unwrap();
    assert!(flat(&ops::mix(&nan, &outputs).unwrap()).iter().all(|y| y.is_nan()));
}

/// Sizes at which products are shared among threads.
#[test]
fn the_number_of_threads_changes_no_bit_of_large_layers() {
    let shapes: [&[usize]; 3] = [&[300, 130], &[4, 60, 130], &[4, 33, 60]];
    let large = row("large", &shapes, |a| {
        let hidden = ops::expert_linear(&a[0], &a[1], None, Activation::Relu)?;
        ops::expert_linear(&hidden, &a[2], None, Activation::Identity)
    });
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| gradcheck::gradients(&large, DType::F32))
    };
    assert_eq!(on(1), on(2));
}

#[test]
fn other_dtypes_take_the_composition() {
    let ones = |shape: &[usize]| Tensor::ones(shape, DType::F16, &Device::Cpu).unwrap();
    let layer = |x: &[usize]| {
        ops::expert_linear(&ones(x), &ones(&[3, 4, 2]), Some(&ones(&[3, 4])), Activation::Relu).unwrap()
    };
    let y = layer(&[5, 2]);
    assert_eq!((y.dims(), flat(&y)), (&[5, 3, 4][..], vec![3.0; 60]));
    assert_eq!(flat(&layer(&[5, 3, 2])), [3.0; 60]);
    let mixed = ops::mix(&ones(&[5, 2, 3]), &y).unwrap();
    assert_eq!(mixed.dims(), [5, 2, 4]);
    assert_close("mix in f16", &flat(&mixed), &[3.0; 40], 1e-2);
    assert_eq!(ops::mix(&ones(&[5, 3]), &y).unwrap().dims(), [5, 4]);
}

#[test]
fn misfits_are_typed_errors() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let layer = |x: &Tensor, weight: &Tensor, bias: &Tensor| {
        ops::expert_linear(x, weight, Some(bias), Activation::Identity).unwrap_err()
    };
    let (x, weight, bias) = (zeros(&[5, 3]), zeros(&[2, 4, 3]), zeros(&[2, 4]));
    assert!(matches!(layer(&zeros(&[5, 4]), &weight, &bias), Error::Shape { .. }));
    assert!(matches!(layer(&zeros(&[5, 3, 3]), &weight, &bias), Error::Shape { .. }));
    assert!(matches!(layer(&zeros(&[3]), &weight, &bias), Error::Shape { .. }));
    assert!(matches!(layer(&x, &zeros(&[4, 3]), &bias), Error::Shape { .. }));
    assert!(matches!(layer(&x, &weight, &zeros(&[4])), Error::Shape { .. }));
    assert!(matches!(layer(&x.to_dtype(DType::F64).unwrap(), &weight, &bias), Error::DType { .. }));
    let outputs = zeros(&[5, 2, 3]);
    for gates in [zeros(&[5, 3]), zeros(&[4, 2]), zeros(&[5]), zeros(&[5, 1, 3])] {
        assert!(matches!(ops::mix(&gates, &outputs), Err(Error::Shape { .. })));
    }
    assert!(matches!(ops::mix(&zeros(&[5, 0]), &zeros(&[5, 0, 3])), Err(Error::Shape { .. })));
    let double = zeros(&[5, 2]).to_dtype(DType::F64).unwrap();
    assert!(matches!(ops::mix(&double, &outputs), Err(Error::DType { .. })));
}
