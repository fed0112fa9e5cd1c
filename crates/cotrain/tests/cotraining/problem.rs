//! A small problem: three views, three classes, nine labels.

use std::sync::Arc;
use taskweave_cotrain::cotraining::{CoRegularization, Method, Session, SessionBuilder, Watch};
use taskweave_cotrain::learner::{Answers, Knn, Learner, Logistic, Matrix, MultiView, Ridge};
use taskweave_cotrain::pool::Pool;
use taskweave_kernels::{Rng, State};

pub const N: usize = 120;

/// Views of three numbers: two of them are raised by the class, with noise of their own in each view.
pub fn views() -> Arc<MultiView> {
    let view = |name: &str| {
        let mut rng = Rng::new(4).fork(name);
        let value =
            |s: usize, f: usize, rng: &mut Rng| 1.5 * f64::from(u8::from(s % 3 == f)) + 0.7 * rng.normal();
        let values = (0..N).flat_map(|s| (0..3).map(|f| value(s, f, &mut rng)).collect::<Vec<_>>()).collect();
        (name.to_string(), Matrix::new(N, 3, values).unwrap())
    };
    Arc::new(MultiView::new(["left", "right", "top"].map(view)).unwrap())
}

pub fn truth(answers: Answers, sample: usize) -> f64 {
    match answers {
        Answers::Classes(_) => (sample % 3) as f64,
        Answers::Value => (sample % 3) as f64 + 0.1 * (sample as f64).sin(),
    }
}

pub const CLASSES: Answers = Answers::Classes(3);

pub fn pool(answers: Answers) -> Pool {
    Pool::new(answers, (0..9).map(|s| (s, truth(answers, s))), 9..90).unwrap()
}

pub fn watch(answers: Answers) -> Watch {
    Watch::new((0..N).map(|s| (s, truth(answers, s))), 90..N).unwrap()
}

pub fn test() -> Vec<usize> {
    (90..N).collect()
}

pub fn logistic() -> Logistic {
    Logistic::new(0.05).unwrap()
}

/// Learners left and right, and perhaps top.
pub fn team(answers: Answers, method: impl Method + 'static, views_of: &[&str]) -> SessionBuilder {
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

pub fn coregularized(answers: Answers, weight: f64) -> SessionBuilder {
    Session::builder(views(), pool(answers), CoRegularization::new(weight).unwrap())
        .learner("left", "left", Ridge::new(1.0).unwrap())
        .learner("right", "right", Ridge::new(2.0).unwrap())
        .watch(watch(answers))
}

pub fn bits(session: &Session) -> Vec<u64> {
    session.predict(&test()).unwrap().values().iter().map(|value| value.to_bits()).collect()
}

/// The state as it comes back from a file.
pub fn through_text(state: State) -> State {
    let text = serde_json::to_string(&state.values).unwrap();
    State { values: serde_json::from_str(&text).unwrap(), tensors: state.tensors }
}
