//! Sets of trade-offs, on a problem whose front is known.
//!
//! Both tasks predict the same number θ; one wants 1 and the other −1, so that the losses are (θ − 1)² and (θ + 1)². With
//! weights r the optimum is θ = r₁ − r₂, where the losses are 4r₂² and 4r₁².

#[allow(dead_code, reason = "each test uses its part")]
mod small;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::{Init, Module};
use taskweave_cotrain::pareto::{Conditioned, DrawPreference, Front, Place, Preference, Start, Tracer};
use taskweave_cotrain::{Balance, Callback, Checkpoints, Step, StepReport, Trainer, Training};
use taskweave_data::{Labels, Loader, Memory};
use taskweave_heads::{Mode, Model, Params};
use taskweave_kernels::optim::{OptimizerConfig, Sgd};
use taskweave_kernels::{Error, Named, Result, Rng, Target};
use taskweave_loss::criterion::Mse;
use taskweave_loss::metric::Regression;
use taskweave_loss::{AggregatorConfig, Metric, ScalarizerConfig};

const TASKS: [&str; 2] = ["up", "down"];

/// Predicts one number for both tasks.
struct Number {
    from: Source,
}

enum Source {
    Free(Tensor),
    /// A linear function of what the view `preference` holds, or of the last two of `x`.
    Seen(candle_nn::Linear, &'static str),
}

impl Model for Number {
    fn tasks(&self) -> Vec<String> {
        TASKS.map(String::from).into()
    }

    fn share(&self, inputs: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
        let number = match &self.from {
            Source::Free(number) => number.broadcast_as((inputs["x"].dim(0)?, 1))?,
            Source::Seen(linear, view) => {
                let seen = inputs.require("view", view)?;
                linear.forward(&seen.narrow(1, seen.dim(1)? - 2, 2)?.contiguous()?)?
            }
        };
        Named::new(TASKS.map(|task| (task, number.clone())))
    }

    fn heads(&self, features: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
        Ok(features.clone())
    }
}

fn builder(model: impl Model + 'static, params: Params) -> taskweave_cotrain::StepBuilder {
    let sgd = OptimizerConfig::Sgd(Sgd { lr: 0.1, ..Sgd::default() });
    Step::builder(model, params).criterion("up", Mse).criterion("down", Mse).optimizer(sgd).rng(&Rng::new(1))
}

fn free(objective: &str) -> Step {
    let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
    let number = params.shared().get_with_hints((1, 1), "number", Init::Const(0.3)).unwrap();
    let builder = builder(Number { from: Source::Free(number) }, params);
    scalarized(builder, objective).build().unwrap()
}

fn scalarized(builder: taskweave_cotrain::StepBuilder, objective: &str) -> taskweave_cotrain::StepBuilder {
    builder.balance(Balance::losses(serde_json::from_str::<ScalarizerConfig>(objective).unwrap().build()))
}

const WEIGHTS: &str = r#"{"name": "constant", "weights": [1, 1]}"#;

fn loader(samples: usize) -> Loader {
    let column = |y: f64| Tensor::full(y, (samples, 1), &Device::Cpu).unwrap();
    let target = |y: f64| (Labels::Value(vec![1]), Target::new(column(y)).unwrap());
    let targets = Named::new([("up", target(1.0)), ("down", target(-1.0))]).unwrap();
    let data = Memory::new(Named::new([("x", column(0.0))]).unwrap(), targets).unwrap();
    Loader::builder(Arc::new(data)).batch_size(2).workers(0).build().unwrap()
}

fn metrics() -> Named<Box<dyn Metric>> {
    Named::new(TASKS.map(|task| (task, Box::new(Regression::default()) as Box<dyn Metric>))).unwrap()
}

fn training(step: Step, samples: usize) -> Training {
    let trainer = Trainer::builder(loader(samples)).build().unwrap();
    Training { step, trainer, test: loader(2), metrics: metrics() }
}

fn preference(up: f64, down: f64) -> Named<f64> {
    Named::new([("up", up), ("down", down)]).unwrap()
}

/// The largest distance of a front from the known one.
fn distance(front: &Front) -> f64 {
    let of = |trade_off: &taskweave_cotrain::pareto::TradeOff| {
        let (r, losses) = (&trade_off.preference, &trade_off.losses);
        let [up, down] = [4.0 * r["down"].powi(2), 4.0 * r["up"].powi(2)];
        (losses["up"] - up).abs().max((losses["down"] - down).abs())
    };
    front.trade_offs().iter().map(of).fold(0.0, f64::max)
}

#[test]
fn a_traced_front_is_the_known_one() {
    let tracer = Tracer::evenly(&TASKS, 10, 0.0).unwrap();
    for start in [Start::Fresh, Start::Warm] {
        let front = tracer.clone().start(start).trace(|_| Ok(training(free(WEIGHTS), 200))).unwrap();
        assert!(distance(&front) < 1e-8, "{start:?}: {}", distance(&front));
        assert_eq!((front.trade_offs().len(), front.best().unwrap().len()), (11, 11));
        let (volume, bound) = (front.hypervolume(&preference(4.0, 4.0)).unwrap(), 16.0 * 5.0 / 6.0);
        // Eleven points of the curve √a + √b = 2 below the reference (4, 4).
        assert!(volume < bound && volume > 0.9 * bound, "{volume} of {bound}");
        let number = front.trade_offs()[3].model["shared.number"].to_vec2::<f64>().unwrap()[0][0];
        assert!((number - (0.3 - 0.7)).abs() < 1e-5, "{number}");
    }
}

#[test]
fn an_aggregator_takes_the_preference_too() {
    let aggregating = || {
        let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
        let number = params.shared().get_with_hints((1, 1), "number", Init::Const(0.3)).unwrap();
        let text = r#"{"name": "ema", "of": {"name": "constant", "weights": [1, 1]}}"#;
        let aggregator = serde_json::from_str::<AggregatorConfig>(text).unwrap().build().unwrap();
        let balance = Balance::parameters(aggregator);
        builder(Number { from: Source::Free(number) }, params).balance(balance).build().unwrap()
    };
    let tracer = Tracer::new(vec![preference(1.0, 3.0), preference(3.0, 1.0)]).unwrap();
    let front = tracer.trace(|_| Ok(training(aggregating(), 200))).unwrap();
    assert!(distance(&front) < 1e-8, "{}", distance(&front));
}

/// At the end r·L is equal for EPO and L proportional to r for FERERO, on the curve √a + √b = 2.
#[test]
fn methods_that_balance_gradients_by_a_preference_find_their_point_of_the_front() {
    let balancing = |name: &str| {
        let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
        let number = params.shared().get_with_hints((1, 1), "number", Init::Const(0.3)).unwrap();
        let text = format!(r#"{{"name": "{name}", "preference": [1, 1]}}"#);
        let aggregator = serde_json::from_str::<AggregatorConfig>(&text).unwrap().build().unwrap();
        let builder = builder(Number { from: Source::Free(number) }, params);
        builder.balance(Balance::parameters(aggregator)).build().unwrap()
    };
    let preferences = vec![preference(1.0, 3.0), preference(1.0, 1.0), preference(2.0, 1.0)];
    let tracer = Tracer::new(preferences).unwrap();
    for name in ["epo", "ferero"] {
        let front = tracer.trace(|_| Ok(training(balancing(name), 400))).unwrap();
        for trade_off in front.trade_offs() {
            let (r, losses) = (&trade_off.preference, &trade_off.losses);
            let (r, l) = ([r["up"], r["down"]], [losses["up"], losses["down"]]);
            assert!((l[0].sqrt() + l[1].sqrt() - 2.0).abs() < 1e-6, "{name}: {l:?}");
            let [a, b] = if name == "epo" { [r[0] * l[0], r[1] * l[1]] } else { [l[0] / r[0], l[1] / r[1]] };
            // EPO takes steps of one length to and fro.
            assert!((a / b - 1.0).abs() < 0.05, "{name} at {r:?}: {l:?}");
        }
    }
}

#[test]
fn a_warm_start_begins_where_the_preference_before_has_led() {
    let tracer = Tracer::new(vec![preference(1.0, 0.0), preference(0.9, 0.1)]).unwrap().start(Start::Warm);
    // One training of 200 samples, one of two: too short to get anywhere from 0.3.
    let lengths = [200, 2];
    let front = tracer.trace(|i| Ok(training(free(WEIGHTS), lengths[i]))).unwrap();
    assert!(front.trade_offs()[1].losses["up"] < 0.01);
    let cold = tracer.start(Start::Fresh).trace(|i| Ok(training(free(WEIGHTS), lengths[i]))).unwrap();
    assert!(cold.trade_offs()[1].losses["up"] > 0.2);
}

#[test]
fn a_step_is_told_its_preference_or_says_why_not() {
    let mut step = free(WEIGHTS);
    step.prefer(&Named::new([("down", 3.0), ("up", 1.0)]).unwrap()).unwrap();
    let batch = loader(2).epoch(0).next().unwrap().unwrap();
    assert_eq!(step.step(&batch).unwrap().weights, preference(1.0, 3.0));
    let missing = step.prefer(&Named::new([("up", 1.0)]).unwrap());
    assert!(matches!(missing, Err(Error::Unknown { name, .. }) if name == "down"));
    let unknown = step.prefer(&Named::new([("up", 1.0), ("down", 1.0), ("left", 1.0)]).unwrap());
    assert!(matches!(unknown, Err(Error::Unknown { name, .. }) if name == "left"));
    let negative = step.prefer(&preference(-1.0, 1.0));
    assert!(matches!(negative, Err(Error::Parameter { .. })));
    let deaf = free(r#"{"name": "mean"}"#).prefer(&preference(1.0, 1.0)).unwrap_err().to_string();
    assert_eq!(deaf, "preference: expected a method that takes one, found one that takes none");
    assert!(matches!(Tracer::new(vec![]), Err(Error::Parameter { .. })));
    assert!(matches!(Tracer::new(vec![preference(0.0, 0.0)]), Err(Error::Parameter { .. })));
    let mixed = vec![preference(1.0, 1.0), Named::new([("up", 1.0)]).unwrap()];
    assert!(matches!(Tracer::new(mixed), Err(Error::Parameter { .. })));
}

/// A network that sees its preference, drawn anew for every step.
fn conditioned(place: Place, view: &'static str) -> (Step, Params, Preference) {
    let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
    let linear = candle_nn::linear(2, 1, params.shared().pp("linear")).unwrap();
    let preference = Preference::new(TASKS).unwrap();
    let model = Conditioned::new(Number { from: Source::Seen(linear, view) }, &preference, place);
    let step = scalarized(builder(model, params.clone()), WEIGHTS).build().unwrap();
    (step, params, preference)
}

fn drawing(preference: &Preference, samples: usize) -> taskweave_cotrain::TrainerBuilder {
    let concentration = Named::new(TASKS.map(|task| (task, 1.0))).unwrap();
    let draw = DrawPreference::new(preference, concentration, &Rng::new(4)).unwrap();
    Trainer::builder(loader(samples)).callback(draw)
}

#[test]
fn one_network_that_sees_the_preference_learns_the_whole_front() {
    let places = [(Place::View("preference".into()), "preference"), (Place::Appended("x".into()), "x")];
    let tracer = Tracer::evenly(&TASKS, 8, 0.0).unwrap();
    for (place, view) in places {
        let (mut step, _, preference) = conditioned(place, view);
        drawing(&preference, 4000).build().unwrap().fit(&mut step).unwrap();
        let left = preference.now();
        let front = tracer.read(&step, &preference, (&loader(2), &mut metrics())).unwrap();
        assert!(distance(&front) < 1e-3, "{view}: {}", distance(&front));
        assert_eq!(preference.now(), left);
        assert!(front.trade_offs()[0].model.is_empty());
    }
}

/// Ends the training with an error after a step.
struct Crash(u64);

impl Callback for Crash {
    fn on_step(&mut self, report: &StepReport) -> Result<()> {
        match report.step == self.0 {
            true => Err(Error::parameter("step", "another one", report.step)),
            false => Ok(()),
        }
    }
}

#[test]
fn a_conditioned_training_that_was_stopped_equals_one_that_was_not() {
    let fresh = || conditioned(Place::View("preference".into()), "preference");
    let (mut step, whole, preference) = fresh();
    drawing(&preference, 40).epochs(2).build().unwrap().fit(&mut step).unwrap();
    let last = preference.now();

    let folder = tempfile::tempdir().unwrap();
    let checkpoints = || Checkpoints::new(folder.path().join("run"));
    let (mut step, _, preference) = fresh();
    let trainer = drawing(&preference, 40).epochs(2).checkpoints(checkpoints()).checkpoint_every(3);
    assert!(trainer.callback(Crash(16)).build().unwrap().fit(&mut step).is_err());
    let (mut step, parts, preference) = fresh();
    let trainer = drawing(&preference, 40).epochs(2).checkpoints(checkpoints()).checkpoint_every(3);
    trainer.build().unwrap().fit(&mut step).unwrap();
    assert_eq!(small::all_values(&whole), small::all_values(&parts));
    assert_eq!(preference.now(), last);
}

#[test]
fn images_get_the_preference_as_channels() {
    struct Same;
    impl Model for Same {
        fn tasks(&self) -> Vec<String> {
            TASKS.map(String::from).into()
        }
        fn share(&self, inputs: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
            Named::new([("up", inputs["image"].clone()), ("down", inputs["image"].clone())])
        }
        fn heads(&self, features: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
            Ok(features.clone())
        }
    }
    let shared = Preference::new(TASKS).unwrap();
    shared.set(&preference(1.0, 3.0)).unwrap();
    let model = Conditioned::new(Same, &shared, Place::Appended("image".into()));
    let image = Tensor::zeros((2, 3, 4, 5), DType::F32, &Device::Cpu).unwrap();
    let seen = model.share(&Named::new([("image", image)]).unwrap(), Mode::Eval).unwrap();
    assert_eq!(seen["up"].dims(), [2, 5, 4, 5]);
    let channel =
        |c: usize| seen["up"].narrow(1, c, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!((channel(2), channel(3), channel(4)), (vec![0.0; 40], vec![0.25; 40], vec![0.75; 40]));
    let missing = model.share(&Named::new([("x", seen["up"].clone())]).unwrap(), Mode::Eval);
    assert!(matches!(missing, Err(Error::Unknown { .. })));
    let taken = Conditioned::new(Same, &shared, Place::View("image".into()));
    let taken = taken.share(&Named::new([("image", seen["up"].clone())]).unwrap(), Mode::Eval);
    assert!(matches!(taken, Err(Error::Name { .. })));
}

/// Who sees the preference computes features for the tasks at hand only, as the model inside does.
#[test]
fn a_conditioned_model_computes_what_is_asked_for() {
    struct Parts;
    impl Model for Parts {
        fn tasks(&self) -> Vec<String> {
            TASKS.map(String::from).into()
        }
        fn share(&self, inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
            self.share_for(&self.tasks(), inputs, mode)
        }
        fn share_for(&self, tasks: &[String], inputs: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
            Named::new(tasks.iter().map(|task| (task.clone(), inputs["seen"].clone())))
        }
        fn heads(&self, features: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
            Ok(features.clone())
        }
    }
    let shared = Preference::new(TASKS).unwrap();
    shared.set(&preference(1.0, 3.0)).unwrap();
    let model = Conditioned::new(Parts, &shared, Place::View("seen".into()));
    let inputs = Named::new([("x", Tensor::zeros((1, 1), DType::F64, &Device::Cpu).unwrap())]).unwrap();
    let found = model.share_for(&["down".into()], &inputs, Mode::Eval).unwrap();
    assert_eq!(found.names().collect::<Vec<_>>(), ["down"]);
    assert_eq!(found["down"].to_vec2::<f64>().unwrap(), [[0.25, 0.75]]);
}
