//! A gate that sees no right label: every network leaves out a tenth of the labels, wrong ones among them.

use std::sync::Arc;

use taskweave::cotrain::Ensemble;
use taskweave::cotrain::gate::{EpochGate, Judged, LeftOut};
use taskweave::cotrain::learner::Answers;
use taskweave::data::{SelectTasks, Subset};
use taskweave::prelude::*;

use super::{Job, Parts};
use crate::digits::Gated;

const FOLDS: usize = 10;

/// The labels that the networks learn, and the gate where there is one.
pub fn learned(
    job: &Job,
    parts: &Parts,
    ensemble: &Ensemble,
) -> Result<(Arc<dyn Dataset>, Option<EpochGate>)> {
    if job.gate == Gated::No {
        return Ok((parts.noisy.clone(), None));
    }
    let (labels, gate) = gated(parts.noisy.clone(), ensemble)?;
    Ok((Arc::new(labels), Some(gate)))
}

/// The labels that each network learns, and a gate that judges it by the others and by what the networks agree on.
fn gated<D: Dataset + Clone + 'static>(labels: D, ensemble: &Ensemble) -> Result<(LeftOut<D>, EpochGate)> {
    let members: Vec<&str> =
        ["a", "b"].into_iter().filter(|name| ensemble.terms().contains(&format!("class@{name}"))).collect();
    let terms: Vec<String> = members.iter().map(|name| format!("class@{name}")).collect();
    let names: Vec<&str> = terms.iter().map(String::as_str).collect();
    let learned = LeftOut::new(labels.clone(), "class", &names, FOLDS)?;
    let mut left_out = Named::default();
    for (member, term) in members.iter().zip(&terms) {
        let own = Subset::new(labels.clone(), learned.samples(term)?)?;
        left_out.insert(*member, Loader::builder(Arc::new(own)).batch_size(500).build()?)?;
    }
    let images = Arc::new(SelectTasks::new(labels, &[])?);
    let images = Loader::builder(images).batch_size(500).build()?;
    let judged = Judged::new("class", &members, Answers::Classes(10));
    Ok((learned, EpochGate::unlabeled(ensemble, judged, images, left_out)?))
}
