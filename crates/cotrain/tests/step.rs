//! What a step promises: schedules, sampling, accumulation, and errors that name task and step.

mod small;

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor, Var};
use taskweave_cotrain::{Balance, Clip, Sampling, Schedule, Step, StepBuilder};
use taskweave_data::Batch;
use taskweave_kernels::optim::{OptimizerConfig, Sgd};
use taskweave_kernels::{Error, Kind, Named, Owner, Param, Result, Rng, State, Stateful, Target};
use taskweave_loss::criterion::{CrossEntropy, Mse};
use taskweave_loss::scalarizer::{Feedback, Mean};
use taskweave_loss::{Scalarizer, ScalarizerConfig};

use small::{TASKS, all_values, batch, builder, owners, values};

#[test]
fn alternating_holds_one_block_after_the_other() {
    let (builder, params) = builder(0.0);
    let mut step = builder.schedule(Schedule::Alternating { period: 2 }).build().unwrap();
    for i in 0..12 {
        let before = owners().map(|owner| values(&params, &owner));
        let report = step.step(&batch(i, 8)).unwrap();
        let held = owners()[i as usize / 2 % 3].clone();
        assert_eq!(report.held, Some(held.clone()), "step {i}");
        for (owner, before) in owners().iter().zip(before) {
            assert_eq!(values(&params, owner) == before, *owner == held, "{owner:?} at step {i}");
        }
    }
}

/// A block's momentum waits while the block is held.
#[test]
fn a_held_block_keeps_its_optimizer_state() {
    let momentum = |steps: u64| {
        let mut step = builder(0.0).0.schedule(Schedule::Alternating { period: 1 }).build().unwrap();
        (0..steps).for_each(|i| drop(step.step(&batch(i, 8)).unwrap()));
        let state = step.save().unwrap();
        let name = state.tensors.names().find(|n| n.contains("task.sum.out.bias")).unwrap().to_owned();
        state.tensors[name.as_str()].to_vec1::<f64>().unwrap()
    };
    // Step 0 holds the trunk, step 1 this head, step 2 the other head.
    assert_eq!(momentum(1), momentum(2));
    assert_ne!(momentum(2), momentum(3));
}

#[test]
fn accumulation_equals_one_large_batch() {
    // Unequal parts, and weights that differ between them.
    let large = |seed| {
        let mut batch = batch(seed, 10);
        let weight: Vec<f64> = (0..10).map(|i| f64::from(i % 3)).collect();
        let weight = Tensor::from_vec(weight, 10, &Device::Cpu).unwrap();
        let target = Target::weighted(batch.targets["sum"].value().clone(), weight).unwrap();
        *batch.targets.get_mut("sum").unwrap() = target;
        batch
    };
    let part = |batch: &Batch, start: usize, len: usize| {
        let cut = |t: &Tensor| t.narrow(0, start, len).unwrap();
        Batch {
            inputs: batch.inputs.map(|_, x| cut(x)),
            targets: batch.targets.map(|_, t| Target::weighted(cut(t.value()), cut(t.weight())).unwrap()),
            indices: batch.indices[start..start + len].to_vec(),
        }
    };
    let (one, one_params) = builder(0.0);
    let (many, many_params) = builder(0.0);
    let mut one = one.balance(Balance::losses(Box::new(Mean))).build().unwrap();
    let mut many = many.balance(Balance::losses(Box::new(Mean))).build().unwrap();
    for i in 0..5 {
        let large = large(i);
        let a = one.step(&large).unwrap();
        let b = many.step_over(&[part(&large, 0, 4), part(&large, 4, 1), part(&large, 5, 5)]).unwrap();
        assert_eq!((a.samples, a.weights.len()), (b.samples, b.weights.len()));
        for task in TASKS {
            assert!((a.losses[task] - b.losses[task]).abs() < 1e-13, "{task}");
        }
    }
    for (a, b) in all_values(&one_params).iter().zip(all_values(&many_params)) {
        assert!((a - b).abs() < 1e-12, "{a} and {b}");
    }
}

#[test]
fn one_sampled_task_learns_alone() {
    let (builder, params) = builder(0.0);
    let weights = Named::new([("sum", 0.0), ("product", 2.0)]).unwrap();
    let mut step = builder.sampling(Sampling::One { weights }).build().unwrap();
    let before = values(&params, &owners()[1]);
    let report = step.step(&batch(0, 8)).unwrap();
    assert_eq!(report.losses.names().collect::<Vec<_>>(), ["product"]);
    assert_eq!(values(&params, &owners()[1]), before);
}

#[test]
fn a_batch_without_labels_changes_nothing() {
    let (builder, params) = builder(0.0);
    let mut step = builder.build().unwrap();
    let before = all_values(&params);
    let mut blank = batch(0, 4);
    blank.targets.remove("sum");
    let zero = Tensor::zeros(4, DType::F64, &Device::Cpu).unwrap();
    let target = Target::weighted(blank.targets["product"].value().clone(), zero).unwrap();
    *blank.targets.get_mut("product").unwrap() = target;
    assert!(step.step(&blank).unwrap().losses.is_empty());
    assert_eq!(all_values(&params), before);
    assert_eq!(step.done(), 1);
}

#[test]
fn clipping_bounds_the_step() {
    let (builder, params) = builder(0.0);
    let plain = OptimizerConfig::Sgd(Sgd { lr: 1.0, ..Sgd::default() });
    let mut step = builder.optimizer(plain).clip(Clip::Norm { max: 1e-3 }).build().unwrap();
    let before = all_values(&params);
    let report = step.step(&batch(0, 8)).unwrap();
    let moved: f64 = all_values(&params).iter().zip(before).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    assert!(report.gradient_norm > 0.1, "{}", report.gradient_norm);
    assert!((moved - 1e-3).abs() < 1e-7, "{moved}");
}

#[test]
fn gradients_of_the_tasks_meet_in_the_gramian() {
    let (builder, params) = builder(0.0);
    let step = builder.build().unwrap();
    let before = all_values(&params);
    let gramian = step.gramian(&batch(0, 8)).unwrap();
    assert_eq!(gramian.tasks().collect::<Vec<_>>(), TASKS);
    assert!(gramian.norms().iter().all(|norm| *norm > 0.0) && gramian.cosine(0, 1).abs() < 1.0);
    assert_eq!(all_values(&params), before);
}

#[test]
fn the_parts_of_a_step_are_checked_against_each_other() {
    let refuse = |change: fn(StepBuilder) -> StepBuilder| change(builder(0.0).0).build().err().unwrap();
    let unknown = refuse(|b| b.criterion("depth", CrossEntropy::default()));
    assert!(matches!(unknown, Error::Unknown { name, .. } if name == "depth"));
    assert!(matches!(refuse(|b| b.criterion("sum", Mse)), Error::Name { .. }));
    let period = refuse(|b| b.schedule(Schedule::Alternating { period: 0 }));
    assert!(matches!(period, Error::Parameter { .. }));
    assert!(matches!(refuse(|b| b.clip(Clip::Value { max: -1.0 })), Error::Parameter { .. }));
    let rate = refuse(|b| b.optimizer(OptimizerConfig::Sgd(Sgd { lr: -0.1, ..Sgd::default() })));
    assert!(matches!(rate, Error::Parameter { .. }));
    let sampling = refuse(|b| b.sampling(Sampling::One { weights: Named::default() }));
    assert!(matches!(sampling, Error::Unknown { .. }));
}

/// A scalarizer with a trained parameter that listens to every hook.
struct Listener {
    scale: Var,
    heard: Arc<Mutex<Vec<Named<f64>>>>,
}

impl Stateful for Listener {
    fn save(&self) -> Result<State> {
        Ok(State { tensors: Named::new([("scale", self.scale.copy()?)])?, ..State::default() })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        Ok(self.scale.set(state.tensors.require("tensor", "scale")?)?)
    }
}

impl Scalarizer for Listener {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        let sum = losses.values().try_fold(self.scale.zeros_like()?, |sum, loss| sum + loss)?;
        Ok((sum * self.scale.as_tensor())?)
    }

    fn after_step(&mut self, losses: &Named<f64>) -> Result<()> {
        self.heard.lock().unwrap().push(losses.clone());
        Ok(())
    }

    fn feedback(&self) -> Feedback {
        Feedback::LossesAfterStep
    }

    fn params(&self) -> Named<Param> {
        Named::new([("scale", Param::new(self.scale.clone(), Kind::Objective, Owner::Shared))]).unwrap()
    }
}

#[test]
fn a_scalarizer_trains_its_own_parameters_and_hears_the_losses_after_the_step() {
    let (builder, _) = builder(0.0);
    let scale = Var::new(1f64, &Device::Cpu).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Listener { scale: scale.clone(), heard: heard.clone() };
    let mut step = builder.balance(Balance::losses(Box::new(listener))).build().unwrap();
    let first = step.step(&batch(0, 8)).unwrap();
    // ∂/∂scale = Σ L, the rate is 0.1.
    let expected = 1.0 - 0.1 * first.losses.values().sum::<f64>();
    assert!((scale.to_scalar::<f64>().unwrap() - expected).abs() < 1e-12);
    let heard = heard.lock().unwrap();
    assert!(heard[0]["sum"] < first.losses["sum"], "{heard:?}");
}

#[test]
fn trained_task_weights_learn_with_the_network_are_saved_and_never_decayed() {
    let config: ScalarizerConfig = serde_json::from_str(r#"{"name": "uncertainty"}"#).unwrap();
    let trained = || {
        let sgd = Sgd { lr: 0.1, weight_decay: 0.5, ..Sgd::default() };
        let balance = Balance::losses(config.build());
        builder(0.0).0.balance(balance).optimizer(OptimizerConfig::Sgd(sgd)).build().unwrap()
    };
    let weight =
        |step: &Step| step.save().unwrap().tensors["balance/scalarizer/sum"].to_scalar::<f64>().unwrap();
    let (mut step, mut expected) = (trained(), 0.0);
    for i in 0..4 {
        let loss = step.step(&batch(i, 8)).unwrap().losses["sum"];
        // ∂/∂s = ½ − ½ e^(−s) L, and no decay.
        expected -= 0.1 * (0.5 - 0.5 * f64::exp(-expected) * loss);
        assert!((weight(&step) - expected).abs() < 1e-12);
    }
    let mut restored = trained();
    restored.restore(&step.save().unwrap()).unwrap();
    assert_eq!(weight(&restored), weight(&step));
}

#[test]
fn saving_and_restoring_a_step_is_exact() {
    let run = |interrupt: bool| {
        let (builder, params) = builder(0.2);
        let mut step = builder.schedule(Schedule::Alternating { period: 3 }).build().unwrap();
        (0..7).for_each(|i| drop(step.step(&batch(i, 6)).unwrap()));
        if !interrupt {
            (7..12).for_each(|i| drop(step.step(&batch(i, 6)).unwrap()));
            return all_values(&params);
        }
        let (state, model) = (step.save().unwrap(), params.tensors().map(|_, t| t.copy().unwrap()));
        let (builder, params) = self::builder(0.2);
        let mut step = builder.schedule(Schedule::Alternating { period: 3 }).build().unwrap();
        params.load(&model).unwrap();
        step.restore(&state).unwrap();
        (7..12).for_each(|i| drop(step.step(&batch(i, 6)).unwrap()));
        all_values(&params)
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn a_state_of_another_step_is_refused_and_changes_nothing() {
    let (other, _) = builder(0.0);
    let adam = OptimizerConfig::Adam(Default::default());
    let state = other.optimizer(adam).build().unwrap().save().unwrap();
    let mut step = builder(0.0).0.build().unwrap();
    step.step(&batch(0, 4)).unwrap();
    assert!(matches!(step.restore(&state), Err(Error::State { .. })));
    assert_eq!(step.done(), 1);
    let seed = builder(0.0).0.rng(&Rng::new(6)).build().unwrap().save().unwrap();
    assert!(matches!(step.restore(&seed), Err(Error::State { .. })));
}

/// A task without labels keeps its head and that head's momentum, however many batches make a step.
#[test]
fn accumulation_leaves_alone_what_no_task_reaches() {
    let run = |split: bool| {
        let (builder, params) = builder(0.0);
        let mut step = builder.optimizer(OptimizerConfig::AdamW(Default::default())).build().unwrap();
        for i in 0..4 {
            let mut whole = batch(i, 6);
            if i > 0 {
                whole.targets.remove("product");
            }
            let cut = |from: usize| Batch {
                inputs: whole.inputs.map(|_, x| x.narrow(0, from, 3).unwrap()),
                targets: whole
                    .targets
                    .map(|_, t| Target::new(t.value().narrow(0, from, 3).unwrap()).unwrap()),
                indices: vec![0; 3],
            };
            if split { step.step_over(&[cut(0), cut(3)]) } else { step.step(&whole) }.unwrap();
        }
        all_values(&params)
    };
    for (a, b) in run(false).iter().zip(run(true)) {
        assert!((a - b).abs() < 1e-9, "{a} and {b}");
    }
}
