//! What every method of co-training promises, one row per method.

use taskweave_cotrain::cotraining::{
    Advance, CoEm, CoTraining, Coreg, Democratic, Em, Method, Room, SelfTraining, Session, SessionBuilder,
    TriTraining,
};
use taskweave_cotrain::gate::Gate;
use taskweave_cotrain::learner::{Answers, Coding, Lesson, Matrix, MultiView};
use taskweave_cotrain::pool::{Conflict, Pool, Quota};
use taskweave_cotrain::selector::threshold::{Fixed, Flexible, Free};
use taskweave_cotrain::selector::{Agreement, Confident, Disagreement, SmallLoss};
use taskweave_kernels::{Error, Result, State, Stateful};

use crate::problem::{
    CLASSES, N, bits, coregularized, logistic, pool, team, test, through_text, truth, views,
};

type Make = fn() -> Session;

fn rows() -> Vec<(&'static str, Make)> {
    [co_training(), others()].concat()
}

fn co_training() -> Vec<(&'static str, Make)> {
    vec![
        ("CoTraining", || {
            team(CLASSES, CoTraining::default(), &["left", "right"]).rounds(4).build().unwrap()
        }),
        ("CoTraining, three views, vote", || {
            let method = CoTraining::default().conflict(Conflict::Vote).window(20).unwrap();
            team(CLASSES, method, &["left", "right", "top"]).rounds(4).build().unwrap()
        }),
        ("CoTraining, agreement, gate", || {
            let method = CoTraining::default().selector(Agreement);
            let gate = Gate::unlabeled(3).unwrap().patience(0);
            team(CLASSES, method, &["left", "right"]).gate(gate).rounds(5).build().unwrap()
        }),
        ("CoTraining, disagreement", || {
            let method = CoTraining::default().selector(Disagreement::new(0.5).unwrap());
            team(CLASSES, method, &["left", "right"]).rounds(4).build().unwrap()
        }),
        ("CoTraining, flexible threshold", || {
            let method = CoTraining::default().selector(Confident::new(Flexible::new(81, 0.8).unwrap()));
            team(CLASSES, method.window(20).unwrap(), &["left", "right"]).rounds(4).build().unwrap()
        }),
        ("CoTraining, free threshold", || {
            let method = CoTraining::default().selector(Confident::new(Free::new(0.8).unwrap()));
            team(CLASSES, method.window(20).unwrap(), &["left", "right"]).rounds(4).build().unwrap()
        }),
        ("CoTraining, small losses", || {
            let method = CoTraining::default().selector(SmallLoss { forget: 0.8, steps: 3 });
            team(CLASSES, method.window(20).unwrap(), &["left", "right"]).rounds(4).build().unwrap()
        }),
    ]
}

fn others() -> Vec<(&'static str, Make)> {
    vec![
        ("SelfTraining", || team(CLASSES, SelfTraining::default(), &["left"]).rounds(4).build().unwrap()),
        ("Em", || team(CLASSES, Em::new(0.5).unwrap(), &["left"]).rounds(4).build().unwrap()),
        ("CoEm", || {
            team(CLASSES, CoEm::new(0.5).unwrap(), &["left", "right", "top"]).rounds(4).build().unwrap()
        }),
        ("TriTraining", || {
            team(CLASSES, TriTraining::default(), &["left", "right", "top"]).rounds(5).build().unwrap()
        }),
        ("Democratic", || {
            team(CLASSES, Democratic::new(0.5).unwrap(), &["left", "right", "top"]).rounds(5).build().unwrap()
        }),
        ("CoRegularization", || coregularized(CLASSES, 0.2).rounds(4).build().unwrap()),
        ("Coreg", || team(Answers::Value, Coreg::default(), &["left", "right"]).rounds(5).build().unwrap()),
    ]
}

#[test]
fn a_session_that_is_killed_anywhere_goes_on_as_if_it_had_not_been() {
    for (name, make) in rows() {
        let mut whole = make();
        let (mut parts, mut states) = (0, Vec::new());
        loop {
            states.push(through_text(whole.save().unwrap()));
            if whole.advance().unwrap() == Advance::Over {
                break;
            }
            parts += 1;
        }
        assert!(parts > 3, "{name} is over after {parts} parts");
        let step = if parts > 12 { 3 } else { 1 };
        for (at, state) in states.iter().enumerate().step_by(step) {
            let mut resumed = make();
            resumed.restore(state).unwrap();
            resumed.run().unwrap();
            assert_eq!(bits(&resumed), bits(&whole), "{name}, killed after part {at}");
            assert_eq!(resumed.history(), whole.history(), "{name}, killed after part {at}");
            assert_eq!(resumed.pool(), whole.pool(), "{name}, killed after part {at}");
        }
    }
}

#[test]
fn every_method_learns_something_and_none_loses_much() {
    for (name, make) in rows() {
        let mut session = make();
        session.run().unwrap();
        let scores: Vec<f64> =
            session.history().rounds.iter().map(|record| record.scores["together"]).collect();
        let (first, last) = (scores[0], scores[scores.len() - 1]);
        assert!(scores.len() > 1, "{name} has no round");
        assert!(last > first - 0.11, "{name}: {scores:?}");
        let mut start = make();
        while start.advance().unwrap() != Advance::Round {}
        assert_ne!(bits(&start), bits(&session), "{name} has learned nothing");
    }
}

#[test]
fn a_quota_of_nothing_is_supervised() {
    let supervised = || {
        let mut session = team(CLASSES, CoTraining::default(), &["left", "right"]).rounds(0).build().unwrap();
        session.run().unwrap();
        session
    };
    let none = Quota::PerClass(vec![0; 3]);
    let methods: [Box<dyn Fn() -> SessionBuilder>; 5] = [
        Box::new(|| {
            team(CLASSES, CoTraining::default().quota(Quota::PerClass(vec![0; 3])), &["left", "right"])
        }),
        Box::new(|| {
            team(CLASSES, CoTraining::default().quota(none.clone()).selector(Agreement), &["left", "right"])
        }),
        Box::new(|| team(CLASSES, CoEm::new(0.0).unwrap(), &["left", "right"])),
        Box::new(|| {
            let none = Confident::new(Fixed::new(1.1).unwrap());
            team(CLASSES, CoTraining::default().selector(none), &["left", "right"])
        }),
        Box::new(|| team(CLASSES, Half, &["left", "right"])),
    ];
    for (i, method) in methods.iter().enumerate() {
        let mut session = method().rounds(1).build().unwrap();
        session.run().unwrap();
        assert_eq!(bits(&session) == bits(&supervised()), i < 4, "method {i}");
    }
}

/// A method that does change something, so that the test above can fail.
struct Half;

impl Method for Half {
    fn lesson(&self, room: &Room<'_>, _: &str) -> Result<Option<Lesson>> {
        Lesson::of_labels(CLASSES, room.pool.labeled().iter().take(5).map(|(s, label)| (*s, *label)))
            .map(Some)
    }
}

impl Stateful for Half {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("Half")
    }
}

#[test]
fn co_regularization_reaches_the_minimum_of_its_objective() {
    let mut session = coregularized(Answers::Value, 0.3).rounds(2000).build().unwrap();
    session.run().unwrap();
    let views = views();
    let labels = |s: usize| truth(Answers::Value, s);
    // The objective at the coefficients [β, b] of both learners.
    let objective = |w: &[Vec<f64>; 2]| {
        let f = |v: usize, s: usize| {
            let x = views.require(["left", "right"][v]).unwrap().row(s).unwrap();
            (0..3).map(|i| w[v][i] * x[i]).sum::<f64>() + w[v][3]
        };
        let fit = |v: usize| (0..9).map(|s| (f(v, s) - labels(s)).powi(2)).sum::<f64>();
        let norm = |v: usize| (v + 1) as f64 * w[v][..3].iter().map(|w| w * w).sum::<f64>();
        let apart: f64 = (9..90).map(|s| (f(0, s) - f(1, s)).powi(2)).sum();
        fit(0) + fit(1) + norm(0) + norm(1) + 0.3 * apart
    };
    let state = session.team().save().unwrap();
    let weights = ["left", "right"].map(|name| -> Vec<f64> {
        state.tensors[format!("{name}/coefficients").as_str()].flatten_all().unwrap().to_vec1().unwrap()
    });
    for v in 0..2 {
        for i in 0..4 {
            let at = |by: f64| {
                let mut w = weights.clone();
                w[v][i] += by;
                objective(&w)
            };
            let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
            assert!(slope.abs() < 1e-3, "learner {v}, coefficient {i}: {slope}");
        }
    }
    assert!(session.history().rounds.len() < 2000, "it has settled");
}

#[test]
fn labels_of_any_coding_give_the_same_result() {
    fn predicted<T: Clone + PartialEq>(of: impl Fn(usize) -> T) -> (Vec<bool>, Vec<Option<usize>>) {
        let labels: Vec<Option<T>> = (0..N).map(|s| (s < 9).then(|| of(s % 3))).collect();
        let (coding, classes) = Coding::of(&labels);
        let labeled = classes.iter().enumerate().filter_map(|(s, class)| Some((s, (*class)? as f64)));
        let pool = Pool::new(Answers::Classes(coding.len()), labeled, 9..90).unwrap();
        let mut session = Session::builder(views(), pool, CoTraining::default())
            .learner("left", "left", logistic())
            .learner("right", "right", logistic())
            .rounds(5)
            .build()
            .unwrap();
        session.run().unwrap();
        let said = session.labels(&test()).unwrap();
        let right =
            said.iter().zip(test()).map(|(c, s)| *coding.label(*c as usize).unwrap() == of(s % 3)).collect();
        (right, classes)
    }
    let numbers = predicted(|class| class);
    assert_eq!(predicted(|class| class as i32 - 1), numbers);
    assert_eq!(predicted(|class| -(class as i32)), numbers);
    assert_eq!(predicted(|class| ["zebra", "ant", "bee"][class].to_string()), numbers);
    assert!(numbers.0.iter().filter(|right| **right).count() > 20);
}

#[test]
fn what_a_method_cannot_work_on_is_a_typed_error() {
    let refused = |builder: SessionBuilder| matches!(builder.build(), Err(Error::Parameter { .. }));
    assert!(refused(team(CLASSES, CoTraining::default(), &["left"])), "one view");
    assert!(refused(team(CLASSES, CoEm::default(), &["left"])), "one view");
    let twice = Session::builder(views(), pool(CLASSES), CoTraining::default())
        .learner("a", "left", logistic())
        .learner("b", "left", logistic());
    assert!(refused(twice), "two learners of one view");
    assert!(refused(team(CLASSES, SelfTraining::default(), &["left", "right"])), "two learners");
    assert!(refused(team(CLASSES, Em::default(), &[])), "no learner");
    assert!(refused(team(CLASSES, TriTraining::default(), &["left", "right"])), "two learners");
    assert!(refused(team(CLASSES, Democratic::default(), &["left", "right"])), "two learners");
    assert!(refused(team(CLASSES, Coreg::default(), &["left", "right"])), "classes");
    assert!(refused(team(Answers::Value, CoTraining::default(), &["left", "right"])), "values");
    let quota = CoTraining::default().quota(Quota::PerClass(vec![1]));
    assert!(refused(team(CLASSES, quota, &["left", "right"])), "a quota for one class of three");
    let forgetful = CoTraining::default().selector(SmallLoss { forget: 1.0, steps: 0 });
    assert!(refused(team(CLASSES, forgetful, &["left", "right"])), "a selector out of range");
    let forgetful = SelfTraining::default().selector(SmallLoss { forget: 1.0, steps: 0 });
    assert!(refused(team(CLASSES, forgetful, &["left"])), "a selector out of range");
}

#[test]
fn pools_names_and_views_that_do_not_fit_are_typed_errors() {
    let refused = |builder: SessionBuilder| matches!(builder.build(), Err(Error::Parameter { .. }));
    let mut first = team(CLASSES, SelfTraining::default(), &["left"]).rounds(1).build().unwrap();
    first.run().unwrap();
    let used = Session::builder(views(), first.pool().clone(), TriTraining::default());
    let used = ["left", "right", "top"].iter().fold(used, |used, view| used.learner(view, view, logistic()));
    assert!(refused(used), "a pool with guesses of another session");
    let far = Pool::new(CLASSES, [(0, 0.0), (1, 1.0)], N..N + 2).unwrap();
    let far = Session::builder(views(), far, SelfTraining::default()).learner("left", "left", logistic());
    assert!(refused(far), "samples that the views do not have");
    let blind =
        Session::builder(views(), pool(CLASSES), SelfTraining::default()).learner("a", "bottom", logistic());
    assert!(matches!(blind.build(), Err(Error::Unknown { .. })));
    let named = Session::builder(views(), pool(CLASSES), SelfTraining::default()).learner(
        "together",
        "left",
        logistic(),
    );
    assert!(matches!(named.build(), Err(Error::Name { .. })));
    let unequal = [("a", Matrix::new(2, 1, vec![0.0; 2])), ("b", Matrix::new(3, 1, vec![0.0; 3]))];
    assert!(matches!(MultiView::new(unequal.map(|(n, m)| (n, m.unwrap()))), Err(Error::Shape { .. })));
    let nan = Matrix::new(1, 1, vec![f64::NAN]).unwrap();
    assert!(matches!(MultiView::new([("a", nan)]), Err(Error::NonFinite { .. })));
}
