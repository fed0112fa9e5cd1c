//! Moving the pixels of images and maps together.

use candle_core::{DType, Tensor, WithDType};
use taskweave_kernels::{Error, Result};

use super::image::image_size;
use crate::Sample;

/// Fills every pixel `[y, x]` of every image and map from the pixel `source([y, x])` of the same, or with 0
/// where that is `None`.
///
/// # Errors
/// - [`Error::Parameter`] for a sample without an image;
/// - [`Error::Shape`] for an image or a map whose height and width are not those of the first image.
pub(super) fn relocate(
    mut sample: Sample,
    source: impl Fn([usize; 2]) -> Option<[usize; 2]>,
) -> Result<Sample> {
    let [height, width] = image_size(&sample)?;
    let places: Vec<Option<usize>> = (0..height * width)
        .map(|place| source([place / width, place % width]).map(|[y, x]| y * width + x))
        .collect();
    let check = |what: String, tensor: &Tensor| {
        let fits = tensor.dims().ends_with(&[height, width]);
        fits.then_some(()).ok_or_else(|| Error::shape(what, format!("[…, {height}, {width}]"), tensor.dims()))
    };
    for (view, input) in sample.inputs.iter_mut().filter(|(_, input)| input.rank() == 3) {
        check(format!("input `{view}`"), input)?;
        *input = moved(input, &places)?;
    }
    for (task, label) in sample.targets.iter_mut().filter(|(_, label)| label.value().rank() == 2) {
        check(format!("label `{task}`"), label.value())?;
        *label = label.with_value(moved(label.value(), &places)?);
    }
    Ok(sample)
}

fn moved(tensor: &Tensor, places: &[Option<usize>]) -> Result<Tensor> {
    match tensor.dtype() {
        DType::F32 => gather::<f32>(tensor, places),
        DType::F64 => gather::<f64>(tensor, places),
        DType::U32 => gather::<u32>(tensor, places),
        other => Err(Error::dtype("image or map", "f32, f64 or u32", other)),
    }
}

fn gather<T: WithDType>(tensor: &Tensor, places: &[Option<usize>]) -> Result<Tensor> {
    let values = tensor.flatten_all()?.to_vec1::<T>()?;
    let planes = values.chunks(places.len().max(1));
    let moved: Vec<T> = planes
        .flat_map(|plane| places.iter().map(|place| place.map_or_else(T::zero, |from| plane[from])))
        .collect();
    Ok(Tensor::from_vec(moved, tensor.shape(), tensor.device())?)
}
