//! Every method with other learners than those of the table: networks of several tasks, learners that break.

use taskweave_cotrain::cotraining::{
    Advance, CoEm, CoRegularization, CoTraining, Coreg, Democratic, Em, Method, SelfTraining, Session,
    SessionBuilder, TriTraining,
};
use taskweave_cotrain::gate::Gate;
use taskweave_cotrain::learner::{Answers, FromFn, Learner, Lesson, Matrix};
use taskweave_cotrain::pool::Pool;
use taskweave_kernels::{Error, Rng, Stateful};

use crate::networks::{head, network};
use crate::problem::{CLASSES, bits, logistic, pool, through_text, truth, views, watch};

const PAIR: [&str; 2] = ["left", "right"];
const THREE: [&str; 3] = ["left", "right", "top"];

/// A learner for a view.
type Make<'a> = &'a dyn Fn(&str) -> Box<dyn Learner>;

fn team(method: impl Method + 'static, seen: &[&str], pool: Pool, learner: Make<'_>) -> SessionBuilder {
    let session = Session::builder(views(), pool, method).rng(&Rng::new(2)).rounds(3);
    seen.iter().fold(session, |session, view| session.boxed_learner(view, view, learner(view)))
}

type Row = (&'static str, Answers, fn(Pool, Make<'_>) -> SessionBuilder);

/// A new method is tested by a new row.
fn rows() -> Vec<Row> {
    vec![
        ("CoTraining", CLASSES, |pool, make| team(CoTraining::default(), &PAIR, pool, make)),
        ("SelfTraining", CLASSES, |pool, make| team(SelfTraining::default(), &PAIR[..1], pool, make)),
        ("Em", CLASSES, |pool, make| team(Em::default(), &PAIR[..1], pool, make)),
        ("CoEm", CLASSES, |pool, make| team(CoEm::default(), &PAIR, pool, make)),
        ("TriTraining", CLASSES, |pool, make| team(TriTraining::default(), &THREE, pool, make)),
        ("Democratic", CLASSES, |pool, make| team(Democratic::new(0.5).unwrap(), &THREE, pool, make)),
        ("CoRegularization", CLASSES, |pool, make| team(CoRegularization::default(), &PAIR, pool, make)),
        ("Coreg", Answers::Value, |pool, make| team(Coreg::default(), &PAIR, pool, make)),
    ]
}

#[test]
fn every_method_teaches_one_task_of_a_network_of_several_and_resumes_in_the_middle_of_a_round() {
    for (name, answers, session) in rows() {
        let make = || session(pool(answers), &|view| Box::new(network(view, answers))).build().unwrap();
        let (mut whole, mut states, fresh) = (make(), Vec::new(), make());
        while whole.advance().unwrap() != Advance::Over {
            states.push(through_text(whole.save().unwrap()));
        }
        assert_ne!(
            bits(&whole),
            {
                let mut start = make();
                while start.advance().unwrap() != Advance::Round {}
                bits(&start)
            },
            "{name}"
        );
        for learner in whole.team().members().names() {
            for task in ["own", "other"] {
                let [before, after] = [&fresh, &whole].map(|session| head(session.team(), learner, task));
                assert_ne!(before, after, "{name}: task `{task}` of `{learner}`");
            }
        }
        for (at, state) in states.iter().enumerate().skip(1).step_by(2) {
            let mut resumed = make();
            resumed.restore(state).unwrap();
            resumed.run().unwrap();
            assert_eq!(bits(&resumed), bits(&whole), "{name}, killed after part {at}");
            for learner in whole.team().members().names() {
                let [a, b] = [&resumed, &whole].map(|session| head(session.team(), learner, "other"));
                assert_eq!(a, b, "{name}, killed after part {at}: `{learner}`");
            }
        }
    }
}

/// Says what a sound learner says for so many lessons, and then a number that is none.
fn breaks(after: u32, number: f64, answers: Answers) -> impl Learner {
    FromFn::new(
        0u32,
        |lessons: &mut u32, _: &Matrix, _: &Lesson| {
            *lessons += 1;
            Ok(())
        },
        move |lessons: &u32, _: &Matrix, samples: &[usize]| {
            let said = samples.iter().map(|sample| answers.row(truth(answers, *sample)));
            let mut said = said.collect::<Result<Vec<_>, _>>()?.concat();
            if *lessons > after {
                said.iter_mut().for_each(|value| *value = number);
            }
            Matrix::new(samples.len(), answers.width(), said)
        },
    )
}

#[test]
fn what_is_not_finite_names_its_learner_in_every_method_and_round() {
    for (name, answers, session) in rows() {
        for (lessons, number) in [(0, f64::NAN), (0, f64::INFINITY), (1, f64::NEG_INFINITY)] {
            let make = |view: &str| -> Box<dyn Learner> {
                match view == "left" {
                    true => Box::new(breaks(lessons, number, answers)),
                    false if answers == CLASSES => Box::new(logistic()),
                    false => Box::new(taskweave_cotrain::learner::Knn::new(3, 2.0).unwrap()),
                }
            };
            for gate in [Gate::off(), Gate::unlabeled(2).unwrap()] {
                let mut session = session(pool(answers), &make).gate(gate).build().unwrap();
                let Err(error) = session.run() else {
                    // Who has had no second lesson cannot break at it.
                    assert!(lessons == 1 && session.history().rounds.len() <= 2, "{name}: {number}");
                    continue;
                };
                let named = matches!(&error, Error::NonFinite { name, .. } if name == "left");
                assert!(named, "{name}: {error}");
            }
        }
    }
}

#[test]
fn every_method_ends_where_few_samples_have_no_label() {
    for (name, answers, session) in rows() {
        for few in [1, 2, 5] {
            let labeled = (0..9).map(|s| (s, truth(answers, s)));
            let pool = Pool::new(answers, labeled, 9..9 + few).unwrap();
            let make = |_: &str| -> Box<dyn Learner> {
                match answers {
                    Answers::Classes(_) => Box::new(logistic()),
                    Answers::Value => Box::new(taskweave_cotrain::learner::Knn::new(3, 2.0).unwrap()),
                }
            };
            let mut session = session(pool, &make).rounds(20).watch(watch(answers)).build().unwrap();
            session.run().unwrap();
            let record = session.history().rounds.last().unwrap();
            assert_eq!(record.pseudo + record.unlabeled, few, "{name}");
            assert!(bits(&session).iter().all(|bits| f64::from_bits(*bits).is_finite()), "{name}");
        }
    }
}
