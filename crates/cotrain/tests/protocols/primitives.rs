//! What the primitives of a step promise: looks ahead leave no trace, and an update is that of the ordinary step.

use taskweave_cotrain::{Heads, Over, Part};
use taskweave_data::{Batch, Loader};
use taskweave_kernels::{Error, Named, Result, Stateful};

use crate::fixture::{bits, shapes};
use crate::step;

fn batch() -> Batch {
    Loader::builder(shapes(20)).batch_size(8).build().unwrap().epoch(0).next().unwrap().unwrap()
}

fn ones() -> Named<f64> {
    Named::new([("class", 1.0), ("mask", 1.0)]).unwrap()
}

#[test]
fn looking_leaves_no_trace() {
    let ((mut step, params), batch) = (step(0), batch());
    let part = Part { batch: &batch, number: 0 };
    let before = bits(&params);
    let losses = step.losses(part).unwrap();
    assert_eq!(step.rows(part, Over::All).unwrap().rows().len(), 2);
    step.row(part, &ones(), Over::Shared).unwrap();
    assert!(bits(&params) == before);
    let moved = step.aside(|step| {
        let weighed = step.weighed(part, &ones(), Heads::Weighted)?;
        step.shift(&weighed.gradient, -0.01)?;
        step.losses(part)
    });
    assert!(bits(&params) == before);
    // The same draws, so that a small step against the gradient shows.
    let sum = |losses: &Named<f64>| losses.values().sum::<f64>();
    assert!(sum(&moved.unwrap()) < sum(&losses));
    assert_eq!(step.losses(part).unwrap(), losses);
    assert_ne!(step.losses(Part { number: 1, ..part }).unwrap(), losses, "other draws for another number");
    let failed: Result<()> = step.aside(|step| {
        let weighed = step.weighed(part, &ones(), Heads::Weighted)?;
        step.shift(&weighed.gradient, 1.0)?;
        Err(Error::parameter("anything", "good", "bad"))
    });
    assert!(failed.is_err() && bits(&params) == before && step.done() == 0);
}

#[test]
fn the_rows_add_up_to_the_weighed_gradient() {
    let ((mut step, _), batch) = (step(0), batch());
    let part = Part { batch: &batch, number: 0 };
    let weights = Named::new([("class", 0.3), ("mask", 2.0)]).unwrap();
    let rows = step.rows(part, Over::All).unwrap().combined(&[0.3, 2.0]).unwrap();
    let row = step.row(part, &weights, Over::All).unwrap();
    let weighed = step.aside(|step| step.weighed(part, &weights, Heads::Weighted)).unwrap();
    let unit = step.aside(|step| step.weighed(part, &weights, Heads::Unit)).unwrap();
    let values = |block: &taskweave_kernels::autograd::Gradient| {
        block.clone().into_dense().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    for (name, block) in weighed.gradient.iter() {
        let factor = |task: f32| if name.starts_with("task.") { 1.0 / task } else { 1.0 };
        let factor = if name.starts_with("task.class") { factor(0.3) } else { factor(2.0) };
        let others = [&rows[name], &row.rows()["sum"][name], &unit.gradient[name]].map(values);
        for (i, value) in values(block).into_iter().enumerate() {
            let close = |x: f32, scale: f32| (x - value * scale).abs() <= 1e-4 * value.abs().max(1e-2);
            assert!(close(others[0][i], 1.0) && close(others[1][i], 1.0), "{name}");
            assert!(
                (others[2][i] - value * factor).abs() <= 1e-4 * (value * factor).abs().max(1e-2),
                "{name}"
            );
        }
    }
}

/// To the bit, with what the optimizers and the running statistics remember.
#[test]
fn a_weighed_descent_is_the_ordinary_step() {
    let ((mut plain, expected), (mut made, found), batch) = (step(0), step(0), batch());
    for _ in 0..3 {
        let a = plain.step(&batch).unwrap();
        let weighed = made.weighed(Part { batch: &batch, number: 0 }, &ones(), Heads::Weighted).unwrap();
        let b = made.descend(weighed).unwrap();
        assert_eq!((a.step, a.samples, &a.losses, &a.weights), (b.step, b.samples, &b.losses, &b.weights));
        assert!((a.value - b.value).abs() < 1e-5 && (a.gradient_norm / b.gradient_norm - 1.0).abs() < 1e-6);
    }
    assert!(bits(&expected) == bits(&found));
    assert_eq!(plain.save().unwrap().values, made.save().unwrap().values);
}

#[test]
fn a_direction_of_an_unknown_parameter_is_named() {
    let (mut step, params) = step(0);
    let before = bits(&params);
    let zero = params.tensors().values().next().unwrap().clone();
    let direction = Named::new([("nowhere", zero.into())]).unwrap();
    let error = step.shift(&direction, 1.0).unwrap_err();
    assert!(error.to_string().starts_with("unknown parameter `nowhere`"), "{error}");
    assert!(bits(&params) == before);
}
