//! What a function must refuse by name, and the sizes at which loops end before they begin.

use candle_core::{DType, Device, Tensor, Var};
use taskweave_kernels::autograd::{self, Call, Function, Gradient, apply};
use taskweave_kernels::ops::{self, Activation, Conv2d, ConvTranspose2d, Pool2d, RecurrentWeights};
use taskweave_kernels::{Error, Result, Rng, weighted_sum};

fn var(shape: &[usize]) -> Var {
    let numbers = (0..shape.iter().product()).map(|i: usize| (i as f64 * 0.7).sin()).collect();
    Var::from_vec::<_, f64>(numbers, shape, &Device::Cpu).unwrap()
}

/// The value has its shape, and every gradient is finite, that of a function of nothing included.
fn runs(name: &str, inputs: &[&Var], f: impl Fn() -> Result<Tensor>) {
    let (y, tape) = autograd::record(&f).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(y.flatten_all().unwrap().to_vec1::<f64>().unwrap().len(), y.elem_count(), "{name}");
    let targets: Vec<&Tensor> = inputs.iter().map(|x| x.as_tensor()).collect();
    let gradients = tape.backward(&[(&y, None)], &targets).unwrap_or_else(|error| panic!("{name}: {error}"));
    for x in inputs {
        let Some(gradient) = gradients.dense(x).unwrap() else { continue };
        assert_eq!(gradient.dims(), x.dims(), "{name}");
        assert!(ops::all_finite(&gradient).unwrap(), "{name}");
    }
    let graph = f().unwrap().sum_all().unwrap().backward().unwrap();
    for x in inputs {
        assert_eq!(graph.get(x).unwrap().dims(), x.dims(), "{name}");
    }
}

#[test]
fn affine_maps_of_nothing_and_to_nothing() {
    for [rows, width, out] in [[0, 2, 3], [2, 0, 3], [2, 3, 0], [0, 0, 0], [1, 1, 1]] {
        let (x, w, b) = (var(&[rows, width]), var(&[out, width]), var(&[out]));
        for activation in [Activation::Identity, Activation::Gelu] {
            let name = format!("linear {rows} {width} {out}");
            runs(&name, &[&x, &w, &b], || ops::linear_then(&x, [Some(&w), Some(&b)], activation));
        }
        let (experts, biases) = (var(&[2, out, width]), var(&[2, out]));
        let name = format!("experts {rows} {width} {out}");
        let f = || ops::expert_linear(&x, &experts, Some(&biases), Activation::Gelu);
        runs(&name, &[&x, &experts, &biases], f);
        let each = var(&[rows, 2, width]);
        let f = || ops::expert_linear(&each, &experts, Some(&biases), Activation::Relu);
        runs(&name, &[&each, &experts, &biases], f);
    }
    let (x, nobody, biases) = (var(&[2, 3]), var(&[0, 4, 3]), var(&[0, 4]));
    let f = || ops::expert_linear(&x, &nobody, Some(&biases), Activation::Relu);
    runs("no experts", &[&x, &nobody, &biases], f);
    let (x, w, b) = (var(&[2, 0]), var(&[3, 0]), var(&[3]));
    let y = ops::linear(&x, &w, Some(&b)).unwrap().to_vec2::<f64>().unwrap();
    assert_eq!(y[1], b.to_vec1::<f64>().unwrap());
}

#[test]
fn mixtures_without_tasks_rows_or_width() {
    for [rows, tasks, experts, width] in [[0, 2, 2, 2], [3, 0, 2, 2], [3, 2, 2, 0], [1, 1, 1, 1]] {
        let (gates, outputs) = (var(&[rows, tasks, experts]), var(&[rows, experts, width]));
        runs("mix", &[&gates, &outputs], || ops::mix(&gates, &outputs));
    }
}

#[test]
fn sequences_without_steps_samples_or_width() {
    for [batch, time, width, hidden] in [[0, 2, 2, 2], [2, 0, 2, 2], [2, 2, 0, 2], [2, 2, 2, 0], [1, 1, 1, 1]]
    {
        for gates in [3, 4] {
            let (x, h) = (var(&[batch, time, width]), var(&[batch, hidden]));
            let (input, recurrent) = (var(&[gates * hidden, width]), var(&[gates * hidden, hidden]));
            let (bias_input, bias_hidden) = (var(&[gates * hidden]), var(&[gates * hidden]));
            let weights = RecurrentWeights {
                input: &input,
                hidden: &recurrent,
                bias_input: &bias_input,
                bias_hidden: &bias_hidden,
            };
            let all = [&x, &input, &recurrent, &bias_input, &bias_hidden, &h];
            runs("recurrent", &all, || match gates {
                3 => ops::gru(&x, weights, Some(&h), None),
                _ => ops::lstm(&x, weights, Some([&h, &h]), None),
            });
        }
    }
    for [batch, queries, keys] in [[0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1]] {
        let (q, k, v) = (var(&[batch, queries, 4]), var(&[batch, keys, 4]), var(&[batch, keys, 2]));
        let config = ops::Attention { heads: 2, ..Default::default() };
        runs("attention", &[&q, &k, &v], || ops::attention(&q, &k, &v, config));
    }
    for [rows, width, ids] in [[3, 0, 2], [3, 2, 0], [0, 2, 0], [1, 1, 1]] {
        let (table, ids) = (var(&[rows, width]), Tensor::zeros(ids, DType::U32, &Device::Cpu).unwrap());
        runs("embedding", &[&table], || ops::embedding(&table, &ids));
    }
    for shape in [[0, 3], [3, 0], [1, 1]] {
        let x = var(&shape);
        runs("softmax", &[&x], || ops::softmax(&x));
        runs("log_softmax", &[&x], || ops::log_softmax(&x));
        runs("add", &[&x], || ops::add(&x, &x));
        runs("concat", &[&x], || ops::concat_features(&[&x, &x]));
        runs("bce", &[&x], || ops::bce_with_logits(&x, &x.detach(), 2.0));
        runs("gelu", &[&x], || ops::activate(&x, Activation::Gelu));
        runs("scale", &[&x], || ops::gradient_scale(&x, -2.0));
    }
    let x = var(&[0, 3]);
    runs("layer_norm", &[&x], || ops::layer_norm(&x, [None, None], 1e-5));
}

#[test]
fn images_without_pixels_that_padding_makes_some() {
    for [batch, channels, h, w] in [[0, 2, 3, 3], [2, 2, 0, 3], [2, 2, 3, 0], [2, 2, 0, 0], [0, 2, 0, 0]] {
        for groups in [1, 2] {
            let (x, weight) = (var(&[batch, channels, h, w]), var(&[4, channels / groups, 3, 3]));
            let (bias, config) = (var(&[4]), Conv2d { padding: 2, groups, ..Conv2d::default() });
            let f = || ops::conv2d(&x, &weight, Some(&bias), config);
            runs(&format!("conv2d {batch} {h} {w} {groups}"), &[&x, &weight, &bias], f);
        }
    }
    let part = var(&[0, 8, 2, 2]).narrow(1, 4, 4).unwrap();
    assert_eq!(ops::pixel_shuffle(&part, 2).unwrap().dims(), [0, 1, 4, 4]);
    let x = var(&[0, 2, 4, 4]);
    runs("max_pool2d", &[&x], || ops::max_pool2d(&x, 2, 2));
    runs("avg_pool2d", &[&x], || ops::avg_pool2d(&x, Pool2d::default(), ops::Border::Zeros));
    runs("bilinear", &[&x], || ops::upsample_bilinear2d(&x, [3, 5], ops::Corners::Centers));
    runs("group_norm", &[&x], || ops::group_norm(&x, 2, [None, None], 1e-5));
    runs("global", &[&x], || ops::global_avg_pool2d(&x));
    let weight = var(&[2, 3, 2, 2]);
    let config = ConvTranspose2d::default();
    runs("conv_transpose2d", &[&x, &weight], || ops::conv_transpose2d(&x, &weight, None, config));
    for shape in [[0, 1, 2, 2], [1, 0, 2, 2], [1, 1, 0, 2], [1, 1, 2, 0]] {
        let x = var(&shape);
        runs("nearest", &[&x], || ops::upsample_nearest2d(&x, 3));
    }
}

#[test]
fn other_dtypes_are_named() {
    let single = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let (x, weight, bias) = (var(&[1, 1, 3, 3]), var(&[1, 1, 3, 3]), var(&[1]));
    let config = Conv2d::default();
    let found = [
        ops::conv2d(&single(&[1, 1, 3, 3]), &weight, None, config),
        ops::conv2d(&x, &weight, Some(&single(&[1])), config),
        ops::conv2d(&x, &single(&[1, 1, 3, 3]), Some(&bias), config),
        ops::attention(&var(&[1, 1, 2]), &single(&[1, 1, 2]), &var(&[1, 1, 2]), ops::Attention::default()),
        ops::mix(&single(&[1, 2]), &var(&[1, 2, 2])),
    ];
    for found in found {
        assert!(matches!(found, Err(Error::DType { .. })), "{found:?}");
    }
    for whole in [DType::U32, DType::I64, DType::U8] {
        let whole = Tensor::ones((2, 3), whole, &Device::Cpu).unwrap();
        assert!(matches!(ops::channel_stats(&whole), Err(Error::DType { .. })));
        assert!(matches!(ops::softmax(&whole), Err(Error::DType { .. })));
        assert!(matches!(ops::log_softmax(&whole), Err(Error::DType { .. })));
        assert!(matches!(ops::layer_norm(&whole, [None, None], 1e-5), Err(Error::DType { .. })));
        assert!(matches!(ops::rms_norm(&whole, None, 1e-5), Err(Error::DType { .. })));
        assert!(matches!(ops::group_norm(&whole, 3, [None, None], 1e-5), Err(Error::DType { .. })));
        assert!(matches!(ops::dropout(&whole, 0.5, &mut Rng::new(0)), Err(Error::DType { .. })));
        let outputs = whole.unsqueeze(2).unwrap();
        assert!(matches!(ops::mix(&whole, &outputs), Err(Error::DType { .. })));
    }
    let rows = [Gradient::from(single(&[2])), var(&[2]).as_detached_tensor().into()];
    assert!(matches!(weighted_sum(&rows, &[1.0, 1.0]), Err(Error::DType { .. })));
    let (y, tape) = autograd::record(|| ops::relu(&x)).unwrap();
    let found = tape.backward(&[(&y, Some(single(&[1, 1, 3, 3])))], &[&x]);
    assert!(matches!(found, Err(Error::DType { .. })), "{found:?}");
}

#[test]
fn shapes_are_named() {
    let (x, matrix) = (var(&[2, 3]), var(&[3]));
    let found = ops::linear(&x, &matrix, None);
    assert!(matches!(&found, Err(Error::Shape { what, .. }) if what == "weight of linear"), "{found:?}");
    let (logits, mask) = (var(&[2, 2, 2]), var(&[2, 2]));
    let config = ops::Attention { heads: 1, mask: ops::AttentionMask::Tensor(&mask) };
    let found = ops::attention(&logits, &logits, &logits, config);
    assert!(matches!(&found, Err(Error::Shape { what, .. }) if what == "mask of attention"), "{found:?}");
}

#[test]
fn sizes_beyond_all_memory_are_refused() {
    let (x, huge) = (var(&[1, 1, 2, 2]), usize::MAX);
    let half = huge / 2 + 1;
    let mut found = vec![
        ops::upsample_nearest2d(&x, half),
        ops::upsample_nearest2d(&x, 1 << 32),
        ops::pixel_shuffle(&x, 1 << 32),
        ops::max_pool2d(&x, huge, 1),
        ops::adaptive_avg_pool2d(&x, [huge, 1]),
        ops::adaptive_max_pool2d(&x, [1, huge]),
        ops::upsample_bilinear2d(&x, [huge, 1], ops::Corners::Centers),
        ops::pixel_shuffle(&var(&[1, 0, 2, 2]), 1 << 31),
    ];
    for config in [
        Conv2d { padding: half, ..Conv2d::default() },
        Conv2d { padding: huge / 4, ..Conv2d::default() },
        Conv2d { dilation: half, ..Conv2d::default() },
        Conv2d { groups: huge, ..Conv2d::default() },
    ] {
        found.push(ops::conv2d(&x, &var(&[1, 1, 3, 3]), None, config));
    }
    for config in [
        ConvTranspose2d { padding: half, ..ConvTranspose2d::default() },
        ConvTranspose2d { stride: half, ..ConvTranspose2d::default() },
        ConvTranspose2d { dilation: huge, ..ConvTranspose2d::default() },
        ConvTranspose2d { stride: half, groups: 2, ..ConvTranspose2d::default() },
    ] {
        found.push(ops::conv_transpose2d(&x, &var(&[1, 1, 2, 2]), None, config));
    }
    for (i, found) in found.into_iter().enumerate() {
        assert!(matches!(found, Err(Error::Shape { .. } | Error::Parameter { .. })), "{i}: {found:?}");
    }
    // Windows that reach as far as a number goes, and see the whole image.
    let windows = Pool2d { kernel: huge, stride: huge, padding: half - 1 };
    assert_eq!(ops::avg_pool2d(&x, windows, ops::Border::Inside).unwrap().dims(), [1, 1, 1, 1]);
}

#[test]
fn a_weight_of_zero_keeps_nan_out_in_every_dtype() {
    for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
        let row = |x: f32| Gradient::from(Tensor::new(&[x], &Device::Cpu).unwrap().to_dtype(dtype).unwrap());
        let sum = weighted_sum(&[row(f32::NAN), row(3.0)], &[0.0, 2.0]).unwrap();
        let sum = sum.into_dense().unwrap().to_dtype(DType::F64).unwrap();
        assert_eq!(sum.to_vec1::<f64>().unwrap(), [6.0], "{dtype:?}");
    }
}

/// Gives the same memory to both inputs, or that of its input.
struct Careless {
    own: bool,
}

impl Function for Careless {
    fn name(&self) -> &'static str {
        "careless"
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let gradient = if self.own { call.inputs[0].detach() } else { (cotangent * 2.0)? };
        Ok(vec![Some(gradient.clone().into()), Some(gradient.into())])
    }
}

#[test]
fn memory_that_somebody_else_holds_is_not_added_to() {
    for own in [false, true] {
        let x = var(&[2]);
        let before = x.to_vec1::<f64>().unwrap();
        let (y, tape) = autograd::record(|| {
            let relu = ops::relu(&x)?;
            ops::add(&relu, &apply(Careless { own }, &[&x, &x], vec![1.0, 2.0], 2)?)
        })
        .unwrap();
        tape.backward(&[(&y, None)], &[&x]).unwrap().dense(&x).unwrap().unwrap();
        assert_eq!(x.to_vec1::<f64>().unwrap(), before);
    }
}

#[test]
fn what_a_backward_pass_was_given_or_gave_stays_as_it_is() {
    let (a, b) = (var(&[3]), var(&[3]));
    let ((inner, y), tape) = autograd::record(|| {
        let inner = ops::add(&a, &b)?;
        Ok((inner.clone(), ops::add(&ops::add(&inner, &inner)?, &ops::relu(&a)?)?))
    })
    .unwrap();
    let given = Tensor::new(&[1f64, 2.0, 3.0], &Device::Cpu).unwrap();
    let spread = Tensor::new(2f64, &Device::Cpu).unwrap().broadcast_as(3).unwrap();
    let seeds = [(&y, Some(given.clone())), (&inner, Some(spread.clone())), (&y, Some(given.clone()))];
    let targets: [&Tensor; 4] = [&a, &b, &inner, &y];
    let first = tape.backward(&seeds, &targets).unwrap();
    let read = |gradients: &autograd::Gradients| {
        targets.map(|x| gradients.dense(x).unwrap().unwrap().to_vec1::<f64>().unwrap())
    };
    let before = read(&first);
    assert_eq!(before[1], [6.0, 10.0, 14.0]);
    assert_eq!(before[2], before[1]);
    assert_eq!(before[3], [2.0, 4.0, 6.0]);
    // From another thread, and again: what came first has not moved.
    let again = std::thread::scope(|scope| {
        scope.spawn(|| read(&tape.backward(&seeds, &targets).unwrap())).join().unwrap()
    });
    assert_eq!(again, before);
    assert_eq!(read(&first), before);
    assert_eq!(given.to_vec1::<f64>().unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(spread.to_vec1::<f64>().unwrap(), [2.0; 3]);
}

#[test]
fn recordings_within_each_other_keep_to_themselves() {
    let x = var(&[2]);
    let (((y, inner), quiet), outer) = autograd::record(|| {
        let quiet = autograd::no_grad(|| ops::relu(&x))?;
        Ok((autograd::record(|| ops::gradient_scale(&x, 3.0))?, quiet))
    })
    .unwrap();
    assert!(!quiet.track_op());
    assert_eq!(
        inner.backward(&[(&y, None)], &[&x]).unwrap().dense(&x).unwrap().unwrap().to_vec1::<f64>().unwrap(),
        [3.0; 2]
    );
    assert!(outer.backward(&[(&y, None)], &[&x]).unwrap().get(&x).is_none());
    let (y, tape) = autograd::no_grad(|| autograd::record(|| ops::gradient_scale(&x, 3.0))).unwrap();
    assert!(tape.backward(&[(&y, None)], &[&x]).unwrap().get(&x).is_some());
    // An error or a panic inside leaves nothing behind.
    assert!(autograd::record(|| ops::linear(&x, &x, None)).is_err());
    assert!(
        std::panic::catch_unwind(|| autograd::no_grad(|| std::panic::resume_unwind(Box::new(())))).is_err()
    );
    assert!(!ops::relu(&x).unwrap().is_variable());
}
