//! The backward pass of attention, which computes the probabilities again.
//!
//! ```text
//! p = e^(s − log-sum),  dv = pᵀ do,  dp = do vᵀ,  ds = p ∘ (dp − Σ do ∘ o),  dq = ds k / √dim,  dk = dsᵀ q / √dim
//! ```

use candle_core::Tensor;
use rayon::prelude::*;

use super::attend::{Attend, Heads, Operand, Sequences, operands};
use super::call::{in_rows, sequences};
use crate::Result;
use crate::autograd::{Call, Function, Gradient, Samples};
use crate::gemm::{Matrix, MatrixMut, Onto, multiply, multiply_into};
use crate::math::Exp;
use crate::ops::host;
use crate::ops::rows::dot;
use crate::simd::wide;

impl<T: Exp> Function for Attend<T> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (d_o, o) = (cotangent.contiguous()?, call.output.contiguous()?);
        let inputs: Vec<Tensor> = call.inputs.iter().map(in_rows).collect::<candle_core::Result<_>>()?;
        let read = inputs.iter().map(host::spread::<T>).collect::<candle_core::Result<Vec<_>>>()?;
        let mut gradients: Vec<Vec<T>> = inputs.iter().map(|x| vec![T::zero(); x.elem_count()]).collect();
        if o.elem_count() > 0 {
            let Heads { queries, heads, value_dim, .. } = self.heads;
            let (d_o, o) = (host::read::<T>(&d_o)?, host::read::<T>(&o)?);
            let (width, dim) = (heads * value_dim, value_dim);
            let of_output =
                |values| Operand::new(Sequences { values, steps: [queries * width, width] }, 0, dim);
            let [q, k, v] = operands(self.heads, &sequences(&inputs, &read));
            let known = [q, k, v, of_output(&o), of_output(&d_o)];
            let added = self.rule.read::<T>()?;
            split(self.heads, &mut gradients).into_par_iter().enumerate().for_each(|(i, parts)| {
                self.head_back([i / heads, i % heads], &known, added.as_deref(), parts);
            });
        }
        let gradient = |(values, input)| Ok(Some(host::tensor(values, input)?.into()));
        gradients.into_iter().zip(call.inputs).map(gradient).collect()
    }
}

/// The gradients of queries, keys and values of every head of every sample, each with a part of its own.
fn split<T>(heads: Heads, gradients: &mut [Vec<T>]) -> Vec<[MatrixMut<'_, T>; 3]> {
    let Heads { queries, keys, heads, dim, value_dim, .. } = heads;
    let part = |values, time: usize, dim: usize, parts: usize| {
        let width = parts * heads * dim;
        <[T]>::chunks_mut(values, (time * width).max(1))
            .flat_map(move |sample| MatrixMut::rows(sample, width).split_columns(dim))
            .collect::<Vec<_>>()
    };
    match gradients {
        [q, k, v] => {
            let qk = part(q, queries, dim, 1).into_iter().zip(part(k, keys, dim, 1));
            qk.zip(part(v, keys, value_dim, 1)).map(|((q, k), v)| [q, k, v]).collect()
        }
        [qkv, ..] => {
            let mut parts = part(qkv, queries, dim, 3).into_iter();
            let mut sample = || [0; 3].map(|_| parts.by_ref().take(heads).collect::<Vec<_>>());
            let samples = (0..).map(|_| sample()).take_while(|[q, ..]| !q.is_empty());
            samples.flat_map(|[q, k, v]| q.into_iter().zip(k).zip(v).map(|((q, k), v)| [q, k, v])).collect()
        }
        [] => Vec::new(),
    }
}

impl<T: Exp> Attend<T> {
    /// One head of one sample. `known` are queries, keys, values, the output and its gradient.
    fn head_back(
        &self,
        place: [usize; 2],
        known: &[Operand<'_, T>; 5],
        added: Option<&[T]>,
        [mut dq, mut dk, mut dv]: [MatrixMut<'_, T>; 3],
    ) {
        let [q, k, v, _, d_o] = *known;
        let (mut p, mut ds) = (Vec::new(), Vec::new());
        for block in self.heads.blocks() {
            let keys = self.scores(place, block.clone(), ([q, k], added), &mut p);
            if keys == 0 {
                continue;
            }
            ds.resize(p.len(), T::zero());
            let d_o = d_o.of(place, block.clone());
            multiply(Onto::Nothing, &mut ds, d_o, v.of(place, 0..keys).transposed());
            self.pull(place, block.clone(), known, [&mut p, &mut ds]);
            let (p, ds) = (Matrix::rows(&p, keys), Matrix::rows(&ds, keys));
            multiply_into(Onto::Sum, dv.some(0..keys), p.transposed(), d_o);
            multiply_into(Onto::Nothing, dq.some(block.clone()), ds, k.of(place, 0..keys));
            multiply_into(Onto::Sum, dk.some(0..keys), ds.transposed(), q.of(place, block));
        }
    }

    /// Turns scores into probabilities, and their gradients into those of q kᵀ.
    fn pull(
        &self,
        [sample, head]: [usize; 2],
        block: std::ops::Range<usize>,
        [.., o, d_o]: &[Operand<'_, T>; 5],
        [p, ds]: [&mut [T]; 2],
    ) {
        let (keys, scale) = (p.len() / block.len(), self.heads.scale::<T>());
        let log_sums = &self.log_sums[(sample * self.heads.heads + head) * self.heads.queries..];
        wide(
            #[inline(always)]
            || {
                for ((p, ds), i) in p.chunks_exact_mut(keys).zip(ds.chunks_exact_mut(keys)).zip(block) {
                    let mean = dot(o.row([sample, head], i), d_o.row([sample, head], i));
                    let log_sum = log_sums[i];
                    for (p, ds) in p.iter_mut().zip(ds) {
                        *p = (*p - log_sum).exp_fast();
                        *ds = *p * (*ds - mean) * scale;
                    }
                }
            },
        );
    }
}
