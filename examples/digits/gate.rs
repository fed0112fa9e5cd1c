//! A gate without validation labels: every network leaves out a fold of the labels.

use std::sync::Arc;

use taskweave::cotrain::gate::{EpochGate, Judged, LeftOut};
use taskweave::cotrain::learner::Answers;
use taskweave::cotrain::{Ensemble, History};
use taskweave::data::{LoaderBuilder, SelectTasks, Subset};
use taskweave::prelude::*;

/// Whether epochs that look worse are undone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gated {
    No,
    Yes,
}

impl Gated {
    /// Every method without a gate, and where that is asked for with one too.
    pub fn each(gate: bool) -> &'static [Self] {
        if gate { &[Self::No, Self::Yes] } else { &[Self::No] }
    }

    /// A method's name in the table.
    pub fn name(self, method: &str) -> String {
        if self == Self::Yes { format!("{method}, gate") } else { method.into() }
    }
}

/// How many epochs the networks have learned from in the end.
pub fn kept_epochs(history: &History) -> usize {
    history.returned_to.map_or(history.epochs.len(), |epoch| epoch as usize + 1)
}

/// The labels that the networks learn, dealt into so many folds, and a gate that judges each network by the fold that its term leaves
/// out, and several by what they agree on over `images`, whose labels it does not see. `seen` says how digits are seen.
pub fn gated(
    ensemble: &Ensemble,
    networks: &[(&str, &str)],
    (labels, folds): (Arc<dyn Dataset>, usize),
    (images, seen): (Arc<dyn Dataset>, &dyn Fn(LoaderBuilder) -> LoaderBuilder),
) -> Result<(Arc<dyn Dataset>, EpochGate)> {
    let (members, terms): (Vec<&str>, Vec<&str>) = networks.iter().copied().unzip();
    let learned = LeftOut::new(labels.clone(), "class", &terms, folds)?;
    let loader = |dataset: Arc<dyn Dataset>| seen(Loader::builder(dataset).batch_size(500)).build();
    let mut left_out = Named::default();
    for (member, term) in networks {
        let own = Subset::new(labels.clone(), learned.samples(term)?)?;
        left_out.insert(*member, loader(Arc::new(own))?)?;
    }
    let images = loader(Arc::new(SelectTasks::new(images, &[])?))?;
    let judged = Judged::new("class", &members, Answers::Classes(10));
    Ok((Arc::new(learned), EpochGate::unlabeled(ensemble, judged, images, left_out)?))
}
