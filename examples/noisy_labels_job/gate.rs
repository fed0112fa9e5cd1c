//! A gate that sees no right label: every network leaves out a tenth of the labels, wrong ones among them.

use std::sync::Arc;

use taskweave::cotrain::Ensemble;
use taskweave::cotrain::gate::EpochGate;
use taskweave::prelude::*;

use super::{Job, Parts};
use crate::digits::{Gated, gated};

const FOLDS: usize = 10;

/// The labels that the networks learn, and the gate where there is one.
pub fn learned(
    job: &Job,
    parts: &Parts,
    ensemble: &Ensemble,
) -> Result<(Arc<dyn Dataset>, Option<EpochGate>)> {
    let noisy: Arc<dyn Dataset> = parts.noisy.clone();
    if job.gate == Gated::No {
        return Ok((noisy, None));
    }
    let mut networks = vec![("a", "class@a"), ("b", "class@b")];
    networks.retain(|(_, term)| ensemble.terms().contains(term));
    let (labels, gate) = gated(ensemble, &networks, (noisy.clone(), FOLDS), (noisy, &|loader| loader))?;
    Ok((labels, Some(gate)))
}
