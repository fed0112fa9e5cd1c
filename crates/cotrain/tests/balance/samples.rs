//! One objective per sample: products from one backward pass, against the gradient of every sample.

use candle_core::{DType, Device, Tensor};
use taskweave_cotrain::{Balance, Heads, Step};
use taskweave_data::Batch;
use taskweave_heads::{HardSharing, MlpConfig, Mode, Network, Params, Regression, Stage};
use taskweave_kernels::{Error, Named, Owner, Rng, Target};
use taskweave_loss::criterion::{Absolute, Clip, Mse};
use taskweave_loss::weighting::{Mean, UpGrad};
use taskweave_loss::{Criterion, CriterionConfig, Jacobian, Weighting};

use super::four::{TASKS, batch, close, of, part, step, with_tasks};
use super::small::{all_values, builder, values};

const RATE: f64 = 0.05;

/// A batch of which one task lacks labels and another has uneven ones.
fn uneven() -> Batch {
    let mut batch = with_tasks(&batch(0, 5), &["sum", "product", "second"]);
    let weight = Tensor::new(&[1.0, 0.0, 3.0, 0.5, 1.0], &Device::Cpu).unwrap();
    let target = Target::weighted(batch.targets["product"].value().clone(), weight).unwrap();
    *batch.targets.get_mut("product").unwrap() = target;
    batch
}

#[test]
fn mean_weights_are_the_plain_step() {
    for heads in [Heads::Unit, Heads::Weighted] {
        let ((mut one, found), (mut other, expected)) =
            (step(Balance::samples(Box::new(Mean)).heads(heads)), step(Balance::default()));
        one.step(&uneven()).unwrap();
        other.step(&uneven()).unwrap();
        close("mean", &all_values(&found), &all_values(&expected), 1e-12);
    }
}

#[test]
fn the_weighted_step_is_that_of_every_sample_by_its_weight() {
    let batch = uneven();
    for heads in [Heads::Unit, Heads::Weighted] {
        let (mut step, params) = step(Balance::samples(Box::new(UpGrad)).heads(heads));
        let predictions = step.model().forward(&batch.inputs, Mode::Eval).unwrap();
        let loss = |sample: usize| {
            let terms = batch.targets.iter().map(|(task, target)| {
                let weight = target.weight().to_vec1::<f64>().unwrap();
                let factor = 5.0 * weight[sample] / weight.iter().sum::<f64>();
                let losses = Mse.losses(&predictions[task], target).unwrap();
                (losses.get(sample).unwrap() * factor).unwrap()
            });
            (sample.to_string(), terms.reduce(|a, b| (a + b).unwrap()).unwrap())
        };
        let losses = Named::new((0..5).map(loss)).unwrap();
        let mut balanced = params.named();
        if heads == Heads::Unit {
            TASKS
                .iter()
                .flat_map(|task| ["bias", "weight"].map(|end| format!("task.{task}.out.{end}")))
                .for_each(|name| {
                    drop(balanced.remove(&name).unwrap_or_else(|| {
                        panic!("no {name} in {:?}", params.named().names().collect::<Vec<_>>())
                    }))
                });
        }
        let jacobian = Jacobian::of(&losses, &balanced).unwrap();
        let weights = UpGrad.weights(&jacobian.gramian().unwrap()).unwrap();
        let gradient = jacobian.combined(&weights).unwrap();
        let before = balanced.map(|_, param| param.var.copy().unwrap());
        let report = step.step(&batch).unwrap();
        close("weights", &report.sample_weights.unwrap(), &weights, 1e-9);
        assert_eq!(report.aggregated, None);
        for (name, param) in balanced.iter() {
            let slope = gradient[name].clone().into_dense().unwrap();
            let expected = (&before[name] - (slope * RATE).unwrap()).unwrap();
            let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            close(name, &flat(&param.var), &flat(&expected), 1e-12);
        }
    }
}

#[test]
fn unit_heads_learn_their_own_loss() {
    let ((mut one, found), (mut other, expected)) =
        (step(Balance::samples(Box::new(UpGrad))), step(Balance::default()));
    one.step(&batch(0, 6)).unwrap();
    other.step(&batch(0, 6)).unwrap();
    let head = Owner::Task("second".into());
    close("head", &values(&found, &head), &values(&expected, &head), 1e-12);
    assert_ne!(values(&found, &Owner::Shared), values(&expected, &Owner::Shared));
}

#[test]
fn what_mixes_samples_is_refused() {
    let samples = || Balance::samples(Box::new(UpGrad));
    let (mut several, params) = step(samples());
    let before = all_values(&params);
    let whole = batch(0, 6);
    let error = several.step_over(&[part(&whole, 0, 3), part(&whole, 3, 3)]).unwrap_err();
    assert!(error.to_string().contains("one, where samples are balanced"), "{error}");
    assert_eq!(all_values(&params), before);
    // Dropout is an operation of candle, of which the tape cannot tell.
    let (dropping, params) = builder(0.5);
    let before = all_values(&params);
    let error = dropping.balance(samples()).build().unwrap().step(&super::small::batch(0, 4)).unwrap_err();
    assert!(matches!(&error, Error::Parameter { name, .. } if name == "products of samples"), "{error}");
    assert_eq!(all_values(&params), before);
    let aggregator = serde_json::from_str::<taskweave_cotrain::BalanceConfig>(
        r#"{"gradients": {"of": "samples", "method": {"name": "trimmed_mean"}}}"#,
    );
    assert!(aggregator.is_err());
    assert_eq!(of("samples", r#"{"name": "mean"}"#).record()["gradients"]["of"], "samples");
}

#[test]
fn a_criterion_that_compares_samples_is_refused() {
    let build = |balance: Balance| {
        let criterion = Absolute::new(CriterionConfig::Clip(Clip::default()));
        let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
        let trunk = MlpConfig { inputs: 2, widths: vec![3], dropout: 0.0 }.build(&params.shared()).unwrap();
        let head = Regression::new(&params.task("match"), trunk.features(), 2).unwrap();
        let heads = Named::new([("match", Box::new(head) as Box<dyn Stage>)]).unwrap();
        let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
        Step::builder(model, params).criterion("match", criterion).balance(balance).build().err()
    };
    let error = build(Balance::samples(Box::new(UpGrad))).unwrap();
    assert!(
        matches!(&error, Error::Parameter { name, .. } if name == "criterion of task `match`"),
        "{error}"
    );
    assert!(build(Balance::default()).is_none());
}
