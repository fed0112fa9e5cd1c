//! The parameters of a recurrent network.

use candle_core::Tensor;

use crate::{Error, Result};

/// The parameters of a recurrent layer with g gates per unit: 3 of a GRU, 4 of an LSTM.
///
/// | name | shape | meaning |
/// | --- | --- | --- |
/// | `input` | `[g · hidden, in]` | from the input to the gates, one gate after the other |
/// | `hidden` | `[g · hidden, hidden]` | from the state before to the gates |
/// | `bias_input` | `[g · hidden]` | added to the former |
/// | `bias_hidden` | `[g · hidden]` | added to the latter |
///
/// Order and shapes are those of PyTorch.
#[derive(Debug, Clone, Copy)]
pub struct RecurrentWeights<'a> {
    /// From the input to the gates.
    pub input: &'a Tensor,
    /// From the state before to the gates.
    pub hidden: &'a Tensor,
    /// Of the input's part.
    pub bias_input: &'a Tensor,
    /// Of the state's part.
    pub bias_hidden: &'a Tensor,
}

/// Sizes of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub batch: usize,
    pub time: usize,
    pub input: usize,
    pub hidden: usize,
}

impl<'a> RecurrentWeights<'a> {
    pub(super) fn all(&self) -> [&'a Tensor; 4] {
        [self.input, self.hidden, self.bias_input, self.bias_hidden]
    }

    /// The sizes of a call, once everything fits together.
    pub(super) fn checked(&self, x: &Tensor, start: &[&Tensor], gates: usize) -> Result<Sizes> {
        let &[batch, time, input] = x.dims() else {
            return Err(Error::shape("input of a recurrent layer", "[batch, time, in]", x.dims()));
        };
        let hidden = self.hidden.dims().get(1).copied().unwrap_or_default();
        let rows = gates * hidden;
        let shapes = [
            ("input weight", self.input, vec![rows, input]),
            ("hidden weight", self.hidden, vec![rows, hidden]),
            ("input bias", self.bias_input, vec![rows]),
            ("hidden bias", self.bias_hidden, vec![rows]),
        ];
        let states = start.iter().map(|&state| ("initial state", state, vec![batch, hidden]));
        for (what, tensor, shape) in shapes.into_iter().chain(states) {
            let what = format!("{what} of a recurrent layer");
            if tensor.dims() != shape {
                return Err(Error::shape(what, format!("{shape:?}"), tensor.dims()));
            }
            if tensor.dtype() != x.dtype() {
                return Err(Error::dtype(what, format!("{:?}, as the input", x.dtype()), tensor.dtype()));
            }
        }
        Ok(Sizes { batch, time, input, hidden })
    }
}

/// One length per sample, none beyond the sequence.
pub(super) fn checked_lengths(lengths: Option<&[usize]>, sizes: Sizes) -> Result<()> {
    let Some(lengths) = lengths else { return Ok(()) };
    if lengths.len() != sizes.batch || lengths.iter().any(|&length| length > sizes.time) {
        let expected = format!("{} numbers up to {}", sizes.batch, sizes.time);
        return Err(Error::parameter("lengths of sequences", expected, format!("{lengths:?}")));
    }
    Ok(())
}

/// The states within the sequences, and zeros behind their ends.
pub(super) fn masked(states: Tensor, lengths: Option<&[usize]>) -> Result<Tensor> {
    let Some(lengths) = lengths else { return Ok(states) };
    let time = states.dims()[1];
    let within = |&length: &usize| (0..time).map(move |t| f32::from(u8::from(t < length)));
    let mask: Vec<f32> = lengths.iter().flat_map(within).collect();
    let mask = Tensor::from_vec(mask, (lengths.len(), time, 1), states.device())?;
    Ok(states.broadcast_mul(&mask.to_dtype(states.dtype())?)?)
}
