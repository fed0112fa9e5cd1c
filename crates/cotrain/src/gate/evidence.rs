//! What the score of a round is formed from.

use taskweave_kernels::{Named, Result};

use super::estimate::{Estimate, mean_agreement};
use super::folds::deal;
use crate::cotraining::{Method, Room};
use crate::learner::Matrix;

#[derive(Debug, Clone)]
pub(super) enum Evidence {
    None,
    Validation(Vec<(usize, f64)>),
    Unlabeled { folds: usize },
}

impl Evidence {
    /// The score of a session as it stands.
    pub(super) fn estimate(&self, room: &mut Room<'_>, method: &dyn Method) -> Result<Option<Estimate>> {
        match self {
            Self::None => Ok(None),
            Self::Validation(labeled) => {
                let samples: Vec<usize> = labeled.iter().map(|(sample, _)| *sample).collect();
                let said = room.team.predict(room.views, &samples)?;
                let said = method.combine(&said, room.pool.answers())?;
                let labels = labeled.iter().map(|(_, label)| *label).collect();
                Ok(Some(Estimate::of(&said, labels, room.pool.answers())))
            }
            Self::Unlabeled { folds } => {
                let validated = cross_validated(room, method, *folds)?;
                let said = room.team.predict(room.views, &room.pool.without_given_label())?;
                let said: Vec<&Matrix> = said.values().collect();
                Ok(Some(validated.with_agreement(mean_agreement(&said, room.pool.answers()))))
            }
        }
    }
}

/// The score on the given labels where every learner learns its last lesson without them and from the start, fold by fold.
fn cross_validated(room: &mut Room<'_>, method: &dyn Method, folds: usize) -> Result<Estimate> {
    let labeled = room.pool.labeled().iter().map(|(sample, label)| (*sample, *label));
    let folds = deal(labeled.collect(), folds);
    let mut said = Vec::new();
    let mut labels = Vec::new();
    for fold in folds.iter().filter(|fold| !fold.is_empty()) {
        let mut predictions = Named::default();
        let names: Vec<String> = room.team.members().names().map(String::from).collect();
        for name in names {
            let row = match room.team.taught(&name).and_then(|lesson| lesson.without(fold)) {
                Some(lesson) => room.team.trial_anew(&name, room.views, (&lesson, fold))?,
                None => room.team.predict_by(&name, room.views, fold)?,
            };
            predictions.insert(name, row)?;
        }
        let together = method.combine(&predictions, room.pool.answers())?;
        said.extend(together.iter().map(<[f64]>::to_vec));
        labels.extend(fold.iter().filter_map(|sample| room.pool.labeled().get(sample)).copied());
    }
    Ok(Estimate::of(&Matrix::of_rows(&said)?, labels, room.pool.answers()))
}
