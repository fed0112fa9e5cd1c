//! A gate without validation labels: of every digit each network leaves out one label of four.

use std::sync::Arc;

use taskweave::cotrain::Ensemble;
use taskweave::cotrain::gate::EpochGate;
use taskweave::data::{LoaderBuilder, Subset};
use taskweave::prelude::*;

use super::{Job, PER_CLASS, Plan, judged};
use crate::digits::{Gated, gated};

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
    // A running mean learns what its student learns.
    let networks: &[(&str, &str)] = match judged(job.method).iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        ["class@mean"] => &[("mean", "class@a")],
        ["class@a"] => &[("a", "class@a")],
        _ => &[("a", "class@a"), ("b", "class@b")],
    };
    let seen = |loader: LoaderBuilder| loader.transform(plan.size());
    let (labels, gate) = gated(ensemble, networks, (Arc::new(known), PER_CLASS), (Arc::new(others), &seen))?;
    Ok((labels, Some(gate)))
}
