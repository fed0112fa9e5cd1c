//! A trained vector for each of some ids.

use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use taskweave_kernels::{Error, Result, ops};

use super::Stage;
use crate::Mode;

/// The rows of a table by their numbers, initially normal with variance 1; the gradient has the rows that were
/// looked up.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{Embedding, Mode, Params, Stage};
/// use taskweave_kernels::Rng;
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let layer = Embedding::new(&params.shared().pp("words"), 100, 8)?;
/// let ids = Tensor::new(&[[3u32, 99], [0, 3]], &Device::Cpu)?;
/// assert_eq!(layer.forward(&ids, Mode::Eval)?.dims(), [2, 2, 8]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct Embedding {
    weight: Tensor,
}

impl Embedding {
    /// A table of `rows` vectors of `width` numbers.
    ///
    /// # Errors
    /// [`Error::Parameter`] for an empty table, and a name that is taken by another shape.
    pub fn new(vb: &VarBuilder<'_>, rows: usize, width: usize) -> Result<Self> {
        if rows == 0 || width == 0 {
            return Err(Error::parameter(
                "size of an embedding",
                "at least 1 × 1",
                format!("{rows} × {width}"),
            ));
        }
        let init = Init::Randn { mean: 0.0, stdev: 1.0 };
        Ok(Self { weight: vb.get_with_hints((rows, width), "weight", init)? })
    }
}

impl Stage for Embedding {
    fn forward(&self, ids: &Tensor, _: Mode<'_>) -> Result<Tensor> {
        ops::embedding(&self.weight, ids)
    }
}
