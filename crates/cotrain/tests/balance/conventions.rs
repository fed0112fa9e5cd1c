//! Scale, heads, normalization and refresh, each against what it says.

use taskweave_cotrain::{Balance, Heads, Normalize, Scale, Step};
use taskweave_heads::Mode;
use taskweave_kernels::{Error, Named, Owner, Target};
use taskweave_loss::scalarizer::Constant;

use super::four::{MEMORY, TASKS, balance, batch, close, of, step, with_tasks};
use super::small::{all_values, values};

const UPGRAD: &str = r#"{"name": "upgrad"}"#;
const TRIMMED: &str = r#"{"name": "trimmed_mean"}"#;

/// How far one step of plain descent moves the parameters of an owner.
fn moved(balance: Balance, owner: &Owner) -> Vec<f64> {
    let (mut step, params) = step(balance);
    let before = values(&params, owner);
    step.step(&batch(0, 8)).unwrap();
    values(&params, owner).iter().zip(before).map(|(after, before)| after - before).collect()
}

fn times(values: &[f64], factor: f64) -> Vec<f64> {
    values.iter().map(|value| factor * value).collect()
}

#[test]
fn the_scale_multiplies_what_is_weighed() {
    let (shared, head) = (Owner::Shared, Owner::Task("sum".into()));
    for (scale, factor) in [(Scale::Mean, 0.25), (Scale::TimesK, 4.0)] {
        for gradients in ["parameters", "representation"] {
            for method in [UPGRAD, TRIMMED] {
                let moved = |scale, owner| moved(of(gradients, method).scale(scale), owner);
                let plain = moved(Scale::Sum, &shared);
                close(method, &moved(scale, &shared), &times(&plain, factor), 1e-12);
                assert_eq!(moved(scale, &head), moved(Scale::Sum, &head), "unit heads are not weighed");
            }
        }
        let weighted = |scale| moved(of("parameters", UPGRAD).heads(Heads::Weighted).scale(scale), &head);
        close("weighted heads", &weighted(scale), &times(&weighted(Scale::Sum), factor), 1e-12);
        for owner in [&shared, &head] {
            let losses = |scale| moved(Balance::default().scale(scale), owner);
            close("losses", &losses(scale), &times(&losses(Scale::Sum), factor), 1e-12);
        }
    }
}

/// Mean weights of divided gradients are constant weights that are divided.
#[test]
fn normalized_gradients_are_divided_by_norms_and_losses() {
    let (probe, _) = step(Balance::default());
    let norms = probe.gramian(&batch(0, 8)).unwrap().norms();
    let (mut probe, _) = step(Balance::default());
    let losses: Vec<f64> = probe.step(&batch(0, 8)).unwrap().losses.values().copied().collect();
    for gradients in ["parameters", "representation"] {
        for (normalize, divisor) in [
            (Normalize::L2, norms.clone()),
            (Normalize::Loss, losses.clone()),
            (Normalize::LossPlus, norms.iter().zip(&losses).map(|(norm, loss)| norm * loss).collect()),
        ] {
            let (mut step, _) = step(of(gradients, r#"{"name": "mean"}"#).normalize(normalize));
            let report = step.step(&batch(0, 8)).unwrap();
            let found: Vec<f64> = report.aggregated.unwrap().values().copied().collect();
            let expected: Vec<f64> = divisor.iter().map(|divisor| 0.25 / divisor).collect();
            if gradients == "parameters" || normalize == Normalize::Loss {
                close(gradients, &found, &expected, 1e-10);
            }
            // Whatever the place, the trunk moves by the weights that are reported.
            let weights = Named::new(TASKS.iter().zip(&found).map(|(task, w)| (*task, *w))).unwrap();
            let by_weights = Balance::losses(Box::new(Constant::new(weights).unwrap()));
            let balance = of(gradients, r#"{"name": "mean"}"#).normalize(normalize);
            close(gradients, &moved(balance, &Owner::Shared), &moved(by_weights, &Owner::Shared), 1e-10);
        }
    }
}

/// Without weights, the gradients themselves are divided: the median of equally long ones does not see their lengths.
#[test]
fn normalization_reaches_aggregators_that_look_at_coordinates() {
    let scaled = |factor: f64| {
        let weights = Named::new(TASKS.map(|task| (task, if task == "sum" { factor } else { 1.0 }))).unwrap();
        Box::new(Constant::new(weights).unwrap())
    };
    let of = |factor, normalize| {
        let balance = of("parameters", TRIMMED).scalarizer(scaled(factor)).normalize(normalize);
        moved(balance, &Owner::Shared)
    };
    close("units", &of(100.0, Normalize::L2), &of(1.0, Normalize::L2), 1e-9);
    assert_ne!(of(100.0, Normalize::None), of(1.0, Normalize::None));
}

#[test]
fn a_loss_that_cannot_divide_is_refused_by_name() {
    let mut blank = batch(0, 4);
    let (mut step, _) = step(of("parameters", UPGRAD).normalize(Normalize::Loss));
    let exact = step.model().forward(&blank.inputs, Mode::Eval).unwrap()["first"].detach();
    *blank.targets.get_mut("first").unwrap() = Target::new(exact).unwrap();
    let error = step.step(&blank).unwrap_err();
    assert!(error.to_string().contains("loss of `first`, to divide by"), "{error}");
}

#[test]
fn weights_are_computed_anew_after_so_many_steps_or_for_other_tasks() {
    for gradients in ["parameters", "representation"] {
        let (mut step, params) = step(of(gradients, r#"{"name": "mgda"}"#).refresh(3));
        let weights = |step: &mut Step, i: u64| {
            step.step(&batch(i, 8)).unwrap().aggregated.unwrap().values().copied().collect::<Vec<_>>()
        };
        let all: Vec<Vec<f64>> = (0..7).map(|i| weights(&mut step, i)).collect();
        assert!(
            all[0] == all[1] && all[1] == all[2] && all[2] != all[3] && all[3] == all[5] && all[5] != all[6]
        );
        let few = with_tasks(&batch(7, 8), &["sum", "second"]);
        let report = step.step(&few).unwrap();
        assert_eq!(report.aggregated.unwrap().names().collect::<Vec<_>>(), ["sum", "second"]);
        assert!(all_values(&params).iter().all(|value| value.is_finite()));
    }
}

/// A step with weights that are in use already is that of constant weights.
#[test]
fn weights_in_use_are_applied_as_constant_ones() {
    for gradients in ["parameters", "representation"] {
        let (mut first, found) = step(of(gradients, UPGRAD).refresh(2));
        let report = first.step(&batch(0, 8)).unwrap();
        let (mut second, expected) = step(of(gradients, UPGRAD));
        second.step(&batch(0, 8)).unwrap();
        assert_eq!(all_values(&found), all_values(&expected));
        first.step(&batch(1, 8)).unwrap();
        let constant = Constant::new(report.aggregated.unwrap()).unwrap();
        let (mut third, other) = step(Balance::losses(Box::new(constant)));
        other.load(&expected.tensors()).unwrap();
        third.step(&batch(1, 8)).unwrap();
        close(gradients, &values(&found, &Owner::Shared), &values(&other, &Owner::Shared), 1e-12);
    }
}

#[test]
fn conventions_that_nothing_could_keep_are_refused() {
    let refused = |balance: Balance| {
        let (builder, _) = super::four::builder();
        match builder.balance(balance).build().err() {
            Some(Error::Parameter { name, .. }) => name,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(Balance::default().normalize(Normalize::L2)), "normalize");
    for name in MEMORY {
        assert_eq!(refused(of("representation", &format!(r#"{{"name": "{name}"}}"#))), "method", "{name}");
    }
    assert_eq!(refused(Balance::default().heads(Heads::Weighted)), "heads");
    assert_eq!(refused(Balance::default().refresh(2)), "refresh of the balance");
    assert_eq!(refused(of("parameters", UPGRAD).refresh(0)), "refresh of the balance");
    assert_eq!(refused(of("parameters", TRIMMED).refresh(2)), "refresh of the balance");
    assert_eq!(refused(of("samples", UPGRAD).refresh(2)), "refresh of the balance");
    let unknown = serde_json::from_str::<taskweave_cotrain::BalanceConfig>(r#"{"size": 2}"#);
    assert!(unknown.unwrap_err().to_string().contains("size"));
    assert_eq!(balance("{}").record(), balance(r#"{"scale": "sum", "refresh": 1}"#).record());
}
