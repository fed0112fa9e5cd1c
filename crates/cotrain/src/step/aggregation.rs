//! Which parameters a balance is for, and what they and the heads get from it.

use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::optim::IntoGradient;
use taskweave_kernels::{Error, Kind, Named, Owner, Param, Result};

use super::seam::Seam;
use super::{Step, StepReport};
use crate::balance::{Balanced, Gradients};

impl Step {
    /// What becomes of the features of a pass.
    pub(super) fn seam(&self, held: Option<&Owner>) -> Seam {
        match self.balance.gradients() {
            _ if held == Some(&Owner::Shared) => Seam::Held,
            Gradients::Representation(_) => Seam::Cut,
            _ => Seam::Open,
        }
    }

    /// The parameters whose gradient the balance makes: the shared ones, or where it weighs samples and heads, all; none
    /// of those that are held.
    pub(super) fn balanced(&self, held: Option<&Owner>) -> Named<Param> {
        let samples = matches!(self.balance.gradients(), Gradients::Samples(_));
        let all = samples && self.balance.weighs_heads();
        let is_for = |param: &Param| {
            param.kind.is_trained() && Some(&param.owner) != held && (all || param.owner == Owner::Shared)
        };
        let mut found = Named::default();
        if !matches!(self.balance.gradients(), Gradients::None) {
            for (name, param) in self.params.named().into_iter().filter(|(_, param)| is_for(param)) {
                // The names come from a set of unique ones.
                let _ = found.insert(name, param);
            }
        }
        found
    }

    /// The parameters that are not held, and are not `apart`.
    pub(super) fn learning(&self, held: Option<&Owner>, apart: &Named<Param>) -> Named<Param> {
        let mut learning = Named::default();
        let learns = |param: &Param| {
            param.kind == Kind::Objective || param.kind.is_trained() && Some(&param.owner) != held
        };
        for (name, param) in self.params.named().into_iter().chain(self.balance.objective()) {
            if learns(&param) && !apart.contains(&name) {
                // Names are unique in both sets, and `build` has refused a name that is in both.
                let _ = learning.insert(name, param);
            }
        }
        learning
    }

    /// Puts what the balance made among the other gradients, and weighs those of the heads.
    pub(super) fn put(
        &self,
        found: Balanced,
        gradients: &mut Named<Gradient>,
        report: &mut StepReport,
    ) -> Result<()> {
        match self.balance.gradients() {
            Gradients::Samples(_) => {
                report.sample_weights = found.weights.map(|weights| weights.values().copied().collect());
            }
            _ => {
                if self.balance.weighs_heads() {
                    let weights = found.weights.as_ref().ok_or_else(|| {
                        Error::parameter("heads", "unit where the aggregator has no weights", "weighted")
                    })?;
                    self.weigh_heads(gradients, weights)?;
                }
                report.aggregated = found.weights;
            }
        }
        for (name, block) in found.gradient {
            match gradients.get_mut(&name) {
                Some(place) => *place = block,
                None => gradients.insert(name, block)?,
            }
        }
        Ok(())
    }

    fn weigh_heads(&self, gradients: &mut Named<Gradient>, weights: &Named<f64>) -> Result<()> {
        for (name, param) in self.params.named().iter() {
            let Owner::Task(task) = &param.owner else { continue };
            if let (Some(gradient), Some(weight)) = (gradients.get_mut(name), weights.get(task)) {
                *gradient = gradient.map_values(|values| values.affine(*weight, 0.0))?;
            }
        }
        Ok(())
    }
}
