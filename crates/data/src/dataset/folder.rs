//! ImageFolder: a folder per class with PNG and JPEG files.

use std::path::{Path, PathBuf};

use image::{ImageFormat, ImageReader};
use rayon::prelude::*;
use taskweave_kernels::{Error, Result};

use super::Images;
use crate::{Dataset, Sample, Spec};

/// Images from `root/<class>/*.{png,jpg,jpeg}`, all of one size, decoded once into RGB bytes: the input `image`
/// `[3, height, width]` and the task `class`. Classes are the folders in order of their names, images the files
/// of a folder in order of theirs.
///
/// What else lies there: hidden entries (`.DS_Store`), files beside the class folders, and files in them that
/// are no images by name (`Thumbs.db`, `notes.txt`) are passed over. An image of a format that is not read here
/// (`.webp`) and a folder inside a class folder are errors, because data would be lost in silence.
///
/// # Example
/// ```
/// use taskweave_data::{Dataset, ImageFolder};
/// let root = tempfile::tempdir().unwrap();
/// for (class, color) in [("dog", [255, 0, 0]), ("cat", [0, 0, 255])] {
///     std::fs::create_dir(root.path().join(class)).unwrap();
///     let image = image::RgbImage::from_pixel(2, 2, image::Rgb(color));
///     image.save(root.path().join(class).join("0.png")).unwrap();
/// }
/// let folder = ImageFolder::open(root.path())?;
/// assert_eq!(folder.spec().targets["class"].classes()?, ["cat", "dog"]);
/// let blue_cat = folder.get(0)?.inputs["image"].sum((1, 2))?.to_vec1::<f32>()?;
/// assert_eq!(blue_cat, [0.0, 0.0, 4.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ImageFolder {
    images: Images,
}

impl ImageFolder {
    /// Reads all images below `root`, on all cores.
    ///
    /// # Errors
    /// - [`Error::Io`] for what cannot be read;
    /// - [`Error::Data`] for a root without class folders, a class folder without images, an image that is
    ///   broken or of another format, and an image whose size is not that of the first.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref();
        let folders: Vec<PathBuf> = entries(root)?.into_iter().filter(|entry| entry.is_dir()).collect();
        if folders.is_empty() {
            return Err(Error::data(root, "a folder per class", "no folder"));
        }
        let mut files = Vec::new();
        for (class, folder) in folders.iter().enumerate() {
            files.extend(images_in(folder)?.into_iter().map(|file| (class as u32, file)));
        }
        let (first, size) = match files.first() {
            Some((_, first)) => (first, image_size(first)?),
            None => return Err(Error::data(root, "images", "none")),
        };
        let decoded = files.par_iter().map(|(_, file)| decode(file, first, size));
        let planes: Vec<Vec<u8>> = decoded.collect::<Result<_>>()?;
        let labels = files.iter().map(|(class, _)| *class).collect();
        let [width, height] = size.map(|side| side as usize);
        let classes = folders.iter().map(|folder| name(folder)).collect();
        Ok(Self { images: Images::new([3, height, width], planes.concat(), labels, classes)? })
    }
}

impl Dataset for ImageFolder {
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

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What lies in a folder and is not hidden, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        if !name(&path).starts_with('.') {
            entries.push(path);
        }
    }
    entries.sort();
    Ok(entries)
}

fn images_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            return Err(Error::data(path, "an image of the class", "a folder"));
        }
        match path.extension().and_then(ImageFormat::from_extension) {
            Some(ImageFormat::Png | ImageFormat::Jpeg) => images.push(path),
            Some(other) => return Err(Error::data(path, "a PNG or JPEG", format!("{other:?}"))),
            None => {}
        }
    }
    if images.is_empty() {
        return Err(Error::data(folder, "at least one PNG or JPEG of the class", "none"));
    }
    Ok(images)
}

/// Width and height as the header of the file says.
fn image_size(file: &Path) -> Result<[u32; 2]> {
    let reader = ImageReader::open(file).and_then(ImageReader::with_guessed_format);
    let size = reader.map_err(|e| Error::io(file, e))?.into_dimensions().map_err(|e| broken(file, &e))?;
    Ok(size.into())
}

/// All red values, then all green ones, then all blue ones.
fn decode(file: &Path, first: &Path, size: [u32; 2]) -> Result<Vec<u8>> {
    // Before decoding, so that a header with absurd sizes costs nothing.
    let found = image_size(file)?;
    if found != size {
        let expected = format!("{} × {} pixels, as in {}", size[0], size[1], first.display());
        return Err(Error::data(file, expected, format!("{} × {}", found[0], found[1])));
    }
    let pixels = read_image(file)?.into_rgb8().into_raw();
    Ok((0..3).flat_map(|channel| pixels.iter().skip(channel).step_by(3)).copied().collect())
}

/// Reads a PNG or JPEG file, as [`ImageFolder`] does: a file that is cut off is an error.
///
/// # Errors
/// [`Error::Io`] and [`Error::Data`] with the path.
///
/// # Example
/// ```
/// use taskweave_data::read_image;
/// let folder = tempfile::tempdir().unwrap();
/// let file = folder.path().join("black.png");
/// image::RgbImage::new(4, 3).save(&file).unwrap();
/// assert_eq!(read_image(&file)?.width(), 4);
/// std::fs::write(&file, b"no image").unwrap();
/// assert!(read_image(&file).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn read_image(file: &Path) -> Result<image::DynamicImage> {
    let content = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    // The content decides what it is, not the name: a PNG called .jpg is fine.
    let format = image::guess_format(&content).map_err(|e| broken(file, &e))?;
    if format == ImageFormat::Jpeg && !has_end(&content) {
        return Err(Error::data(file, "a whole JPEG", "one without its end"));
    }
    image::load_from_memory_with_format(&content, format).map_err(|e| broken(file, &e))
}

/// Whether the end marker of a JPEG follows its last scan; decoders fill up in gray what is cut off.
fn has_end(content: &[u8]) -> bool {
    let last = |marker: u8| content.windows(2).rposition(|pair| pair == [0xff, marker]);
    let (start_of_scan, end_of_image) = (last(0xda), last(0xd9));
    end_of_image > start_of_scan
}

fn broken(file: &Path, error: &image::ImageError) -> Error {
    Error::data(file, "a PNG or JPEG", error)
}
