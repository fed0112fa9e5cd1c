//! What a trainer promises: equal bits for equal seeds, exact resuming, also after SIGKILL, and early stopping.

mod fixture;
mod killing;

use std::path::Path;
use std::sync::Arc;

use fixture::{bits, metrics, shapes, step, step_of, trainer};
use killing::{Tell, kill_until_done, killable};
use taskweave_cotrain::rate::{OneCycle, RateConfig, ReduceOnPlateau};
use taskweave_cotrain::{
    Callback, Checkpoints, Control, EarlyStopping, EpochRecord, History, Schedule, Step, Trainer,
    TrainerBuilder, Unit,
};
use taskweave_data::{Cache, Loader, Order, Shapes, ShapesConfig};
use taskweave_heads::{CnnConfig, Params};
use taskweave_kernels::{Error, Result};

fn uninterrupted() -> (Vec<(String, Vec<u32>)>, History) {
    let (mut step, params) = step(0);
    let history = trainer(4, 1).build().unwrap().fit(&mut step).unwrap();
    (bits(&params), history)
}

/// Everything but the time.
fn facts(history: &History) -> History {
    let mut history = history.clone();
    history.epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
    history
}

#[test]
fn equal_seeds_give_equal_bits_for_any_number_of_threads() {
    let (reference, history) = uninterrupted();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let (other, again) = pool.install(|| {
        let (mut step, params) = step(0);
        let history = trainer(4, 3).build().unwrap().fit(&mut step).unwrap();
        (bits(&params), history)
    });
    assert!(reference == other);
    assert_eq!(facts(&history), facts(&again));
    let (mut step, params) = step(1);
    trainer(4, 1).build().unwrap().fit(&mut step).unwrap();
    assert!(reference != bits(&params), "another seed is another run");
}

#[test]
fn two_epochs_and_two_more_equal_four() {
    let folder = tempfile::tempdir().unwrap();
    let part = |epochs: u64| {
        let (mut step, params) = step(0);
        let trainer = trainer(epochs, 1).checkpoints(Checkpoints::new(folder.path().join("run")));
        let history = trainer.build().unwrap().fit(&mut step).unwrap();
        (bits(&params), history)
    };
    assert_eq!(part(2).1.epochs.len(), 2);
    let (resumed, history) = part(4);
    let (reference, whole) = uninterrupted();
    assert!(resumed == reference);
    assert_eq!(facts(&history), facts(&whole));
}

fn run(folder: &Path) -> Params {
    let (mut step, params) = step(0);
    let trainer = trainer(4, 1).checkpoints(Checkpoints::new(folder)).checkpoint_every(3).callback(Tell);
    trainer.build().unwrap().fit(&mut step).unwrap();
    params
}

#[test]
fn killable_child() {
    killable(run);
}

#[test]
fn a_run_that_is_killed_at_random_moments_ends_as_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("run");
    let kills = kill_until_done("killable_child", &folder, || {
        // Whatever is there is whole.
        Checkpoints::new(&folder).latest().unwrap();
    });
    assert!(kills > 1);
    assert!(bits(&run(&folder)) == uninterrupted().0, "{kills} kills");
}

#[test]
fn early_stopping_stops_and_brings_the_best_epoch_back() {
    let folder = tempfile::tempdir().unwrap();
    let fit = |epochs: u64| {
        let (mut step, params) = step(0);
        // So large a rate that the first epochs are the best ones.
        step.set_rate(0.3).unwrap();
        let valid = Loader::builder(shapes(20)).batch_size(10).build().unwrap();
        let train = Loader::builder(shapes(55)).batch_size(8).build().unwrap();
        let trainer = Trainer::builder(train)
            .epochs(epochs)
            .valid(valid.clone(), metrics())
            .early_stopping(EarlyStopping { patience: 2, min_delta: 0.0 })
            .checkpoints(Checkpoints::new(folder.path().join(epochs.to_string())));
        let history = trainer.build().unwrap().fit(&mut step).unwrap();
        let loss = |epoch: &EpochRecord| epoch.valid.values().map(|score| score.loss).sum::<f64>();
        let losses: Vec<f64> = history.epochs.iter().map(loss).collect();
        let kept: f64 = step.evaluate(&valid, &mut metrics()).unwrap().values().map(|score| score.loss).sum();
        (losses, kept, bits(&params))
    };
    let (losses, kept, params) = fit(60);
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(losses.len() < 60, "stopped after {} epochs", losses.len());
    assert_eq!(losses[losses.len() - 3], best);
    assert_eq!(kept, best);
    // A finished run that is started again trains no further and has the same parameters.
    let (again, kept_again, params_again) = fit(60);
    assert_eq!((again, kept_again), (losses, kept));
    assert!(params == params_again);
}

#[test]
fn a_plateau_lowers_the_rate() {
    let (mut step, _) = step(0);
    step.set_rate(0.5).unwrap();
    let train = Loader::builder(shapes(30)).batch_size(10).build().unwrap();
    let rate = RateConfig::ReduceOnPlateau(ReduceOnPlateau::new(0.1, 0, 0.5).unwrap()).build().unwrap();
    let history =
        Trainer::builder(train).epochs(6).rate(rate, Unit::Epoch).build().unwrap().fit(&mut step).unwrap();
    assert!(history.epochs[5].rate < 0.06, "{}", history.epochs[5].rate);
}

struct StopAfter(u64);

impl Callback for StopAfter {
    fn on_epoch(&mut self, record: &EpochRecord) -> Result<Control> {
        Ok(if record.epoch + 1 == self.0 { Control::Stop } else { Control::Continue })
    }
}

#[test]
fn a_callback_ends_a_training() {
    let (mut step, _) = step(0);
    let history = trainer(9, 0).callback(StopAfter(2)).build().unwrap().fit(&mut step).unwrap();
    assert_eq!(history.epochs.len(), 2);
}

#[test]
fn cosines_are_recorded_per_epoch() {
    let (_, history) = uninterrupted();
    for epoch in &history.epochs {
        let cosines = epoch.cosines.as_ref().unwrap();
        assert!((cosines["class"]["class"] - 1.0).abs() < 1e-9 && cosines["class"]["mask"].abs() < 1.0);
    }
}

#[test]
fn accumulated_batches_make_fewer_steps() {
    let (mut step, _) = step(0);
    trainer(1, 1).accumulate(3).build().unwrap().fit(&mut step).unwrap();
    assert_eq!(step.done(), 3);
}

#[test]
fn parameters_out_of_range_are_refused() {
    let refused = |builder: TrainerBuilder| matches!(builder.build(), Err(Error::Parameter { .. }));
    assert!(refused(trainer(0, 1)));
    assert!(refused(trainer(1, 1).accumulate(0)));
    assert!(refused(trainer(1, 1).checkpoint_every(0)));
    assert!(refused(trainer(1, 1).early_stopping(EarlyStopping { patience: 0, min_delta: 0.0 })));
    let train = Loader::builder(shapes(10)).build().unwrap();
    let blind = Trainer::builder(train).early_stopping(EarlyStopping { patience: 1, min_delta: 0.0 });
    assert!(refused(blind));
}

/// A data set of which one sample has gone bad.
struct Spoiled(Arc<Cache>);

impl taskweave_data::Dataset for Spoiled {
    fn spec(&self) -> &taskweave_data::Spec {
        self.0.spec()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> Result<taskweave_data::Sample> {
        let mut sample = self.0.get(index)?;
        if index == 7 {
            let image = sample.inputs.require_mut("view", "image")?;
            *image = (&*image * f64::NAN)?;
        }
        Ok(sample)
    }
}

#[test]
fn a_value_that_is_not_finite_ends_the_training_and_keeps_the_last_good_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path());
    let (mut step, params) = step(0);
    let train = Loader::builder(Arc::new(Spoiled(shapes(20)))).batch_size(3).build().unwrap();
    let trainer = Trainer::builder(train).checkpoints(checkpoints.clone()).checkpoint_every(2);
    let error = trainer.build().unwrap().fit(&mut step).unwrap_err();
    assert_eq!(error.to_string(), "input of `image` is not finite at step 2");
    let saved = checkpoints.latest().unwrap().unwrap();
    let same = |(a, b): (&candle_core::Tensor, &candle_core::Tensor)| {
        let values = |t: &candle_core::Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values(a) == values(b)
    };
    assert!(saved.model.values().zip(params.tensors().values()).all(same));
}

/// Chance is 0.1 for the class; an all-background mask has a mean IoU of about 0.4.
#[test]
fn a_network_learns_easy_shapes_in_seconds() {
    let config = ShapesConfig { len: 600, size: 20, difficulty: 0.0, ..ShapesConfig::default() };
    let all = Arc::new(Cache::new(&Shapes::new(config).unwrap()).unwrap());
    let loader = |indices| Loader::builder(all.clone()).indices(indices);
    let train = loader((0..500).collect()).batch_size(25).order(Order::Shuffled).build().unwrap();
    let test = loader((500..600).collect()).build().unwrap();
    let (mut step, _) = step_of(0, CnnConfig::new(3, &[12, 24, 48]), Schedule::Joint);
    let rate = RateConfig::OneCycle(OneCycle::new(0.02, 240).unwrap()).build().unwrap();
    Trainer::builder(train).epochs(12).rate(rate, Unit::Step).build().unwrap().fit(&mut step).unwrap();
    let scores = step.evaluate(&test, &mut metrics()).unwrap();
    let (class, mask) = (scores["class"].value().unwrap(), scores["mask"].value().unwrap());
    assert!(class > 0.4 && mask > 0.7, "accuracy {class}, mean IoU {mask}");
}

/// Early stopping keeps the best parameters aside; a longer training goes on from the newest ones.
#[test]
fn a_training_with_early_stopping_resumes_from_its_newest_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let fit = |epochs: u64, name: &str| {
        let (mut step, params) = step(0);
        step.set_rate(0.1).unwrap();
        let trainer = trainer(epochs, 1)
            .early_stopping(EarlyStopping { patience: 50, min_delta: 0.0 })
            .checkpoints(Checkpoints::new(folder.path().join(name)));
        let history = trainer.build().unwrap().fit(&mut step).unwrap();
        let saved = Checkpoints::new(folder.path().join(name)).latest().unwrap().unwrap();
        let best = saved.best();
        assert!(best.iter().all(|(name, tensor)| {
            let values = |t: &candle_core::Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            values(tensor) == values(&params.tensors()[name])
        }));
        (bits(&params), facts(&history))
    };
    fit(3, "parts");
    assert!(fit(6, "parts") == fit(6, "whole"));
}

#[test]
fn a_checkpoint_of_other_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fit = |len: usize| {
        let train = Loader::builder(shapes(len)).batch_size(5).build().unwrap();
        let trainer = Trainer::builder(train).epochs(2).checkpoints(Checkpoints::new(folder.path()));
        trainer.build().unwrap().fit(&mut step(0).0).map(|_| ())
    };
    fit(20).unwrap();
    assert!(matches!(fit(30), Err(Error::State { .. })));
    fit(20).unwrap();
}

#[test]
fn a_second_training_starts_from_the_configured_rate() {
    let (mut step, _) = step(0);
    let base = step.rate();
    let fit = |step: &mut Step| {
        let train = Loader::builder(shapes(20)).batch_size(5).build().unwrap();
        let rate = RateConfig::Exponential(taskweave_cotrain::rate::Exponential::new(0.1).unwrap());
        let trainer = Trainer::builder(train).epochs(3).rate(rate.build().unwrap(), Unit::Epoch);
        trainer.build().unwrap().fit(step).unwrap().epochs[0].rate
    };
    assert_eq!((fit(&mut step), fit(&mut step)), (base, base));
}

/// A learning rate that makes every number overflow.
#[test]
fn a_model_that_has_diverged_is_never_saved() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path());
    let (mut step, _) = step(0);
    let train = Loader::builder(shapes(20)).batch_size(5).build().unwrap();
    let good = Trainer::builder(train.clone()).epochs(1).checkpoints(checkpoints.clone());
    good.build().unwrap().fit(&mut step).unwrap();
    step.set_rate(3e38).unwrap();
    let rate = taskweave_cotrain::rate::RateConfig::default().build().unwrap();
    let bad = Trainer::builder(train).epochs(1).rate(rate, Unit::Step).checkpoint_every(1);
    let bad = bad.checkpoints(Checkpoints::new(folder.path().join("bad")));
    assert!(matches!(bad.build().unwrap().fit(&mut step), Err(Error::NonFinite { .. })));
    if let Some(saved) = Checkpoints::new(folder.path().join("bad")).latest().unwrap() {
        let finite = |t: &candle_core::Tensor| taskweave_kernels::ops::all_finite(t).unwrap();
        assert!(saved.model.values().all(finite));
    }
    assert!(checkpoints.latest().unwrap().is_some());
}

#[test]
fn a_held_trunk_keeps_its_running_statistics() {
    let (mut step, params) = step(0); // the schedule holds the trunk first, then the class's head
    let mean = || bits(&params).into_iter().find(|(name, _)| name == "shared.0.0.norm.running_mean").unwrap();
    let loader = Loader::builder(shapes(24)).batch_size(8).build().unwrap();
    let before = mean();
    let batches: Vec<_> = loader.epoch(0).map(|batch| batch.unwrap()).collect();
    step.step(&batches[0]).unwrap();
    step.step(&batches[1]).unwrap();
    assert!(mean() == before);
    step.step(&batches[2]).unwrap();
    assert!(mean() != before);
}

#[test]
fn a_plateau_of_a_negative_metric_lowers_the_rate() {
    let mut rate = RateConfig::ReduceOnPlateau(ReduceOnPlateau::new(0.5, 2, 0.01).unwrap()).build().unwrap();
    (0..4).for_each(|time| rate.observe(time, -0.9));
    assert_eq!(rate.rate(1.0, 4), 0.5);
}
