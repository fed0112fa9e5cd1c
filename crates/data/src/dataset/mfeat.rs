//! UCI multiple features: handwritten digits, each described in six ways.
//!
//! Reference: van Breukelen et al., "Handwritten Digit Recognition by Combined Classifiers", Kybernetika 34, 1998,
//! <https://archive.ics.uci.edu/dataset/72/multiple+features>

use std::path::Path;

use candle_core::{Device, Tensor};
use taskweave_kernels::{Error, Named, Result, Target};

use super::{Memory, bytes};
use crate::{Dataset, Labels, Sample, Spec};

/// UCI multiple features: one input per chosen view, f32 `[features]`, and the task `digit` of the classes `0` … `9`.
///
/// Files: `mfeat-<view>.csv`, plain or `.gz`, for the views `fou`, `fac`, `kar`, `pix`, `zer` and `mor`; a header line, and
/// the digit in the last column. Row i of every file is the same digit.
///
/// # Example
/// ```
/// use taskweave_data::{Dataset, Mfeat};
/// let root = tempfile::tempdir().unwrap();
/// std::fs::write(root.path().join("mfeat-fou.csv"), "0,1,2\n0.5,1.5,3\n2.0,0.1,7\n").unwrap();
/// std::fs::write(root.path().join("mfeat-mor.csv"), "0,1\n1,3\n0,7\n").unwrap();
/// let data = Mfeat::open(root.path(), &["fou", "mor"])?;
/// let sample = data.get(1)?;
/// assert_eq!(sample.inputs["fou"].to_vec1::<f32>()?, [2.0, 0.1]);
/// assert_eq!(sample.targets["digit"].value().to_scalar::<u32>()?, 7);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mfeat {
    memory: Memory,
}

impl Mfeat {
    /// Reads some views from the folder `root`.
    ///
    /// # Errors
    /// - [`Error::Io`] for a file that is missing or unreadable;
    /// - [`Error::Data`] for one that is no csv file, a row of another length, a value that is no finite number, a digit
    ///   that is not 0 … 9, no rows, and views with different digits;
    /// - [`Error::Parameter`] for no view, [`Error::Name`] for one twice.
    pub fn open(root: impl AsRef<Path>, views: &[&str]) -> Result<Self> {
        let (mut inputs, mut digits) = (Named::default(), None::<Vec<u32>>);
        for view in views {
            let path = bytes::require(&root.as_ref().join(format!("mfeat-{view}.csv")))?;
            let (values, found) = table(&path)?;
            if let Some(place) = digits.as_ref().and_then(|digits| first_difference(digits, &found)) {
                let expected = format!("the digits of the view `{}`", views[0]);
                return Err(Error::data(path, expected, format!("another one at row {place}")));
            }
            let width = values.len() / found.len();
            inputs.insert(*view, Tensor::from_vec(values, (found.len(), width), &Device::Cpu)?)?;
            digits = Some(found);
        }
        let digits = digits.ok_or_else(|| Error::parameter("views", "at least one", 0))?;
        let names = Labels::Class((0..10).map(|digit| digit.to_string()).collect());
        let digit = (names, Target::new(Tensor::new(digits, &Device::Cpu)?)?);
        Ok(Self { memory: Memory::new(inputs, Named::new([("digit", digit)])?)? })
    }
}

impl Dataset for Mfeat {
    fn spec(&self) -> &Spec {
        self.memory.spec()
    }

    fn len(&self) -> usize {
        self.memory.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        self.memory.get(index)
    }
}

/// All values, row after row, and the digits of a file: numbers between commas, and a header line. Numbers are not quoted,
/// so that a line is a row and a comma a border.
fn table(path: &Path) -> Result<(Vec<f32>, Vec<u32>)> {
    let content = bytes::read(path, u64::MAX)?;
    let text = std::str::from_utf8(&content).map_err(|e| Error::data(path, "text", e))?;
    let mut lines = text.lines();
    let columns = lines.next().map_or(0, |header| header.split(',').count());
    let (mut values, mut digits) = (Vec::new(), Vec::new());
    for (row, line) in lines.enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        if fields.len() != columns {
            let found = format!("{} in row {row}", fields.len());
            return Err(Error::data(path, format!("{columns} columns, as in the header"), found));
        }
        let Some((digit, fields)) = fields.split_last() else { continue };
        match digit.parse::<u32>() {
            Ok(digit @ 0..=9) => digits.push(digit),
            _ => {
                return Err(Error::data(
                    path,
                    "a digit in the last column",
                    format!("`{digit}` in row {row}"),
                ));
            }
        }
        for field in fields {
            match field.parse::<f32>() {
                Ok(value) if value.is_finite() => values.push(value),
                _ => return Err(Error::data(path, "finite numbers", format!("`{field}` in row {row}"))),
            }
        }
    }
    if values.is_empty() {
        return Err(Error::data(path, "rows of values and a digit", "none"));
    }
    Ok((values, digits))
}

/// The first place where two lists differ, in an element or in length.
fn first_difference(a: &[u32], b: &[u32]) -> Option<usize> {
    let differs = a.iter().zip(b).position(|(a, b)| a != b);
    differs.or_else(|| (a.len() != b.len()).then(|| a.len().min(b.len())))
}
