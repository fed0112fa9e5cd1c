//! What the networks see of a digit.

use taskweave::data::{Compose, Cutout, Padding, RandAugment, Shift, Transform};
use taskweave::prelude::*;

use super::Plan;

/// The views of an unlabeled digit that a method reads.
pub fn views(method: &str, plan: &Plan) -> Result<Named<Box<dyn Transform>>> {
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

pub fn weak() -> Box<dyn Transform> {
    Box::new(Shift::new(2, Padding::Zero))
}

fn strong() -> Result<Box<dyn Transform>> {
    Ok(Box::new(Compose::new(vec![weak(), Box::new(RandAugment::new(2, 1.0)?), Box::new(Cutout::new(8)?)])))
}
