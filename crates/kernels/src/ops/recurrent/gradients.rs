//! Backward through time.

use candle_core::Tensor;
use rayon::prelude::*;

use super::cell::{Cell, Past, WIDTH};
use super::unrolled::{BLOCK, Unrolled};
use super::weights::Sizes;
use crate::Result;
use crate::autograd::{Call, Function, Gradient, Samples};
use crate::gemm::{Matrix, Onto, multiply, multiply_shared};
use crate::math::Exp;
use crate::ops::host;
use crate::ops::linear::column_sums;
use crate::simd::wide;

impl<C: Cell, T: Exp> Function for Unrolled<C, T> {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn samples(&self, input: usize) -> Samples {
        match input {
            0 => Samples::Apart,
            _ => Samples::Whole,
        }
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (dy, y) = (cotangent.contiguous()?, call.output.contiguous()?);
        let [x, input, hidden] = [0, 1, 2].map(|i| call.inputs[i].contiguous());
        let (x, input, hidden) = (x?, input?, hidden?);
        let (x, y) = (host::read::<T>(&x)?, host::read::<T>(&y)?);
        let (input, hidden) = (host::read::<T>(&input)?, host::read::<T>(&hidden)?);
        let (mut gates, [h, c]) = self.through_time([&host::read(&dy)?, &y, &hidden]);
        let sums = column_sums(&gates, WIDTH * self.sizes.hidden);
        let dx = call.wants(0).then(|| self.input(&gates, &input));
        let d_input = call.wants(1).then(|| self.input_weight(&gates, &x));
        let d_bias = Some(sums[..C::GATES * self.sizes.hidden].to_vec());
        // Changes the gradients of the gates: last.
        let d_hidden = call.wants(2).then(|| self.hidden_weight(&mut gates, &y));
        let all = [dx, d_input, d_hidden, Some(self.input_bias(&sums)), d_bias, Some(h), Some(c)];
        let gradient = |(values, input): (Option<Vec<T>>, &Tensor)| {
            values.map(|values| Ok(host::tensor(values, input)?.into())).transpose()
        };
        all.into_iter().zip(call.inputs).map(gradient).collect()
    }
}

/// What one block of samples works on.
struct Block<'a, T> {
    /// Where its first sample is.
    first: usize,
    gates: &'a mut [T],
    carry: [&'a mut [T]; 2],
}

impl<C: Cell, T: Exp> Unrolled<C, T> {
    /// The gradients of the gates, `[batch, time, WIDTH · hidden]`, and of the states before the first step.
    /// `given` are the gradient of the output, the output, and the recurrent weights.
    fn through_time(&self, given: [&[T]; 3]) -> (Vec<T>, [Vec<T>; 2]) {
        let Sizes { batch, time, hidden, .. } = self.sizes;
        let mut gates = vec![T::zero(); batch * time * WIDTH * hidden];
        let mut carry = [vec![T::zero(); batch * hidden], vec![T::zero(); batch * hidden]];
        if !gates.is_empty() {
            let [first, second] = &mut carry;
            let blocks = gates
                .par_chunks_mut(BLOCK * time * WIDTH * hidden)
                .zip(first.par_chunks_mut(BLOCK * hidden))
                .zip(second.par_chunks_mut(BLOCK * hidden))
                .enumerate();
            blocks.for_each(|(i, ((gates, first), second))| {
                self.block(Block { first: i * BLOCK, gates, carry: [first, second] }, given);
            });
        }
        (gates, carry)
    }

    fn block(&self, block: Block<'_, T>, [dy, y, weight]: [&[T]; 3]) {
        let Sizes { time, hidden, .. } = self.sizes;
        let Block { first, gates, carry: [dh, dc] } = block;
        let (width, samples) = (WIDTH * hidden, dh.len() / hidden);
        for t in (0..time).rev() {
            wide(
                #[inline(always)]
                || {
                    for i in (0..samples).filter(|&i| t < self.lengths[first + i]) {
                        let (row, own) = (i * time + t, i * hidden..(i + 1) * hidden);
                        let (dh, dc) = (&mut dh[own.clone()], &mut dc[own]);
                        let place = (first * time + row) * hidden;
                        dh.iter_mut().zip(&dy[place..place + hidden]).for_each(|(dh, &dy)| *dh += dy);
                        let gates = &mut gates[row * width..(row + 1) * width];
                        C::backward(&self.past(first + i, t, y), gates, [dh, dc]);
                    }
                },
            );
            let now = Matrix::block(&gates[t * width..], [samples, C::GATES * hidden], time * width);
            multiply(Onto::Sum, dh, now, Matrix::rows(weight, hidden));
        }
    }

    #[inline(always)]
    fn past<'a>(&'a self, sample: usize, t: usize, y: &'a [T]) -> Past<'a, T> {
        let Sizes { time, hidden, .. } = self.sizes;
        let (row, width) = (sample * time + t, C::GATES * hidden);
        let of = |values: &'a [T], row: usize| &values[row * hidden..(row + 1) * hidden];
        let before = match t {
            0 => [of(&self.start[0], sample), of(&self.start[1], sample)],
            _ => [of(y, row - 1), of(&self.side, row - 1)],
        };
        Past { gates: &self.gates[row * width..(row + 1) * width], side: of(&self.side, row), before }
    }

    /// dx, the sum over the gates of their gradients times their weights.
    fn input(&self, gates: &[T], weight: &[T]) -> Vec<T> {
        let Sizes { batch, time, input, hidden } = self.sizes;
        let mut dx = vec![T::zero(); batch * time * input];
        for span in C::INPUT {
            let weight = &weight[span.gate * hidden * input..][..span.count * hidden * input];
            multiply_shared(Onto::Sum, &mut dx, self.columns(gates, span.from, span.count), {
                Matrix::block(weight, [span.count * hidden, input], input)
            });
        }
        dx
    }

    fn input_weight(&self, gates: &[T], x: &[T]) -> Vec<T> {
        let Sizes { batch, time, input, hidden } = self.sizes;
        let mut dw = vec![T::zero(); C::GATES * hidden * input];
        let x = Matrix::block(x, [batch * time, input], input);
        for span in C::INPUT {
            let dw = &mut dw[span.gate * hidden * input..][..span.count * hidden * input];
            let gates = self.columns(gates, span.from, span.count);
            multiply_shared(Onto::Nothing, dw, gates.transposed(), x);
        }
        dw
    }

    fn input_bias(&self, sums: &[T]) -> Vec<T> {
        let of = |span: &super::cell::Span| {
            &sums[span.from * self.sizes.hidden..][..span.count * self.sizes.hidden]
        };
        C::INPUT.iter().flat_map(of).copied().collect()
    }

    /// Each step's gates with the state of the step before: with the initial state for the first steps, and for
    /// the others with the output moved by one row, where the gradients of first steps become zero.
    fn hidden_weight(&self, gates: &mut [T], y: &[T]) -> Vec<T> {
        let Sizes { batch, time, hidden, .. } = self.sizes;
        let (width, columns, rows) = (WIDTH * hidden, C::GATES * hidden, (batch * time).max(1) - 1);
        let mut dw = vec![T::zero(); columns * hidden];
        if gates.is_empty() {
            return dw;
        }
        let firsts = Matrix::block(gates, [batch, columns], time * width).transposed();
        multiply_shared(Onto::Nothing, &mut dw, firsts, Matrix::rows(&self.start[0], hidden));
        gates.chunks_exact_mut(time * width).for_each(|sample| sample[..width].fill(T::zero()));
        let later = Matrix::block(&gates[width..], [rows, columns], width).transposed();
        multiply_shared(Onto::Sum, &mut dw, later, Matrix::block(y, [rows, hidden], hidden));
        dw
    }

    fn columns<'a>(&self, gates: &'a [T], from: usize, count: usize) -> Matrix<'a, T> {
        let Sizes { batch, time, hidden, .. } = self.sizes;
        let rows = batch * time;
        let from = (from * hidden).min(gates.len());
        Matrix::block(&gates[from..], [rows, count * hidden], WIDTH * hidden)
    }
}
