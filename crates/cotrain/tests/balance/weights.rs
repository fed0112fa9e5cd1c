//! Weights that no gradient can be multiplied by: named as such, with the task and the step, and nothing has changed.

use candle_core::{DType, Device};
use taskweave_cotrain::{Balance, Step};
use taskweave_data::Batch;
use taskweave_heads::{HardSharing, MlpConfig, Network, Params, Regression, Stage};
use taskweave_kernels::{Error, Named, Result, Rng, State, Stateful};
use taskweave_loss::aggregator::Weighted;
use taskweave_loss::{Aggregated, Aggregator, Gramian, Jacobian, Weighting};

use super::four::{self, TASKS};
use super::small::all_values;

/// A user's method: weights of 1, from its second call on one of another kind.
struct Wild {
    weight: f64,
    calls: u64,
}

impl Wild {
    fn of(weight: f64) -> Self {
        Self { weight, calls: 0 }
    }

    fn next(&mut self, tasks: usize) -> Vec<f64> {
        let mut weights = vec![1.0; tasks];
        if self.calls > 0 {
            weights[1] = self.weight;
        }
        self.calls += 1;
        weights
    }
}

impl Weighting for Wild {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        Ok(self.next(gramian.len()))
    }
}

impl Stateful for Wild {
    fn save(&self) -> Result<State> {
        State::of(&self.calls)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.calls = state.read("wild")?;
        Ok(())
    }
}

/// The same as an aggregator that forms its sum itself.
struct WildSum(Wild);

impl Aggregator for WildSum {
    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        let weights = self.0.next(jacobian.rows().len());
        Ok(Aggregated { gradient: jacobian.combined(&vec![1.0; weights.len()])?, weights: Some(weights) })
    }
}

impl Stateful for WildSum {
    fn save(&self) -> Result<State> {
        self.0.save()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.0.restore(state)
    }
}

fn lifted(weight: f64) -> Box<dyn Aggregator> {
    Box::new(Weighted::new(Box::new(Wild::of(weight))))
}

/// The step that is refused as its second one, and its error.
fn refused(mut step: Step, batches: [&[Batch]; 2]) -> (Step, Error) {
    step.step_over(batches[0]).unwrap();
    let error = step.step_over(batches[1]).unwrap_err();
    assert_eq!(step.done(), 1);
    (step, error)
}

#[test]
fn a_weight_that_is_not_finite_names_its_task_and_the_step() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let balances: [fn(f64) -> Balance; 5] = [
            |w| Balance::parameters(lifted(w)),
            |w| Balance::parameters(Box::new(WildSum(Wild::of(w)))),
            |w| Balance::representation(lifted(w)),
            |w| Balance::representation(Box::new(WildSum(Wild::of(w)))),
            |w| Balance::samples(Box::new(Wild::of(w))),
        ];
        for (i, balance) in balances.iter().enumerate() {
            let (step, params) = four::step(balance(bad));
            let (first, second) = (four::batch(0, 6), four::batch(1, 6));
            let (mut step, error) = refused(step, [std::slice::from_ref(&first), &[second]]);
            let row = if i == 4 { "1" } else { "product" };
            assert_eq!(
                error.to_string(),
                format!("weight of `{row}` is not finite at step 1"),
                "balance {i}"
            );
            let after = all_values(&params);
            assert!(after.iter().all(|value| value.is_finite()));
            step.step(&first).unwrap_err();
            assert_eq!(all_values(&params), after);
        }
        let (step, _) = four::step(Balance::parameters(lifted(bad)));
        let two = [four::batch(0, 6), four::batch(1, 6)];
        let (_, error) = refused(step, [&two, &two]);
        assert_eq!(error.to_string(), "weight of `product` is not finite at step 1");
    }
}

#[test]
fn too_few_weights_are_no_weights() {
    struct Short;
    impl Weighting for Short {
        fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
            Ok(vec![1.0; gramian.len() - 1])
        }
    }
    impl Stateful for Short {
        fn save(&self) -> Result<State> {
            State::of(&())
        }

        fn restore(&mut self, _: &State) -> Result<()> {
            Ok(())
        }
    }
    for balance in [
        Balance::parameters(Box::new(Weighted::new(Box::new(Short)))),
        Balance::representation(Box::new(Weighted::new(Box::new(Short)))),
        Balance::samples(Box::new(Short)),
    ] {
        let error = four::step(balance).0.step(&four::batch(0, 4)).unwrap_err();
        assert_eq!(error.to_string(), "weights: expected shape [4], one per task, found [3]");
    }
}

/// Three steps of weights that are computed once per three steps: a refused one leaves nothing to be used again.
#[test]
fn weights_of_a_refused_step_are_not_kept() {
    let (mut step, _) = four::step(Balance::parameters(lifted(f64::NAN)).refresh(2));
    let losses = |step: &mut Step, i| step.step(&four::batch(i, 6));
    losses(&mut step, 0).unwrap();
    losses(&mut step, 1).unwrap();
    for _ in 0..2 {
        let error = losses(&mut step, 2).unwrap_err();
        assert_eq!(error.to_string(), "weight of `product` is not finite at step 2");
    }
    assert!(step.save().unwrap().values.to_string().contains(r#""age":2"#));
}

/// Four tasks in f32.
fn narrow(balance: Balance) -> (Step, Params) {
    let params = Params::new(&Rng::new(3), DType::F32, &Device::Cpu);
    let trunk = MlpConfig { inputs: 2, widths: vec![5], dropout: 0.0 }.build(&params.shared()).unwrap();
    let head = |task: &str| Box::new(Regression::new(&params.task(task), trunk.features(), 1).unwrap());
    let heads = Named::new(TASKS.map(|task| (task, head(task) as Box<dyn Stage>))).unwrap();
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    (four::on(model, params.clone()).balance(balance).build().unwrap(), params)
}

fn narrow_batch(seed: u64) -> Batch {
    let wide = four::batch(seed, 6);
    let f32 = |x: &candle_core::Tensor| x.to_dtype(DType::F32).unwrap();
    Batch {
        inputs: wide.inputs.map(|_, x| f32(x)),
        targets: wide.targets.map(|_, target| taskweave_kernels::Target::new(f32(target.value())).unwrap()),
        indices: wide.indices,
    }
}

/// 1e39 is a number in f64 and an infinity in f32; 1e37 is one in both, and a gradient of more than 34 times it is not.
#[test]
fn a_weight_that_is_too_large_for_the_gradients_is_named_and_not_the_gradient() {
    let wild: [fn() -> Balance; 4] = [
        || Balance::parameters(lifted(1e39)),
        || Balance::parameters(Box::new(WildSum(Wild::of(1e39)))),
        || Balance::representation(lifted(1e39)),
        || Balance::samples(Box::new(Wild::of(1e39))),
    ];
    for (i, balance) in wild.iter().enumerate() {
        let (step, params) = narrow(balance());
        let (step, error) = refused(step, [&[narrow_batch(0)], &[narrow_batch(1)]]);
        let row = if i == 3 { "1" } else { "product" };
        assert_eq!(error.to_string(), format!("weight (in F32) of `{row}` is not finite at step 1"), "{i}");
        for tensor in params.tensors().values() {
            assert!(taskweave_kernels::ops::all_finite(tensor).unwrap());
        }
        drop(step);
    }
    let (step, _) = narrow(Balance::parameters(lifted(3e38)));
    let (_, error) = refused(step, [&[narrow_batch(0)], &[large(narrow_batch(1))]]);
    let Error::NonFinite { what, name, step } = &error else { panic!("{error}") };
    assert!(what.starts_with("weighted gradient (parameter"), "{error}");
    assert_eq!((name.as_str(), *step), ("product", Some(1)));
    // In f64 the same weight is one like any other.
    let (mut step, params) = four::step(Balance::parameters(lifted(1e39)));
    (0..2).for_each(|i| drop(step.step(&four::batch(i, 6)).unwrap()));
    assert!(all_values(&params).iter().any(|value| value.abs() > 1e30));
}

/// The same batch with inputs and labels a thousand times as large.
fn large(batch: Batch) -> Batch {
    let times = |x: &candle_core::Tensor| x.affine(1e3, 0.0).unwrap();
    Batch {
        inputs: batch.inputs.map(|_, x| times(x)),
        targets: batch.targets.map(|_, t| taskweave_kernels::Target::new(times(t.value())).unwrap()),
        indices: batch.indices,
    }
}
