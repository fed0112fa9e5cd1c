//! MNIST: handwritten digits from idx files.

use std::path::Path;

use taskweave_kernels::{Error, Result};

use super::{Images, idx};
use crate::{Dataset, Part, Sample, Spec};

/// MNIST, or another data set of ten classes in its format: the input `image` `[1, height, width]` and the task
/// `class`, whose classes are named `0` … `9`.
///
/// Files: `{train,t10k}-images-idx3-ubyte` and `{train,t10k}-labels-idx1-ubyte`, plain or `.gz`.
///
/// # Example
/// ```
/// use taskweave_data::{Dataset, Mnist, Part};
/// let root = tempfile::tempdir().unwrap();
/// // One image of 1 × 2 pixels, which shows a three.
/// let images = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 255, 0];
/// let labels = [0, 0, 8, 1, 0, 0, 0, 1, 3];
/// std::fs::write(root.path().join("train-images-idx3-ubyte"), images).unwrap();
/// std::fs::write(root.path().join("train-labels-idx1-ubyte"), labels).unwrap();
/// let sample = Mnist::open(root.path(), Part::Train)?.get(0)?;
/// assert_eq!(sample.inputs["image"].flatten_all()?.to_vec1::<f32>()?, [1.0, 0.0]);
/// assert_eq!(sample.targets["class"].value().to_scalar::<u32>()?, 3);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mnist {
    images: Images,
}

impl Mnist {
    /// Reads one part from the folder `root`.
    ///
    /// # Errors
    /// - [`Error::Io`] for a file that is missing or unreadable;
    /// - [`Error::Data`] for another magic number, a file that is cut off or too long, no images, images without
    ///   pixels, different numbers of images and labels, and a label above 9.
    pub fn open(root: impl AsRef<Path>, part: Part) -> Result<Self> {
        let prefix = match part {
            Part::Train => "train",
            Part::Test => "t10k",
        };
        let images = root.as_ref().join(format!("{prefix}-images-idx3-ubyte"));
        let labels = root.as_ref().join(format!("{prefix}-labels-idx1-ubyte"));
        let (sizes @ [count, height, width], pixels) = idx::read::<3>(&images)?;
        if sizes.contains(&0) {
            return Err(Error::data(images, "at least one image with pixels", format!("sizes {sizes:?}")));
        }
        let ([found], classes) = idx::read::<1>(&labels)?;
        if found != count {
            return Err(Error::data(labels, format!("{count} labels, one per image"), found));
        }
        if let Some((place, class)) = classes.iter().enumerate().find(|(_, class)| **class > 9) {
            return Err(Error::data(labels, "labels from 0 to 9", format!("{class} at {place}")));
        }
        let classes = classes.into_iter().map(u32::from).collect();
        let names = (0..10).map(|digit| digit.to_string()).collect();
        Ok(Self { images: Images::new([1, height, width], pixels, classes, names)? })
    }
}

impl Dataset for Mnist {
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
