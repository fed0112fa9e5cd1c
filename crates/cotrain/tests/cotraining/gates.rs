//! What the gate judges by.

use taskweave_cotrain::cotraining::{CoTraining, Session, SessionBuilder};
use taskweave_cotrain::gate::Gate;
use taskweave_cotrain::learner::{Learner, Lesson, Matrix};

use crate::problem::{CLASSES, logistic, team, truth, views};

const PAIR: [&str; 2] = ["left", "right"];

fn builder() -> SessionBuilder {
    team(CLASSES, CoTraining::default(), &PAIR)
}

fn run(gate: Gate, rounds: u64) -> Session {
    let mut session = builder().gate(gate).rounds(rounds).build().unwrap();
    session.run().unwrap();
    session
}

fn best(row: &[f64]) -> usize {
    (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap()
}

/// Cohen's κ of two predictions.
fn kappa(a: &Matrix, b: &Matrix) -> f64 {
    let n = a.rows() as f64;
    let classes = |m: &Matrix| m.iter().map(best).collect::<Vec<_>>();
    let (a, b) = (classes(a), classes(b));
    let same = a.iter().zip(&b).filter(|(a, b)| a == b).count() as f64 / n;
    let share = |of: &[usize], class: usize| of.iter().filter(|c| **c == class).count() as f64 / n;
    let chance: f64 = (0..3).map(|class| share(&a, class) * share(&b, class)).sum();
    (same - chance) / (1.0 - chance)
}

/// What a learner on a view says of `fold` after the lesson without it.
fn without(view: &str, lesson: &Lesson, fold: &[usize]) -> Matrix {
    let mut learner = logistic();
    let views = views();
    let view = views.require(view).unwrap();
    let rest = lesson.iter().filter(|(sample, ..)| !fold.contains(sample));
    let rest = rest.map(|(sample, target, _)| (sample, best(target) as f64));
    learner.learn(view, &Lesson::of_labels(CLASSES, rest).unwrap()).unwrap();
    learner.predict(view, fold).unwrap()
}

#[test]
fn without_validation_labels_the_score_is_half_agreement_and_half_cross_validated_accuracy() {
    for rounds in [0, 2] {
        let session = run(Gate::unlabeled(3).unwrap(), rounds);
        let said = session.team().predict(&views(), &(9..90).collect::<Vec<_>>()).unwrap();
        let agreement = kappa(&said["left"], &said["right"]);
        // Of the labeled samples 0 to 8 those of one class are 0, 3, 6; 1, 4, 7; 2, 5, 8: one of each in every fold.
        let folds = [[0, 1, 2], [3, 4, 5], [6, 7, 8]];
        let mut right = 0;
        for fold in folds {
            let [left, right_view] =
                PAIR.map(|view| without(view, session.team().taught(view).unwrap(), &fold));
            for (place, sample) in fold.into_iter().enumerate() {
                let (a, b) = (left.row(place).unwrap(), right_view.row(place).unwrap());
                let product: Vec<f64> = a.iter().zip(b).map(|(a, b)| a * b).collect();
                right += usize::from(best(&product) as f64 == truth(CLASSES, sample));
            }
        }
        let record = session.history().rounds.last().unwrap();
        let decision = record.decision.as_ref().unwrap();
        let expected = 0.5 * (agreement + right as f64 / 9.0);
        assert!((decision.score - expected).abs() < 1e-12, "{rounds}: {} {expected}", decision.score);
    }
}

#[test]
fn validation_labels_judge_where_there_are_any_and_agreement_where_there_are_none() {
    let scores = |gate: Gate| {
        let session = run(gate, 3);
        let rounds = session.history().rounds.iter();
        rounds.map(|record| record.decision.as_ref().unwrap().score).collect::<Vec<_>>()
    };
    let labels = || (90..110).map(|sample| (sample, truth(CLASSES, sample)));
    let (validated, unlabeled) =
        (scores(Gate::validation(labels()).unwrap()), scores(Gate::unlabeled(3).unwrap()));
    assert_ne!(validated, unlabeled);
    assert_eq!(scores(Gate::either(labels(), 3).unwrap()), validated);
    assert_eq!(scores(Gate::either([], 3).unwrap()), unlabeled);
    // Accuracy on 20 labels by what the learners say together.
    let session = run(Gate::validation(labels()).unwrap(), 0);
    let said = session.labels(&(90..110).collect::<Vec<_>>()).unwrap();
    let right = said.iter().zip(labels()).filter(|(said, (_, label))| *said == label).count();
    assert_eq!(validated[0], right as f64 / 20.0);
}
