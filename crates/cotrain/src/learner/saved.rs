//! Saving what a learner knows: its parameters, so that it is not restored into another one, and matrices.

use serde::{Serialize, de::DeserializeOwned};
use taskweave_kernels::{Error, Result, State};

use super::Matrix;

/// The state of a learner of these parameters that knows these matrices, or nothing yet.
pub(super) fn save(parameters: &impl Serialize, known: Option<&[(&str, &Matrix)]>) -> Result<State> {
    let mut state = State::of(parameters)?;
    for (name, matrix) in known.unwrap_or_default() {
        state.tensors.insert(*name, matrix.to_tensor()?)?;
    }
    Ok(state)
}

/// What a learner of these parameters knew; nothing where it had not learned.
///
/// # Errors
/// [`Error::State`] for other parameters, [`Error::Unknown`] for a matrix that is missing.
pub(super) fn restore<P: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug, const N: usize>(
    learner: &str,
    parameters: &P,
    (state, names): (&State, [&str; N]),
) -> Result<Option<[Matrix; N]>> {
    let saved: P = state.read(learner)?;
    if saved != *parameters {
        return Err(Error::state(learner, format!("the parameters {parameters:?}"), format!("{saved:?}")));
    }
    if state.tensors.is_empty() {
        return Ok(None);
    }
    let mut known: [Matrix; N] = std::array::from_fn(|_| Matrix::default());
    for (place, name) in known.iter_mut().zip(names) {
        *place = Matrix::of_tensor(state.tensors.require("tensor", name)?)?;
    }
    Ok(Some(known))
}
