//! School: examination scores of the pupils of 139 schools, one regression per school.
//!
//! The file holds three tensors: `x` u8 `[pupils, 28]`, `y` f32 `[pupils]` and `task` u8 `[pupils]`.
//!
//! | columns of `x` | what they are |
//! | --- | --- |
//! | 0 – 2 | year of the examination, one of three |
//! | 3, 4 | percentages of the pupil's school and year: free meals, best band of verbal reasoning |
//! | 5, 6 | gender |
//! | 7 – 9 | band of verbal reasoning, at most one of three |
//! | 10 – 20 | ethnic group, one of eleven |
//! | 21 – 23, 24 – 26 | gender of the school, denomination of the school |
//! | 27 | always 1 |
//!
//! Reference: Inner London Education Authority, in Bakker and Heskes, "Task Clustering and Gating for Bayesian Multitask
//! Learning", JMLR 4, 2003.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use taskweave_kernels::{Error, Named, Result};

use super::{bytes, check_index};
use crate::{Dataset, Label, Labels, Sample, Spec};

/// The pupils of 139 schools: the input `pupil` `[28]` and a task per school, `school-000` … `school-138`, the
/// examination score `[1]`. A sample has a label for its own school alone.
///
/// File: `school.safetensors`, plain or `.gz`.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_data::{Dataset, School};
/// let root = tempfile::tempdir().unwrap();
/// // Two pupils: of the fourth school and of the first.
/// let x = Tensor::ones((2, 28), candle_core::DType::U8, &Device::Cpu)?;
/// let y = Tensor::new(&[17f32, 5.0], &Device::Cpu)?;
/// let task = Tensor::new(&[3u8, 0], &Device::Cpu)?;
/// let tensors = [("x", x), ("y", y), ("task", task)].into();
/// candle_core::safetensors::save(&tensors, root.path().join("school.safetensors"))?;
/// let school = School::open(root.path())?;
/// let sample = school.get(0)?;
/// assert_eq!(sample.targets.names().collect::<Vec<_>>(), ["school-003"]);
/// assert_eq!(sample.targets["school-003"].value().to_vec1::<f32>()?, [17.0]);
/// assert_eq!(school.spec().targets.len(), 139);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct School {
    spec: Spec,
    pupils: Vec<[u8; COLUMNS]>,
    scores: Vec<f32>,
    schools: Vec<u8>,
}

const COLUMNS: usize = 28;
const SCHOOLS: u8 = 139;

impl School {
    /// Reads the file in the folder `root`.
    ///
    /// # Errors
    /// - [`Error::Io`] for a file that is missing or unreadable;
    /// - [`Error::Data`] for one that is no safetensors file, lacks a tensor or has it in another dtype or shape, holds no
    ///   pupil, a school above 138 or a score that is not finite.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let path = &bytes::require(&root.as_ref().join("school.safetensors"))?;
        let content = bytes::read(path, u64::MAX)?;
        let tensors = candle_core::safetensors::load_buffer(&content, &Device::Cpu)
            .map_err(|e| Error::data(path, "tensors in the safetensors format", e))?;
        let x = require(path, &tensors, "x", DType::U8)?;
        let (count, pupils) = match x.dims() {
            &[count, COLUMNS] if count > 0 => (count, x.flatten_all()?.to_vec1::<u8>()?),
            dims => {
                let expected = format!("`x` of shape [pupils, {COLUMNS}], at least one pupil");
                return Err(Error::data(path, expected, format!("{dims:?}")));
            }
        };
        let scores = column(path, require(path, &tensors, "y", DType::F32)?, ("y", count))?;
        let schools = column::<u8>(path, require(path, &tensors, "task", DType::U8)?, ("task", count))?;
        if let Some((place, score)) =
            scores.iter().enumerate().find(|(_, score): &(_, &f32)| !score.is_finite())
        {
            return Err(Error::data(path, "finite scores in `y`", format!("{score} at {place}")));
        }
        if let Some((place, school)) = schools.iter().enumerate().find(|(_, school)| **school >= SCHOOLS) {
            let expected = format!("schools below {SCHOOLS} in `task`");
            return Err(Error::data(path, expected, format!("{school} at {place}")));
        }
        let (pupils, _) = pupils.as_chunks::<COLUMNS>();
        Ok(Self { spec: spec()?, pupils: pupils.to_vec(), scores, schools })
    }

    /// The school of every pupil, from 0, in order of the index; what a stratified split asks for.
    pub fn schools(&self) -> Vec<u32> {
        self.schools.iter().map(|school| u32::from(*school)).collect()
    }
}

impl Dataset for School {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.pupils.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        check_index(index, self.len())?;
        let pupil = self.pupils[index].map(f32::from);
        let score = Label::new(Tensor::new(&[self.scores[index]], &Device::Cpu)?);
        Ok(Sample {
            inputs: Named::new([("pupil", Tensor::new(&pupil, &Device::Cpu)?)])?,
            targets: Named::new([(name(self.schools[index]), score)])?,
        })
    }
}

fn spec() -> Result<Spec> {
    Ok(Spec {
        inputs: Named::new([("pupil", vec![COLUMNS])])?,
        targets: Named::new((0..SCHOOLS).map(|school| (name(school), Labels::Value(vec![1]))))?,
    })
}

fn name(school: u8) -> String {
    format!("school-{school:03}")
}

fn require<'a>(
    path: &Path,
    tensors: &'a HashMap<String, Tensor>,
    name: &str,
    dtype: DType,
) -> Result<&'a Tensor> {
    let tensor = tensors.get(name).ok_or_else(|| Error::data(path, format!("a tensor `{name}`"), "none"))?;
    match tensor.dtype() == dtype {
        true => Ok(tensor),
        false => Err(Error::data(path, format!("`{name}` of {dtype:?}"), format!("{:?}", tensor.dtype()))),
    }
}

fn column<T: candle_core::WithDType>(
    path: &Path,
    tensor: &Tensor,
    (name, count): (&str, usize),
) -> Result<Vec<T>> {
    match tensor.dims() == [count] {
        true => Ok(tensor.to_vec1()?),
        false => {
            Err(Error::data(path, format!("`{name}` of shape [{count}]"), format!("{:?}", tensor.dims())))
        }
    }
}
