//! What a step that is refused leaves: everything as it was, and the name of what was wrong.

#[allow(dead_code, reason = "each test uses its part")]
mod small;

use candle_core::{DType, Device, Tensor};
use taskweave_cotrain::{Balance, BalanceConfig, Step, StepBuilder};
use taskweave_data::Batch;
use taskweave_heads::{HardSharing, MlpConfig, Network, Params, Regression, Stage};
use taskweave_kernels::{Error, Named, Result, Rng, State, Stateful, Target};
use taskweave_loss::criterion::Mse;
use taskweave_loss::{Aggregated, Aggregator, Criterion, Jacobian};

use small::{TASKS, all_values, batch, builder};

fn refused(batch: &Batch) -> (Error, bool) {
    let (builder, params) = builder(0.0);
    let mut step = builder.build().unwrap();
    step.step(&self::batch(0, 4)).unwrap();
    let before = all_values(&params);
    let error = step.step(batch).unwrap_err();
    (error, all_values(&params) == before)
}

#[test]
fn values_that_are_not_finite_name_task_and_step_and_change_nothing() {
    let mut input = batch(1, 2);
    *input.inputs.get_mut("x").unwrap() = Tensor::new(&[[1f64, f64::NAN], [0.0, 0.0]], &Device::Cpu).unwrap();
    let (error, unchanged) = refused(&input);
    assert_eq!((error.to_string().as_str(), unchanged), ("input of `x` is not finite at step 1", true));

    let mut label = batch(1, 2);
    let huge = Tensor::new(&[[1e200f64], [0.0]], &Device::Cpu).unwrap();
    *label.targets.get_mut("product").unwrap() = Target::new(huge).unwrap();
    let (error, unchanged) = refused(&label);
    assert_eq!((error.to_string().as_str(), unchanged), ("loss of `product` is not finite at step 1", true));
}

/// 1 + √|x| has a finite value and an infinite slope at 0.
struct Root;

impl Criterion for Root {
    fn losses(&self, prediction: &Tensor, _: &Target) -> Result<Tensor> {
        Ok(((prediction - prediction.detach())?.sqrt()? + 1.0)?.flatten_from(1)?.mean(1)?)
    }
}

fn with_product(criterion: impl Criterion + 'static) -> (StepBuilder, Params) {
    let params = Params::new(&Rng::new(3), DType::F64, &Device::Cpu);
    let trunk = MlpConfig { inputs: 2, widths: vec![6], dropout: 0.0 }.build(&params.shared()).unwrap();
    let head = |task: &str| Box::new(Regression::new(&params.task(task), trunk.features(), 1).unwrap());
    let heads = Named::new(TASKS.map(|task| (task, head(task) as Box<dyn Stage>))).unwrap();
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    (Step::builder(model, params.clone()).criterion("sum", Mse).criterion("product", criterion), params)
}

#[test]
fn a_gradient_that_is_not_finite_names_the_task_it_came_from() {
    let (builder, params) = with_product(Root);
    let mut step = builder.build().unwrap();
    let before = all_values(&params);
    let error = step.step(&batch(0, 4)).unwrap_err();
    let Error::NonFinite { what, name, step } = &error else { panic!("{error}") };
    assert!(what.starts_with("gradient"), "{error}");
    assert_eq!((name.as_str(), *step), ("product", Some(0)));
    assert_eq!(all_values(&params), before);
}

/// [`Root`] of samples with labels beyond a thousand, else the squared error.
struct Sometimes;

impl Criterion for Sometimes {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        match target.value().max_all()?.to_scalar::<f64>()? > 1e3 {
            true => Root.losses(prediction, target),
            false => Mse.losses(prediction, target),
        }
    }
}

/// The sum of the gradients, and at the call with this number nothing finite.
#[derive(Debug)]
struct Fails {
    at: u64,
    calls: u64,
}

impl Stateful for Fails {
    fn save(&self) -> Result<State> {
        State::of(&self.calls)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.calls = state.read("fails")?;
        Ok(())
    }
}

impl Aggregator for Fails {
    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        self.calls += 1;
        // Too large to be summed.
        let weight = if self.calls > self.at { f64::MAX } else { 1.0 };
        let gradient = jacobian.combined(&vec![weight; jacobian.rows().len()])?;
        Ok(Aggregated { gradient, weights: None })
    }
}

#[test]
fn a_step_that_is_refused_is_none() {
    let bad = |number: u64| {
        let mut bad = batch(number, 6);
        let huge = Tensor::full(1e4, (6, 1), &Device::Cpu).unwrap();
        *bad.targets.get_mut("product").unwrap() = Target::new(huge).unwrap();
        bad
    };
    for text in BALANCES {
        let built = || {
            let balance = serde_json::from_str::<BalanceConfig>(text).unwrap().build().unwrap();
            let (builder, params) = with_product(Sometimes);
            (builder.balance(balance).build().unwrap(), params)
        };
        let ((mut whole, expected), (mut step, params)) = (built(), built());
        for number in 0..4 {
            let error = step.step(&bad(number)).unwrap_err();
            assert!(matches!(error, Error::NonFinite { .. }), "{text}: {error}");
            assert_eq!(step.done(), number, "{text}");
            step.step(&batch(number, 6)).unwrap();
            whole.step(&batch(number, 6)).unwrap();
            assert_eq!(step.save().unwrap().values, whole.save().unwrap().values, "{text}");
        }
        assert_eq!(all_values(&params), all_values(&expected), "{text}");
    }
}

/// Balances that remember something: of the losses, of weights, of gradients.
const BALANCES: [&str; 9] = [
    r#"{"losses": {"name": "random"}}"#,
    r#"{"losses": {"name": "ldc"}}"#,
    r#"{"losses": {"name": "random"}, "gradients": {"of": "parameters", "method": {"name": "upgrad"}}}"#,
    r#"{"gradients": {"of": "parameters", "method": {"name": "random"}}}"#,
    r#"{"gradients": {"of": "parameters", "method": {"name": "graddrop"}}}"#,
    r#"{"gradients": {"of": "parameters", "method": {"name": "moco"}}}"#,
    r#"{"gradients": {"of": "parameters", "method": {"name": "ema", "of": {"name": "pcgrad"}}}}"#,
    r#"{"gradients": {"of": "parameters", "method": {"name": "upgrad"}}, "refresh": 3}"#,
    r#"{"gradients": {"of": "representation", "method": {"name": "gradvac"}}}"#,
];

#[test]
fn an_aggregator_whose_gradient_is_refused_has_not_been_asked() {
    let (builder, params) = builder(0.0);
    let mut step = builder.balance(Balance::parameters(Box::new(Fails { at: 1, calls: 0 }))).build().unwrap();
    step.step(&batch(0, 4)).unwrap();
    let (before, state) = (all_values(&params), step.save().unwrap().values);
    for _ in 0..2 {
        assert!(matches!(step.step(&batch(1, 4)), Err(Error::NonFinite { .. })));
        assert_eq!((all_values(&params), step.save().unwrap().values), (before.clone(), state.clone()));
    }
}

#[test]
fn misfitting_targets_and_tasks_are_typed_errors() {
    let mut unknown = batch(0, 2);
    unknown.targets.insert("depth", unknown.targets["sum"].clone()).unwrap();
    assert!(matches!(refused(&unknown), (Error::Unknown { name, .. }, true) if name == "depth"));

    let mut shape = batch(0, 2);
    *shape.targets.get_mut("sum").unwrap() = batch(0, 3).targets["sum"].clone();
    assert!(matches!(refused(&shape), (Error::Shape { what, .. }, true) if what.contains("`sum`")));

    let mut dtype = batch(0, 2);
    let labels = Tensor::zeros((2, 1), DType::U32, &Device::Cpu).unwrap();
    *dtype.targets.get_mut("sum").unwrap() = Target::new(labels).unwrap();
    assert!(matches!(refused(&dtype), (Error::DType { what, .. }, true) if what.contains("`sum`")));
}

#[test]
fn weights_that_are_no_weights_are_refused() {
    for wrong in [f64::NAN, -4.0, f64::INFINITY] {
        let mut batch = batch(0, 4);
        let weight = Tensor::new(&[1.0, 1.0, 1.0, wrong], &Device::Cpu).unwrap();
        let target = Target::weighted(batch.targets["sum"].value().clone(), weight).unwrap();
        *batch.targets.get_mut("sum").unwrap() = target;
        let (error, unchanged) = refused(&batch);
        assert!(matches!(&error, Error::Parameter { name, .. } if name.contains("`sum`")), "{error}");
        assert!(unchanged);
    }
}
