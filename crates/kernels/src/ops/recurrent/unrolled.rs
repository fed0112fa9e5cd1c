//! A recurrent network run through a sequence, and what is remembered of it.

use std::marker::PhantomData;

use candle_core::Tensor;
use rayon::prelude::*;

use super::cell::{Cell, Step};
use super::weights::{RecurrentWeights, Sizes};
use crate::Result;
use crate::autograd::apply;
use crate::gemm::{Matrix, Onto, multiply};
use crate::math::Exp;
use crate::ops::host::{self, for_real};
use crate::ops::linear::{add_bias, product};
use crate::simd::wide;

/// Samples that run through the sequence together.
pub(super) const BLOCK: usize = 16;

/// A network of cells `C` after its run.
pub(super) struct Unrolled<C, T> {
    pub sizes: Sizes,
    /// `[batch, time, gates · hidden]`
    pub gates: Vec<T>,
    /// `[batch, time, hidden]`
    pub side: Vec<T>,
    /// The states before the first step, `[batch, hidden]` each.
    pub start: [Vec<T>; 2],
    /// Steps of each sample.
    pub lengths: Vec<usize>,
    pub cell: PhantomData<C>,
}

/// The states of all steps. `given` are the input, and the states that the call starts with.
pub(super) fn run<C: Cell>(
    sizes: Sizes,
    weights: &RecurrentWeights<'_>,
    given: [&[&Tensor]; 2],
    lengths: Option<&[usize]>,
) -> Result<Tensor> {
    let [x, start] = given;
    let inputs = [x, &weights.all(), start].concat();
    let lengths = lengths.map_or_else(|| vec![sizes.time; sizes.batch], <[usize]>::to_vec);
    for_real!(x[0].dtype(), T => {
        let (gates, turned, bias) = prepared::<T>(x[0], weights)?;
        let values = |state: Option<&&Tensor>| -> Result<Vec<T>> {
            match state {
                Some(state) => Ok(host::with_values(state, |values| Ok(values.to_vec()))?),
                None => Ok(vec![0.0; sizes.batch * sizes.hidden]),
            }
        };
        let start = [values(start.first())?, values(start.get(1))?];
        let side = vec![0.0; sizes.batch * sizes.time * sizes.hidden];
        let mut network = Unrolled::<C, T> { sizes, gates, side, start, lengths, cell: PhantomData };
        let y = network.forward([&turned, &bias]);
        apply(network, &inputs, y, (sizes.batch, sizes.time, sizes.hidden))
    })
}

/// The input's part of all gates, the recurrent weights turned, and their bias.
fn prepared<T: Exp>(x: &Tensor, weights: &RecurrentWeights<'_>) -> Result<(Vec<T>, Vec<T>, Vec<T>)> {
    let (x, input, hidden) =
        (x.contiguous()?, weights.input.contiguous()?, weights.hidden.t()?.contiguous()?);
    let (bias_input, bias_hidden) = (weights.bias_input.contiguous()?, weights.bias_hidden.contiguous()?);
    let size = [x.dims()[..2].iter().product(), input.dim(0)?];
    let mut gates = product::<T>(&host::read(&x)?, &host::read(&input)?, size);
    add_bias::<T>(&mut gates, &host::read(&bias_input)?);
    let (turned, bias) = (host::read::<T>(&hidden)?.to_vec(), host::read::<T>(&bias_hidden)?.to_vec());
    Ok((gates, turned, bias))
}

/// States of every step as one tensor.
pub(super) fn stacked(states: &[Tensor], [batch, hidden]: [usize; 2], like: &Tensor) -> Result<Tensor> {
    if states.is_empty() {
        return Ok(Tensor::zeros((batch, 0, hidden), like.dtype(), like.device())?);
    }
    Ok(Tensor::stack(states, 1)?)
}

/// What one block of samples works on.
struct Block<'a, T> {
    gates: &'a mut [T],
    side: &'a mut [T],
    y: &'a mut [T],
    state: [&'a [T]; 2],
    lengths: &'a [usize],
}

impl<C: Cell, T: Exp> Unrolled<C, T> {
    /// Turns the input's part of the gates into the gates, and gives the states of all steps.
    fn forward(&mut self, weights: [&[T]; 2]) -> Vec<T> {
        let Sizes { batch, time, hidden, .. } = self.sizes;
        let mut y = vec![T::zero(); batch * time * hidden];
        if y.is_empty() {
            return y;
        }
        let rows = BLOCK * time * hidden;
        let blocks = y
            .par_chunks_mut(rows)
            .zip(self.gates.par_chunks_mut(rows * C::GATES))
            .zip(self.side.par_chunks_mut(rows))
            .zip(self.start[0].par_chunks(BLOCK * hidden))
            .zip(self.start[1].par_chunks(BLOCK * hidden))
            .zip(self.lengths.par_chunks(BLOCK));
        blocks.for_each(|(((((y, gates), side), h), c), lengths)| {
            run_block::<C, T>(Block { gates, side, y, state: [h, c], lengths }, weights, [time, hidden]);
        });
        y
    }
}

fn run_block<C: Cell, T: Exp>(block: Block<'_, T>, [turned, bias]: [&[T]; 2], [time, hidden]: [usize; 2]) {
    let Block { gates, side, y, state, lengths } = block;
    let [mut h, mut c] = state.map(<[T]>::to_vec);
    let width = bias.len();
    let mut recurrent = vec![T::zero(); lengths.len() * width];
    for t in 0..time {
        recurrent.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(bias));
        multiply(Onto::Sum, &mut recurrent, Matrix::rows(&h, hidden), Matrix::rows(turned, width));
        wide(
            #[inline(always)]
            || {
                for (i, recurrent) in recurrent.chunks_exact(width).enumerate() {
                    let (own, row) = (i * hidden..(i + 1) * hidden, i * time + t);
                    let gates = &mut gates[row * width..(row + 1) * width];
                    let place = row * hidden..(row + 1) * hidden;
                    let (side, y) = (&mut side[place.clone()], &mut y[place]);
                    let state = [&mut h[own.clone()], &mut c[own.clone()]];
                    C::forward(Step { gates, side, state }, recurrent);
                    if t < lengths[i] {
                        y.copy_from_slice(&h[own]);
                    }
                }
            },
        );
    }
}
