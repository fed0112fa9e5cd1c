//! Guesses in the pool, and what the report says of them.

use taskweave_cotrain::cotraining::{CoTraining, Democratic, Session, TriTraining};
use taskweave_cotrain::report::Report;

use crate::problem::{CLASSES, logistic, pool, team, truth, views};

const THREE: [&str; 3] = ["left", "right", "top"];

#[test]
fn every_guess_says_who_made_it_when_and_how_sure() {
    let mut session = team(CLASSES, CoTraining::default(), &["left", "right"]).rounds(3).build().unwrap();
    session.run().unwrap();
    assert!(session.pool().pseudo().len() >= 9);
    for guesses in session.pool().pseudo().values() {
        let [guess] = &guesses[..] else { panic!("{guesses:?}") };
        assert!((1..=3).contains(&guess.round) && (1.0 / 3.0..=1.0).contains(&guess.confidence));
        assert!(!guess.by.is_empty() && guess.by.iter().all(|by| by == "left" || by == "right"));
        assert_eq!(guess.to, None);
    }
    reported(&session);
    let record = session.history().rounds.last().unwrap();
    assert_eq!(record.agreement["left"]["left"], 1.0);
    assert_eq!(record.agreement["left"]["right"], record.agreement["right"]["left"]);
}

/// What the last record and the page say of the pool is so.
fn reported(session: &Session) {
    let (pool, record) = (session.pool(), session.history().rounds.last().unwrap());
    let guesses = || pool.pseudo().iter().flat_map(|(s, guesses)| guesses.iter().map(|guess| (*s, guess)));
    let right = guesses().filter(|(s, guess)| truth(CLASSES, *s) == guess.label).count();
    assert_eq!(record.precision, Some(right as f64 / guesses().count() as f64));
    let samples = pool.pseudo().len();
    assert_eq!((record.labeled, record.pseudo, record.unlabeled), (9, samples, 81 - samples));
    let page = session.history().panels(Report::new("page"), "here").unwrap().to_html().unwrap();
    for title in
        ["here: samples", "here: share of right guesses", "here: score on", "here: agreement at the end"]
    {
        assert!(page.contains(title), "{title}");
    }
}

#[test]
fn each_student_of_tri_training_has_the_guesses_of_the_other_two() {
    let mut session = team(CLASSES, TriTraining::default(), &THREE).rounds(5).build().unwrap();
    session.run().unwrap();
    reported(&session);
    for student in THREE {
        let guesses: Vec<_> = session.pool().guesses(student).collect();
        assert!(!guesses.is_empty(), "{student} has learned from nobody");
        let round = guesses[0].1.round;
        for (sample, guess) in guesses {
            // They were all drawn anew in the last round in which it learned.
            assert_eq!((guess.round, guess.to.as_deref()), (round, Some(student)), "sample {sample}");
            assert!(guess.by.len() == 2 && !guess.by.iter().any(|by| by == student), "sample {sample}");
            assert!((1.0 / 3.0..=1.0).contains(&guess.confidence));
        }
        assert_eq!(session.team().taught(student), Some(&session.pool().lesson(student).unwrap()));
    }
}

#[test]
fn each_citizen_of_democratic_co_learning_has_the_guesses_of_those_who_outvoted_it() {
    let mut session = team(CLASSES, Democratic::new(0.5).unwrap(), &THREE).rounds(5).build().unwrap();
    session.run().unwrap();
    reported(&session);
    let mut several = 0;
    for guesses in session.pool().pseudo().values() {
        several += usize::from(guesses.len() > 1);
        for guess in guesses {
            let to = guess.to.as_deref().unwrap();
            assert!(guess.by.len() == 2 && !guess.by.iter().any(|by| by == to), "{guess:?}");
            assert!(guess.confidence > 0.5 && guess.confidence < 1.0, "{guess:?}");
        }
    }
    assert!(several > 0, "no sample was a lesson for two at different times");
    let citizens = THREE.map(|citizen| session.pool().guesses(citizen).count());
    assert!(citizens.iter().all(|count| *count > 0), "{citizens:?}");
}

#[test]
fn a_session_without_a_watch_still_counts_its_guesses() {
    let mut session = Session::builder(views(), pool(CLASSES), TriTraining::default())
        .learner("left", "left", logistic())
        .learner("right", "right", logistic())
        .learner("top", "top", logistic())
        .rounds(2)
        .build()
        .unwrap();
    session.run().unwrap();
    let record = session.history().rounds.last().unwrap();
    assert!(record.pseudo > 0 && record.precision.is_none());
    assert_eq!(record.pseudo + record.unlabeled, 81);
}
