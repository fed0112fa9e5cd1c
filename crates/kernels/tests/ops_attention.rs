//! Attention against central differences, against plain loops, in f32, and with one and two threads.

mod gradcheck;

use candle_core::{DType, Device, Tensor, Var};
use gradcheck::{Row, assert_close, check_all, flat, row};
use taskweave_kernels::ops::{Attention, AttentionMask, attention, self_attention};
use taskweave_kernels::{Error, Result, Rng};

fn draw(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = Rng::new(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// `[2, 1, 3, 4]`, the second query of the first sample without any key.
fn yes_and_no() -> Tensor {
    let seen: [u8; 24] = [1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 0];
    Tensor::from_slice(&seen, (2, 1, 3, 4), &Device::Cpu).unwrap()
}

fn apart(
    name: &'static str,
    [batch, queries, keys]: [usize; 3],
    [heads, dim, value_dim]: [usize; 3],
    mask: AttentionMask<'static>,
) -> Row {
    let (width, value_width) = (heads * dim, heads * value_dim);
    row(name, &[&[batch, queries, width], &[batch, keys, width], &[batch, keys, value_width]], move |a| {
        attention(&a[0], &a[1], &a[2], Attention { heads, mask })
    })
}

fn packed(name: &'static str, shape: [usize; 3], heads: usize, mask: AttentionMask<'static>) -> Row {
    row(name, &[&shape], move |a| self_attention(&a[0], Attention { heads, mask }))
}

fn table() -> Vec<Row> {
    vec![
        apart("attention", [2, 3, 5], [2, 3, 2], AttentionMask::None),
        apart("attention, one of all", [1, 1, 1], [1, 1, 1], AttentionMask::None),
        apart("attention, causal", [2, 4, 3], [1, 2, 3], AttentionMask::Causal),
        apart("attention, lengths", [3, 2, 4], [2, 1, 2], AttentionMask::KeyLengths(&[4, 0, 1])),
        apart("attention, wide rows", [1, 2, 37], [2, 2, 3], AttentionMask::None),
        packed("self-attention", [2, 5, 18], 3, AttentionMask::None),
        packed("self-attention, causal", [3, 4, 12], 2, AttentionMask::Causal),
        packed("self-attention, causal blocks", [1, 67, 3], 1, AttentionMask::Causal),
        packed("self-attention, lengths", [3, 3, 6], 1, AttentionMask::KeyLengths(&[2, 3, 0])),
        row("attention, yes and no", &[&[2, 3, 4], &[2, 4, 4], &[2, 4, 2]], |a| {
            let mask = yes_and_no();
            attention(&a[0], &a[1], &a[2], Attention { heads: 2, mask: AttentionMask::Tensor(&mask) })
        }),
        row("attention, added", &[&[2, 3, 4], &[2, 4, 4], &[2, 4, 2]], |a| {
            let mask = draw(&[1, 2, 3, 4], 5).to_dtype(a[0].dtype())?;
            attention(&a[0], &a[1], &a[2], Attention { heads: 2, mask: AttentionMask::Tensor(&mask) })
        }),
        row("attention, parts of one tensor", &[&[2, 5, 12]], |a| {
            let part = |start: usize| a[0].narrow(2, start, 4);
            attention(
                &part(0)?.narrow(1, 1, 3)?,
                &part(4)?,
                &part(8)?,
                Attention { heads: 2, ..Default::default() },
            )
        }),
        row("attention, one memory for all", &[&[3, 2, 4], &[1, 5, 4], &[1, 1, 2]], |a| {
            let (k, v) = (a[1].broadcast_as((3, 5, 4))?, a[2].broadcast_as((3, 5, 2))?);
            attention(&a[0], &k, &v, Attention { heads: 2, ..Default::default() })
        }),
        row("attention, transposed", &[&[3, 2, 2], &[2, 2, 4], &[2, 4, 2]], |a| {
            let (q, k) = (a[0].transpose(0, 1)?, a[1].transpose(1, 2)?);
            attention(&q, &k, &a[2], Attention::default())
        }),
        row("attention, columns and repeated steps", &[&[2, 1, 2], &[2, 1, 4], &[2, 4, 1]], |a| {
            let k = a[1].transpose(1, 2)?;
            let q = a[0].narrow(2, 1, 1)?.broadcast_as((2, 3, 1))?;
            attention(&q, &k, &a[2], Attention::default())
        }),
        row("self-attention, time first", &[&[5, 2, 12]], |a| {
            self_attention(&a[0].transpose(0, 1)?, Attention { heads: 2, mask: AttentionMask::Causal })
        }),
        row("attention of one tensor to itself", &[&[2, 3, 4]], |a| {
            let once = attention(&a[0], &a[0], &a[0], Attention { heads: 2, ..Attention::default() })?;
            Ok((attention(&once, &a[0], &once, Attention::default())? + once)?)
        }),
    ]
}

#[test]
fn gradients_are_right() {
    check_all(&table());
}

/// What is seen by whom, and what is added.
type Scores<'a> = &'a dyn Fn([usize; 4]) -> f64;

/// The formula, number by number.
fn plain([q, k, v]: [&Tensor; 3], heads: usize, added: Scores<'_>) -> Vec<f64> {
    let ((batch, queries, width), (_, keys, value_width)) = (q.dims3().unwrap(), v.dims3().unwrap());
    let (dim, value_dim) = (width / heads, value_width / heads);
    let [q, k, v] = [q, k, v].map(flat);
    let mut out = vec![0.0; batch * queries * value_width];
    for (b, h, i) in (0..batch).flat_map(|b| (0..heads * queries).map(move |n| (b, n / queries, n % queries)))
    {
        let query = &q[(b * queries + i) * width + h * dim..][..dim];
        let weight = |j: usize| {
            let key = &k[(b * keys + j) * width + h * dim..][..dim];
            let score = query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() / (dim as f64).sqrt();
            (score + added([b, h, i, j])).exp()
        };
        let weights: Vec<f64> = (0..keys).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let out = &mut out[(b * queries + i) * value_width + h * value_dim..][..value_dim];
        for (j, w) in weights.iter().enumerate().filter(|_| sum > 0.0) {
            let value = &v[(b * keys + j) * value_width + h * value_dim..][..value_dim];
            out.iter_mut().zip(value).for_each(|(o, v)| *o += w / sum * v);
        }
    }
    out
}

fn when(seen: bool) -> f64 {
    if seen { 0.0 } else { f64::NEG_INFINITY }
}

#[test]
fn values_are_those_of_the_formula() {
    let (q, k, v) = (draw(&[2, 70, 6], 1), draw(&[2, 1030, 6], 2), draw(&[2, 1030, 10], 3));
    let added = draw(&[2, 1, 70, 1030], 4);
    let numbers = flat(&added);
    let cases: [(AttentionMask<'_>, Scores<'_>); 4] = [
        (AttentionMask::None, &|_| 0.0),
        (AttentionMask::Causal, &|[_, _, i, j]| when(j <= i)),
        (AttentionMask::KeyLengths(&[0, 999]), &|[b, _, _, j]| when(j < [0, 999][b])),
        (AttentionMask::Tensor(&added), &|[b, _, i, j]| numbers[(b * 70 + i) * 1030 + j]),
    ];
    for (mask, scores) in cases {
        let o = attention(&q, &k, &v, Attention { heads: 2, mask }).unwrap();
        assert_eq!(o.dims(), [2, 70, 10]);
        assert_close("attention", &flat(&o), &plain([&q, &k, &v], 2, scores), 1e-13);
    }
}

#[test]
fn one_projection_is_three_tensors() {
    let qkv = draw(&[3, 130, 24], 1);
    let part = |i: usize| qkv.narrow(2, 8 * i, 8).unwrap();
    for mask in [AttentionMask::None, AttentionMask::Causal, AttentionMask::KeyLengths(&[130, 1, 77])] {
        let config = Attention { heads: 4, mask };
        let together = self_attention(&qkv, config).unwrap();
        let apart = attention(&part(0), &part(1), &part(2), config).unwrap();
        assert_close("self-attention", &flat(&together), &flat(&apart), 1e-14);
    }
}

#[test]
fn what_lies_behind_the_end_of_a_sample_is_not_read() {
    let mut keys = [1.0; 8];
    keys[6..].fill(f64::NAN);
    let keys = Var::from_slice(&keys, (1, 4, 2), &Device::Cpu).unwrap();
    let q = Var::from_tensor(&draw(&[1, 2, 2], 1)).unwrap();
    let config = Attention { heads: 1, mask: AttentionMask::KeyLengths(&[3]) };
    let o = attention(&q, &keys, &keys, config).unwrap();
    assert_close("output", &flat(&o), &[1.0; 4], 1e-15);
    let grads = o.sum_all().unwrap().backward().unwrap();
    assert!(flat(grads.get(&q).unwrap()).iter().all(|g| g.abs() < 1e-15));
    assert_eq!(flat(grads.get(&keys).unwrap())[6..], [0.0; 2]);
}

#[test]
fn large_scores_neither_overflow_nor_vanish() {
    let q = Tensor::new(&[[[300f32]]], &Device::Cpu).unwrap();
    let k = Tensor::new(&[[[300f32], [-300.0]]], &Device::Cpu).unwrap();
    let v = Tensor::new(&[[[2f32], [7.0]]], &Device::Cpu).unwrap();
    assert_eq!(flat(&attention(&q, &k, &v, Attention::default()).unwrap()), [2.0]);
    let q = q.neg().unwrap();
    assert_eq!(flat(&attention(&q, &k, &v, Attention::default()).unwrap()), [7.0]);
}

#[test]
fn other_dtypes_take_the_composition() {
    let half: Vec<Tensor> = [&[2, 3, 4], &[2, 4, 4], &[2, 4, 4]]
        .iter()
        .map(|shape| draw(*shape, 3).to_dtype(DType::F16).unwrap())
        .collect();
    let double: Vec<Tensor> = half.iter().map(|a| a.to_dtype(DType::F64).unwrap()).collect();
    let seen = yes_and_no();
    let masks = [
        AttentionMask::None,
        AttentionMask::Causal,
        AttentionMask::KeyLengths(&[0, 3]),
        AttentionMask::Tensor(&seen),
    ];
    for mask in masks {
        let config = Attention { heads: 2, mask };
        let [ours, other] = [&double, &half].map(|a| {
            let vars: Vec<Var> = a.iter().map(|a| Var::from_tensor(a).unwrap()).collect();
            let o = attention(&vars[0], &vars[1], &vars[2], config).unwrap();
            let grads = o.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            [vec![flat(&o)], vars.iter().map(|v| flat(grads.get(v).unwrap())).collect()].concat()
        });
        for (ours, other) in ours.iter().zip(&other) {
            assert_close("attention in f16", other, ours, 2e-2);
        }
    }
    let qkv = draw(&[1, 5, 6], 2).to_dtype(DType::F16).unwrap();
    let ours = self_attention(&qkv.to_dtype(DType::F64).unwrap(), Attention::default()).unwrap();
    let other = self_attention(&qkv, Attention::default()).unwrap();
    assert_close("self-attention in f16", &flat(&other), &flat(&ours), 5e-3);
}

#[test]
fn nothing_to_attend_to_gives_zeros_and_no_gradient() {
    for [batch, queries, keys] in [[0, 2, 3], [2, 0, 3], [2, 3, 0]] {
        let var = |time: usize| Var::ones((batch, time, 4), DType::F32, &Device::Cpu).unwrap();
        let (q, k, v) = (var(queries), var(keys), var(keys));
        let o = attention(&q, &k, &v, Attention { heads: 2, ..Attention::default() }).unwrap();
        assert_eq!(o.dims(), [batch, queries, 4]);
        let grads = o.sum_all().unwrap().backward().unwrap();
        assert!(
            [&o].into_iter()
                .chain([&q, &k, &v].map(|x| grads.get(x).unwrap()))
                .all(|x| { flat(x).iter().all(|&v| v == 0.0) })
        );
    }
}

#[test]
fn parts_of_an_empty_batch_give_an_empty_batch() {
    for [batch, time] in [[0, 5], [2, 0]] {
        let x = Var::zeros((batch, time, 12), DType::F32, &Device::Cpu).unwrap();
        let part = |from: usize| x.narrow(2, from, 4).unwrap();
        let o =
            attention(&part(0), &part(4), &part(8), Attention { heads: 2, ..Attention::default() }).unwrap();
        assert_eq!(o.dims(), [batch, time, 4]);
        assert_eq!(o.sum_all().unwrap().backward().unwrap().get(&x).unwrap().dims(), x.dims());
    }
}

fn refused(shapes: [&[usize]; 3], heads: usize, mask: AttentionMask<'_>) -> Error {
    let [q, k, v] = shapes.map(|shape| draw(shape, 0));
    attention(&q, &k, &v, Attention { heads, mask }).unwrap_err()
}

#[test]
fn misfits_are_typed_errors() {
    let fine: [&[usize]; 3] = [&[2, 3, 4], &[2, 5, 4], &[2, 5, 4]];
    for wrong in [
        [&[3, 4], fine[1], fine[2]],
        [fine[0], &[1, 5, 4], fine[2]],
        [fine[0], &[2, 5, 6], fine[2]],
        [fine[0], fine[1], &[2, 6, 4]],
        [fine[0], fine[1], &[1, 5, 4]],
    ] {
        assert!(matches!(refused(wrong, 2, AttentionMask::None), Error::Shape { .. }), "{wrong:?}");
    }
    for heads in [0, 3, 8] {
        assert!(matches!(refused(fine, heads, AttentionMask::None), Error::Parameter { .. }));
    }
    for lengths in [&[5usize][..], &[5, 6]] {
        assert!(matches!(refused(fine, 1, AttentionMask::KeyLengths(lengths)), Error::Parameter { .. }));
    }
    for shape in [&[2, 3, 3, 5][..], &[2, 1, 5, 3], &[3, 5]] {
        let mask = draw(shape, 1);
        assert!(matches!(refused(fine, 2, AttentionMask::Tensor(&mask)), Error::Shape { .. }));
    }
    let mask = Tensor::zeros((1, 1, 3, 5), DType::F32, &Device::Cpu).unwrap();
    assert!(matches!(refused(fine, 2, AttentionMask::Tensor(&mask)), Error::DType { .. }));
    assert!(matches!(self_attention(&draw(&[1, 2, 4], 0), Attention::default()), Err(Error::Shape { .. })));
}

#[test]
fn keys_of_another_dtype_are_refused() -> Result<()> {
    let q = draw(&[1, 2, 4], 0);
    let k = q.to_dtype(DType::F32)?;
    assert!(matches!(attention(&q, &k, &q, Attention::default()), Err(Error::DType { .. })));
    Ok(())
}
