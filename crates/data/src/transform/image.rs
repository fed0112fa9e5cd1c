//! The images of a sample, as slices of numbers.

use candle_core::{DType, Tensor};
use taskweave_kernels::{Error, Result};

use crate::Sample;

/// Changes every image of a sample: `change` gets `[channels, height, width]` and the values in that order.
///
/// # Errors
/// [`Error::Parameter`] for a sample without an image, [`Error::DType`] for one that is not f32, and what
/// `change` returns.
pub(super) fn change_images(
    mut sample: Sample,
    mut change: impl FnMut([usize; 3], &mut [f32]) -> Result<()>,
) -> Result<Sample> {
    image_size(&sample)?;
    for (view, input) in sample.inputs.iter_mut().filter(|(_, input)| input.rank() == 3) {
        if input.dtype() != DType::F32 {
            return Err(Error::dtype(format!("input `{view}`"), "f32", input.dtype()));
        }
        let (channels, height, width) = input.dims3()?;
        let mut values = input.flatten_all()?.to_vec1::<f32>()?;
        change([channels, height, width], &mut values)?;
        *input = Tensor::from_vec(values, (channels, height, width), input.device())?;
    }
    Ok(sample)
}

/// Height and width of the first image.
///
/// # Errors
/// [`Error::Parameter`] for a sample without an image.
pub(super) fn image_size(sample: &Sample) -> Result<[usize; 2]> {
    let image = sample.inputs.values().find(|input| input.rank() == 3);
    image.map(|input| [input.dims()[1], input.dims()[2]]).ok_or_else(|| {
        let views = sample.inputs.names().collect::<Vec<_>>();
        Error::parameter("inputs of a transform", "an image [channels, height, width]", format!("{views:?}"))
    })
}

/// Refuses a number outside [0, 1].
pub(super) fn check_fraction(name: &str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::parameter(name, "a number in [0, 1]", value))
}
