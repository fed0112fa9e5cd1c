//! WebKB course pages: is a page of a university the home page of a course?
//!
//! Two views of a page: the words on it, and the words of the links that point to it, both counted.
//! Reference: Blum and Mitchell, "Combining Labeled and Unlabeled Data with Co-Training", COLT 1998, section 6.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensors};
use taskweave_kernels::{Error, Named, Result, Target};

use super::{Memory, bytes};
use crate::{Dataset, Labels, Sample, Spec};

/// WebKB course pages: the inputs `page` `[words]` and `links` `[words]`, counts as f32, and the task `class` of `other` and
/// `course`.
///
/// File: `webkb_course.safetensors`, plain or `.gz`, with `page_words` `[pages, words]`, `inlink_words` `[pages, words]` and
/// `is_course` `[pages]`, all u8.
///
/// # Example
/// ```
/// use taskweave_data::{Dataset, WebkbCourse};
/// use safetensors::{Dtype, serialize_to_file, tensor::TensorView};
/// let root = tempfile::tempdir().unwrap();
/// let tensor = |shape: &[usize], values: &'static [u8]| TensorView::new(Dtype::U8, shape.to_vec(), values).unwrap();
/// let tensors = [
///     ("page_words", tensor(&[2, 3], &[1, 0, 2, 0, 5, 0])),
///     ("inlink_words", tensor(&[2, 1], &[0, 4])),
///     ("is_course", tensor(&[2], &[1, 0])),
/// ];
/// serialize_to_file(tensors, None, &root.path().join("webkb_course.safetensors")).unwrap();
/// let sample = WebkbCourse::open(root.path())?.get(1)?;
/// assert_eq!(sample.inputs["page"].to_vec1::<f32>()?, [0.0, 5.0, 0.0]);
/// assert_eq!(sample.targets["class"].value().to_scalar::<u32>()?, 0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct WebkbCourse {
    memory: Memory,
}

impl WebkbCourse {
    /// Reads the pages from the folder `root`.
    ///
    /// # Errors
    /// - [`Error::Io`] for a file that is missing or unreadable;
    /// - [`Error::Data`] for one that is no safetensors file, or lacks a tensor, or where a tensor is not u8 or has another
    ///   shape, for no pages, and for a class above 1.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let path = bytes::require(&root.as_ref().join("webkb_course.safetensors"))?;
        let content = bytes::read(&path, u64::MAX)?;
        let file =
            SafeTensors::deserialize(&content).map_err(|e| Error::data(&path, "a safetensors file", e))?;
        let file = File { path, file };
        let ([pages, words], page) = file.tensor::<2>("page_words")?;
        let ([linked, link_words], links) = file.tensor::<2>("inlink_words")?;
        let ([labeled], classes) = file.tensor::<1>("is_course")?;
        if [pages, words, link_words].contains(&0) {
            return Err(Error::data(
                &file.path,
                "at least one page with words",
                format!("{pages} × {words}, {link_words}"),
            ));
        }
        if linked != pages || labeled != pages {
            let found = format!("{linked} rows of inlink_words, {labeled} of is_course");
            return Err(Error::data(&file.path, format!("{pages} rows, as page_words has"), found));
        }
        if let Some(class) = classes.iter().find(|class| **class > 1) {
            return Err(Error::data(&file.path, "classes 0 and 1", class));
        }
        let view =
            |values, width| Tensor::from_vec(values, (pages, width), &Device::Cpu)?.to_dtype(DType::F32);
        let classes: Vec<u32> = classes.into_iter().map(u32::from).collect();
        let names = Labels::Class(vec!["other".into(), "course".into()]);
        let class = (names, Target::new(Tensor::new(classes, &Device::Cpu)?)?);
        let inputs = [("page", view(page, words)?), ("links", view(links, link_words)?)];
        Ok(Self { memory: Memory::new(Named::new(inputs)?, Named::new([("class", class)])?)? })
    }
}

impl Dataset for WebkbCourse {
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

struct File<'a> {
    path: PathBuf,
    file: SafeTensors<'a>,
}

impl File<'_> {
    /// The sizes and the elements of a tensor of `N` dimensions of u8.
    fn tensor<const N: usize>(&self, name: &str) -> Result<([usize; N], Vec<u8>)> {
        let expected = || format!("a tensor `{name}` of {N} dimensions of u8");
        let tensor = self.file.tensor(name).map_err(|e| Error::data(&self.path, expected(), e))?;
        match <[usize; N]>::try_from(tensor.shape()) {
            Ok(sizes) if tensor.dtype() == Dtype::U8 => Ok((sizes, tensor.data().to_vec())),
            _ => {
                Err(Error::data(&self.path, expected(), format!("{:?} {:?}", tensor.dtype(), tensor.shape())))
            }
        }
    }
}
