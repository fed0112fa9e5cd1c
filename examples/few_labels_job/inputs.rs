//! What the networks see of a digit.

use std::sync::Arc;

use taskweave::cotrain::Ensemble;
use taskweave::data::{Compose, Cutout, Last, LoaderBuilder, Padding, RandAugment, Shift, Transform, Views};
use taskweave::prelude::*;

use super::{PER_CLASS, Plan};

/// All labeled digits in every batch, shifted a little.
pub fn labeled(known: Arc<dyn Dataset>, plan: &Plan, ensemble: &Ensemble) -> LoaderBuilder {
    let transform = Compose::new(vec![weak(), plan.size(), Box::new(ensemble.spread())]);
    let loader = Loader::builder(known).batch_size(10 * PER_CLASS);
    loader.order(Order::Shuffled).transform(transform)
}

/// Digits without labels in the views that a method reads.
pub fn unlabeled(unknown: impl Dataset + 'static, plan: &Plan, method: &str) -> Result<LoaderBuilder> {
    let loader = Loader::builder(Arc::new(unknown)).batch_size(plan.batch).last(Last::Drop);
    Ok(loader.order(Order::Shuffled).transform(Views::new("image", views(method, plan)?)?))
}

/// Digits as they are, to be judged by.
pub fn judging(dataset: Arc<dyn Dataset>, plan: &Plan, ensemble: &Ensemble) -> Result<Loader> {
    let transform = Compose::new(vec![plan.size(), Box::new(ensemble.spread())]);
    Loader::builder(dataset).batch_size(500).transform(transform).build()
}

/// The views of an unlabeled digit that a method reads.
fn views(method: &str, plan: &Plan) -> Result<Named<Box<dyn Transform>>> {
    let view = |first: Box<dyn Transform>| -> Box<dyn Transform> {
        Box::new(Compose::new(vec![first, plan.size()]))
    };
    let mut views = Named::new([("weak", view(weak()))])?;
    match method {
        "mean teacher" => views.insert("other", view(weak()))?,
        "FixMatch" | "FreeMatch" => views.insert("strong", view(strong()?))?,
        _ => {}
    }
    Ok(views)
}

fn weak() -> Box<dyn Transform> {
    Box::new(Shift::new(2, Padding::Zero))
}

fn strong() -> Result<Box<dyn Transform>> {
    Ok(Box::new(Compose::new(vec![weak(), Box::new(RandAugment::new(2, 1.0)?), Box::new(Cutout::new(8)?)])))
}
