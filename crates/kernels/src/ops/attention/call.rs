//! Multi-head scaled dot-product attention.
//!
//! ```text
//! o = softmax(q kᵀ / √dim + mask) v     for every sample and head
//! ```
//!
//! Reference: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, <https://arxiv.org/abs/1706.03762>. The
//! backward pass keeps the logarithm of each row's sum of exponentials alone and computes probabilities again block
//! by block, as Dao, "FlashAttention-2", ICLR 2024, <https://arxiv.org/abs/2307.08691>; blocks are of queries, each
//! with all of its keys, so that no row has to be scaled twice.

use std::ops::Deref;

use candle_core::Tensor;

use super::attend::{Attend, Heads, Sequences};
use super::composed::composed;
use super::mask::{AttentionMask, Rule};
use crate::ops::host::{self, for_real};
use crate::{Error, Result, autograd::apply};

/// How attention is split and restricted.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `heads` | 1 | ≥ 1, a divisor of the widths | parts of the width that attend on their own |
/// | `mask` | `None` | see [`AttentionMask`] | which keys a query may see |
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// Parts of the width that attend on their own.
    pub heads: usize,
    /// Which keys a query may see.
    pub mask: AttentionMask<'a>,
}

impl Default for Attention<'_> {
    fn default() -> Self {
        Self { heads: 1, mask: AttentionMask::None }
    }
}

/// Attention of queries to keys: `softmax(q kᵀ / √dim + mask) v` for every head.
///
/// A query that may see no key gets 0, without a gradient. Heads are neighboring parts of the width.
///
/// # Shapes
/// `q [batch, queries, heads · dim]`, `k [batch, keys, heads · dim]`, `v [batch, keys, heads · dim']` →
/// `[batch, queries, heads · dim']`, all of one floating-point dtype.
///
/// # Errors
/// [`Error::Shape`] for tensors that do not fit together, [`Error::DType`] where dtypes differ,
/// [`Error::Parameter`] for a number of heads that does not divide the widths, or lengths that do not fit.
///
/// # Example
/// Equal keys are attended to equally.
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::ops::{Attention, attention};
/// let q = Tensor::new(&[[[3f64]]], &Device::Cpu)?;
/// let k = Tensor::new(&[[[1f64], [1.0]]], &Device::Cpu)?;
/// let v = Tensor::new(&[[[2f64], [6.0]]], &Device::Cpu)?;
/// let o = attention(&q, &k, &v, Attention::default())?;
/// assert_eq!(o.to_vec3::<f64>()?, [[[4.0]]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, config: Attention<'_>) -> Result<Tensor> {
    let [(batch, queries, width), (samples, keys, key_width), (_, values, value_width)] =
        [rank3(q, "queries")?, rank3(k, "keys")?, rank3(v, "values")?];
    if [samples, key_width] != [batch, width] {
        return Err(Error::shape("keys of attention", format!("[{batch}, keys, {width}]"), k.dims()));
    }
    if (v.dims()[0], values) != (batch, keys) {
        return Err(Error::shape("values of attention", format!("[{batch}, {keys}, width]"), v.dims()));
    }
    for tensor in [k, v] {
        if tensor.dtype() != q.dtype() {
            let expected = format!("{:?}, as the queries", q.dtype());
            return Err(Error::dtype("keys and values of attention", expected, tensor.dtype()));
        }
    }
    let heads = Heads::checked([batch, queries, keys], [width, value_width], config.heads)?;
    run(&[q, k, v], heads, config.mask)
}

/// [`attention`] of a sequence to itself, from one projection: queries, keys and values side by side, as one linear
/// map makes them. They are read where they are.
///
/// # Shapes
/// `qkv [batch, time, 3 · heads · dim]` → `[batch, time, heads · dim]`
///
/// # Errors
/// As [`attention`].
///
/// # Example
/// The first step sees itself alone, the second both.
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::ops::{Attention, AttentionMask, self_attention};
/// let qkv = Tensor::new(&[[[0f32, 1.0, 2.0], [0.0, 1.0, 6.0]]], &Device::Cpu)?;
/// let o = self_attention(&qkv, Attention { heads: 1, mask: AttentionMask::Causal })?;
/// assert_eq!(o.to_vec3::<f32>()?, [[[2.0], [4.0]]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn self_attention(qkv: &Tensor, config: Attention<'_>) -> Result<Tensor> {
    let (batch, time, width) = rank3(qkv, "projection")?;
    if width % 3 != 0 {
        return Err(Error::shape("projection of attention", "[batch, time, 3 · width]", qkv.dims()));
    }
    let heads = Heads::checked([batch, time, time], [width / 3, width / 3], config.heads)?;
    run(&[qkv], heads, config.mask)
}

fn rank3(x: &Tensor, what: &str) -> Result<(usize, usize, usize)> {
    match x.dims() {
        &[batch, time, width] => Ok((batch, time, width)),
        found => Err(Error::shape(format!("{what} of attention"), "[batch, time, width]", found)),
    }
}

fn run(inputs: &[&Tensor], heads: Heads, mask: AttentionMask<'_>) -> Result<Tensor> {
    let rule = Rule::checked(mask, heads, inputs[0])?;
    if !host::applies(inputs[0]) {
        return composed(inputs, heads, &rule);
    }
    let rows: Vec<Tensor> = inputs.iter().copied().map(in_rows).collect::<candle_core::Result<_>>()?;
    for_real!(inputs[0].dtype(), T => {
        let read = rows.iter().map(host::spread::<T>).collect::<candle_core::Result<Vec<_>>>()?;
        let (attend, o) = Attend::<T>::forward(heads, rule, &sequences(&rows, &read))?;
        apply(attend, inputs, o, (heads.batch, heads.queries, heads.heads * heads.value_dim))
    })
}

/// The same tensor, its last dimension side by side in memory; a copy only where it is not.
pub(super) fn in_rows(x: &Tensor) -> candle_core::Result<Tensor> {
    if x.stride()[2] == 1 || x.dims()[2] == 1 { Ok(x.clone()) } else { x.contiguous() }
}

/// Tensors and what [`host::spread`] gives for them.
pub(super) fn sequences<'a, T>(
    inputs: &[Tensor],
    read: &'a [impl Deref<Target = [T]>],
) -> Vec<Sequences<'a, T>> {
    let both = inputs.iter().zip(read);
    both.map(|(x, values)| Sequences { values, steps: [x.stride()[0], x.stride()[1]] }).collect()
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn only_what_does_not_lie_side_by_side_is_copied() {
        let x = Tensor::zeros((2, 3, 8), DType::F32, &Device::Cpu).unwrap();
        let copied = |part: &Tensor| host::storage_of(&in_rows(part).unwrap()) != host::storage_of(part);
        let step = x.narrow(1, 1, 1).unwrap();
        for part in [x.narrow(2, 4, 4), x.transpose(0, 1), x.narrow(2, 5, 1), step.broadcast_as((2, 6, 8))] {
            assert!(!copied(&part.unwrap()));
        }
        assert!(copied(&x.transpose(1, 2).unwrap()));
    }
}
