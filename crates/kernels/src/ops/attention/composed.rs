//! Attention from candle's operations.

use candle_core::{D, Tensor};

use super::attend::Heads;
use super::mask::Rule;
use crate::Result;

/// As [`attention`](super::attention), for inputs that have been checked.
pub(super) fn composed(inputs: &[&Tensor], heads: Heads, rule: &Rule) -> Result<Tensor> {
    let Heads { batch, queries, keys, heads: count, dim, value_dim } = heads;
    let width = count * dim;
    let [q, k, v] = match inputs {
        &[q, k, v] => [q.clone(), k.clone(), v.clone()],
        _ => {
            let part = |i: usize| inputs[0].narrow(2, i * width, width);
            [part(0)?, part(1)?, part(2)?]
        }
    };
    let apart = |x: &Tensor, time: usize, dim: usize| {
        x.contiguous()?.reshape((batch, time, count, dim))?.transpose(1, 2)?.contiguous()
    };
    let (q, k, v) = (apart(&q, queries, dim)?, apart(&k, keys, dim)?, apart(&v, keys, value_dim)?);
    if batch * queries * keys == 0 {
        return Ok(Tensor::zeros((batch, queries, count * value_dim), q.dtype(), q.device())?);
    }
    let mut scores = (q.matmul(&k.t()?.contiguous()?)? * heads.scale::<f64>())?;
    if let Some(mask) = dense(heads, rule, &scores)? {
        scores = scores.broadcast_add(&mask)?;
    }
    // Rows that see nothing: their largest score is not finite, and their sum is 0.
    let floor = Tensor::new(-6e4f32, q.device())?.to_dtype(q.dtype())?;
    let top = scores.detach().max_keepdim(D::Minus1)?.broadcast_maximum(&floor)?;
    let weights = scores.broadcast_sub(&top)?.exp()?;
    let sums = weights.sum_keepdim(D::Minus1)?;
    let sums = (&sums + sums.detach().eq(0.0)?.to_dtype(sums.dtype())?)?;
    let o = weights.broadcast_div(&sums)?.matmul(&v)?;
    Ok(o.transpose(1, 2)?.contiguous()?.reshape((batch, queries, count * value_dim))?)
}

/// What the mask adds, 0 or −∞ where it says yes or no.
fn dense(heads: Heads, rule: &Rule, like: &Tensor) -> Result<Option<Tensor>> {
    let Heads { batch, queries, keys, .. } = heads;
    let samples = match rule {
        Rule::None => return Ok(None),
        Rule::Added(mask) => return Ok(Some(mask.clone())),
        Rule::Causal => 1,
        Rule::Lengths(_) => batch,
    };
    let hidden = |sample: usize, i: usize, j: usize| match rule {
        Rule::Lengths(lengths) => j >= lengths[sample],
        _ => j > i,
    };
    let mut values = Vec::with_capacity(samples * queries * keys);
    for sample in 0..samples {
        for i in 0..queries {
            values.extend((0..keys).map(|j| if hidden(sample, i, j) { f32::NEG_INFINITY } else { 0.0 }));
        }
    }
    let mask = Tensor::from_vec(values, (samples, 1, queries, keys), like.device())?;
    Ok(Some(mask.to_dtype(like.dtype())?))
}
