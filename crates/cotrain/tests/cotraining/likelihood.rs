//! What expectation maximization promises: no round lowers the likelihood.

use std::sync::Arc;

use taskweave_cotrain::cotraining::{Advance, Em, Session};
use taskweave_cotrain::learner::{Answers, GaussianNb, Learner, Matrix, MultiView, MultinomialNb};
use taskweave_cotrain::pool::Pool;
use taskweave_kernels::{Rng, Stateful};

const SAMPLES: usize = 90;
const LABELS: usize = 6;

/// The parameters of a learner by name, row by row.
type Known = Box<dyn Fn(&str) -> Vec<Vec<f64>>>;

/// The value of an objective after every round.
fn after_rounds(
    view: &Matrix,
    learner: impl Learner + 'static,
    weight: f64,
    objective: impl Fn(&Known) -> f64,
) -> Vec<f64> {
    let views = Arc::new(MultiView::new([("x", view.clone())]).unwrap());
    let labeled = (0..LABELS).map(|sample| (sample, (sample % 2) as f64));
    let pool = Pool::new(Answers::Classes(2), labeled, LABELS..SAMPLES).unwrap();
    let session = Session::builder(views, pool, Em::new(weight).unwrap()).learner("x", "x", learner);
    let mut session = session.rounds(60).build().unwrap();
    let mut values = Vec::new();
    loop {
        match session.advance().unwrap() {
            Advance::Part => {}
            Advance::Over => return values,
            Advance::Round => {
                let state = session.team().save().unwrap();
                let known =
                    move |name: &str| state.tensors[format!("x/{name}").as_str()].to_vec2::<f64>().unwrap();
                values.push(objective(&(Box::new(known) as Known)));
            }
        }
    }
}

/// Σ over the labels of ln p(x, y), and λ Σ over all other samples of ln Σ_c p(x, c).
fn likelihood(joint: impl Fn(usize, usize) -> f64, weight: f64) -> f64 {
    let given: f64 = (0..LABELS).map(|sample| joint(sample, sample % 2)).sum();
    let mixed = |sample: usize| {
        let [a, b] = [joint(sample, 0), joint(sample, 1)];
        a.max(b) + (-(a - b).abs()).exp().ln_1p()
    };
    given + weight * (LABELS..SAMPLES).map(mixed).sum::<f64>()
}

fn never_falls(name: &str, values: &[f64]) {
    assert!(values.len() > 3, "{name}: {values:?}");
    for (round, pair) in values.windows(2).enumerate() {
        assert!(pair[1] >= pair[0] - 1e-9 * pair[0].abs(), "{name}, round {}: {pair:?}", round + 1);
    }
    assert!(values[values.len() - 1] > values[0] + 1.0, "{name} has hardly moved: {values:?}");
}

#[test]
fn no_round_lowers_the_likelihood_of_multinomial_naive_bayes() {
    let (words, smoothing, mut rng) = (8, 0.5, Rng::new(1));
    // The first half of the words is twice as frequent in one class, the second half in the other.
    let count = |sample: usize, word: usize, rng: &mut Rng| {
        let often = if (word < words / 2) == sample.is_multiple_of(2) { 4 } else { 2 };
        (0..often).map(|_| rng.below(2)).sum::<usize>() as f64
    };
    let values = (0..SAMPLES * words).map(|i| count(i / words, i % words, &mut rng)).collect();
    let view = Matrix::new(SAMPLES, words, values).unwrap();
    for weight in [1.0, 0.3] {
        let objective = |known: &Known| {
            let (counts, classes) = (known("counts"), known("classes").concat());
            let all = classes.iter().sum::<f64>();
            let log_theta = |class: usize, word: usize| {
                let total = counts[class].iter().sum::<f64>() + smoothing * words as f64;
                ((counts[class][word] + smoothing) / total).ln()
            };
            let joint = |sample: usize, class: usize| {
                let row = view.row(sample).unwrap();
                let of_words: f64 = (0..words).map(|word| row[word] * log_theta(class, word)).sum();
                (classes[class] / all).ln() + of_words
            };
            let prior: f64 = (0..2 * words).map(|i| log_theta(i / words, i % words)).sum();
            likelihood(joint, weight) + smoothing * prior
        };
        let learner = MultinomialNb::new(smoothing).unwrap();
        never_falls("multinomial", &after_rounds(&view, learner, weight, objective));
    }
}

#[test]
fn no_round_lowers_the_likelihood_of_gaussian_naive_bayes() {
    let mut rng = Rng::new(2);
    let values = (0..SAMPLES).flat_map(|s| [1.2 * (s % 2) as f64 + rng.normal(), rng.normal()]).collect();
    let view = Matrix::new(SAMPLES, 2, values).unwrap();
    for weight in [1.0, 0.3] {
        let objective = |known: &Known| {
            let (classes, mean, variance) = (known("classes").concat(), known("mean"), known("variance"));
            let all = classes.iter().sum::<f64>();
            let normal =
                |x: f64, m: f64, v: f64| -0.5 * ((2.0 * std::f64::consts::PI * v).ln() + (x - m).powi(2) / v);
            let joint = |sample: usize, class: usize| {
                let row = view.row(sample).unwrap();
                let of_numbers = (0..2).map(|f| normal(row[f], mean[class][f], variance[class][f]));
                (classes[class] / all).ln() + of_numbers.sum::<f64>()
            };
            likelihood(joint, weight)
        };
        // The guarantee is that of the likelihood without smoothing.
        let learner = GaussianNb::new(1e-9).unwrap();
        never_falls("gaussian", &after_rounds(&view, learner, weight, objective));
    }
}
