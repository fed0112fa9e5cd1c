//! The tape against candle's own reverse pass.

use candle_core::{DType, Device, Tensor, Var};
use taskweave_kernels::autograd::{Call, Function, Gradient, Tape, apply, no_grad, record};
use taskweave_kernels::{Error, Result, Rng, ops};

fn var(shape: &[usize], seed: u64) -> Var {
    let mut rng = Rng::new(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
}

fn flat(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{found:?} instead of {expected:?}");
    }
}

/// A network of our functions with candle's operations before, between and after them.
fn mixed(x: &Tensor, w: &Tensor, v: &Tensor) -> Result<Tensor> {
    let h = ops::relu(&ops::linear(&x.affine(2.0, 0.1)?, w, None)?)?;
    let between = (h.sqr()? + h.tanh()?)?;
    let twice = (ops::relu(&between)? * ops::relu(&(between.t()?.contiguous()?.t()? - 0.5)?)?)?;
    Ok(ops::linear(&twice, v, None)?.sum_all()?)
}

#[test]
fn a_tape_gives_what_candle_gives() {
    let (x, w, v) = (var(&[4, 3], 1), var(&[5, 3], 2), var(&[2, 5], 3));
    let expected = mixed(&x, &w, &v).unwrap().backward().unwrap();
    let (loss, tape) = record(|| mixed(&x, &w, &v)).unwrap();
    for _ in 0..2 {
        let gradients = tape.backward(&[(&loss, None)], &[&x, &w, &v]).unwrap();
        for var in [&x, &w, &v] {
            let found = gradients.dense(var).unwrap().unwrap();
            assert_close(&flat(&found), &flat(expected.get(var).unwrap()));
        }
    }
}

#[test]
fn several_seeds_add_up_and_stop_at_what_is_wanted() {
    let (x, w) = (var(&[3, 2], 4), var(&[2, 2], 5));
    let ((h, a, b), tape) = record(|| {
        let h = ops::linear(&x, &w, None)?;
        let a = ops::relu(&h)?.sum_all()?;
        Ok((h.clone(), a, h.sqr()?.sum_all()?))
    })
    .unwrap();
    let two = Tensor::new(2f64, &Device::Cpu).unwrap();
    let gradients = tape.backward(&[(&a, Some(two)), (&b, None)], &[&h]).unwrap();
    let expected: Vec<f64> = flat(&h).iter().map(|v| 2.0 * f64::from(*v > 0.0) + 2.0 * v).collect();
    assert_close(&flat(&gradients.dense(&h).unwrap().unwrap()), &expected);
    assert!(gradients.get(&w).is_none());
    let none = tape.backward(&[(&a, None)], &[&var(&[1], 0)]).unwrap();
    assert!(none.get(&w).is_none());
}

#[test]
fn a_seed_may_be_a_result_inside() {
    let x = var(&[3], 6);
    let ((h, y), tape) = record(|| {
        let h = ops::relu(&x)?;
        Ok((h.clone(), ops::relu(&h)?))
    })
    .unwrap();
    let gradients = tape.backward(&[(&h, None), (&y, None)], &[&x]).unwrap();
    let expected: Vec<f64> = flat(&x).iter().map(|v| 2.0 * f64::from(*v > 0.0)).collect();
    assert_close(&flat(&gradients.dense(&x).unwrap().unwrap()), &expected);
}

#[test]
fn a_cotangent_of_another_shape_is_refused() {
    let x = var(&[3], 7);
    let (y, tape) = record(|| ops::relu(&x)).unwrap();
    let wrong = Tensor::zeros(2, DType::F64, &Device::Cpu).unwrap();
    assert!(matches!(tape.backward(&[(&y, Some(wrong))], &[&x]), Err(Error::Shape { .. })));
}

#[test]
fn what_is_detached_is_a_constant() {
    let x = var(&[3], 8);
    let (y, tape) = record(|| ops::relu(&ops::relu(&x)?.detach())).unwrap();
    assert!(!y.track_op());
    assert!(tape.backward(&[(&y, None)], &[&x]).unwrap().get(&x).is_none());
}

#[test]
fn recording_ends_with_its_scope_also_after_an_error() {
    let x = var(&[3], 9);
    let failed: Result<(Tensor, Tape)> = record(|| Err(Error::non_finite("input", "x")));
    assert!(failed.is_err());
    let y = ops::relu(&x).unwrap();
    assert!(!y.is_variable() && y.sum_all().unwrap().backward().unwrap().get(&x).is_some());
    let (inner, _) = record(|| Ok(no_grad(|| ops::relu(&x)).unwrap())).unwrap();
    assert!(!inner.track_op());
}

#[test]
fn other_threads_become_part_of_candles_graph() {
    let x = var(&[3], 10);
    let (y, tape) = record(|| {
        let h = std::thread::scope(|scope| scope.spawn(|| ops::relu(&x)).join()).unwrap()?;
        ops::relu(&h)
    })
    .unwrap();
    let gradients = tape.backward(&[(&y, None)], &[&x]).unwrap();
    let expected: Vec<f64> = flat(&x).iter().map(|v| f64::from(*v > 0.0)).collect();
    assert_close(&flat(&gradients.dense(&x).unwrap().unwrap()), &expected);
}

/// Σ i · xᵢ over its inputs: as many as one likes.
struct Weighted;

impl Function for Weighted {
    fn name(&self) -> &'static str {
        "weighted"
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let part = |(i, x): (usize, &Tensor)| -> Result<Option<Gradient>> {
            let gradient = (x.ones_like()?.broadcast_mul(cotangent)? * i as f64)?;
            Ok(call.wants(i).then(|| gradient.into()))
        };
        call.inputs.iter().enumerate().map(part).collect()
    }
}

fn weighted(inputs: &[&Tensor]) -> Result<Tensor> {
    let part = |(i, x): (usize, &&Tensor)| i as f64 * flat(x).iter().sum::<f64>();
    apply(Weighted, inputs, vec![inputs.iter().enumerate().map(part).sum::<f64>()], ())
}

#[test]
fn candle_takes_functions_of_many_inputs() {
    let vars: Vec<Var> = (1..8).map(|n| var(&[n, 2], n as u64)).collect();
    for count in 1..=vars.len() {
        let inputs: Vec<&Tensor> = vars[..count].iter().map(|v| v.as_tensor()).collect();
        let gradients = weighted(&inputs).unwrap().backward().unwrap();
        for (i, var) in vars[..count].iter().enumerate() {
            assert_eq!(flat(gradients.get(var).unwrap()), vec![i as f64; var.elem_count()], "{count}");
        }
    }
}

#[test]
fn inputs_that_are_constants_take_no_part() {
    let (a, b) = (var(&[2], 1), var(&[2], 2));
    let constant = b.detach();
    let y = weighted(&[&constant, &a, &constant, &constant, &b]).unwrap();
    let gradients = y.backward().unwrap();
    assert_eq!(flat(gradients.get(&a).unwrap()), [1.0, 1.0]);
    assert_eq!(flat(gradients.get(&b).unwrap()), [4.0, 4.0]);
    assert!(!weighted(&[&constant]).unwrap().track_op());
}

#[test]
fn tapes_cross_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Tape>();
}
