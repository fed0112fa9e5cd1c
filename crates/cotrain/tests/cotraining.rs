//! What every method of co-training promises, one row per method.

use std::sync::Arc;

use taskweave_cotrain::Control;
use taskweave_cotrain::cotraining::{
    Advance, CoEm, CoRegularization, CoTraining, Committee, Coreg, Democratic, Em, Listener, Method, Room,
    RoundRecord, SelfTraining, Session, SessionBuilder, TriTraining, Turn, Watch,
};
use taskweave_cotrain::gate::{Gate, Verdict};
use taskweave_cotrain::learner::{
    Answers, Coding, FromFn, GaussianNb, Knn, Learner, Lesson, Logistic, Matrix, Ridge, Views,
};
use taskweave_cotrain::pool::{Conflict, Pool, Proposal, Quota};
use taskweave_cotrain::report::Report;
use taskweave_cotrain::selector::{Agreement, Disagreement, Threshold};
use taskweave_kernels::{Error, Result, Rng, State, Stateful};

const N: usize = 120;

/// Views of three numbers: two of them are raised by the class, with noise of their own in each view.
fn views() -> Arc<Views> {
    let view = |name: &str| {
        let mut rng = Rng::new(4).fork(name);
        let value =
            |s: usize, f: usize, rng: &mut Rng| 1.5 * f64::from(u8::from(s % 3 == f)) + 0.7 * rng.normal();
        let values = (0..N).flat_map(|s| (0..3).map(|f| value(s, f, &mut rng)).collect::<Vec<_>>()).collect();
        (name.to_string(), Matrix::new(N, 3, values).unwrap())
    };
    Arc::new(Views::new(["left", "right", "top"].map(view)).unwrap())
}

fn truth(answers: Answers, sample: usize) -> f64 {
    match answers {
        Answers::Classes(_) => (sample % 3) as f64,
        Answers::Value => (sample % 3) as f64 + 0.1 * (sample as f64).sin(),
    }
}

const CLASSES: Answers = Answers::Classes(3);

fn pool(answers: Answers) -> Pool {
    Pool::new(answers, (0..9).map(|s| (s, truth(answers, s))), 9..90).unwrap()
}

fn watch(answers: Answers) -> Watch {
    Watch::new((0..N).map(|s| (s, truth(answers, s))), 90..N).unwrap()
}

fn test() -> Vec<usize> {
    (90..N).collect()
}

fn logistic() -> Logistic {
    Logistic::new(0.05).unwrap()
}

/// Learners left and right, and perhaps top.
fn team(answers: Answers, method: impl Method + 'static, views_of: &[&str]) -> SessionBuilder {
    let mut builder =
        Session::builder(views(), pool(answers), method).watch(watch(answers)).rng(&Rng::new(2));
    for view in views_of {
        let learner: Box<dyn Learner> = match answers {
            Answers::Classes(_) => Box::new(logistic()),
            Answers::Value => Box::new(Knn::new(3, 2.0).unwrap()),
        };
        builder = builder.boxed_learner(view, view, learner);
    }
    builder
}

fn coregularized(answers: Answers, weight: f64) -> SessionBuilder {
    Session::builder(views(), pool(answers), CoRegularization::new(weight).unwrap())
        .learner("left", "left", Ridge::new(1.0).unwrap())
        .learner("right", "right", Ridge::new(2.0).unwrap())
        .watch(watch(answers))
}

type Make = fn() -> Session;

fn rows() -> Vec<(&'static str, Make)> {
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

fn bits(session: &Session) -> Vec<u64> {
    session.predict(&test()).unwrap().values().iter().map(|value| value.to_bits()).collect()
}

/// The state as it comes back from a file.
fn through_text(state: State) -> State {
    let text = serde_json::to_string(&state.values).unwrap();
    State { values: serde_json::from_str(&text).unwrap(), tensors: state.tensors }
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
            let none = Threshold::new(1.1).unwrap();
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
    assert!(matches!(Views::new(unequal.map(|(n, m)| (n, m.unwrap()))), Err(Error::Shape { .. })));
    let nan = Matrix::new(1, 1, vec![f64::NAN]).unwrap();
    assert!(matches!(Views::new([("a", nan)]), Err(Error::NonFinite { .. })));
}

#[test]
fn a_prediction_that_is_not_finite_names_its_learner() {
    let predict = |_: &(), _: &Matrix, samples: &[usize]| {
        Matrix::new(samples.len(), 3, vec![f64::NAN; 3 * samples.len()])
    };
    let broken = FromFn::new((), |_: &mut (), _: &Matrix, _: &Lesson| Ok(()), predict);
    let mut session = Session::builder(views(), pool(CLASSES), CoTraining::default())
        .learner("left", "left", logistic())
        .learner("broken", "right", broken)
        .build()
        .unwrap();
    let error = session.run().unwrap_err();
    assert!(matches!(&error, Error::NonFinite { name, .. } if name == "broken"), "{error}");
    let wide =
        |_: &(), _: &Matrix, samples: &[usize]| Matrix::new(samples.len(), 4, vec![0.25; 4 * samples.len()]);
    let wide = FromFn::new((), |_: &mut (), _: &Matrix, _: &Lesson| Ok(()), wide);
    let mut session = Session::builder(views(), pool(CLASSES), SelfTraining::default())
        .learner("wide", "left", wide)
        .build()
        .unwrap();
    assert!(matches!(session.run(), Err(Error::Shape { .. })));
}

#[test]
fn fewer_unlabeled_samples_than_the_window_still_run_until_none_is_left() {
    let pool = Pool::new(CLASSES, (0..9).map(|s| (s, truth(CLASSES, s))), 9..29).unwrap();
    let mut session =
        Session::builder(views(), pool, CoTraining::default().conflict(Conflict::MostConfident))
            .learner("left", "left", logistic())
            .learner("right", "right", logistic())
            .rounds(50)
            .build()
            .unwrap();
    session.run().unwrap();
    let last = session.history().rounds.last().unwrap();
    assert!(last.round < 50 && last.unlabeled < 3, "{last:?}");
    assert_eq!(last.pseudo + last.unlabeled, 20);
}

#[test]
fn every_guess_says_who_made_it_when_and_how_sure() {
    let mut session = team(CLASSES, CoTraining::default(), &["left", "right"]).rounds(3).build().unwrap();
    session.run().unwrap();
    let guesses = session.pool().pseudo();
    assert!(guesses.len() >= 9);
    for guess in guesses.values() {
        assert!((1..=3).contains(&guess.round) && (1.0 / 3.0..=1.0).contains(&guess.confidence));
        assert!(!guess.by.is_empty() && guess.by.iter().all(|by| by == "left" || by == "right"));
    }
    let record = session.history().rounds.last().unwrap();
    let right = guesses.iter().filter(|(s, guess)| truth(CLASSES, **s) == guess.label).count();
    assert_eq!(record.precision, Some(right as f64 / guesses.len() as f64));
    assert_eq!((record.labeled, record.pseudo, record.unlabeled), (9, guesses.len(), 81 - guesses.len()));
    assert_eq!(record.agreement["left"]["left"], 1.0);
    assert_eq!(record.agreement["left"]["right"], record.agreement["right"]["left"]);
    let page = session.history().panels(Report::new("page"), "here").unwrap();
    let html = page.to_html().unwrap();
    for title in
        ["here: samples", "here: share of right guesses", "here: score on", "here: agreement at the end"]
    {
        assert!(html.contains(title), "{title}");
    }
}

/// Labels everything wrongly, a few samples per round.
struct Liar;

impl Method for Liar {
    fn prepare(&mut self, room: &mut Room<'_>) -> Result<Turn> {
        let lie = |&sample: &usize| Proposal {
            sample,
            label: ((sample + 1) % 3) as f64,
            confidence: 1.0,
            by: vec!["liar".into()],
        };
        let proposals: Vec<_> = room.pool.unlabeled().iter().take(9).map(lie).collect();
        room.pool.add(&proposals, room.round, None)?;
        Ok(Turn::Learn)
    }

    fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>> {
        room.pool.lesson(learner).map(Some)
    }
}

impl Stateful for Liar {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("Liar")
    }
}

#[test]
fn the_gate_goes_back_to_the_last_good_round_and_stops() {
    let gates = [
        Gate::validation((75..90).map(|s| (s, truth(CLASSES, s)))).unwrap().patience(1),
        Gate::unlabeled(3).unwrap().patience(1),
    ];
    for (i, gate) in gates.into_iter().enumerate() {
        let pool = Pool::new(CLASSES, (0..9).map(|s| (s, truth(CLASSES, s))), 9..75).unwrap();
        let builder = || {
            Session::builder(views(), pool.clone(), Liar)
                .learner("left", "left", logistic())
                .learner("right", "right", logistic())
                .rounds(7)
        };
        let mut start = builder().rounds(0).build().unwrap();
        start.run().unwrap();
        let mut gated = builder().gate(gate).build().unwrap();
        gated.run().unwrap();
        let history = gated.history();
        let verdicts: Vec<_> = history.rounds.iter().map(|r| r.decision.as_ref().unwrap().verdict).collect();
        assert_eq!(history.returned_to, Some(0), "gate {i}: {verdicts:?}");
        assert_eq!(verdicts.last(), Some(&Verdict::Stopped), "gate {i}");
        assert_eq!(bits(&gated), bits(&start), "gate {i}");
        assert!(gated.pool().pseudo().is_empty(), "gate {i}");
        let mut open = builder().build().unwrap();
        open.run().unwrap();
        assert_ne!(bits(&open), bits(&start), "without a gate the lies are believed");
    }
}

#[test]
fn a_gate_fits_every_method() {
    let gated = |builder: SessionBuilder| {
        let mut session = builder.gate(Gate::unlabeled(3).unwrap()).rounds(3).build().unwrap();
        session.run().unwrap();
        let decisions: Vec<_> =
            session.history().rounds.iter().map(|record| record.decision.clone()).collect();
        assert!(decisions.iter().all(|decision| decision.as_ref().is_some_and(|d| d.score.is_finite())));
    };
    gated(team(CLASSES, SelfTraining::default(), &["left"]));
    gated(team(CLASSES, Em::default(), &["left"]));
    gated(team(CLASSES, CoEm::default(), &["left", "right"]));
    gated(team(CLASSES, TriTraining::default(), &["left", "right", "top"]));
    gated(team(CLASSES, Democratic::default(), &["left", "right", "top"]));
    gated(coregularized(CLASSES, 0.1));
    gated(team(Answers::Value, Coreg::default(), &["left", "right"]));
}

#[test]
fn a_committee_says_what_most_of_its_sessions_say_and_resumes() {
    let session = |draw: u64| {
        let method = CoTraining::default().window(10).unwrap();
        team(CLASSES, method, &["left", "right"]).rounds(3).rng(&Rng::new(draw)).build().unwrap()
    };
    let make = || Committee::new((0..3).map(session).collect()).unwrap();
    let mut whole = make();
    whole.run().unwrap();
    let votes: Vec<Vec<f64>> =
        whole.sessions().iter().map(|session| session.labels(&test()).unwrap()).collect();
    assert!(votes.iter().any(|vote| *vote != votes[0]), "the draws differ");
    let labels = whole.labels(&test()).unwrap();
    for (place, label) in labels.iter().enumerate() {
        let same = votes.iter().filter(|vote| vote[place] == *label).count();
        assert!(
            same >= 2 || (0..3).all(|class| votes.iter().filter(|v| v[place] == class as f64).count() == 1)
        );
    }
    let mut killed = make();
    for _ in 0..13 {
        killed.advance().unwrap();
    }
    let mut resumed = make();
    resumed.restore(&through_text(killed.save().unwrap())).unwrap();
    resumed.run().unwrap();
    assert_eq!(resumed.labels(&test()).unwrap(), labels);
    assert!(Committee::new(Vec::new()).is_err());
}

#[test]
fn a_listener_hears_every_round_and_can_pause_the_session() {
    struct Pause(Vec<u64>);
    impl Listener for Pause {
        fn on_round(&mut self, record: &RoundRecord) -> Result<Control> {
            self.0.push(record.round);
            Ok(if record.round == 1 { Control::Stop } else { Control::Continue })
        }
    }
    let make = || team(CLASSES, CoTraining::default(), &["left", "right"]).rounds(3).build().unwrap();
    let (mut paused, mut whole, mut heard) = (make(), make(), Pause(Vec::new()));
    paused.run_with(&mut heard).unwrap();
    assert_eq!(heard.0, [0, 1]);
    paused.run_with(&mut heard).unwrap();
    assert_eq!(heard.0, [0, 1, 2, 3]);
    whole.run().unwrap();
    assert_eq!(bits(&paused), bits(&whole));
}

#[test]
fn em_with_naive_bayes_uses_what_has_no_label() {
    // Two normal classes at ±2; the labels are far from their centers, the unlabeled samples show where these are.
    let mut rng = Rng::new(0);
    let values: Vec<f64> =
        (0..200).map(|s| if s % 2 == 0 { -2.0 } else { 2.0 } + 0.5 * rng.normal()).collect();
    let values = [vec![-1.0, 0.2, 0.0, 4.5], values].concat();
    let views = Arc::new(Views::new([("x", Matrix::new(204, 1, values).unwrap())]).unwrap());
    let pool = Pool::new(Answers::Classes(2), [(0, 0.0), (1, 0.0), (2, 1.0), (3, 1.0)], 4..104).unwrap();
    let run = |rounds| {
        let learner = GaussianNb::new(1e-6).unwrap();
        let session = Session::builder(views.clone(), pool.clone(), Em::default()).learner("x", "x", learner);
        let mut session = session.rounds(rounds).build().unwrap();
        session.run().unwrap();
        let test: Vec<usize> = (104..204).collect();
        let said = session.labels(&test).unwrap();
        said.iter().zip(test).filter(|(label, s)| **label == (s % 2) as f64).count()
    };
    assert!(run(0) < 96 && run(100) >= 99, "{} and {}", run(0), run(100));
}
