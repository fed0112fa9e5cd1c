//! Co-training on real data with few labels, where `TASKWEAVE_DATA` says where they are: bounds that must hold.
//! The whole protocol, with all methods side by side, is the example `co_training`.

use std::path::PathBuf;
use std::sync::Arc;

use taskweave_cotrain::cotraining::{CoTraining, Committee, Method, Session};
use taskweave_cotrain::gate::Gate;
use taskweave_cotrain::learner::{Answers, GaussianNb, Learner, Matrix, MultiView, MultinomialNb};
use taskweave_cotrain::pool::Pool;
use taskweave_cotrain::selector::Agreement;
use taskweave_data::dataset::class_labels;
use taskweave_data::{Mfeat, WebkbCourse};
use taskweave_kernels::Rng;

/// The folder, or nothing and a message where the variable is unset.
fn real(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TASKWEAVE_DATA");
    if root.is_none() {
        println!("skipped: TASKWEAVE_DATA is unset, so there is no {folder}");
    }
    root.map(|root| PathBuf::from(root).join(folder))
}

struct Problem {
    views: [Matrix; 2],
    classes: Vec<usize>,
    labels: [usize; 2],
    learner: fn() -> Box<dyn Learner>,
}

/// Mean test errors in % of the supervised start and of co-training, and how often the latter is worse.
fn compare(problem: &Problem, (splits, draws): (u64, u64), gate: fn() -> Gate) -> (f64, f64, usize) {
    let (mut start, mut end, mut worse) = (0.0, 0.0, 0);
    for seed in 0..splits {
        let (views, pool, test) = split(problem, seed);
        let run = |draw: u64, rounds: u64| {
            let session =
                session(problem, (&views, &pool), CoTraining::default().selector(Agreement), rounds);
            session(&Rng::new(seed).fork_at(draw), gate())
        };
        let mut supervised = run(0, 0);
        supervised.run().unwrap();
        let mut committee = Committee::new((0..draws).map(|draw| run(draw, 30)).collect()).unwrap();
        committee.run().unwrap();
        let error = |labels: Vec<f64>| {
            let wrong = labels.iter().zip(&test).filter(|(label, s)| **label != problem.classes[**s] as f64);
            100.0 * wrong.count() as f64 / test.len() as f64
        };
        let (before, after) =
            (error(supervised.labels(&test).unwrap()), error(committee.labels(&test).unwrap()));
        (start, end) = (start + before / splits as f64, end + after / splits as f64);
        worse += usize::from(after > before);
    }
    println!("supervised {start:.2} %, co-training {end:.2} %, worse in {worse} of {splits}");
    (start, end, worse)
}

fn session<'a>(
    problem: &'a Problem,
    (views, pool): (&'a Arc<MultiView>, &'a Pool),
    method: impl Method + 'static,
    rounds: u64,
) -> impl FnOnce(&Rng, Gate) -> Session + 'a {
    let builder = Session::builder(views.clone(), pool.clone(), method)
        .boxed_learner("a", "a", (problem.learner)())
        .boxed_learner("b", "b", (problem.learner)())
        .rounds(rounds);
    move |rng, gate| builder.rng(rng).gate(gate).build().unwrap()
}

/// A quarter of each class to be judged by, the first few of the rest with labels, all others without.
fn split(problem: &Problem, seed: u64) -> (Arc<MultiView>, Pool, Vec<usize>) {
    let mut rng = Rng::new(seed).fork("split");
    let (mut labeled, mut unlabeled, mut test) = (Vec::new(), Vec::new(), Vec::new());
    for (class, labels) in problem.labels.into_iter().enumerate() {
        let of_class = |s: &usize| problem.classes[*s] == class;
        let mut samples: Vec<usize> = (0..problem.classes.len()).filter(of_class).collect();
        rng.shuffle(&mut samples);
        let rest = samples.split_off((samples.len() as f64 / 4.0).round() as usize);
        test.extend(samples);
        labeled.extend(rest[..labels].iter().map(|&s| (s, class as f64)));
        unlabeled.extend(&rest[labels..]);
    }
    let train: Vec<usize> = labeled.iter().map(|(s, _)| *s).chain(unlabeled.iter().copied()).collect();
    let counts = problem.labels == [9, 3];
    let view = |view: &Matrix| if counts { view.clone() } else { view.standardized(&train).unwrap() };
    let views = MultiView::new([("a", view(&problem.views[0])), ("b", view(&problem.views[1]))]).unwrap();
    (Arc::new(views), Pool::new(Answers::Classes(2), labeled, unlabeled).unwrap(), test)
}

/// Sees no label but the given ones.
fn gate() -> Gate {
    Gate::unlabeled(2).unwrap()
}

#[test]
fn co_training_on_course_pages_beats_its_start_by_far() {
    let Some(root) = real("webkb_course") else { return };
    let data = WebkbCourse::open(root).unwrap();
    let views = MultiView::of_dataset(&data).unwrap();
    let problem = Problem {
        views: ["page", "links"].map(|view| views.require(view).unwrap().clone()),
        classes: class_labels(&data, "class").unwrap().into_iter().map(|c| c as usize).collect(),
        labels: [9, 3],
        learner: || Box::new(MultinomialNb::new(0.2).unwrap()),
    };
    let (start, end, worse) = compare(&problem, (30, 7), Gate::off);
    assert!(end <= 7.0 && end < 0.6 * start && worse <= 1);
}

#[test]
fn co_training_on_digits_is_not_worse_than_its_start_and_does_not_collapse() {
    let Some(root) = real("mfeat") else { return };
    let pairs = [
        (["fou", "fac"], [0, 1], 7.2),
        (["fou", "kar"], [3, 5], 29.8),
        (["pix", "zer"], [4, 9], 2.3),
        (["kar", "fac"], [3, 8], 35.0),
    ];
    for (names, digits, bound) in pairs {
        let data = Mfeat::open(&root, &names).unwrap();
        let (views, all) = (MultiView::of_dataset(&data).unwrap(), class_labels(&data, "digit").unwrap());
        let chosen: Vec<usize> = (0..all.len()).filter(|&s| digits.contains(&all[s])).collect();
        let rows = |name: &str| {
            let view = views.require(name).unwrap();
            Matrix::of_rows(&chosen.iter().map(|&s| view.row(s).unwrap().to_vec()).collect::<Vec<_>>())
                .unwrap()
        };
        let problem = Problem {
            views: names.map(rows),
            classes: chosen.iter().map(|&s| usize::from(all[s] == digits[1])).collect(),
            labels: [2, 2],
            learner: || Box::new(GaussianNb::new(1.0).unwrap()),
        };
        for gate in [Gate::off as fn() -> Gate, gate] {
            let (start, end, _) = compare(&problem, (8, 3), gate);
            assert!(end <= start.min(bound), "{names:?}: {end} % of {start} %, bound {bound} %");
        }
    }
}
