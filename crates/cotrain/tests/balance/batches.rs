//! Several batches as one, batches that lack tasks, and tasks that each have a batch of their own.

use candle_core::{Device, Tensor};
use taskweave_cotrain::{Balance, StepReport};
use taskweave_data::Batch;
use taskweave_kernels::{Error, Target};

use super::four::{
    MEMORY, TASKS, aggregators, batch, close, coordinate_wise, of, part, scalarizers, step, weightings,
    with_tasks,
};
use super::small::all_values;

/// The same batch, in which only some samples of some tasks have labels.
fn sparse(batch: &Batch, labeled: impl Fn(usize, usize) -> bool) -> Batch {
    let mut found = batch.clone();
    let mut task = 0;
    found.targets = batch.targets.map(|_, target| {
        let weight: Vec<f64> = (0..batch.len()).map(|i| f64::from(u8::from(labeled(task, i)))).collect();
        task += 1;
        Target::weighted(target.value().clone(), Tensor::new(weight, &Device::Cpu).unwrap()).unwrap()
    });
    found
}

/// Trains by the whole and by its parts, and returns the reports.
#[track_caller]
fn both(
    name: &str,
    make: impl Fn() -> Balance,
    wholes: &[Batch],
    cut: impl Fn(&Batch) -> Vec<Batch>,
) -> [StepReport; 2] {
    let ((mut one, expected), (mut many, found)) = (step(make()), step(make()));
    let mut reports = None;
    for whole in wholes {
        let large = one.step(whole).unwrap_or_else(|error| panic!("{name}: {error}"));
        let small = many.step_over(&cut(whole)).unwrap_or_else(|error| panic!("{name}: {error}"));
        close(name, &all_values(&found), &all_values(&expected), 1e-8);
        reports = Some([large, small]);
    }
    reports.unwrap()
}

fn thirds(whole: &Batch) -> Vec<Batch> {
    vec![part(whole, 0, 4), part(whole, 4, 1), part(whole, 5, 4)]
}

fn labeled(task: usize, sample: usize) -> bool {
    !(task + sample).is_multiple_of(3)
}

#[test]
fn parts_are_as_good_as_the_whole_for_every_balance() {
    let wholes = [batch(0, 9), sparse(&batch(1, 9), labeled)];
    let parameters = aggregators().into_iter().map(|text| ("parameters", text));
    let representation = weightings().into_iter().map(|text| ("representation", text));
    for (place, text) in parameters.chain(representation) {
        let [large, small] = both(&text, || of(place, &text), &wholes, thirds);
        assert_eq!(large.aggregated.is_some(), small.aggregated.is_some(), "{text}");
    }
    for text in &scalarizers() {
        let make = || super::four::balance(&format!(r#"{{"losses": {text}, "scale": "mean"}}"#));
        both(text, make, &wholes, thirds);
    }
}

#[test]
fn what_has_to_see_all_features_at_once_is_refused() {
    for text in coordinate_wise().into_iter().filter(|text| !MEMORY.iter().any(|name| text.contains(name))) {
        let (mut step, params) = step(of("representation", &text));
        let before = all_values(&params);
        let error = step.step_over(&thirds(&batch(0, 9))).unwrap_err();
        assert!(matches!(&error, Error::Parameter { name, .. } if name == "batches of a step"), "{error}");
        assert_eq!(all_values(&params), before);
        step.step_over(&[batch(0, 9)]).unwrap();
    }
}

/// Each task has samples of its own: one batch per task, as one batch in which nobody has two labels.
#[test]
fn every_task_may_have_its_own_batch() {
    let apart = |task: usize, sample: usize| sample / 3 == task;
    let wholes = [sparse(&batch(0, 12), apart), sparse(&batch(1, 12), apart)];
    let own = |whole: &Batch| -> Vec<Batch> {
        TASKS.iter().enumerate().map(|(i, task)| with_tasks(&part(whole, 3 * i, 3), &[task])).collect()
    };
    for text in aggregators() {
        both(&text, || of("parameters", &text), &wholes, own);
    }
    both("sum", Balance::default, &wholes, own);
    // Their features are different samples', which do not meet.
    for text in weightings().iter().filter(|text| !text.contains("every")) {
        let (mut step, params) = step(of("representation", text));
        let before = all_values(&params);
        let error = step.step_over(&own(&batch(0, 12))).unwrap_err();
        assert!(error.to_string().contains("features that two tasks share"), "{error}");
        assert_eq!(all_values(&params), before);
    }
}

/// A task that a batch lacks keeps its head, and the others are balanced without it.
#[test]
fn a_missing_task_is_left_out_of_the_balance() {
    for place in ["parameters", "representation"] {
        let (mut one, params) = step(of(place, r#"{"name": "mgda"}"#));
        let before = params.named().map(|_, p| p.var.copy().unwrap());
        let report = one.step(&with_tasks(&batch(0, 8), &["product", "second"])).unwrap();
        let weights = report.aggregated.unwrap();
        assert_eq!(weights.names().collect::<Vec<_>>(), ["product", "second"]);
        assert!((weights.values().sum::<f64>() - 1.0).abs() < 1e-12);
        let same = |name: &str| {
            let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            flat(&before[name]) == flat(&params.named()[name].var)
        };
        let heads: Vec<String> = before.names().filter(|n| n.starts_with("task")).map(String::from).collect();
        for name in heads {
            assert_eq!(same(&name), name.contains("sum") || name.contains("first"), "{place}: {name}");
        }
    }
}

/// The first batch lacks tasks, later ones lack others: what a method remembers is by task.
#[test]
fn every_balance_goes_on_where_batches_lack_tasks() {
    let parameters = aggregators().into_iter().map(|text| ("parameters", text));
    let representation = weightings().into_iter().map(|text| ("representation", text));
    for (place, text) in parameters.chain(representation) {
        let (mut step, params) = step(of(place, &text));
        for (i, tasks) in [&["product", "second"][..], &TASKS, &["sum"], &TASKS].into_iter().enumerate() {
            let found = step.step(&with_tasks(&batch(i as u64, 8), tasks));
            match found {
                Ok(report) => assert_eq!(report.losses.len(), tasks.len(), "{place}: {text}"),
                // Methods that outvote others need them, and a list has a number for each of four.
                Err(Error::Parameter { .. } | Error::Shape { .. })
                    if ["krum", "trimmed_mean", "["].iter().any(|name| text.contains(name)) => {}
                Err(error) => panic!("{place}: {text}: {error}"),
            }
        }
        assert!(all_values(&params).iter().all(|value| value.is_finite()), "{place}: {text}");
    }
}

/// A task that only one of the batches has takes its whole loss from there.
#[test]
fn losses_are_the_weighted_means_over_the_batches_that_have_the_task() {
    let whole = batch(0, 8);
    let parts =
        [with_tasks(&part(&whole, 0, 4), &["sum", "product"]), with_tasks(&part(&whole, 4, 4), &["sum"])];
    let (mut many, _) = step(of("parameters", r#"{"name": "upgrad"}"#));
    let report = many.step_over(&parts).unwrap();
    let (mut one, _) = step(Balance::default());
    let alone = one.step(&parts[0]).unwrap().losses;
    assert_eq!(report.losses.names().collect::<Vec<_>>(), ["sum", "product"]);
    assert!((report.losses["product"] - alone["product"]).abs() < 1e-12);
    assert_eq!(report.aggregated.unwrap().names().collect::<Vec<_>>(), ["sum", "product"]);
}
