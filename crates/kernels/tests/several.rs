//! The gradients of several tasks and of single samples from one tape, against one backward pass for each.

use candle_core::{D, Device, Tensor, Var};
use taskweave_kernels::autograd::{Tape, record};
use taskweave_kernels::ops::{
    self, Activation, Attention, ChannelStats, Conv2d, RecurrentWeights, Statistics,
};
use taskweave_kernels::{Error, Result, Rng, inner_products};

fn var(shape: &[usize], seed: u64) -> Var {
    let mut rng = Rng::new(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| 0.5 * rng.normal()).collect();
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
}

fn data(shape: &[usize], seed: u64) -> Tensor {
    var(shape, seed).as_detached_tensor()
}

fn flat(x: &Tensor) -> Vec<f64> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(name: &str, found: &[f64], expected: &[f64]) {
    let scale = expected.iter().fold(1e-300, |m: f64, v| m.max(v.abs()));
    assert_eq!(found.len(), expected.len(), "{name}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-10 * scale, "{name}: {a} instead of {b}");
    }
}

/// The inner products over all targets, from one backward pass for each seed.
fn explicit(tape: &Tape, seeds: &[(&Tensor, Option<Tensor>)], targets: &[&Tensor]) -> Vec<f64> {
    let mut sums = vec![0.0; seeds.len() * seeds.len()];
    let mut rows = vec![Vec::new(); targets.len()];
    for seed in seeds {
        let gradients = tape.backward(std::slice::from_ref(seed), targets).unwrap();
        for (rows, target) in rows.iter_mut().zip(targets) {
            let zero = || target.zeros_like().unwrap().detach();
            rows.push(gradients.dense(target).unwrap().unwrap_or_else(zero).into());
        }
    }
    for rows in &rows {
        sums.iter_mut().zip(inner_products(rows).unwrap()).for_each(|(sum, p)| *sum += p);
    }
    sums
}

/// Two layers, so wide for so few rows that products are cheaper than gradients, under three tasks of which one does
/// not reach the second layer.
#[test]
fn products_without_gradients_are_those_of_the_gradients() {
    let x = data(&[3, 40], 1);
    let (w, b, v) = (var(&[50, 40], 2), var(&[50], 3), var(&[60, 50], 4));
    let (losses, tape) = record(|| {
        let h = ops::linear_then(&x, [Some(&w), Some(&b)], Activation::Relu)?;
        let y = ops::linear_then(&h, [Some(&v), None], Activation::Gelu)?;
        Ok([y.sqr()?.sum_all()?, y.sum_all()?, h.sqr()?.sum_all()?])
    })
    .unwrap();
    let (targets, losses): (Vec<&Tensor>, Vec<&Tensor>) = (vec![&w, &b, &v], losses.iter().collect());
    let tasks = tape.task_gradients(&losses, &targets).unwrap();
    let seeds: Vec<_> = losses.iter().map(|&loss| (loss, None)).collect();
    assert_close("products", tasks.products(), &explicit(&tape, &seeds, &targets));
    let weights = [0.5, -2.0, 3.0];
    let sum = tasks.weighted_sum(&weights).unwrap();
    let weigh = |w: f64| Some(Tensor::new(w, &Device::Cpu).unwrap());
    let seeds: Vec<_> = losses.iter().zip(weights).map(|(&loss, w)| (loss, weigh(w))).collect();
    let expected = tape.backward(&seeds, &targets).unwrap();
    for target in targets {
        let of = |gradients: &taskweave_kernels::autograd::Gradients| {
            flat(&gradients.dense(target).unwrap().unwrap())
        };
        assert_close("sum", &of(&sum), &of(&expected));
    }
    assert!(matches!(tasks.weighted_sum(&[1.0]), Err(Error::Shape { .. })));
}

/// A weight that two functions share has cross terms that neither of them knows.
#[test]
fn a_shared_weight_is_not_folded() {
    let (x, w) = (data(&[2, 30], 5), var(&[30, 30], 6));
    let (losses, tape) = record(|| {
        let y = ops::linear(&ops::linear(&x, &w, None)?, &w, None)?;
        Ok([y.sqr()?.sum_all()?, y.sum_all()?, y.sin()?.sum_all()?, y.cos()?.sum_all()?])
    })
    .unwrap();
    let losses: Vec<&Tensor> = losses.iter().collect();
    let tasks = tape.task_gradients(&losses, &[&w]).unwrap();
    let seeds: Vec<_> = losses.iter().map(|&loss| (loss, None)).collect();
    assert_close("shared", tasks.products(), &explicit(&tape, &seeds, &[&w]));
    let y =
        record(|| ops::linear(&ops::linear(&x, &w, None)?, &w, None)?.sum(D::Minus1).map_err(Error::from));
    let (y, tape) = y.unwrap();
    assert!(matches!(tape.sample_products(&[(&y, None)], &[&w]), Err(Error::Parameter { .. })));
}

type Function = Box<dyn Fn(&[Var]) -> Result<Tensor>>;

/// A network whose last result is `[batch, ..]`, and its parameters.
struct Case {
    name: &'static str,
    params: Vec<Var>,
    f: Function,
}

fn case(name: &'static str, shapes: &[&[usize]], f: impl Fn(&[Var]) -> Result<Tensor> + 'static) -> Case {
    let params = shapes.iter().enumerate().map(|(i, shape)| var(shape, 20 + i as u64)).collect();
    Case { name, params, f: Box::new(f) }
}

fn cases() -> Vec<Case> {
    let (rows, images, sequences) = (data(&[3, 4], 10), data(&[3, 2, 4, 4], 11), data(&[3, 5, 4], 12));
    let (x, y, z, s) = (rows.clone(), rows.clone(), images.clone(), sequences.clone());
    vec![
        case("linear", &[&[5, 4], &[5], &[2, 5]], move |p| {
            ops::linear(&ops::linear_then(&x, [Some(&p[0]), Some(&p[1])], Activation::Tanh)?, &p[2], None)
        }),
        case("conv, group norm", &[&[4, 2, 3, 3], &[4], &[4], &[4]], move |p| {
            let h = ops::conv2d(&images, &p[0], Some(&p[1]), Conv2d { padding: 1, ..Conv2d::default() })?;
            ops::global_avg_pool2d(&ops::relu(&ops::group_norm(&h, 2, [Some(&p[2]), Some(&p[3])], 1e-5)?)?)
        }),
        case("fixed batch norm", &[&[2], &[2]], move |p| {
            let stats = ChannelStats { mean: data(&[2], 1), var: data(&[2], 2).sqr()? };
            ops::global_avg_pool2d(&ops::batch_norm(&z, [&p[0], &p[1]], Statistics::Fixed(&stats), 1e-5)?)
        }),
        case("embedding, attention", &[&[6, 4], &[12, 4], &[4], &[4]], |p| {
            let ids = Tensor::new(&[[0u32, 1, 0], [5, 1, 2], [0, 4, 4]], &Device::Cpu)?;
            let h = ops::layer_norm(&ops::embedding(&p[0], &ids)?, [Some(&p[2]), Some(&p[3])], 1e-5)?;
            let qkv = ops::linear(&h, &p[1], None)?;
            ops::mean_pool1d(&ops::add(
                &h,
                &ops::self_attention(&qkv, Attention { heads: 2, ..Default::default() })?,
            )?)
        }),
        case("gru", &[&[9, 4], &[9, 3], &[9], &[9]], move |p| {
            let [input, hidden, bias_input, bias_hidden] = [0, 1, 2, 3].map(|i| p[i].as_tensor());
            ops::mean_pool1d(&ops::gru(
                &s,
                RecurrentWeights { input, hidden, bias_input, bias_hidden },
                None,
                None,
            )?)
        }),
        case("experts", &[&[2, 3, 4], &[2, 3], &[2, 4]], move |p| {
            let outputs = ops::expert_linear(&y, &p[0], Some(&p[1]), Activation::Silu)?;
            ops::mix(&ops::linear(&y, &p[2], None)?, &outputs)
        }),
    ]
}

#[test]
fn products_of_samples_are_those_of_their_gradients() {
    for Case { name, params, f } in cases() {
        let (losses, tape) = record(|| Ok(f(&params)?.sqr()?.flatten_from(1)?.sum(1)?)).unwrap();
        let targets: Vec<&Tensor> = params.iter().map(|p| p.as_tensor()).collect();
        let alone = |sample: usize| {
            let mut one = vec![0.0; 3];
            one[sample] = 1.0;
            (&losses, Some(Tensor::new(one, &Device::Cpu).unwrap()))
        };
        let expected = explicit(&tape, &[alone(0), alone(1), alone(2)], &targets);
        assert_close(name, &tape.sample_products(&[(&losses, None)], &targets).unwrap(), &expected);
    }
}

/// Two losses per sample from one trunk, each with a cotangent, are one loss per sample.
#[test]
fn products_of_sums_of_losses_are_those_of_their_gradients() {
    let (x, w, a, b) = (data(&[3, 4], 17), var(&[5, 4], 18), var(&[2, 5], 19), var(&[1, 5], 20));
    let ((first, second), tape) = record(|| {
        let h = ops::linear_then(&x, [Some(&w), None], Activation::Tanh)?;
        let first = ops::linear(&h, &a, None)?.sqr()?.sum(1)?;
        Ok((first, ops::linear(&h, &b, None)?.sin()?.sum(1)?))
    })
    .unwrap();
    let targets: Vec<&Tensor> = vec![&w, &a, &b];
    let (c, d) = ([0.5, -1.0, 2.0], [3.0, 0.0, 1.0]);
    let weigh = |c: &[f64; 3]| Some(Tensor::new(c, &Device::Cpu).unwrap());
    let found = tape.sample_products(&[(&first, weigh(&c)), (&second, weigh(&d))], &targets).unwrap();
    let alone = |sample: usize| {
        let one = |values: &[f64; 3], losses: &Tensor| (losses.get(sample)? * values[sample])?.reshape(());
        (one(&c, &first).unwrap() + one(&d, &second).unwrap()).unwrap()
    };
    let losses = [alone(0), alone(1), alone(2)];
    let seeds: Vec<_> = losses.iter().map(|loss| (loss, None)).collect();
    assert_close("sums", &found, &explicit(&tape, &seeds, &targets));
    let short = second.narrow(0, 0, 2).unwrap();
    assert!(matches!(
        tape.sample_products(&[(&first, None), (&short, None)], &targets),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(tape.sample_products(&[], &targets), Err(Error::Parameter { .. })));
}

#[test]
fn what_couples_samples_is_refused() {
    let (x, w) = (data(&[3, 2], 13), var(&[2], 14));
    let stats = ops::channel_stats(&x).unwrap();
    let (losses, tape) = record(|| {
        Ok(ops::relu(&ops::batch_norm(&x, [&w, &w.detach()], Statistics::Batch(&stats), 1e-5)?)?.sum(1)?)
    })
    .unwrap();
    let error = tape.sample_products(&[(&losses, None)], &[&w]).unwrap_err().to_string();
    assert!(error.contains("batch_norm"), "{error}");
    let total = losses.sum_all().unwrap();
    assert!(matches!(tape.sample_products(&[(&total, None)], &[&w]), Err(Error::Shape { .. })));
}

/// What would silently give other numbers is refused.
#[test]
fn targets_that_are_no_parameters_are_refused() {
    let (x, w) = (var(&[3, 3], 15), var(&[3, 3], 16));
    let refused = |f: &dyn Fn() -> Result<Tensor>, target: &Tensor| {
        let (losses, tape) = record(f).unwrap();
        assert!(matches!(tape.sample_products(&[(&losses, None)], &[target]), Err(Error::Parameter { .. })));
    };
    // A penalty behind the last function: the weight has gradients that the function does not know.
    refused(
        &|| Ok((ops::linear(&x.detach(), &w, None)?.sum(1)? + w.sqr()?.sum_all()?.broadcast_as(3)?)?),
        &w,
    );
    // A weight made of samples, and samples as the target.
    refused(
        &|| {
            let z = ops::linear(&x.detach(), &w, None)?;
            Ok(ops::linear(&z, &z, None)?.sum(1)?)
        },
        &w,
    );
    refused(&|| Ok(ops::linear(&x, &w.detach(), None)?.sum(1)?), &x);
    // A result, and the losses themselves.
    let ((z, losses), tape) = record(|| {
        let z = ops::linear(&x.detach(), &w, None)?;
        Ok((z.clone(), ops::relu(&z)?.sum(1)?))
    })
    .unwrap();
    for target in [&z, &losses] {
        assert!(matches!(
            tape.sample_products(&[(&losses, None)], &[&w, target]),
            Err(Error::Parameter { .. })
        ));
    }
}
