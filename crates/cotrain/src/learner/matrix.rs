//! Dense numbers on the host: one row per sample.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_data::Dataset;
use taskweave_kernels::{Error, Named, Result};

/// A view of all samples, or what a learner says of some: rows × columns of f64 on the host, row after row.
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::Matrix;
/// let view = Matrix::new(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!(view.row(1)?, [4.0, 5.0, 6.0]);
/// assert!(view.row(2).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix of `rows × columns` values, row after row.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of values.
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Result<Self> {
        if rows.checked_mul(columns) != Some(values.len()) {
            return Err(Error::shape("matrix", format!("[{rows}, {columns}]"), &[values.len()]));
        }
        Ok(Self { rows, columns, values })
    }

    /// A matrix of rows of equal length.
    ///
    /// # Errors
    /// [`Error::Shape`] for a row of another length than the first.
    pub fn of_rows(rows: &[Vec<f64>]) -> Result<Self> {
        let columns = rows.first().map_or(0, Vec::len);
        match rows.iter().find(|row| row.len() != columns) {
            Some(row) => Err(Error::shape("row of a matrix", format!("[{columns}]"), &[row.len()])),
            None => Self::new(rows.len(), columns, rows.concat()),
        }
    }

    /// The values of a tensor `[samples, …]` of any dtype; what comes after the samples becomes the columns.
    ///
    /// # Errors
    /// [`Error::Shape`] for a tensor without a batch dimension.
    pub fn of_tensor(tensor: &Tensor) -> Result<Self> {
        let rows =
            *tensor.dims().first().ok_or_else(|| Error::shape("view", "[samples, …]", tensor.dims()))?;
        let values: Vec<f64> =
            tensor.to_device(&Device::Cpu)?.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
        Self::new(rows, values.len() / rows.max(1), values)
    }

    /// The same values as a tensor `[rows, columns]` of f64.
    ///
    /// # Errors
    /// Only those of candle.
    pub fn to_tensor(&self) -> Result<Tensor> {
        Ok(Tensor::from_slice(&self.values, (self.rows, self.columns), &Device::Cpu)?)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many numbers a row has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// One row.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a row that there is not.
    pub fn row(&self, index: usize) -> Result<&[f64]> {
        let start = index.saturating_mul(self.columns);
        match self.values.get(start..start.saturating_add(self.columns)) {
            Some(row) if index < self.rows => Ok(row),
            _ => Err(Error::parameter("sample", format!("one below {}", self.rows), index)),
        }
    }

    /// The rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        (0..self.rows).map(|row| &self.values[row * self.columns..][..self.columns])
    }

    /// Every column shifted and scaled such that it has mean 0 and standard deviation 1 over `samples`; a column that is
    /// constant there is only shifted.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no sample, or one that there is not.
    ///
    /// # Example
    /// ```
    /// use taskweave_cotrain::learner::Matrix;
    /// let view = Matrix::new(3, 1, vec![2.0, 6.0, 8.0])?;
    /// assert_eq!(view.standardized(&[0, 1])?.values(), [-1.0, 1.0, 2.0]); // mean 4, deviation 2
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn standardized(&self, samples: &[usize]) -> Result<Self> {
        if samples.is_empty() {
            return Err(Error::parameter("samples to standardize by", "at least one", 0));
        }
        let n = samples.len() as f64;
        let (mut mean, mut square) = (vec![0.0; self.columns], vec![0.0; self.columns]);
        let varies = self.varying(samples)?;
        for &sample in samples {
            mean.iter_mut().zip(self.row(sample)?).for_each(|(m, x)| *m += x / n);
        }
        for &sample in samples {
            let row = self.row(sample)?.iter().zip(&mean);
            square.iter_mut().zip(row).for_each(|(s, (x, m))| *s += (x - m).powi(2) / n);
        }
        let deviation = |(s, varies): (&f64, &bool)| if *varies && *s > 0.0 { s.sqrt() } else { 1.0 };
        let scale: Vec<f64> = square.iter().zip(&varies).map(deviation).collect();
        let moved =
            self.iter().flat_map(|row| row.iter().zip(&mean).zip(&scale).map(|((x, m), s)| (x - m) / s));
        Self::new(self.rows, self.columns, moved.collect())
    }

    /// Which columns are not constant over `samples`: a variance would be rounding where they are.
    pub(super) fn varying(&self, samples: &[usize]) -> Result<Vec<bool>> {
        let mut varies = vec![false; self.columns];
        let Some((first, others)) = samples.split_first() else { return Ok(varies) };
        for &sample in others {
            let pairs = self.row(sample)?.iter().zip(self.row(*first)?);
            varies.iter_mut().zip(pairs).for_each(|(varies, (x, first))| *varies |= x != first);
        }
        Ok(varies)
    }

    /// The columns of several matrices side by side.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of rows than the first has.
    pub fn beside(parts: &[&Self]) -> Result<Self> {
        let rows = parts.first().map_or(0, |part| part.rows);
        if let Some(odd) = parts.iter().find(|part| part.rows != rows) {
            return Err(Error::shape(
                "matrix beside others",
                format!("[{rows}, …]"),
                &[odd.rows, odd.columns],
            ));
        }
        let columns = parts.iter().map(|part| part.columns).sum();
        let mut values = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            for part in parts {
                values.extend_from_slice(part.row(row)?);
            }
        }
        Self::new(rows, columns, values)
    }

    pub(crate) fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, values: vec![0.0; rows * columns] }
    }

    pub(crate) fn row_mut(&mut self, index: usize) -> &mut [f64] {
        &mut self.values[index * self.columns..][..self.columns]
    }
}

/// The views of a problem: each shows every sample, in the same order.
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::{Matrix, MultiView};
/// let x = Matrix::new(2, 1, vec![1.0, 2.0])?;
/// assert!(MultiView::new([("left", x.clone()), ("right", x.clone())]).is_ok());
/// let longer = Matrix::new(3, 1, vec![1.0, 2.0, 3.0])?;
/// assert!(MultiView::new([("left", x), ("right", longer)]).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MultiView {
    matrices: Named<Matrix>,
}

impl MultiView {
    /// Views by name.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no view, [`Error::Shape`] for views that differ in the number of samples,
    /// [`Error::NonFinite`] for a NaN or an infinity, [`Error::Name`] for a name twice.
    pub fn new<N: Into<String>>(views: impl IntoIterator<Item = (N, Matrix)>) -> Result<Self> {
        let matrices = Named::new(views)?;
        let samples = matrices.values().next().map(Matrix::rows);
        let samples = samples.ok_or_else(|| Error::parameter("views", "at least one", 0))?;
        for (name, view) in matrices.iter() {
            if view.rows() != samples {
                let expected = format!("[{samples}, …], as the first view has");
                return Err(Error::shape(format!("view `{name}`"), expected, &[view.rows(), view.columns()]));
            }
            if !view.values().iter().all(|value| value.is_finite()) {
                return Err(Error::non_finite("a value", format!("view {name}")));
            }
        }
        Ok(Self { matrices })
    }

    /// Every input of a data set as a view, one row per sample.
    ///
    /// # Errors
    /// Those of the data set and of [`MultiView::new`].
    ///
    /// # Example
    /// ```
    /// use taskweave_cotrain::learner::MultiView;
    /// use taskweave_data::{TwoMoons, TwoMoonsConfig};
    /// let views = MultiView::of_dataset(&TwoMoons::new(TwoMoonsConfig { len: 40, ..TwoMoonsConfig::default() })?)?;
    /// assert_eq!((views.samples(), views.require("left")?.columns()), (40, 2));
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn of_dataset(dataset: &dyn Dataset) -> Result<Self> {
        let mut values: Named<Vec<f64>> = dataset.spec().inputs.map(|_, _| Vec::new());
        for index in 0..dataset.len() {
            for (view, input) in dataset.get(index)?.inputs {
                let row = input.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
                values.require_mut("view", &view)?.extend(row);
            }
        }
        let rows = dataset.len();
        let view = |(name, values): (String, Vec<f64>)| {
            Ok((name, Matrix::new(rows, values.len() / rows.max(1), values)?))
        };
        Self::new(values.into_iter().map(view).collect::<Result<Vec<_>>>()?)
    }

    /// The view called `name`.
    ///
    /// # Errors
    /// [`Error::Unknown`] where there is none.
    pub fn require(&self, name: &str) -> Result<&Matrix> {
        self.matrices.require("view", name)
    }

    /// The names in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.matrices.names()
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.matrices.values().next().map_or(0, Matrix::rows)
    }
}

/// What is read goes through the same check as what is made.
#[derive(Deserialize)]
struct Parts {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl TryFrom<Parts> for Matrix {
    type Error = Error;

    fn try_from(Parts { rows, columns, values }: Parts) -> Result<Self> {
        Self::new(rows, columns, values)
    }
}
