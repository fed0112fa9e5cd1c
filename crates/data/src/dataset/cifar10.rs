//! CIFAR-10: small photographs from binary batches.
//!
//! A file is a sequence of records of 3073 bytes: the class, then 32 × 32 pixels of red, of green and of blue.
//! Reference: Alex Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
//! <https://www.cs.toronto.edu/~kriz/cifar.html>

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use taskweave_kernels::{Error, Result};

use super::{Images, bytes};
use crate::{Dataset, Part, Sample, Spec};

const SIZE: [usize; 3] = [3, 32, 32];
const RECORD: usize = 1 + 3 * 32 * 32;
const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// CIFAR-10 in its binary version: the input `image` `[3, 32, 32]` and the task `class`.
///
/// Files: `data_batch_1.bin` … `data_batch_5.bin`, as many of them as there are, and `test_batch.bin`; plain or
/// `.gz`.
///
/// # Example
/// ```
/// use taskweave_data::{Cifar10, Dataset, Part};
/// let root = tempfile::tempdir().unwrap();
/// let mut record = vec![255; 3073]; // a white image …
/// record[0] = 9; // … of a truck
/// std::fs::write(root.path().join("data_batch_1.bin"), record).unwrap();
/// let cifar = Cifar10::open(root.path(), Part::Train)?;
/// let sample = cifar.get(0)?;
/// assert_eq!(sample.inputs["image"].sum_all()?.to_scalar::<f32>()?, 3072.0);
/// assert_eq!(cifar.spec().targets["class"].classes()?[9], "truck");
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cifar10 {
    images: Images,
}

impl Cifar10 {
    /// Reads one part from the folder `root`.
    ///
    /// # Errors
    /// - [`Error::Io`] for a file that cannot be read;
    /// - [`Error::Data`] for a folder without batches, a file that is not a whole number of records, and a class
    ///   above 9.
    pub fn open(root: impl AsRef<Path>, part: Part) -> Result<Self> {
        let root = root.as_ref();
        let (expected, names) = match part {
            Part::Train => ("data_batch_1.bin … data_batch_5.bin", (1..=5).map(batch).collect()),
            Part::Test => ("test_batch.bin", vec!["test_batch.bin".to_string()]),
        };
        let files: Vec<PathBuf> = names.iter().filter_map(|name| bytes::find(&root.join(name))).collect();
        if files.is_empty() {
            return Err(Error::data(root, expected, "none"));
        }
        let batches: Vec<_> = files.par_iter().map(|file| records(file)).collect::<Result<_>>()?;
        let records = || batches.iter().flat_map(|batch| batch.chunks_exact(RECORD));
        let labels = records().map(|record| u32::from(record[0])).collect();
        let pixels = records().flat_map(|record| record[1..].iter().copied()).collect();
        Ok(Self { images: Images::new(SIZE, pixels, labels, CLASSES.map(String::from).to_vec())? })
    }
}

impl Dataset for Cifar10 {
    fn spec(&self) -> &Spec {
        self.images.spec()
    }

    fn len(&self) -> usize {
        self.images.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        self.images.get(index)
    }
}

fn batch(number: usize) -> String {
    format!("data_batch_{number}.bin")
}

fn records(file: &Path) -> Result<Vec<u8>> {
    let content = bytes::read(file, u64::MAX)?;
    if content.is_empty() || !content.len().is_multiple_of(RECORD) {
        let expected = format!("records of {RECORD} bytes");
        return Err(Error::data(file, expected, format!("{} bytes", content.len())));
    }
    let wrong =
        content.chunks_exact(RECORD).map(|record| record[0]).enumerate().find(|(_, class)| *class > 9);
    match wrong {
        Some((place, class)) => Err(Error::data(file, "classes from 0 to 9", format!("{class} at {place}"))),
        None => Ok(content),
    }
}
