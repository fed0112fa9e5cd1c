//! What every learner promises, one row per learner.

use candle_core::{DType, Device, Tensor};
use taskweave_cotrain::Step;
use taskweave_cotrain::learner::{
    Answers, Coding, FromFn, GaussianNb, Knn, Learner, Lesson, Logistic, Matrix, MultinomialNb, Ridge,
    TaskLearner,
};
use taskweave_cotrain::rate::{Cosine, RateConfig};
use taskweave_heads::{HardSharing, MlpConfig, Network as Model, Params, Regression, Stage};
use taskweave_kernels::optim::{Adam, OptimizerConfig};
use taskweave_kernels::{Error, Named, Result, Rng, Stateful, Target};
use taskweave_loss::criterion::{Mse, SoftCrossEntropy};

const CLASSES: Answers = Answers::Classes(3);

struct Row {
    name: &'static str,
    make: fn() -> Box<dyn Learner>,
    answers: Answers,
    /// Whether learning starts anew with each lesson, in whatever order its samples stand.
    forgets: bool,
}

fn rows() -> Vec<Row> {
    let row = |name, make, answers| Row { name, make, answers, forgets: true };
    vec![
        row("MultinomialNb", || Box::new(MultinomialNb::new(0.5).unwrap()), CLASSES),
        row("GaussianNb", || Box::new(GaussianNb::new(1e-3).unwrap()), CLASSES),
        row("Logistic", || Box::new(Logistic::new(0.05).unwrap()), CLASSES),
        row("Ridge, classes", || Box::new(Ridge::new(0.5).unwrap()), CLASSES),
        row("Ridge, values", || Box::new(Ridge::default()), Answers::Value),
        row("Knn, values", || Box::new(Knn::default()), Answers::Value),
        row("Knn, classes", || Box::new(Knn::new(7, 3.0).unwrap()), CLASSES),
        row("FromFn", || Box::new(mean()), Answers::Value),
        Row { forgets: false, ..row("TaskLearner, classes", || Box::new(network(CLASSES)), CLASSES) },
        Row {
            forgets: false,
            ..row("TaskLearner, values", || Box::new(network(Answers::Value)), Answers::Value)
        },
    ]
}

fn mean() -> impl Learner {
    let learn = |mean: &mut f64, _: &Matrix, lesson: &Lesson| {
        *mean = lesson.iter().map(|(_, t, weight)| weight * t[0]).sum::<f64>() / lesson.weight();
        Ok(())
    };
    let predict =
        |mean: &f64, _: &Matrix, samples: &[usize]| Matrix::new(samples.len(), 1, vec![*mean; samples.len()]);
    FromFn::new(0.0, learn, predict)
}

/// A network with dropout, Adam and a rate that changes at every step.
fn network(answers: Answers) -> TaskLearner {
    let rng = Rng::new(1);
    let params = Params::new(&rng, DType::F64, &Device::Cpu);
    let trunk = MlpConfig { inputs: 4, widths: vec![8], dropout: 0.2 }.build(&params.shared()).unwrap();
    let head = |task: &str, width| -> Box<dyn Stage> {
        Box::new(Regression::new(&params.task(task), trunk.features(), width).unwrap())
    };
    let heads = Named::new([("own", head("own", answers.width())), ("other", head("other", 1))]).unwrap();
    let step = Step::builder(Model::new(Box::new(HardSharing::new("x", trunk)), heads), params)
        .optimizer(OptimizerConfig::Adam(Adam { lr: 0.02, ..Adam::default() }))
        .criterion("other", Mse)
        .rng(&rng);
    let step = match answers {
        Answers::Classes(_) => step.criterion("own", SoftCrossEntropy),
        Answers::Value => step.criterion("own", Mse),
    };
    let rate = RateConfig::Cosine(Cosine::new(60, 1e-4).unwrap()).build().unwrap();
    let learner = TaskLearner::new(step.build().unwrap(), ("x", "own"), answers).unwrap();
    learner.epochs(3).unwrap().batch_size(5).unwrap().rate(rate).rng(&rng)
}

/// 30 samples of 4 counts; sample i is of class i mod 3, which raises the count i mod 3.
fn view() -> Matrix {
    let mut rng = Rng::new(0);
    let count = |sample: usize, feature: usize, rng: &mut Rng| {
        rng.below(3) as f64 + if sample % 3 == feature { 4.0 } else { 0.0 }
    };
    let values = (0..30).flat_map(|s| (0..4).map(|f| count(s, f, &mut rng)).collect::<Vec<_>>()).collect();
    Matrix::new(30, 4, values).unwrap()
}

fn label(answers: Answers, sample: usize) -> f64 {
    match answers {
        Answers::Classes(_) => (sample % 3) as f64,
        Answers::Value => (sample as f64).sin(),
    }
}

fn lesson(answers: Answers, samples: impl Iterator<Item = usize>) -> Lesson {
    Lesson::of_labels(answers, samples.map(|sample| (sample, label(answers, sample)))).unwrap()
}

fn bits(matrix: &Matrix) -> Vec<u64> {
    matrix.values().iter().map(|value| value.to_bits()).collect()
}

fn all(learner: &dyn Learner) -> Matrix {
    learner.predict(&view(), &(0..30).collect::<Vec<_>>()).unwrap()
}

fn close(a: &Matrix, b: &Matrix) -> bool {
    a.values().iter().zip(b.values()).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn two_learners_that_learn_alike_say_alike_to_the_bit() {
    for row in rows() {
        let said = || {
            let mut learner = (row.make)();
            learner.learn(&view(), &lesson(row.answers, 0..20)).unwrap();
            bits(&all(&*learner))
        };
        assert_eq!(said(), said(), "{}", row.name);
    }
}

#[test]
fn a_restored_learner_goes_on_where_it_was() {
    for row in rows() {
        let mut learner = (row.make)();
        learner.learn(&view(), &lesson(row.answers, 0..12)).unwrap();
        let text = serde_json::to_string(&learner.save().unwrap().values).unwrap();
        let saved = taskweave_kernels::State {
            values: serde_json::from_str(&text).unwrap(),
            tensors: learner.save().unwrap().tensors,
        };
        let before = bits(&all(&*learner));
        learner.learn(&view(), &lesson(row.answers, 5..25)).unwrap();
        let after = bits(&all(&*learner));
        assert_ne!(before, after, "{} has learned nothing", row.name);
        let mut other = (row.make)();
        other.restore(&saved).unwrap();
        assert_eq!(bits(&all(&*other)), before, "{}", row.name);
        other.learn(&view(), &lesson(row.answers, 5..25)).unwrap();
        assert_eq!(bits(&all(&*other)), after, "{}", row.name);
    }
}

#[test]
fn what_weighs_nothing_counts_for_nothing() {
    for row in rows() {
        let mut plain = (row.make)();
        plain.learn(&view(), &lesson(row.answers, 0..12)).unwrap();
        let odd = Matrix::of_rows(&vec![row.answers.row(0.0).unwrap(); 2]).unwrap();
        let mut with = (row.make)();
        with.learn(&view(), &lesson(row.answers, 0..12).and(&[25, 26], &odd, &[0.0, 0.0]).unwrap()).unwrap();
        assert_eq!(bits(&all(&*plain)), bits(&all(&*with)), "{}", row.name);
    }
}

#[test]
fn a_weight_of_two_is_the_sample_twice() {
    for row in rows().into_iter().filter(|row| row.forgets && !row.name.starts_with("Knn")) {
        let once = lesson(row.answers, 0..12);
        let (mut weighted, mut doubled) = ((row.make)(), (row.make)());
        let targets = once.targets().clone();
        let samples = once.samples().to_vec();
        weighted.learn(&view(), &Lesson::new(samples, targets, vec![2.0; 12]).unwrap()).unwrap();
        doubled.learn(&view(), &lesson(row.answers, (0..12).chain(0..12))).unwrap();
        assert!(close(&all(&*weighted), &all(&*doubled)), "{}", row.name);
    }
}

#[test]
fn probabilities_are_probabilities_and_most_are_right() {
    for row in rows().into_iter().filter(|row| row.answers == CLASSES) {
        let mut learner = (row.make)();
        for _ in 0..if row.forgets { 1 } else { 20 } {
            learner.learn(&view(), &lesson(CLASSES, 0..18)).unwrap();
        }
        let said = all(&*learner);
        let right = (18..30).filter(|&s| CLASSES.label(said.row(s).unwrap()) == label(CLASSES, s)).count();
        assert!(right >= 10, "{}: {right} of 12", row.name);
        if !row.name.starts_with("Ridge") {
            assert!(said.iter().all(|p| (p.iter().sum::<f64>() - 1.0).abs() < 1e-9), "{}", row.name);
            assert!(said.values().iter().all(|p| (0.0..=1.0).contains(p)), "{}", row.name);
        }
    }
}

#[test]
fn what_cannot_be_learned_or_said_is_a_typed_error() {
    for row in rows() {
        let mut learner = (row.make)();
        if row.forgets && row.name != "FromFn" {
            assert!(
                matches!(learner.predict(&view(), &[0]), Err(Error::Parameter { .. })),
                "{}: too early",
                row.name
            );
        }
        if row.name == "FromFn" {
            continue;
        }
        let missing = lesson(row.answers, 28..31);
        assert!(
            matches!(learner.learn(&view(), &missing), Err(Error::Parameter { .. })),
            "{}: no sample",
            row.name
        );
        learner.learn(&view(), &lesson(row.answers, 0..12)).unwrap();
        assert!(
            matches!(learner.predict(&view(), &[30]), Err(Error::Parameter { .. })),
            "{}: no sample",
            row.name
        );
        let narrow = Matrix::new(1, 2, vec![1.0, 2.0]).unwrap();
        assert!(matches!(learner.predict(&narrow, &[0]), Err(Error::Shape { .. })), "{}: narrow", row.name);
    }
}

#[test]
fn a_learner_is_not_restored_into_one_of_other_parameters() {
    let pairs: [(Box<dyn Learner>, Box<dyn Learner>); 5] = [
        (Box::new(MultinomialNb::new(0.5).unwrap()), Box::new(MultinomialNb::new(0.1).unwrap())),
        (Box::new(GaussianNb::new(0.5).unwrap()), Box::new(GaussianNb::new(0.1).unwrap())),
        (Box::new(Logistic::new(0.5).unwrap()), Box::new(Logistic::new(0.1).unwrap())),
        (Box::new(Ridge::new(0.5).unwrap()), Box::new(Ridge::new(0.1).unwrap())),
        (Box::new(Knn::new(3, 2.0).unwrap()), Box::new(Knn::new(3, 5.0).unwrap())),
    ];
    for (from, mut into) in pairs {
        assert!(matches!(into.restore(&from.save().unwrap()), Err(Error::State { .. })));
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(MultinomialNb::new(bad).is_err() && GaussianNb::new(bad).is_err(), "{bad}");
        assert!(
            Logistic::new(bad).is_err() && Ridge::new(bad).is_err() && Knn::new(1, bad).is_err(),
            "{bad}"
        );
    }
    assert!(Knn::new(0, 2.0).is_err());
}

#[test]
fn negative_counts_and_targets_that_are_no_distribution_are_refused() {
    let view = Matrix::new(2, 1, vec![1.0, -1.0]).unwrap();
    let two = Answers::Classes(2);
    let labels = Lesson::of_labels(two, [(0, 0.0), (1, 1.0)]).unwrap();
    let error = MultinomialNb::default().learn(&view, &labels).unwrap_err();
    assert_eq!(error.to_string(), "count of sample 1: expected a number ≥ 0, found -1");
    let targets = Matrix::new(2, 2, vec![0.5, 0.6, 1.0, 0.0]).unwrap();
    let odd = Lesson::new(vec![0, 1], targets, vec![1.0; 2]).unwrap();
    let learners: [Box<dyn Learner>; 3] =
        [Box::new(MultinomialNb::default()), Box::new(GaussianNb::default()), Box::new(Logistic::default())];
    for mut learner in learners {
        assert!(matches!(learner.learn(&view, &odd), Err(Error::Parameter { .. })));
    }
}

#[test]
fn logistic_regression_is_at_its_minimum() {
    // Central differences of the mean loss plus λ/2 ‖W‖² around the saved weights are 0 in every direction.
    let mut learner = Logistic::new(0.05).unwrap();
    learner.learn(&view(), &lesson(CLASSES, 0..20)).unwrap();
    let weights: Vec<f64> =
        learner.save().unwrap().tensors["weights"].flatten_all().unwrap().to_vec1().unwrap();
    let objective = |w: &[f64]| {
        let view = view();
        let loss = |s: usize| {
            let x = view.row(s).unwrap();
            let score = |c: usize| (0..4).map(|f| w[c * 5 + f] * x[f]).sum::<f64>() + w[c * 5 + 4];
            (0..3).map(|c| score(c).exp()).sum::<f64>().ln() - score(s % 3)
        };
        let norm: f64 = (0..3).flat_map(|c| (0..4).map(move |f| c * 5 + f)).map(|i| w[i] * w[i]).sum();
        (0..20).map(loss).sum::<f64>() / 20.0 + 0.025 * norm
    };
    for i in 0..weights.len() {
        let at = |by: f64| {
            let mut w = weights.clone();
            w[i] += by;
            objective(&w)
        };
        let slope = (at(1e-4) - at(-1e-4)) / 2e-4;
        assert!(slope.abs() < 1e-6, "weight {i}: {slope}");
    }
}

#[test]
fn a_class_without_weight_has_no_probability() {
    let learners: [Box<dyn Learner>; 3] = [
        Box::new(MultinomialNb::default()),
        Box::new(GaussianNb::new(0.1).unwrap()),
        Box::new(Logistic::default()),
    ];
    for mut learner in learners {
        learner.learn(&view(), &lesson(CLASSES, (0..12).filter(|s| s % 3 != 2))).unwrap();
        assert!(all(&*learner).iter().all(|p| p[2] == 0.0 && (p[0] + p[1] - 1.0).abs() < 1e-12));
    }
}

#[test]
fn ridge_by_samples_is_ridge_by_features() {
    // Three samples of four features take the one way; with twelve copies of weight ¼ the other.
    let few = lesson(Answers::Value, 0..3);
    let many = lesson(Answers::Value, (0..12).map(|i| i % 3));
    let many = Lesson::new(many.samples().to_vec(), many.targets().clone(), vec![0.25; 12]).unwrap();
    let (mut a, mut b) = (Ridge::new(0.7).unwrap(), Ridge::new(0.7).unwrap());
    a.learn(&view(), &few).unwrap();
    b.learn(&view(), &many).unwrap();
    assert!(close(&all(&a), &all(&b)));
}

/// Labels of the other task for some samples.
fn others(samples: std::ops::Range<usize>) -> Target {
    let values: Vec<f64> = (0..30).map(|s| s as f64 / 10.0).collect();
    let weights: Vec<f64> = (0..30).map(|s| f64::from(u8::from(samples.contains(&s)))).collect();
    let values = Tensor::from_vec(values, (30, 1), &Device::Cpu).unwrap();
    Target::weighted(values, Tensor::new(weights, &Device::Cpu).unwrap()).unwrap()
}

#[test]
fn a_task_of_a_network_learns_beside_the_others_and_missing_labels_weigh_nothing() {
    let head = |learner: &TaskLearner, task: &str| -> Vec<f64> {
        let named = learner.step().params().named();
        let own = named.iter().filter(|(name, _)| name.starts_with(&format!("task.{task}")));
        own.flat_map(|(_, param)| param.var.flatten_all().unwrap().to_vec1::<f64>().unwrap()).collect()
    };
    let fresh = network(CLASSES);
    let mut alone = network(CLASSES);
    alone.learn(&view(), &lesson(CLASSES, 0..12)).unwrap();
    assert_eq!(head(&alone, "other"), head(&fresh, "other"), "a task without labels does not learn");
    let mut none = network(CLASSES).also("other", others(0..0)).unwrap();
    none.learn(&view(), &lesson(CLASSES, 0..12)).unwrap();
    assert_eq!(bits(&all(&none)), bits(&all(&alone)), "labels of weight 0 change nothing");
    let mut both = network(CLASSES).also("other", others(20..30)).unwrap();
    both.learn(&view(), &lesson(CLASSES, 0..12)).unwrap();
    assert_ne!(
        head(&both, "other"),
        head(&fresh, "other"),
        "samples outside of the lesson teach the other task"
    );
    assert_ne!(bits(&all(&both)), bits(&all(&alone)), "and with it the shared trunk");
}

#[test]
fn tasks_of_a_network_are_checked() -> Result<()> {
    let made = || network(CLASSES);
    assert!(matches!(made().also("own", others(0..1)), Err(Error::Name { .. })));
    assert!(matches!(made().also("third", others(0..1)), Err(Error::Unknown { .. })));
    assert!(matches!(made().epochs(0), Err(Error::Parameter { .. })));
    assert!(matches!(made().batch_size(0), Err(Error::Parameter { .. })));
    let short = Target::new(Tensor::zeros((3, 1), DType::F64, &Device::Cpu)?)?;
    let wrong = made().also("other", short)?.learn(&view(), &lesson(CLASSES, 0..3));
    assert!(matches!(wrong, Err(Error::Shape { .. })));
    Ok(())
}

#[test]
fn codings_number_classes_as_they_appear() {
    let signs = Coding::of(&[Some(1), Some(-1), None, Some(1)]);
    let names = Coding::of(&[Some("spam"), Some("ham"), None, Some("spam")]);
    assert_eq!(signs.1, names.1);
    assert_eq!((names.0.class(&"ham"), names.0.class(&"eggs"), names.0.len()), (Some(1), None, 2));
    assert!(names.0.label(2).is_err());
}
