//! The seam between trunk and heads: where gradients of the representation live.

use candle_core::{DType, Tensor, Var};
use taskweave_kernels::autograd::{Gradient, Tape};
use taskweave_kernels::{Error, Kind, Named, Owner, Param, Result};
use taskweave_loss::Jacobian;

use super::gradients::{Seeds, add, differentiate, differentiate_all, filled, taken, targets, weighed};
use super::rows::dtype_of;
use crate::balance::Rows;

/// What becomes of the features between the trunk and the heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seam {
    /// They pass.
    Open,
    /// They pass as constants: the trunk is held.
    Held,
    /// The heads see copies that gradients stop at.
    Cut,
}

/// The distinct features of a pass, and the copies that the heads saw in their place.
#[derive(Default)]
pub(super) struct Cuts {
    features: Vec<Tensor>,
    copies: Named<Param>,
}

impl Cuts {
    /// The copy of a feature; tasks with the same feature share it.
    pub(super) fn copy_of(&mut self, feature: &Tensor) -> Result<Tensor> {
        let known = self.features.iter().position(|known| known.id() == feature.id());
        let place = known.unwrap_or(self.features.len());
        if known.is_none() {
            let copy = Param::new(Var::from_tensor(&feature.detach())?, Kind::Weight, Owner::Shared);
            self.copies.insert(format!("features {place}"), copy)?;
            self.features.push(feature.clone());
        }
        Ok(self.copies.require("features", &format!("features {place}"))?.var.as_tensor().clone())
    }

    /// The gradients of a loss with respect to parameters behind the seam, those before it, and the features.
    pub(super) fn differentiate(
        &self,
        tape: &Tape,
        loss: &Tensor,
        params: &Named<Param>,
    ) -> Result<[Named<Gradient>; 3]> {
        let all: Vec<&Tensor> = targets(params).into_iter().chain(targets(&self.copies)).collect();
        let mut found = tape.backward(&[(loss, None)], &all)?;
        let (behind, features) = (taken(&mut found, params), taken(&mut found, &self.copies));
        let before = self.through(tape, &features, params)?;
        Ok([behind, before, features])
    }

    /// The gradients of losses by these weights with respect to parameters before the seam.
    pub(super) fn before(
        &self,
        tape: &Tape,
        (losses, weights): (&Named<Tensor>, &[f64]),
        params: &Named<Param>,
    ) -> Result<Named<Gradient>> {
        if params.is_empty() || self.features.is_empty() {
            return Ok(Named::default());
        }
        let features = differentiate_all(tape, weighed(losses, weights)?, &self.copies)?;
        self.through(tape, &features, params)
    }

    /// From gradients of the features to those of parameters before them.
    pub(super) fn through(
        &self,
        tape: &Tape,
        gradients: &Named<Gradient>,
        params: &Named<Param>,
    ) -> Result<Named<Gradient>> {
        let given = self.features.iter().zip(self.copies.names());
        let given = given.filter_map(|(feature, name)| Some((feature, gradients.get(name)?)));
        let seeds = given.map(|(feature, gradient)| Ok((feature, Some(gradient.clone().into_dense()?))));
        differentiate_all(tape, seeds.collect::<Result<Seeds<'_>>>()?, params)
    }
}

/// Of each row, the features that at least two of `tasks` tasks reach; all, where there is only one task.
pub(super) fn met(rows: &Named<Named<Gradient>>, tasks: usize) -> Named<Named<Gradient>> {
    let reached = |name: &str| rows.values().filter(|row| row.contains(name)).count();
    rows.map(|_, row| {
        let mut met = row.clone();
        row.names().filter(|name| tasks > 1 && reached(name) < 2).for_each(|name| drop(met.remove(name)));
        met
    })
}

/// The error for tasks that share no features.
pub(super) fn apart() -> Error {
    Error::parameter("representation", "features that two tasks share", "none that any two do")
}

/// The error for a trunk that has nothing to learn.
pub(super) fn untrained() -> Error {
    Error::parameter("representation", "a trunk with shared parameters", "one without")
}

/// The tasks' gradients of the features, and the way back through the trunk.
pub(super) struct AtSeam<'a> {
    tape: &'a Tape,
    losses: &'a Named<Tensor>,
    cuts: &'a Cuts,
    params: &'a Named<Param>,
    formed: Option<Jacobian>,
}

impl<'a> AtSeam<'a> {
    /// Of losses on a tape, with the parameters that the trunk is to learn.
    pub(super) fn new(
        tape: &'a Tape,
        (losses, cuts): (&'a Named<Tensor>, &'a Cuts),
        params: &'a Named<Param>,
    ) -> Self {
        Self { tape, losses, cuts, params, formed: None }
    }

    fn form(&mut self) -> Result<&Jacobian> {
        let rows = self.losses.try_map(|_, loss| differentiate(self.tape, loss, &self.cuts.copies))?;
        let rows = met(&rows, rows.len());
        if rows.values().all(Named::is_empty) {
            return Err(apart());
        }
        Ok(self.formed.insert(Jacobian::new(filled(&rows)?)?))
    }
}

impl Rows for AtSeam<'_> {
    fn products(&mut self) -> Result<Vec<f64>> {
        Ok(self.form()?.gramian()?.values().to_vec())
    }

    fn dtype(&self) -> DType {
        dtype_of(self.losses)
    }

    fn rows(&mut self) -> Result<Named<Named<Gradient>>> {
        Ok(self.form()?.rows().clone())
    }

    fn features(&self) -> Option<Named<Tensor>> {
        Some(self.cuts.copies.map(|_, copy| copy.var.as_detached_tensor()))
    }

    fn combined(&mut self, weights: &[f64]) -> Result<Named<Gradient>> {
        match &self.formed {
            Some(jacobian) => jacobian.combined(weights),
            None => differentiate_all(self.tape, weighed(self.losses, weights)?, &self.cuts.copies),
        }
    }

    /// Features that only one task reaches, and shared parameters behind the seam, get what the losses by `own` give.
    fn finish(&mut self, made: Named<Gradient>, own: &[f64]) -> Result<Named<Gradient>> {
        let mut private = self.cuts.copies.clone();
        made.names().for_each(|name| drop(private.remove(name)));
        let mut features = made;
        add(&mut features, differentiate_all(self.tape, weighed(self.losses, own)?, &private)?)?;
        let mut found = self.cuts.through(self.tape, &features, self.params)?;
        if found.is_empty() {
            return Err(untrained());
        }
        add(&mut found, differentiate_all(self.tape, weighed(self.losses, own)?, self.params)?)?;
        Ok(found)
    }
}
