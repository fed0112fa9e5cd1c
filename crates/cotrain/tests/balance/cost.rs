//! What a step costs, counted in calls of a function in the trunk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::Tensor;
use taskweave_cotrain::{Balance, Step};
use taskweave_heads::{Backbone, Features, HardSharing, Linear, Network, Regression, Stage};
use taskweave_kernels::autograd::{Call, Function, Gradient, apply};
use taskweave_kernels::{Named, Result};

use super::four::{TASKS, batch, of, on, params, part};

#[derive(Clone, Default)]
struct Count {
    forward: Arc<AtomicUsize>,
    backward: Arc<AtomicUsize>,
}

/// The identity, counted.
struct Counted(Arc<AtomicUsize>);

impl Function for Counted {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn backward(&self, _: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(vec![Some(cotangent.clone().into())])
    }

    fn samples(&self, _: usize) -> taskweave_kernels::autograd::Samples {
        taskweave_kernels::autograd::Samples::Apart
    }
}

fn counted(balance: Balance) -> (Step, Count) {
    let (params, count) = (params(), Count::default());
    let first = Linear::new(&params.shared(), 2, 6).unwrap();
    let Count { forward, backward } = count.clone();
    let identity = move |x: &Tensor| {
        forward.fetch_add(1, Ordering::Relaxed);
        let values = x.flatten_all()?.to_vec1::<f64>()?;
        apply(Counted(backward.clone()), &[x], values, x.shape()).map_err(candle_core::Error::wrap)
    };
    let features = Features::Vector { width: 6 };
    let trunk = Backbone::new(vec![Box::new(first), Box::new(identity)], features);
    let head = |task: &str| Box::new(Regression::new(&params.task(task), features, 1).unwrap());
    let heads = Named::new(TASKS.map(|task| (task, head(task) as Box<dyn Stage>))).unwrap();
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    (on(model, params).balance(balance).build().unwrap(), count)
}

/// Forward and backward passes of the trunk at each of four steps.
fn passes(balance: Balance) -> [[usize; 2]; 4] {
    let (mut step, count) = counted(balance);
    [0, 1, 2, 3].map(|i| {
        step.step(&batch(i, 8)).unwrap();
        [count.forward.swap(0, Ordering::Relaxed), count.backward.swap(0, Ordering::Relaxed)]
    })
}

#[test]
fn one_forward_pass_and_as_many_backward_passes_as_the_balance_needs() {
    let (upgrad, trimmed) = (r#"{"name": "upgrad"}"#, r#"{"name": "trimmed_mean"}"#);
    assert_eq!(passes(Balance::default()), [[1, 1]; 4]);
    assert_eq!(passes(of("parameters", upgrad)), [[1, TASKS.len()]; 4]);
    assert_eq!(passes(of("parameters", trimmed)), [[1, TASKS.len()]; 4]);
    assert_eq!(passes(of("representation", upgrad)), [[1, 1]; 4]);
    assert_eq!(passes(of("representation", trimmed)), [[1, 1]; 4]);
    assert_eq!(passes(of("samples", upgrad)), [[1, 2]; 4]);
    assert_eq!(passes(of("parameters", upgrad).refresh(3)), [[1, 4], [1, 1], [1, 1], [1, 4]]);
    assert_eq!(passes(of("representation", upgrad).refresh(3)), [[1, 1]; 4]);
}

#[test]
fn several_batches_cost_one_backward_pass_per_task_and_batch() {
    for gradients in ["parameters", "representation"] {
        let (mut step, count) = counted(of(gradients, r#"{"name": "upgrad"}"#));
        let whole = batch(0, 9);
        step.step_over(&[part(&whole, 0, 3), part(&whole, 3, 3), part(&whole, 6, 3)]).unwrap();
        assert_eq!(count.forward.load(Ordering::Relaxed), 3);
        assert_eq!(count.backward.load(Ordering::Relaxed), 3 * TASKS.len());
    }
}
