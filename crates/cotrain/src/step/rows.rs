//! The tasks' gradients of what they share, from a tape or kept.

use candle_core::{DType, Tensor};
use taskweave_kernels::autograd::{Gradient, Tape, TaskGradients};
use taskweave_kernels::{Error, Named, Param, Result};
use taskweave_loss::Jacobian;

use super::gradients::{differentiate, differentiate_all, filled, split, taken, targets, weighed};
use super::seam::{apart, met, untrained};
use crate::balance::Rows;

/// The gradients of losses on a tape with respect to parameters; not formed where the tape can do without.
pub(super) struct OnTape<'a> {
    tape: &'a Tape,
    losses: &'a Named<Tensor>,
    params: &'a Named<Param>,
    formed: Option<TaskGradients<'a>>,
}

impl<'a> OnTape<'a> {
    pub(super) fn new(tape: &'a Tape, losses: &'a Named<Tensor>, params: &'a Named<Param>) -> Self {
        Self { tape, losses, params, formed: None }
    }
}

impl Rows for OnTape<'_> {
    fn products(&mut self) -> Result<Vec<f64>> {
        let losses: Vec<&Tensor> = self.losses.values().collect();
        let formed = self.tape.task_gradients(&losses, &targets(self.params))?;
        let products = formed.products().to_vec();
        self.formed = Some(formed);
        Ok(products)
    }

    fn dtype(&self) -> DType {
        dtype_of(self.losses)
    }

    fn rows(&mut self) -> Result<Named<Named<Gradient>>> {
        filled(&self.losses.try_map(|_, loss| differentiate(self.tape, loss, self.params))?)
    }

    fn combined(&mut self, weights: &[f64]) -> Result<Named<Gradient>> {
        match &self.formed {
            Some(formed) => Ok(taken(&mut formed.weighted_sum(weights)?, self.params)),
            None => differentiate_all(self.tape, weighed(self.losses, weights)?, self.params),
        }
    }
}

/// What losses are stored as, and with them their gradients.
pub(super) fn dtype_of(losses: &Named<Tensor>) -> DType {
    losses.values().next().map_or(DType::F32, Tensor::dtype)
}

/// Gradients that were kept.
pub(super) struct Kept(Jacobian);

impl Kept {
    /// Those of some parameters; a parameter that a task does not reach is absent in its row.
    pub(super) fn new(rows: &Named<Named<Gradient>>, params: &Named<Param>) -> Result<Self> {
        let rows = rows.map(|_, row| {
            let [some, _] = split(row, params);
            some
        });
        Ok(Self(Jacobian::new(filled(&rows)?)?))
    }
}

impl Rows for Kept {
    fn products(&mut self) -> Result<Vec<f64>> {
        Ok(self.0.gramian()?.values().to_vec())
    }

    fn dtype(&self) -> DType {
        let blocks = self.0.rows().values().flat_map(Named::values);
        blocks.map(|block| block.values().dtype()).next().unwrap_or(DType::F32)
    }

    fn rows(&mut self) -> Result<Named<Named<Gradient>>> {
        Ok(self.0.rows().clone())
    }

    fn combined(&mut self, weights: &[f64]) -> Result<Named<Gradient>> {
        self.0.combined(weights)
    }
}

/// The products of the tasks' gradients of the features of several batches, which are one long row of features.
pub(super) struct AtSeams {
    tasks: Vec<String>,
    products: Vec<f64>,
    /// Whether two tasks have shared a feature.
    met: bool,
    /// Whether the features have led to a shared parameter.
    pub(super) trained: bool,
}

impl AtSeams {
    pub(super) fn new(tasks: &[String]) -> Self {
        Self {
            tasks: tasks.to_vec(),
            products: vec![0.0; tasks.len() * tasks.len()],
            met: false,
            trained: false,
        }
    }

    /// Adds those of one batch, of the tasks that it has.
    pub(super) fn add(&mut self, rows: &Named<Named<Gradient>>) -> Result<()> {
        // A task that is alone in its batch has its features to itself there, but not over all batches.
        let together = rows.len() > 1 || self.tasks.len() == 1;
        let rows = met(rows, rows.len());
        if rows.values().all(Named::is_empty) {
            return Ok(());
        }
        self.met |= together;
        let jacobian = Jacobian::new(filled(&rows)?)?;
        let gramian = jacobian.gramian()?;
        let places = gramian.tasks().map(|task| self.tasks.iter().position(|known| known == task));
        let places: Vec<usize> = places.flatten().collect();
        for (i, row) in places.iter().zip(gramian.rows()) {
            for (j, product) in places.iter().zip(row) {
                self.products[i * self.tasks.len() + j] += product;
            }
        }
        Ok(())
    }

    /// With the gradients of the parameters that were kept.
    pub(super) fn over(self, kept: Kept) -> KeptAtSeams {
        KeptAtSeams { seams: self, kept }
    }
}

/// Gradients of parameters that are weighed by how those of the features meet.
pub(super) struct KeptAtSeams {
    seams: AtSeams,
    kept: Kept,
}

impl Rows for KeptAtSeams {
    fn products(&mut self) -> Result<Vec<f64>> {
        match self.seams.met {
            true => Ok(self.seams.products.clone()),
            false => Err(apart()),
        }
    }

    fn dtype(&self) -> DType {
        self.kept.dtype()
    }

    fn rows(&mut self) -> Result<Named<Named<Gradient>>> {
        Err(Error::parameter(
            "batches of a step",
            "one, for an aggregator of features without weights",
            "more",
        ))
    }

    fn combined(&mut self, weights: &[f64]) -> Result<Named<Gradient>> {
        match self.seams.trained {
            true => self.kept.combined(weights),
            false => Err(untrained()),
        }
    }
}
