//! What co-EM does not promise, as its page says: that soft labels of another view keep what the labels have taught.

use std::sync::Arc;

use taskweave_cotrain::cotraining::{Advance, CoEm, Em, Method, Session};
use taskweave_cotrain::gate::Gate;
use taskweave_cotrain::learner::{Answers, GaussianNb, Matrix, MultiView};
use taskweave_cotrain::pool::Pool;
use taskweave_data::dataset::class_labels;
use taskweave_data::{TwoMoons, TwoMoonsConfig};
use taskweave_kernels::Rng;

const N: usize = 600;

/// Two views of one number each, normal around ±`distance` by class, and both beside each other.
fn views(distance: f64) -> Arc<MultiView> {
    let view = |name: &str| {
        let mut rng = Rng::new(0).fork(name);
        let center = |sample: usize| if sample.is_multiple_of(2) { distance } else { -distance };
        Matrix::new(N, 1, (0..N).map(|sample| center(sample) + rng.normal()).collect()).unwrap()
    };
    let [left, right] = ["left", "right"].map(view);
    let both = Matrix::beside(&[&left, &right]).unwrap();
    Arc::new(MultiView::new([("left", left), ("right", right), ("both", both)]).unwrap())
}

fn run(
    views: &Arc<MultiView>,
    method: impl Method + 'static,
    seen: &[&str],
    (rounds, gate): (u64, Gate),
) -> Session {
    let pool = Pool::new(Answers::Classes(2), (0..20).map(|s| (s, (s % 2) as f64)), 20..400).unwrap();
    let session = Session::builder(views.clone(), pool, method).rounds(rounds).gate(gate);
    let learner = || GaussianNb::new(1e-9).unwrap();
    let mut session = seen.iter().fold(session, |s, view| s.learner(view, view, learner())).build().unwrap();
    session.run().unwrap();
    session
}

/// The standard deviation of the probability of a class over samples, of the learner that has the largest: at most ½.
fn spread(session: &Session, views: &MultiView, samples: &[usize]) -> f64 {
    let said = session.team().predict(views, samples).unwrap();
    let deviation = |said: &Matrix| {
        let n = said.rows() as f64;
        let mean = said.iter().map(|row| row[0]).sum::<f64>() / n;
        (said.iter().map(|row| (row[0] - mean).powi(2)).sum::<f64>() / n).sqrt()
    };
    said.values().map(deviation).fold(0.0, f64::max)
}

#[test]
fn co_em_forgets_where_one_view_alone_leaves_the_class_open_and_em_does_not() {
    let (pair, test) = (["left", "right"], (400..N).collect::<Vec<_>>());
    // One view alone errs in 16 % of the samples.
    let open = views(1.0);
    let co_em = |rounds, gate| run(&open, CoEm::default(), &pair, (rounds, gate));
    let (start, end) = (co_em(0, Gate::off()), co_em(60, Gate::off()));
    assert!(
        spread(&start, &open, &test) > 0.35 && spread(&end, &open, &test) < 0.06,
        "{}",
        spread(&end, &open, &test)
    );
    let em = run(&open, Em::default(), &["both"], (60, Gate::off()));
    assert!(spread(&em, &open, &test) > 0.35, "{}", spread(&em, &open, &test));
    let gated = co_em(60, Gate::unlabeled(2).unwrap());
    assert_eq!(
        (gated.history().returned_to, spread(&gated, &open, &test)),
        (Some(0), spread(&start, &open, &test))
    );
    // In 0.1 % of them.
    let told = views(3.0);
    let end = run(&told, CoEm::default(), &pair, (60, Gate::off()));
    assert!(spread(&end, &told, &test) > 0.49, "{}", spread(&end, &told, &test));
}

#[test]
fn co_em_forgets_two_moons_in_every_split_whatever_the_smoothing() {
    let data = TwoMoons::new(TwoMoonsConfig::default()).unwrap();
    let classes = class_labels(&data, "class").unwrap();
    let raw = MultiView::of_dataset(&data).unwrap();
    for (split, smoothing) in (0..4).flat_map(|split| [1e-9, 0.1, 1.0].map(|smoothing| (split, smoothing))) {
        let mut order: Vec<usize> = (0..classes.len()).collect();
        Rng::new(split).shuffle(&mut order);
        let of = |class: u32| order.iter().filter(|at| classes[**at] == class).take(3).collect::<Vec<_>>();
        let labeled: Vec<usize> = (0..2).flat_map(of).copied().collect();
        let open: Vec<usize> = order.iter().copied().filter(|at| !labeled.contains(at)).collect();
        let view = |name| (name, raw.require(name).unwrap().standardized(&order).unwrap());
        let views = Arc::new(MultiView::new(["left", "right"].map(view)).unwrap());
        let labels = labeled.iter().map(|at| (*at, f64::from(classes[*at])));
        let pool = Pool::new(Answers::Classes(2), labels, open.clone()).unwrap();
        let learner = || GaussianNb::new(smoothing).unwrap();
        let session = Session::builder(views.clone(), pool, CoEm::default());
        let session = session.learner("left", "left", learner()).learner("right", "right", learner());
        let mut session = session.rounds(30).build().unwrap();
        let mut spreads = Vec::new();
        while let done @ (Advance::Part | Advance::Round) = session.advance().unwrap() {
            if done == Advance::Round {
                spreads.push(spread(&session, &views, &open));
            }
        }
        println!(
            "split {split}, smoothing {smoothing}: {:.2?}, at last {:.2?}",
            &spreads[..4],
            spreads.last()
        );
        assert!(spreads[0] > 0.2 && spreads[3] < 0.2 && spreads[30] < 0.1, "{spreads:?}");
    }
}
