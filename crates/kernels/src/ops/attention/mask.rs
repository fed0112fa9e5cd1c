//! Which keys a query may see.

use std::ops::Deref;

use candle_core::{DType, Tensor};

use super::attend::Heads;
use crate::math::Exp;
use crate::ops::host;
use crate::{Error, Result};

/// Which keys a query may see. No mask has a gradient.
///
/// | variant | key j is seen by query i where | needs |
/// | --- | --- | --- |
/// | `None` | always | – |
/// | `Causal` | j ≤ i | – |
/// | `KeyLengths` | j < length of the sample; other keys are not even read | one length per sample, up to the number of keys |
/// | `Tensor` | a u8 that is not 0, or a number of the queries' dtype other than −∞, which is added to q·k/√dim | `[batch or 1, heads or 1, queries, keys]` |
#[derive(Debug, Clone, Copy, Default)]
pub enum AttentionMask<'a> {
    /// Every key.
    #[default]
    None,
    /// No key behind the query.
    Causal,
    /// As many keys as a sample has.
    KeyLengths(&'a [usize]),
    /// Whatever it says: u8 for yes and no, else added.
    Tensor(&'a Tensor),
}

/// A mask that fits its call.
pub(super) enum Rule {
    None,
    Causal,
    Lengths(Vec<usize>),
    /// What is added, `[batch or 1, heads or 1, queries, keys]`, contiguous.
    Added(Tensor),
}

impl Rule {
    pub(super) fn checked(mask: AttentionMask<'_>, heads: Heads, q: &Tensor) -> Result<Self> {
        Ok(match mask {
            AttentionMask::None => Self::None,
            AttentionMask::Causal => Self::Causal,
            AttentionMask::KeyLengths(lengths) => {
                if lengths.len() != heads.batch || lengths.iter().any(|&length| length > heads.keys) {
                    let expected = format!("{} numbers up to {}", heads.batch, heads.keys);
                    return Err(Error::parameter("lengths of keys", expected, format!("{lengths:?}")));
                }
                Self::Lengths(lengths.to_vec())
            }
            AttentionMask::Tensor(mask) => Self::Added(added(mask, heads, q)?),
        })
    }

    /// What is added, where that is a tensor.
    pub(super) fn read<T: Exp>(&self) -> Result<Option<impl Deref<Target = [T]> + '_>> {
        match self {
            Self::Added(tensor) => Ok(Some(host::read::<T>(tensor)?)),
            _ => Ok(None),
        }
    }

    /// How many keys come before the first that no query below `end` may see.
    pub(super) fn keys(&self, heads: Heads, sample: usize, end: usize) -> usize {
        match self {
            Self::Causal => end.min(heads.keys),
            Self::Lengths(lengths) => lengths[sample],
            Self::None | Self::Added(_) => heads.keys,
        }
    }

    /// Where in what is added the row of a query begins.
    pub(super) fn offset(&self, heads: Heads, [sample, head, query]: [usize; 3]) -> usize {
        let Self::Added(tensor) = self else { return 0 };
        let [samples, parts] = [tensor.dims()[0], tensor.dims()[1]];
        let (sample, head) = (if samples == 1 { 0 } else { sample }, if parts == 1 { 0 } else { head });
        ((sample * parts + head) * heads.queries + query) * heads.keys
    }
}

fn added(mask: &Tensor, heads: Heads, q: &Tensor) -> Result<Tensor> {
    let fits = match mask.dims() {
        &[samples, parts, queries, keys] => {
            (samples == 1 || samples == heads.batch)
                && (parts == 1 || parts == heads.heads)
                && [queries, keys] == [heads.queries, heads.keys]
        }
        _ => false,
    };
    if !fits {
        let Heads { batch, heads, queries, keys, .. } = heads;
        let expected = format!("[{batch} or 1, {heads} or 1, {queries}, {keys}]");
        return Err(Error::shape("mask of attention", expected, mask.dims()));
    }
    if mask.dtype() == q.dtype() {
        return Ok(mask.detach().contiguous()?);
    }
    if mask.dtype() != DType::U8 {
        return Err(Error::dtype("mask of attention", format!("U8 or {:?}", q.dtype()), mask.dtype()));
    }
    let seen = Tensor::zeros(mask.shape(), q.dtype(), q.device())?;
    let hidden = Tensor::full(f32::NEG_INFINITY, mask.shape(), q.device())?.to_dtype(q.dtype())?;
    Ok(mask.where_cond(&seen, &hidden)?.contiguous()?)
}
