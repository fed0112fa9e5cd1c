//! Sessions: predictions, windows, guesses, gates, committees, listeners.

use std::sync::Arc;
use taskweave_cotrain::Control;
use taskweave_cotrain::cotraining::{
    CoEm, CoTraining, Committee, Coreg, Democratic, Em, Listener, Method, Room, RoundRecord, SelfTraining,
    Session, SessionBuilder, TriTraining, Turn,
};
use taskweave_cotrain::gate::{Gate, Verdict};
use taskweave_cotrain::learner::{Answers, FromFn, GaussianNb, Lesson, Matrix, MultiView};
use taskweave_cotrain::pool::{Conflict, Pool, Proposal};
use taskweave_kernels::{Error, Result, Rng, State, Stateful};

use crate::problem::{CLASSES, bits, coregularized, logistic, pool, team, test, through_text, truth, views};

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
    let views = Arc::new(MultiView::new([("x", Matrix::new(204, 1, values).unwrap())]).unwrap());
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
