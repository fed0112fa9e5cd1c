//! What single methods say of themselves.

use candle_core::{DType, Device, Tensor};
use taskweave_cotrain::teaching::{TaughtBatch, TeachingConfig, Teachings};
use taskweave_cotrain::{BalanceConfig, Ensemble, StepReport, Term};
use taskweave_data::Batch;
use taskweave_heads::{Features, Linear, Model, Network, Params, Stage};
use taskweave_kernels::{Named, Rng, Target};

use crate::class::{bits, ensemble, method_of, step, trained, unlabeled};
use crate::{TWO, VIEWS, batch, rows, taught};

#[test]
fn the_mean_of_a_teacher_that_keeps_nothing_is_the_student_after_every_step() {
    let row = r#"{"name": "mean_teacher", "student": "a", "teacher": "mean", "decay": 0.0, "lambda": 5,
        "reads": [["x", "strong"]], "teacher_reads": [["x", "weak"]]}"#;
    let method = method_of(row);
    let ensemble = ensemble(3, method.clone().build().terms().unwrap());
    let mut teachings = Teachings::new(&ensemble).teach(method.build()).unwrap().beside(unlabeled());
    let mut step = step(&ensemble);
    for number in 0..6 {
        let report = step.step(&teachings.prepare(batch(&ensemble, 0), number, number).unwrap()).unwrap();
        assert!(report.losses.contains("class.consistent") && !report.losses.contains("class@mean"));
        assert_ne!(bits(&ensemble, Some("a")), bits(&ensemble, Some("mean")));
        teachings.after_step(number + 1).unwrap();
        assert_eq!(bits(&ensemble, Some("a")), bits(&ensemble, Some("mean")));
    }
}

#[test]
fn a_running_mean_is_the_plain_mean_at_first() {
    let row = r#"{"name": "mean_teacher", "student": "a", "teacher": "mean", "reads": [["x", "strong"]], "teacher_reads": [["x", "weak"]]}"#;
    let method = method_of(row);
    let ensemble = ensemble(3, method.clone().build().terms().unwrap());
    let mut teachings = Teachings::new(&ensemble).teach(method.build()).unwrap().beside(unlabeled());
    let (mut step, mut seen) = (step(&ensemble), Vec::new());
    for number in 0..4 {
        step.step(&teachings.prepare(batch(&ensemble, 0), number, number).unwrap()).unwrap();
        teachings.after_step(number + 1).unwrap();
        seen.push(bits(&ensemble, Some("a")));
    }
    for (i, mean) in bits(&ensemble, Some("mean")).into_iter().map(f64::from_bits).enumerate() {
        let expected = seen.iter().map(|bits| f64::from_bits(bits[i])).sum::<f64>() / 4.0;
        assert!((mean - expected).abs() < 1e-14);
    }
}

#[test]
fn generations_learn_one_after_the_other() {
    let row = r#"{"name": "noisy_student", "generations": ["a", "b"], "plain": [["x", "weak"]], "noisy": [["x", "strong"]], "steps": 4}"#;
    let fresh = ensemble(3, method_of(row).build().terms().unwrap());
    let [one, two] = [1, 2].map(|epochs| trained(row, epochs));
    // Four steps are an epoch.
    assert_ne!(bits(&one, Some("a")), bits(&fresh, Some("a")));
    assert_eq!(bits(&one, Some("b")), bits(&fresh, Some("b")));
    assert_eq!(bits(&two, Some("a")), bits(&one, Some("a")));
    assert_ne!(bits(&two, Some("b")), bits(&one, Some("b")));
}

#[test]
fn each_network_gets_the_small_losses_of_the_other_and_no_missing_label() {
    let row = format!(r#"{{"name": "co_teaching", {TWO}, "small_loss": {{"forget": 0.6, "steps": 1}}}}"#);
    let mut method = method_of(&row).build();
    let ensemble = ensemble(3, method.terms().unwrap());
    let before = taught(&ensemble, 1);
    let mut after = before.clone();
    method.prepare(&mut after, &ensemble).unwrap();
    let weights =
        |taught: &TaughtBatch, term: &str| taught.batch.targets[term].weight().to_vec1::<f32>().unwrap();
    let labeled: Vec<usize> = (0..6).filter(|i| weights(&before, "class@a")[*i] > 0.0).collect();
    assert!(labeled.len() < 6, "the batch has a sample without a label");
    for (learner, teacher) in [("class@a", "b"), ("class@b", "a")] {
        let logits = ensemble.predict(teacher, "class", &Named::default(), &before.batch.inputs).unwrap();
        let labels = before.batch.targets[learner].value().to_vec1::<u32>().unwrap();
        let loss = |i: usize| {
            let row = logits.get(i).unwrap().to_vec1::<f64>().unwrap();
            row.iter().map(|v| v.exp()).sum::<f64>().ln() - row[labels[i] as usize]
        };
        let mut order = labeled.clone();
        order.sort_by(|a, b| loss(*a).total_cmp(&loss(*b)));
        let kept = (0.4 * labeled.len() as f64).round() as usize;
        let expected: Vec<f32> = (0..6).map(|i| f32::from(u8::from(order[..kept].contains(&i)))).collect();
        assert_eq!(weights(&after, learner), expected, "{learner}");
    }
}

#[test]
fn co_teaching_plus_teaches_nothing_where_both_agree() {
    let row =
        format!(r#"{{"name": "co_teaching_plus", {TWO}, "small_loss": {{"forget": 0.2, "steps": 1}}}}"#);
    let mut method = method_of(&row).build();
    let ensemble = ensemble(3, method.terms().unwrap());
    let (a, b) = (ensemble.params().member("a"), ensemble.params().member("b"));
    for (value, other) in a.named().values().zip(b.named().values()) {
        other.var.set(&value.var.copy().unwrap()).unwrap();
    }
    let mut taught = taught(&ensemble, 3);
    method.prepare(&mut taught, &ensemble).unwrap();
    for term in ["class@a", "class@b"] {
        assert_eq!(taught.batch.targets[term].weight().to_vec1::<f32>().unwrap(), [0.0; 6]);
    }
    let report = step(&ensemble).step(&taught.batch).unwrap();
    assert!(report.losses.is_empty());
}

#[test]
fn the_terms_of_jocor_add_up_to_its_loss() {
    let row =
        format!(r#"{{"name": "jocor", {TWO}, "lambda": 0.3, "small_loss": {{"forget": 0.0, "steps": 1}}}}"#);
    let mut method = method_of(&row).build();
    let ensemble = ensemble(3, method.terms().unwrap());
    let mut taught = taught(&ensemble, 0);
    method.prepare(&mut taught, &ensemble).unwrap();
    // Dropout would draw anew: the terms are judged in evaluation mode.
    let predictions = ensemble.forward(&taught.batch.inputs, taskweave_heads::Mode::Eval).unwrap();
    let mut total = 0.0;
    for (name, term) in ensemble.terms().iter() {
        let target = &taught.batch.targets[name];
        let loss = taskweave_loss::mean_loss(&*term.criterion.build(), &predictions[name], target).unwrap();
        total += loss.to_scalar::<f64>().unwrap();
    }
    let p = |member: &str| {
        let logits = ensemble.predict(member, "class", &Named::default(), &taught.batch.inputs).unwrap();
        candle_nn::ops::softmax(&logits, 1).unwrap().to_vec2::<f64>().unwrap()
    };
    let (a, b, target) = (p("a"), p("b"), &batch(&ensemble, 0).targets["class@a"]);
    let labels = target.value().to_vec1::<u32>().unwrap();
    let weights = target.weight().to_vec1::<f32>().unwrap();
    let kl = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum::<f64>();
    let labeled: Vec<usize> = (0..6).filter(|i| weights[*i] > 0.0).collect();
    let loss = |i: &usize| {
        let of_label = a[*i][labels[*i] as usize].ln() + b[*i][labels[*i] as usize].ln();
        -0.7 * of_label + 0.3 * (kl(&a[*i], &b[*i]) + kl(&b[*i], &a[*i]))
    };
    let expected = labeled.iter().map(loss).sum::<f64>() / labeled.len() as f64;
    // Weights are f32.
    assert!((total - expected).abs() < 1e-6, "{total} {expected}");
}

#[test]
fn an_adversarial_example_is_within_epsilon_and_harder_for_its_network() {
    let row =
        format!(r#"{{"name": "deep_co_training", {TWO}, "view": "x", "input": "weak", "epsilon": 0.1}}"#);
    let mut method = method_of(&row).build();
    let ensemble = ensemble(3, method.terms().unwrap());
    let mut taught = taught(&ensemble, 0);
    method.prepare(&mut taught, &ensemble).unwrap();
    let rows = |input: &str| taught.batch.inputs[input].to_vec2::<f64>().unwrap();
    for member in ["a", "b"] {
        let name = format!("weak, adversarial for {member}");
        for (before, after) in rows("weak").iter().flatten().zip(rows(&name).iter().flatten()) {
            assert!((before - after).abs() <= 0.1 + 1e-15);
        }
        let p = |input: &str| {
            let reads = Named::new([("x", input.to_string())]).unwrap();
            let logits = ensemble.predict(member, "class", &reads, &taught.batch.inputs).unwrap();
            candle_nn::ops::softmax(&logits, 1).unwrap().to_vec2::<f64>().unwrap()
        };
        let mut lower = 0;
        for (before, after) in p("weak").iter().zip(&p(&name)) {
            let (class, best) = before.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
            // Where no unit is active the input has no gradient, and the example is the sample.
            let harder = after[class] < *best || after == before;
            assert!(harder, "{member}: {before:?} {after:?}");
            lower += usize::from(after[class] < *best);
        }
        assert!(lower >= 7, "{member}: {lower} of 10");
        // The other network has to keep what this one says about the sample itself.
        let other = if member == "a" { "b" } else { "a" };
        let target =
            taught.batch.targets[&*format!("class.differ@{other}")].value().to_vec2::<f64>().unwrap();
        let off = target.iter().flatten().zip(p("weak").iter().flatten()).all(|(t, p)| (t - p).abs() < 1e-12);
        assert!(off, "{member}");
    }
}

/// A network whose first layer is shared by all and whose head is its own.
fn half_shared(params: &Params, name: &str) -> Box<dyn Model> {
    let first = Linear::new(&params.shared().pp("first"), 2, 4).unwrap();
    let trunk = taskweave_heads::Backbone::new(vec![Box::new(first)], Features::Vector { width: 4 });
    let out = Linear::new(&params.member(name).shared().pp("out"), 4, 3).unwrap();
    let heads = Named::new([("class", Box::new(out) as Box<dyn Stage>)]).unwrap();
    Box::new(Network::new(Box::new(taskweave_heads::HardSharing::new("x", trunk)), heads))
}

#[test]
fn networks_with_a_shared_layer_take_turns() {
    let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
    let members = Named::new(["a", "b", "c"].map(|name| (name, half_shared(&params, name)))).unwrap();
    let method = method_of(r#"{"name": "supervised", "members": ["a", "b", "c"]}"#);
    let turns = r#"{"name": "rotation", "turns": [["class@a"], ["class@b"], ["class@c"]], "period": 2}"#;
    let ensemble = Ensemble::new(&params, members, method.clone().build().terms().unwrap()).unwrap();
    let teachings = Teachings::new(&ensemble).teach(method.build()).unwrap();
    let mut teachings = teachings.teach(method_of(turns).build()).unwrap();
    let mut step = step(&ensemble);
    let named =
        || params.tensors().map(|_, t| t.copy().unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap());
    for number in 0..12u64 {
        let before = named();
        step.step(&teachings.prepare(batch(&ensemble, 0), number, number).unwrap()).unwrap();
        let turn = ["a", "b", "c"][(number / 2 % 3) as usize];
        for (name, after) in named().iter() {
            let learns = name.starts_with("shared.") || name.starts_with(&format!("member.{turn}."));
            assert_eq!(*after != before[name], learns, "step {number}: {name}");
        }
    }
}

#[test]
fn any_balance_works_between_the_terms_of_every_method() {
    for row in rows() {
        for name in ["sum", "uncertainty", "log_loss", "random"] {
            let (report, changed) = balanced(&row, &format!(r#"{{"losses": {{"name": "{name}"}}}}"#));
            assert!(changed && report.losses.names().eq(report.weights.names()), "{row}, {name}");
        }
        for name in ["mean", "upgrad", "mgda", "pcgrad", "cagrad", "graddrop"] {
            let gradients = format!(r#"{{"of": "parameters", "method": {{"name": "{name}"}}}}"#);
            let (report, changed) = balanced(&row, &format!(r#"{{"gradients": {gradients}}}"#));
            assert!(changed, "{row}, {name}");
            let weights = report.aggregated.filter(|_| name != "graddrop");
            assert!(weights.is_none_or(|w| w.names().eq(report.losses.names())), "{row}, {name}");
        }
    }
}

/// The report of the second step with a balance, and whether that has moved network a.
fn balanced(row: &str, balance: &str) -> (StepReport, bool) {
    let method = method_of(row);
    let ensemble = ensemble(3, method.clone().build().terms().unwrap());
    let mut teachings = Teachings::new(&ensemble).teach(method.build()).unwrap().beside(unlabeled());
    let balance: BalanceConfig = serde_json::from_str(balance).unwrap();
    let step = ensemble.step().balance(balance.build().unwrap()).rng(&Rng::new(5));
    let mut step = step.build().unwrap();
    let mut take = |number| {
        let batch = teachings.prepare(batch(&ensemble, 0), number, number).unwrap();
        let report = step.step(&batch).unwrap();
        teachings.after_step(number + 1).unwrap();
        report
    };
    take(0);
    let before = bits(&ensemble, Some("a"));
    let report = take(1);
    let changed = bits(&ensemble, Some("a")) != before;
    (report, changed)
}

#[test]
fn pseudo_labels_are_what_the_network_is_sure_of() {
    let row = format!(
        r#"{{"name": "fix_match", "student": "a", {VIEWS}, "lambda": 2, "threshold": {{"name": "fixed", "tau": 0.45}}}}"#
    );
    let mut method = method_of(&row).build();
    let ensemble = ensemble(3, method.terms().unwrap());
    let mut taught = taught(&ensemble, 0);
    method.prepare(&mut taught, &ensemble).unwrap();
    let reads = Named::new([("x", "weak".to_string())]).unwrap();
    let logits = ensemble.predict("a", "class", &reads, &taught.batch.inputs).unwrap();
    let p = candle_nn::ops::softmax(&logits, 1).unwrap().to_vec2::<f64>().unwrap();
    let target = &taught.batch.targets["class.pseudo"];
    let (labels, weights) =
        (target.value().to_vec1::<u32>().unwrap(), target.weight().to_vec1::<f32>().unwrap());
    for (i, row) in p.iter().enumerate() {
        let (class, best) = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        assert_eq!((labels[i] as usize, weights[i]), (class, if *best >= 0.45 { 2.0 } else { 0.0 }));
    }
    assert!(weights.contains(&0.0) && weights.contains(&2.0), "{weights:?}");
}

#[test]
fn another_task_of_the_networks_trains_beside_every_method() {
    for row in rows() {
        // A network of its own has a second name for the task.
        let method = method_of(&row);
        let mut terms = method.clone().build().terms().unwrap();
        let labels = serde_json::from_str(r#"{"name": "cross_entropy"}"#).unwrap();
        terms.insert("other", Term::of("z", "class", labels)).unwrap();
        let ensemble = ensemble(3, terms);
        let mut teachings = Teachings::new(&ensemble).teach(method.build()).unwrap().beside(unlabeled());
        let mut step = step(&ensemble);
        let taught = |losses: &Named<f64>| losses.names().any(|name| name.starts_with("class"));
        let report = step.step(&teachings.prepare(batch(&ensemble, 0), 0, 0).unwrap()).unwrap();
        assert!(taught(&report.losses) && report.losses.contains("other"), "{row}");
        // Where the taught task has no labels, the other still learns.
        let mut bare = batch(&ensemble, 0);
        bare.targets = Named::new([("other", bare.targets["other"].clone())]).unwrap();
        let before = bits(&ensemble, Some("z"));
        let report = step.step(&teachings.prepare(bare, 1, 1).unwrap()).unwrap();
        assert!(!report.losses.names().any(|name| name.starts_with("class@")), "{row}: {:?}", report.losses);
        assert!(report.losses.contains("other") && bits(&ensemble, Some("z")) != before, "{row}");
    }
}

#[test]
fn networks_learn_to_know_a_sample_by_what_the_other_says_of_it() {
    for name in ["nt_xent", "clip"] {
        let criterion =
            serde_json::from_str(&format!(r#"{{"name": "{name}", "temperature": 0.5}}"#)).unwrap();
        let terms = Named::new([("match", Term::between(&["a", "b"], "class", criterion))]).unwrap();
        let ensemble = ensemble(3, terms);
        let mut step = ensemble.step().rng(&Rng::new(5)).build().unwrap();
        step.set_rate(0.02).unwrap();
        // No label is seen: the first targets only say which samples count.
        let mut batch = unlabeled().epoch(0).next().unwrap().unwrap();
        batch.inputs = Named::new([("x", batch.inputs.remove("weak").unwrap())]).unwrap();
        let all = Target::new(Tensor::zeros(10, DType::U32, &Device::Cpu).unwrap()).unwrap();
        batch.targets = Named::new([("match", all)]).unwrap();
        let losses: Vec<f64> = (0..200).map(|_| step.step(&batch).unwrap().losses["match"]).collect();
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&losses[..10]), mean(&losses[190..]));
        assert!(last < 0.8 * first, "{name}: {first} {last}");
    }
}

#[test]
fn dense_tasks_are_taught_per_pixel() {
    let config: taskweave_heads::NetworkConfig = serde_json::from_str(
        r#"{"view": "image", "backbone": {"channels": 1, "widths": [3]}, "heads": [["mask", {"kind": "dense", "classes": 2}]]}"#,
    )
    .unwrap();
    for row in [
        r#"{"name": "cross_pseudo", "task": "mask", "members": ["a", "b"], "criterion": {"name": "cross_entropy"}, "reads": [["image", "weak"]]}"#,
        r#"{"name": "fix_match", "task": "mask", "student": "a", "criterion": {"name": "cross_entropy"}, "weak": [["image", "weak"]],
            "strong": [["image", "weak"]], "threshold": {"name": "fixed", "tau": 0.5}}"#,
    ] {
        let mut method = serde_json::from_str::<TeachingConfig>(row).unwrap().build();
        let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
        let names: &[&str] = if row.contains("cross_pseudo") { &["a", "b"] } else { &["a"] };
        let member = |name: &&str| -> (String, Box<dyn Model>) {
            (name.to_string(), Box::new(config.build(&params.member(name)).unwrap()))
        };
        let members = Named::new(names.iter().map(member)).unwrap();
        let ensemble = Ensemble::new(&params, members, method.terms().unwrap()).unwrap();
        let mut taught = masks(names);
        method.prepare(&mut taught, &ensemble).unwrap();
        let report = ensemble.step().build().unwrap().step(&taught.batch).unwrap();
        assert!(
            report.losses.values().all(|loss| *loss > 0.0) && report.losses.len() == names.len() + 1,
            "{row}"
        );
    }
}

/// Two images with masks for the networks, and beside them three without.
fn masks(networks: &[&str]) -> TaughtBatch {
    let mut rng = Rng::new(1);
    let mut image = |n: usize| {
        let values: Vec<f32> = (0..n * 16).map(|_| rng.normal() as f32).collect();
        Tensor::from_vec(values, (n, 1, 4, 4), &Device::Cpu).unwrap()
    };
    let mask = Target::new(Tensor::ones((2, 4, 4), DType::U32, &Device::Cpu).unwrap()).unwrap();
    let labeled = Batch {
        inputs: Named::new([("image", image(2))]).unwrap(),
        targets: Named::new(networks.iter().map(|name| (format!("mask@{name}"), mask.clone()))).unwrap(),
        indices: vec![0, 1],
    };
    let inputs = Named::new([("weak", image(3))]).unwrap();
    let weak = Batch { inputs, targets: Named::default(), indices: vec![0, 1, 2] };
    TaughtBatch::new(labeled, Some(weak), 0).unwrap()
}
