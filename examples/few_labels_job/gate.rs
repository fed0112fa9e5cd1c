//! A gate without validation labels: of every digit each network leaves out one label of four.

use std::sync::Arc;

use taskweave::cotrain::Ensemble;
use taskweave::cotrain::gate::{EpochGate, Judged, LeftOut};
use taskweave::cotrain::learner::Answers;
use taskweave::data::{SelectTasks, Subset};
use taskweave::prelude::*;

use super::{Job, PER_CLASS, Plan, judged};
use crate::digits::Gated;

type Chosen = Subset<Arc<dyn Dataset>>;

/// The labels that the networks learn, and the gate where there is one.
pub fn learned(
    job: &Job,
    plan: &Plan,
    ensemble: &Ensemble,
    [known, others]: [Chosen; 2],
) -> Result<(Arc<dyn Dataset>, Option<EpochGate>)> {
    if job.gate == Gated::No {
        return Ok((Arc::new(known), None));
    }
    let members: Vec<String> = judged(job.method).iter().map(|term| term.replace("class@", "")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    // A running mean learns what its student learns.
    let terms = &["class@a", "class@b"][..members.len()];
    let labels = LeftOut::new(known.clone(), "class", terms, PER_CLASS)?;
    let seen =
        |dataset: Arc<dyn Dataset>| Loader::builder(dataset).batch_size(500).transform(plan.size()).build();
    let mut left_out = Named::default();
    for (member, term) in members.iter().zip(terms) {
        let own = Subset::new(known.clone(), labels.samples(term)?)?;
        left_out.insert(*member, seen(Arc::new(own))?)?;
    }
    let images = seen(Arc::new(SelectTasks::new(others, &[])?))?;
    let judged = Judged::new("class", &members, Answers::Classes(10));
    let gate = EpochGate::unlabeled(ensemble, judged, images, left_out)?;
    Ok((Arc::new(labels), Some(gate)))
}
