//! Co-training on real data with few labels, where `TASKWEAVE_DATA` says where they are: bounds that must hold.
//! The whole protocol, with all methods side by side, is the example `co_training`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use taskweave_cotrain::cotraining::{CoTraining, Committee, Method, Session};
use taskweave_cotrain::gate::Gate;
use taskweave_cotrain::learner::{Answers, GaussianNb, Learner, Matrix, MultiView, MultinomialNb};
use taskweave_cotrain::pool::{Pool, Proposal, Quota};
use taskweave_cotrain::selector::{Agreement, Ballot, Selector};
use taskweave_data::dataset::class_labels;
use taskweave_data::{Mfeat, WebkbCourse};
use taskweave_kernels::{Result, Rng, State, Stateful};

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

/// Mean test errors in % of the supervised start and of co-training, how often the latter is worse, and how many of its sessions
/// the gate has set back.
struct Compared {
    start: f64,
    end: f64,
    worse: usize,
    returned: usize,
}

fn compare(problem: &Problem, (splits, draws): (u64, u64), gate: fn() -> Gate) -> Compared {
    let mut found = Compared { start: 0.0, end: 0.0, worse: 0, returned: 0 };
    for seed in 0..splits {
        let (views, pool, test) = split(problem, seed);
        let run = |draw: u64, rounds: u64, gate: Gate| {
            let method = CoTraining::default().selector(Agreement);
            let rng = Rng::new(seed).fork_at(draw);
            let mut session = session(problem, (&views, &pool), method, rounds)(&rng, gate);
            session.run().unwrap();
            session
        };
        let supervised = run(0, 0, Gate::off());
        let sessions: Vec<Session> = (0..draws).map(|draw| run(draw, 30, gate())).collect();
        for (draw, session) in sessions.iter().enumerate() {
            let Some(round) = session.history().returned_to else { continue };
            found.returned += 1;
            assert_alike(session, &run(draw as u64, round, Gate::off()), &views);
        }
        let committee = Committee::new(sessions).unwrap();
        let error = |labels: Vec<f64>| error(problem, &test, &labels);
        let (before, after) =
            (error(supervised.labels(&test).unwrap()), error(committee.labels(&test).unwrap()));
        found.start += before / splits as f64;
        found.end += after / splits as f64;
        found.worse += usize::from(after > before);
    }
    let Compared { start, end, worse, returned } = found;
    println!(
        "supervised {start:.2} %, co-training {end:.2} %, worse in {worse} of {splits}, {returned} set back"
    );
    found
}

/// The share of wrong labels in %.
fn error(problem: &Problem, test: &[usize], labels: &[f64]) -> f64 {
    let wrong = labels.iter().zip(test).filter(|(label, s)| **label != problem.classes[**s] as f64);
    100.0 * wrong.count() as f64 / test.len() as f64
}

/// Two sessions have the same pool, and learners of the same last lesson that say the same to the bit.
fn assert_alike(a: &Session, b: &Session, views: &MultiView) {
    assert_eq!(a.pool(), b.pool());
    let all: Vec<usize> = (0..views.samples()).collect();
    for name in a.team().members().names() {
        assert_eq!(a.team().taught(name), b.team().taught(name));
        let [a, b] = [a, b].map(|session| session.team().predict_by(name, views, &all).unwrap());
        assert!(a.values().iter().zip(b.values()).all(|(a, b)| a.to_bits() == b.to_bits()), "{name}");
    }
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
    let found = compare(&problem, (30, 7), Gate::off);
    assert!(found.end <= 7.0 && found.end < 0.6 * found.start && found.worse <= 1);
}

/// Views, digits, and the mean test error in % that co-training stays below.
const DIGITS: [([&str; 2], [u32; 2], f64); 4] = [
    (["fou", "fac"], [0, 1], 7.2),
    (["fou", "kar"], [3, 5], 29.8),
    (["pix", "zer"], [4, 9], 2.3),
    (["kar", "fac"], [3, 8], 35.0),
];

fn digits(root: &Path, names: [&str; 2], digits: [u32; 2]) -> Problem {
    let data = Mfeat::open(root, &names).unwrap();
    let (views, all) = (MultiView::of_dataset(&data).unwrap(), class_labels(&data, "digit").unwrap());
    let chosen: Vec<usize> = (0..all.len()).filter(|&s| digits.contains(&all[s])).collect();
    let rows = |name: &str| {
        let view = views.require(name).unwrap();
        Matrix::of_rows(&chosen.iter().map(|&s| view.row(s).unwrap().to_vec()).collect::<Vec<_>>()).unwrap()
    };
    Problem {
        views: names.map(rows),
        classes: chosen.iter().map(|&s| usize::from(all[s] == digits[1])).collect(),
        labels: [2, 2],
        learner: || Box::new(GaussianNb::new(1.0).unwrap()),
    }
}

#[test]
fn co_training_on_digits_is_not_worse_than_its_start_and_does_not_collapse() {
    let Some(root) = real("mfeat") else { return };
    let mut returned = 0;
    for (names, pair, bound) in DIGITS {
        let problem = digits(&root, names, pair);
        for gate in [Gate::off as fn() -> Gate, gate] {
            let found = compare(&problem, (8, 3), gate);
            let (start, end) = (found.start, found.end);
            assert!(end <= start.min(bound), "{names:?}: {end} % of {start} %, bound {bound} %");
            returned += found.returned;
        }
    }
    assert!(returned > 0, "the gate has set back nothing");
}

/// Proposes what both views agree on, and from round 3 on with the other class.
struct Turning(Agreement);

impl Selector for Turning {
    fn select(&mut self, ballot: &Ballot<'_>) -> Result<Vec<Proposal>> {
        let mut proposals = self.0.select(ballot)?;
        if ballot.round >= 3 {
            proposals.iter_mut().for_each(|proposal| proposal.label = 1.0 - proposal.label);
        }
        Ok(proposals)
    }
}

impl Stateful for Turning {
    fn save(&self) -> Result<State> {
        self.0.save()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.0.restore(state)
    }
}

#[test]
fn the_gate_undoes_rounds_that_teach_wrong_digits() {
    let Some(root) = real("mfeat") else { return };
    for (names, pair, _) in DIGITS {
        let problem = digits(&root, names, pair);
        let (views, pool, test) = split(&problem, 0);
        let run = |rounds: u64, gate: Gate| {
            let method = CoTraining::default().selector(Turning(Agreement));
            let method = method.quota(Quota::PerClass(vec![15, 15]));
            let mut session = session(&problem, (&views, &pool), method, rounds)(&Rng::new(0), gate);
            session.run().unwrap();
            session
        };
        let wrong = |session: &Session| error(&problem, &test, &session.labels(&test).unwrap());
        let (spoiled, gated) = (run(8, Gate::off()), run(8, gate()));
        let round = gated.history().returned_to.expect("the gate goes back");
        assert!(round < 3, "{names:?}: {round}");
        assert_alike(&gated, &run(round, Gate::off()), &views);
        let (spoiled, gated) = (wrong(&spoiled), wrong(&gated));
        println!("{names:?}: {spoiled:.2} % without a gate, {gated:.2} % with one, back to round {round}");
        assert!(spoiled > gated + 2.0, "{names:?}: the wrong labels do harm");
    }
}
