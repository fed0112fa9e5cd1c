//! Gated recurrent unit.
//!
//! ```text
//! r = σ(W_ir x + b_ir + W_hr h + b_hr)
//! z = σ(W_iz x + b_iz + W_hz h + b_hz)
//! n = tanh(W_in x + b_in + r ∘ (W_hn h + b_hn))
//! h ← (1 − z) ∘ n + z ∘ h
//! ```
//!
//! Variants: the paper multiplies h by r before W_hn; this is the form with r behind the product, that of cuDNN and
//! PyTorch, whose state's part of all gates is one product.
//!
//! Reference: Cho et al., "Learning Phrase Representations using RNN Encoder–Decoder for Statistical Machine
//! Translation", EMNLP 2014, <https://arxiv.org/abs/1406.1078>.

use candle_core::Tensor;

use super::cell::{Cell, Past, Span, Step, parts, sigmoid_of_sum};
use super::unrolled;
use super::weights::{RecurrentWeights, checked_lengths, masked};
use crate::Result;
use crate::math::Exp;
use crate::ops::{host, linear};

/// The states of a gated recurrent unit over a sequence.
///
/// r = σ(W_ir x + b_ir + W_hr h + b_hr), z = σ(W_iz x + b_iz + W_hz h + b_hz),
/// n = tanh(W_in x + b_in + r ∘ (W_hn h + b_hn)), h ← (1 − z) ∘ n + z ∘ h, gates in the order r, z, n
/// (Cho et al., EMNLP 2014, in PyTorch's form).
///
/// `start` is the state before the first step, zero without one. With `lengths`, the states of a sample behind its
/// end are zero and have no gradient; what stands there in `x` must be finite.
///
/// # Shapes
/// `x [batch, time, in]`, `weights` as in [`RecurrentWeights`] with 3 gates, `start [batch, hidden]`,
/// `lengths [batch]` in steps → `[batch, time, hidden]`, all of one floating-point dtype.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) and [`Error::DType`](crate::Error::DType) for tensors that do not fit,
/// [`Error::Parameter`](crate::Error::Parameter) for lengths that are not one per sample or beyond the sequence.
///
/// # Example
/// Without weights r = z = ½ and n = tanh(b): one unit goes half of the way to tanh(b) at every step.
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_kernels::ops::{RecurrentWeights, gru};
/// let zeros = |rows: usize| Tensor::zeros((rows, 1), DType::F64, &Device::Cpu);
/// let weights = RecurrentWeights {
///     input: &zeros(3)?,
///     hidden: &zeros(3)?,
///     bias_input: &Tensor::new(&[0.0, 0.0, 100.0], &Device::Cpu)?,
///     bias_hidden: &zeros(3)?.flatten_all()?,
/// };
/// let x = Tensor::zeros((1, 3, 1), DType::F64, &Device::Cpu)?;
/// let h = gru(&x, weights, None, Some(&[2]))?;
/// assert_eq!(h.flatten_all()?.to_vec1::<f64>()?, [0.5, 0.75, 0.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn gru(
    x: &Tensor,
    weights: RecurrentWeights<'_>,
    start: Option<&Tensor>,
    lengths: Option<&[usize]>,
) -> Result<Tensor> {
    let start: Vec<&Tensor> = start.into_iter().collect();
    let sizes = weights.checked(x, &start, Gru::GATES)?;
    checked_lengths(lengths, sizes)?;
    if !host::applies(x) {
        return masked(composed(x, weights, &start)?, lengths);
    }
    unrolled::run::<Gru>(sizes, &weights, [&[x], start.as_slice()], lengths)
}

struct Gru;

impl Cell for Gru {
    const NAME: &'static str = "gru";
    const GATES: usize = 3;
    /// Gradients are those of r, z, of W_hn h + b_hn, and of W_in x + b_in.
    const INPUT: &'static [Span] =
        &[Span { from: 0, gate: 0, count: 2 }, Span { from: 3, gate: 2, count: 1 }];

    #[inline(always)]
    fn forward<T: Exp>(step: Step<'_, T>, recurrent: &[T]) {
        let hidden = step.side.len();
        let (rz, n) = step.gates.split_at_mut(2 * hidden);
        sigmoid_of_sum(rz, &recurrent[..2 * hidden]);
        let (r, z) = rz.split_at(hidden);
        step.side.copy_from_slice(&recurrent[2 * hidden..]);
        for ((n, &s), &r) in n.iter_mut().zip(&*step.side).zip(r) {
            *n = (*n + r * s).tanh_fast();
        }
        let [h, _] = step.state;
        for ((h, &n), &z) in h.iter_mut().zip(&*n).zip(z) {
            *h = n + z * (*h - n);
        }
    }

    #[inline(always)]
    fn backward<T: Exp>(past: &Past<'_, T>, gates: &mut [T], [dh, _]: [&mut [T]; 2]) {
        let [r, z, n] = parts(past.gates);
        let one = T::one();
        let (d_rz, d_n) = gates.split_at_mut(2 * dh.len());
        let (dr, dz) = d_rz.split_at_mut(dh.len());
        let (ds, dn) = d_n.split_at_mut(dh.len());
        for (((dn, &dh), &z), &n) in dn.iter_mut().zip(&*dh).zip(z).zip(n) {
            *dn = dh * (one - z) * (one - n * n);
        }
        for (((dr, &dn), &r), &s) in dr.iter_mut().zip(&*dn).zip(r).zip(past.side) {
            *dr = dn * s * r * (one - r);
        }
        for ((ds, &dn), &r) in ds.iter_mut().zip(&*dn).zip(r) {
            *ds = dn * r;
        }
        for ((((dz, dh), &z), &n), &h) in dz.iter_mut().zip(dh).zip(z).zip(n).zip(past.before[0]) {
            *dz = *dh * (h - n) * z * (one - z);
            *dh *= z;
        }
    }
}

fn composed(x: &Tensor, weights: RecurrentWeights<'_>, start: &[&Tensor]) -> Result<Tensor> {
    let [input, hidden, bias_input, bias_hidden] = weights.all();
    let (batch, time, _) = x.dims3()?;
    let units = hidden.dim(1)?;
    let projected = linear(x, input, Some(bias_input))?;
    let mut h = match start {
        [state] => (*state).clone(),
        _ => Tensor::zeros((batch, units), x.dtype(), x.device())?,
    };
    let mut states = Vec::with_capacity(time);
    for t in 0..time {
        let (from_input, from_state) = (projected.get_on_dim(1, t)?, linear(&h, hidden, Some(bias_hidden))?);
        let gate = |x: &Tensor, i: usize| x.narrow(1, i * units, units);
        let sum = |i: usize| gate(&from_input, i)? + gate(&from_state, i)?;
        let (r, z) = (candle_nn::ops::sigmoid(&sum(0)?)?, candle_nn::ops::sigmoid(&sum(1)?)?);
        let n = (gate(&from_input, 2)? + (r * gate(&from_state, 2)?)?)?.tanh()?;
        h = (&n + (z * (&h - &n)?)?)?;
        states.push(h.clone());
    }
    unrolled::stacked(&states, [batch, units], x)
}
