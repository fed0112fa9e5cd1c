//! Equal bits for equal seeds, exact resuming, and nothing changed where a step fails.

use taskweave_cotrain::protocol::{Batches, Needs};
use taskweave_cotrain::{Callback, Checkpoints, StepReport};
use taskweave_data::Loader;
use taskweave_kernels::{Error, Result, Stateful};

use crate::fixture::{bits, shapes};
use crate::{Bits, ROWS, batches, config, step, training, upper, whole};

#[test]
fn equal_seeds_give_equal_bits_for_any_number_of_workers() {
    for text in ROWS {
        let (first, again) = (whole(text, 0, 1), whole(text, 0, 3));
        assert!(first == again, "{text}");
        assert!(first.0 != whole(text, 1, 1).0, "{text}: another seed is another run");
    }
}

#[test]
fn a_protocol_takes_as_many_steps_as_its_batches_allow() {
    for (text, steps) in ROWS.iter().zip([4, 2, 2, 2, 1, 7, 7, 7, 7]) {
        let history = whole(text, 0, 1).1;
        assert_eq!(history.epochs.iter().map(|e| e.steps).collect::<Vec<_>>(), [steps, 2 * steps, 3 * steps]);
    }
}

#[test]
fn weights_of_the_tasks_are_in_the_history_and_move() {
    for text in &ROWS[1..] {
        let epochs = whole(text, 0, 1).1.epochs;
        assert_ne!(epochs[0].weights["class"], epochs[2].weights["class"], "{text}");
    }
}

/// Ends a training in the middle, as a full disk would.
struct Fail(u64);

impl Callback for Fail {
    fn on_step(&mut self, report: &StepReport) -> Result<()> {
        if report.step == self.0 { Err(Error::parameter("disk", "room", "none")) } else { Ok(()) }
    }
}

#[test]
fn a_training_that_fails_in_the_middle_goes_on_as_if_it_had_not() {
    for text in ROWS {
        let folder = tempfile::tempdir().unwrap();
        for fail in [Some(0), Some(2), None] {
            let (mut step, params) = step(0);
            let mut builder =
                training(text, 1).checkpoints(Checkpoints::new(folder.path())).checkpoint_every(1);
            if let Some(at) = fail {
                builder = builder.callback(Fail(at));
                assert!(builder.build().unwrap().fit(&mut step).is_err(), "{text}");
                continue;
            }
            let mut history = builder.build().unwrap().fit(&mut step).unwrap();
            history.epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
            assert!((bits(&params), history) == whole(text, 0, 1), "{text}");
        }
    }
}

#[test]
fn a_restored_protocol_goes_on_to_the_bit() {
    let train = Loader::builder(shapes(60)).batch_size(6).build().unwrap();
    for text in ROWS {
        let protocol = || config(text).build().unwrap();
        let (mut first, mut second) = (protocol(), protocol());
        let Needs { train: n, upper: m, .. } = first.needs();
        let (own, judges) = (batches(&train, n), batches(&upper(), m));
        let given = Batches { train: &own, upper: &judges };
        let (mut step_a, mut step_b) = (step(0).0, step(0).0);
        (0..3).for_each(|_| drop(first.step(&mut step_a, &given).unwrap()));
        second.restore(&first.save().unwrap()).unwrap();
        step_b.restore(&step_a.save().unwrap()).unwrap();
        step_b.params().load(&step_a.params().tensors()).unwrap();
        for _ in 0..2 {
            let (a, b) =
                (first.step(&mut step_a, &given).unwrap(), second.step(&mut step_b, &given).unwrap());
            assert_eq!(
                (a.value, &a.weights, a.gradient_norm),
                (b.value, &b.weights, b.gradient_norm),
                "{text}"
            );
        }
        assert!(bits(step_a.params()) == bits(step_b.params()), "{text}");
    }
}

#[test]
fn a_step_that_fails_changes_nothing() {
    let train = Loader::builder(shapes(60)).batch_size(6).build().unwrap();
    for text in ROWS {
        let mut protocol = config(text).build().unwrap();
        let Needs { train: n, upper: m, .. } = protocol.needs();
        let (mut own, judges) = (batches(&train, n), batches(&upper(), m));
        let (mut step, params) = step(0);
        protocol.step(&mut step, &Batches { train: &own, upper: &judges }).unwrap();
        let before = (bits(&params), protocol.save().unwrap().values, step.done());
        let image = own[n - 1].inputs.get_mut("image").unwrap();
        *image = (&*image * f64::NAN).unwrap();
        let error = protocol.step(&mut step, &Batches { train: &own, upper: &judges }).unwrap_err();
        assert!(matches!(error, Error::NonFinite { step: Some(1), .. }), "{text}: {error}");
        let trained = |bits: &Bits| -> Bits {
            bits.iter().filter(|(name, _)| !name.contains("running")).cloned().collect()
        };
        assert!(trained(&bits(&params)) == trained(&before.0), "{text}");
        assert_eq!((protocol.save().unwrap().values, step.done()), (before.1, before.2), "{text}");
    }
}
