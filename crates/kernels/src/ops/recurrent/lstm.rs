//! Long short-term memory.
//!
//! ```text
//! i = σ(W_ii x + b_ii + W_hi h + b_hi)
//! f = σ(W_if x + b_if + W_hf h + b_hf)
//! g = tanh(W_ig x + b_ig + W_hg h + b_hg)
//! o = σ(W_io x + b_io + W_ho h + b_ho)
//! c ← f ∘ c + i ∘ g,   h ← o ∘ tanh c
//! ```
//!
//! Variants: the first paper has no forget gate f, which is that of Gers, Schmidhuber and Cummins, "Learning to Forget",
//! Neural Computation 12(10), 2000; no peepholes.
//!
//! Reference: Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997,
//! <https://doi.org/10.1162/neco.1997.9.8.1735>.

use candle_core::Tensor;

use super::cell::{Cell, Past, Span, Step, parts, sigmoid_of_sum};
use super::unrolled;
use super::weights::{RecurrentWeights, checked_lengths, masked};
use crate::Result;
use crate::math::Exp;
use crate::ops::{host, linear};

/// The hidden states of a long short-term memory over a sequence.
///
/// i, f, o = σ(W x + b + W_h h + b_h) and g = tanh of its own, gates in the order i, f, g, o;
/// c ← f ∘ c + i ∘ g, h ← o ∘ tanh c (Hochreiter and Schmidhuber, 1997, with the forget gate of Gers et al., 2000).
///
/// `start` are h and c before the first step, zero without them. With `lengths`, the states of a sample behind its
/// end are zero and have no gradient; what stands there in `x` must be finite.
///
/// # Shapes
/// `x [batch, time, in]`, `weights` as in [`RecurrentWeights`] with 4 gates, `start` twice `[batch, hidden]`,
/// `lengths [batch]` in steps → `[batch, time, hidden]`, all of one floating-point dtype.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) and [`Error::DType`](crate::Error::DType) for tensors that do not fit,
/// [`Error::Parameter`](crate::Error::Parameter) for lengths that are not one per sample or beyond the sequence.
///
/// # Example
/// Without weights i = f = o = ½ and g = tanh(b), here 1: c goes 0, ½, ¾.
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_kernels::ops::{RecurrentWeights, lstm};
/// let zeros = |rows: usize| Tensor::zeros((rows, 1), DType::F64, &Device::Cpu);
/// let weights = RecurrentWeights {
///     input: &zeros(4)?,
///     hidden: &zeros(4)?,
///     bias_input: &Tensor::new(&[0.0, 0.0, 100.0, 0.0], &Device::Cpu)?,
///     bias_hidden: &zeros(4)?.flatten_all()?,
/// };
/// let x = Tensor::zeros((1, 2, 1), DType::F64, &Device::Cpu)?;
/// let h = lstm(&x, weights, None, None)?.flatten_all()?.to_vec1::<f64>()?;
/// assert!((h[0] - 0.5 * 0.5f64.tanh()).abs() < 1e-15);
/// assert!((h[1] - 0.5 * 0.75f64.tanh()).abs() < 1e-15);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn lstm(
    x: &Tensor,
    weights: RecurrentWeights<'_>,
    start: Option<[&Tensor; 2]>,
    lengths: Option<&[usize]>,
) -> Result<Tensor> {
    let start: Vec<&Tensor> = start.into_iter().flatten().collect();
    let sizes = weights.checked(x, &start, Lstm::GATES)?;
    checked_lengths(lengths, sizes)?;
    if !host::applies(x) {
        return masked(composed(x, weights, &start)?, lengths);
    }
    unrolled::run::<Lstm>(sizes, &weights, [&[x], start.as_slice()], lengths)
}

struct Lstm;

impl Cell for Lstm {
    const NAME: &'static str = "lstm";
    const GATES: usize = 4;
    const INPUT: &'static [Span] = &[Span { from: 0, gate: 0, count: 4 }];

    /// The side value is c.
    #[inline(always)]
    fn forward<T: Exp>(step: Step<'_, T>, recurrent: &[T]) {
        let hidden = step.side.len();
        let (i_f, g_o) = step.gates.split_at_mut(2 * hidden);
        let (g, o) = g_o.split_at_mut(hidden);
        sigmoid_of_sum(i_f, &recurrent[..2 * hidden]);
        g.iter_mut().zip(&recurrent[2 * hidden..3 * hidden]).for_each(|(g, &s)| *g = (*g + s).tanh_fast());
        sigmoid_of_sum(o, &recurrent[3 * hidden..]);
        let (i, f) = i_f.split_at(hidden);
        let [h, c] = step.state;
        for (((c, &i), &f), &g) in c.iter_mut().zip(i).zip(f).zip(&*g) {
            *c = f * *c + i * g;
        }
        for ((h, &c), &o) in h.iter_mut().zip(&*c).zip(&*o) {
            *h = o * c.tanh_fast();
        }
        step.side.copy_from_slice(c);
    }

    #[inline(always)]
    fn backward<T: Exp>(past: &Past<'_, T>, gates: &mut [T], [dh, dc]: [&mut [T]; 2]) {
        let ([i, f, g, o], one, hidden) = (parts(past.gates), T::one(), dh.len());
        let (d_if, d_go) = gates.split_at_mut(2 * hidden);
        let (d_i, d_f) = d_if.split_at_mut(hidden);
        let (d_g, d_o) = d_go.split_at_mut(hidden);
        for ((((d_o, dc), dh), &o), &c) in d_o.iter_mut().zip(&mut *dc).zip(dh).zip(o).zip(past.side) {
            let bent = c.tanh_fast();
            *d_o = *dh * bent * o * (one - o);
            *dc += *dh * o * (one - bent * bent);
            // All of h comes through the recurrent weights.
            *dh = T::zero();
        }
        for (((d_i, &dc), &i), &g) in d_i.iter_mut().zip(&*dc).zip(i).zip(g) {
            *d_i = dc * g * i * (one - i);
        }
        for (((d_g, &dc), &i), &g) in d_g.iter_mut().zip(&*dc).zip(i).zip(g) {
            *d_g = dc * i * (one - g * g);
        }
        for (((d_f, dc), &f), &before) in d_f.iter_mut().zip(dc).zip(f).zip(past.before[1]) {
            *d_f = *dc * before * f * (one - f);
            *dc *= f;
        }
    }
}

fn composed(x: &Tensor, weights: RecurrentWeights<'_>, start: &[&Tensor]) -> Result<Tensor> {
    let [input, hidden, bias_input, bias_hidden] = weights.all();
    let (batch, time, _) = x.dims3()?;
    let units = hidden.dim(1)?;
    let projected = linear(x, input, Some(bias_input))?;
    let zeros = Tensor::zeros((batch, units), x.dtype(), x.device())?;
    let [mut h, mut c] = match start {
        &[h, c] => [h.clone(), c.clone()],
        _ => [zeros.clone(), zeros],
    };
    let mut states = Vec::with_capacity(time);
    for t in 0..time {
        let gates = (projected.get_on_dim(1, t)? + linear(&h, hidden, Some(bias_hidden))?)?;
        let gate = |i: usize| gates.narrow(1, i * units, units);
        let sigmoid = |i: usize| candle_nn::ops::sigmoid(&gate(i)?);
        c = ((sigmoid(1)? * &c)? + (sigmoid(0)? * gate(2)?.tanh()?)?)?;
        h = (sigmoid(3)? * c.tanh()?)?;
        states.push(h.clone());
    }
    unrolled::stacked(&states, [batch, units], x)
}
