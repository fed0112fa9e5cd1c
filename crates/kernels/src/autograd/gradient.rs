//! Gradients of one tensor, dense or by rows.

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use crate::ops::host::{self, for_real};
use crate::{Error, Result};

/// Numbers that one task adds.
const CHUNK: usize = 1 << 15;

/// The gradient of a tensor.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::autograd::{Gradient, RowGradient};
/// let rows = RowGradient::new(vec![2], Tensor::new(&[[5f32, 6.0]], &Device::Cpu)?, 3)?;
/// let dense = Gradient::Rows(rows).into_dense()?;
/// assert_eq!(dense.to_vec2::<f32>()?, [[0.0, 0.0], [0.0, 0.0], [5.0, 6.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub enum Gradient {
    /// Every number.
    Dense(Tensor),
    /// Some rows of a matrix; all others are zero.
    Rows(RowGradient),
}

/// Rows of a gradient that are not zero, such as those of the words that an embedding has looked up.
#[derive(Debug, Clone)]
pub struct RowGradient {
    /// Which rows, ascending.
    rows: Vec<u32>,
    /// `[rows, width]`
    values: Tensor,
    /// Rows of the whole.
    height: usize,
}

impl RowGradient {
    /// Rows of a matrix with `height` rows.
    ///
    /// # Shapes
    /// `rows` are ascending and below `height`; `values [rows, width]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for values that do not fit, [`Error::Parameter`] for rows that are not ascending or too
    /// large.
    pub fn new(rows: Vec<u32>, values: Tensor, height: usize) -> Result<Self> {
        if values.rank() != 2 || values.dims()[0] != rows.len() {
            return Err(Error::shape(
                "values of a gradient by rows",
                format!("[{}, width]", rows.len()),
                values.dims(),
            ));
        }
        let ascending = rows.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || rows.last().is_some_and(|&last| last as usize >= height) {
            let expected = format!("ascending and below {height}");
            return Err(Error::parameter("rows of a gradient", expected, format!("{rows:?}")));
        }
        Ok(Self { rows, values, height })
    }

    /// Which rows are not zero, ascending.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Their values, `[rows, width]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    fn to_dense(&self) -> Result<Tensor> {
        let width = self.values.dims()[1];
        let zeros = Tensor::zeros((self.height, width), self.values.dtype(), self.values.device())?;
        let rows = Tensor::new(self.rows.as_slice(), self.values.device())?;
        Ok(zeros.index_add(&rows, &self.values, 0)?)
    }
}

impl Gradient {
    /// Every number as one tensor.
    ///
    /// # Errors
    /// Those of candle.
    pub fn into_dense(self) -> Result<Tensor> {
        match self {
            Self::Dense(tensor) => Ok(tensor),
            Self::Rows(rows) => rows.to_dense(),
        }
    }

    /// The shape of the tensor that it belongs to.
    pub fn shape(&self) -> Shape {
        match self {
            Self::Dense(tensor) => tensor.shape().clone(),
            Self::Rows(rows) => Shape::from((rows.height, rows.values.dims()[1])),
        }
    }

    /// The numbers that are kept: all, or those of the rows.
    pub fn values(&self) -> &Tensor {
        match self {
            Self::Dense(tensor) => tensor,
            Self::Rows(rows) => &rows.values,
        }
    }

    /// The same rows with other numbers.
    ///
    /// # Errors
    /// [`Error::Shape`] where their shape differs from that of [`Gradient::values`].
    pub fn with_values(&self, values: Tensor) -> Result<Self> {
        if values.dims() != self.values().dims() {
            let expected = format!("{:?}", self.values().dims());
            return Err(Error::shape("values of a gradient", expected, values.dims()));
        }
        Ok(match self {
            Self::Dense(_) => Self::Dense(values),
            Self::Rows(rows) => Self::Rows(RowGradient { values, ..rows.clone() }),
        })
    }

    /// The sum of two gradients; the numbers of `self`, which nobody else may hold, are added to.
    pub(crate) fn plus(self, other: &Self) -> Result<Self> {
        match (self, other) {
            (Self::Rows(a), Self::Rows(b)) if a.rows == b.rows => {
                let values = add_onto(a.values.clone(), &b.values)?;
                Ok(Self::Rows(RowGradient { values, ..a }))
            }
            (a, b) => Ok(Self::Dense(add_onto(a.into_dense()?, &b.clone().into_dense()?)?)),
        }
    }
}

impl From<Tensor> for Gradient {
    fn from(tensor: Tensor) -> Self {
        Self::Dense(tensor)
    }
}

/// `sum + more`, in the memory of `sum` where that is possible.
fn add_onto(sum: Tensor, more: &Tensor) -> Result<Tensor> {
    if sum.elem_count() == 0 {
        return Ok(sum);
    }
    if !(host::applies(&sum) && host::applies(more) && sum.is_contiguous() && sum.dtype() == more.dtype()) {
        return Ok((sum + more)?);
    }
    let more = more.contiguous()?;
    for_real!(sum.dtype(), T => {
        let more = host::read::<T>(&more)?;
        host::change::<T>(&sum, |sum| {
            sum.par_chunks_mut(CHUNK).zip(more.par_chunks(CHUNK)).for_each(|(sum, more)| {
                crate::simd::wide(|| sum.iter_mut().zip(more).for_each(|(s, &m)| *s += m));
            });
        })?;
    });
    Ok(sum)
}
