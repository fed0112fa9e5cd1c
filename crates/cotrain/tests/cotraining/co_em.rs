//! What co-EM does not promise, as its page says: that soft labels of another view keep what the labels have taught.

use std::sync::Arc;

use taskweave_cotrain::cotraining::{CoEm, Em, Method, Session};
use taskweave_cotrain::gate::Gate;
use taskweave_cotrain::learner::{Answers, GaussianNb, Matrix, MultiView};
use taskweave_cotrain::pool::Pool;
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

/// The standard deviation of the probability of a class over test samples, of the learner that has the largest: at most ½.
fn spread(session: &Session, views: &MultiView) -> f64 {
    let said = session.team().predict(views, &(400..N).collect::<Vec<_>>()).unwrap();
    let deviation = |said: &Matrix| {
        let n = said.rows() as f64;
        let mean = said.iter().map(|row| row[0]).sum::<f64>() / n;
        (said.iter().map(|row| (row[0] - mean).powi(2)).sum::<f64>() / n).sqrt()
    };
    said.values().map(deviation).fold(0.0, f64::max)
}

#[test]
fn co_em_forgets_where_one_view_alone_leaves_the_class_open_and_em_does_not() {
    let pair = ["left", "right"];
    // One view alone errs in 16 % of the samples.
    let open = views(1.0);
    let co_em = |rounds, gate| run(&open, CoEm::default(), &pair, (rounds, gate));
    let (start, end) = (co_em(0, Gate::off()), co_em(60, Gate::off()));
    assert!(spread(&start, &open) > 0.35 && spread(&end, &open) < 0.06, "{}", spread(&end, &open));
    let em = run(&open, Em::default(), &["both"], (60, Gate::off()));
    assert!(spread(&em, &open) > 0.35, "{}", spread(&em, &open));
    let gated = co_em(60, Gate::unlabeled(2).unwrap());
    assert_eq!((gated.history().returned_to, spread(&gated, &open)), (Some(0), spread(&start, &open)));
    // In 0.1 % of them.
    let told = views(3.0);
    let end = run(&told, CoEm::default(), &pair, (60, Gate::off()));
    assert!(spread(&end, &told) > 0.49, "{}", spread(&end, &told));
}
