//! Every sample as an objective: the samples' gradients, of which only the products are formed.

use candle_core::{DType, Tensor};
use taskweave_kernels::autograd::{Gradient, Tape};
use taskweave_kernels::{Error, Named, Param, Result};

use super::gradients::{differentiate_all, targets};
use super::pass::PerSample;
use crate::balance::Rows;

/// The gradients of the samples' losses with respect to parameters.
///
/// With B samples, the loss of sample b is B Σᵢ sᵢ wᵢ_b ℓᵢ_b / Σ wᵢ over the tasks i, so that the mean over the samples is
/// Σ sᵢ Lᵢ.
pub(super) struct OfSamples<'a> {
    tape: &'a Tape,
    params: &'a Named<Param>,
    /// Each task's losses `[batch]`, with what they are multiplied by.
    tasks: Vec<(&'a Tensor, Vec<f64>)>,
}

impl<'a> OfSamples<'a> {
    pub(super) fn new(
        tape: &'a Tape,
        (samples, slopes): (&'a Named<PerSample>, &Named<f64>),
        params: &'a Named<Param>,
    ) -> Result<Self> {
        let of_task = |(task, samples): (&str, &'a PerSample)| {
            let (slope, weight) = (slopes.require("task", task)?, numbers(&samples.weight)?);
            let each = slope * weight.len() as f64 / weight.iter().sum::<f64>();
            Ok((&samples.losses, weight.into_iter().map(|weight| weight * each).collect()))
        };
        Ok(Self { tape, params, tasks: samples.iter().map(of_task).collect::<Result<_>>()? })
    }

    /// The loss of each sample, by number.
    pub(super) fn losses(&self) -> Result<Named<f64>> {
        let mut sums: Vec<f64> = vec![0.0; self.tasks.first().map_or(0, |(losses, _)| losses.elem_count())];
        for (losses, factors) in &self.tasks {
            let terms = numbers(losses)?.into_iter().zip(factors);
            let terms = terms.map(|(loss, factor)| if *factor == 0.0 { 0.0 } else { factor * loss });
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        }
        Named::new(sums.into_iter().enumerate().map(|(sample, loss)| (sample.to_string(), loss)))
    }

    /// The tasks' losses with the cotangents that the samples' weights make.
    fn seeds(&self, weights: Option<&[f64]>) -> Result<Vec<(&'a Tensor, Option<Tensor>)>> {
        let seed = |(losses, factors): &(&'a Tensor, Vec<f64>)| {
            let values: Vec<f64> = match weights {
                Some(weights) => {
                    factors.iter().zip(weights).map(|(factor, weight)| factor * weight).collect()
                }
                None => factors.clone(),
            };
            let cotangent = Tensor::from_vec(values, losses.dims(), losses.device())?;
            Ok((*losses, Some(cotangent.to_dtype(losses.dtype())?)))
        };
        self.tasks.iter().map(seed).collect()
    }
}

impl Rows for OfSamples<'_> {
    fn products(&mut self) -> Result<Vec<f64>> {
        self.tape.sample_products(&self.seeds(None)?, &targets(self.params))
    }

    fn dtype(&self) -> DType {
        self.tasks.first().map_or(DType::F32, |(losses, _)| losses.dtype())
    }

    fn rows(&mut self) -> Result<Named<Named<Gradient>>> {
        Err(Error::parameter("method for samples", "a weighting", "one that looks at the gradients"))
    }

    fn combined(&mut self, weights: &[f64]) -> Result<Named<Gradient>> {
        differentiate_all(self.tape, self.seeds(Some(weights))?, self.params)
    }
}

fn numbers(x: &Tensor) -> Result<Vec<f64>> {
    Ok(x.to_dtype(DType::F64)?.to_vec1::<f64>()?)
}
