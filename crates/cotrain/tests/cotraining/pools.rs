//! What joins the pool in a session: by quota, by policy where learners differ, whatever the classes are called.

use std::sync::Arc;

use taskweave_cotrain::cotraining::{CoTraining, SelfTraining, Session};
use taskweave_cotrain::learner::{Answers, Coding, FromFn, GaussianNb, Learner, Lesson, Matrix, MultiView};
use taskweave_cotrain::pool::{Conflict, Pool, Quota};

use crate::problem::{CLASSES, N, logistic, test, truth, views};

#[test]
fn as_many_of_each_class_join_per_round_as_the_prior_of_the_labels_says() {
    // 2, 4 and 6 labels of the three classes.
    let labeled = [0, 3, 1, 4, 7, 10, 2, 5, 8, 11, 14, 17];
    let open = (0..90).filter(|sample| !labeled.contains(sample));
    let pool = Pool::new(CLASSES, labeled.map(|s| (s, truth(CLASSES, s))), open).unwrap();
    let quota = Quota::Prior { rarest: 1 };
    let method = SelfTraining::default().quota(quota);
    let mut session = Session::builder(views(), pool, method)
        .learner("left", "left", logistic())
        .rounds(4)
        .build()
        .unwrap();
    session.run().unwrap();
    for round in 1..=4 {
        let joined = |class: usize| {
            let guesses = session.pool().guesses("left");
            guesses.filter(|(_, guess)| guess.round == round && guess.label == class as f64).count()
        };
        assert_eq!([0, 1, 2].map(joined), [1, 2, 3], "round {round}");
    }
}

/// Says the same of every sample.
fn says(row: [f64; 2]) -> impl Learner {
    let learn = |_: &mut (), _: &Matrix, _: &Lesson| Ok(());
    FromFn::new((), learn, move |_: &(), _: &Matrix, samples: &[usize]| {
        Matrix::new(samples.len(), 2, row.repeat(samples.len()))
    })
}

#[test]
fn learners_that_differ_about_a_sample_are_settled_by_the_policy() {
    let view = |_| Matrix::new(3, 1, vec![0.0; 3]).unwrap();
    let views = Arc::new(MultiView::new(["a", "b", "c"].map(|name| (name, view(name)))).unwrap());
    let joined = |conflict: Conflict| {
        // Only one sample has no label: all three propose it.
        let pool = Pool::new(Answers::Classes(2), [(0, 0.0), (1, 1.0)], [2]).unwrap();
        let method = CoTraining::default().conflict(conflict);
        let mut session = Session::builder(views.clone(), pool, method)
            .learner("sure", "a", says([0.9, 0.1]))
            .learner("second", "b", says([0.2, 0.8]))
            .learner("third", "c", says([0.3, 0.7]))
            .rounds(1)
            .build()
            .unwrap();
        session.run().unwrap();
        let guesses = session.pool().pseudo().get(&2).cloned().unwrap_or_default();
        guesses.into_iter().map(|guess| (guess.label, guess.confidence, guess.by)).collect::<Vec<_>>()
    };
    let by = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    assert!(joined(Conflict::Drop).is_empty());
    assert_eq!(joined(Conflict::MostConfident), [(0.0, 0.9, by(&["sure"]))]);
    assert_eq!(joined(Conflict::Vote), [(1.0, 0.8, by(&["second", "third"]))]);
}

/// What co-training says of the test samples, and its guesses, each as whether it is the first class.
fn told<T: Clone + PartialEq>(names: [T; 2], numbered: impl Fn(&[Option<T>]) -> Vec<Option<usize>>) -> Told {
    let of = |sample: usize| usize::from(sample.is_multiple_of(3));
    let labels: Vec<Option<T>> = (0..N).map(|s| (s < 9).then(|| names[of(s)].clone())).collect();
    let classes = numbered(&labels);
    // Sample 1 is of the first class, whatever its number.
    let first = classes[1].unwrap() as f64;
    let labeled = classes.iter().enumerate().filter_map(|(s, class)| Some((s, (*class)? as f64)));
    let pool = Pool::new(Answers::Classes(2), labeled, 9..90).unwrap();
    let mut session = Session::builder(views(), pool, CoTraining::default())
        .learner("left", "left", logistic())
        .learner("right", "right", GaussianNb::new(0.1).unwrap())
        .rounds(6)
        .build()
        .unwrap();
    session.run().unwrap();
    let said = session.labels(&test()).unwrap().into_iter().map(|label| label == first).collect();
    let guesses = session.pool().pseudo().iter();
    (said, guesses.map(|(sample, guesses)| (*sample, guesses[0].label == first)).collect())
}

type Told = (Vec<bool>, Vec<(usize, bool)>);

#[test]
fn signs_and_strings_give_what_zeros_and_ones_give() {
    let plain = told([0usize, 1], <[Option<usize>]>::to_vec);
    assert!(plain.0.contains(&true) && plain.0.contains(&false) && plain.1.len() > 9);
    // The first label of all is +1, so that the classes are numbered the other way round.
    assert_eq!(told([-1, 1], |labels| Coding::of(labels).1), plain);
    assert_eq!(told([1, -1], |labels| Coding::of(labels).1), plain);
    assert_eq!(told(["spam", "ham"], |labels| Coding::of(labels).1), plain);
    assert_eq!(told([0.5, f64::INFINITY], |labels| Coding::of(labels).1), plain);
}
