//! What a stateful thing saves, and the trait to save and restore it.

use candle_core::Tensor;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Named, Result};

/// The saved state of one thing: host values and tensors.
///
/// # Example
/// ```
/// use taskweave_kernels::State;
/// let saved = State::of(&(3u64, 0.1f64))?;
/// assert_eq!(saved.read::<(u64, f64)>("schedule")?, (3, 0.1));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Host values; numbers survive to the last bit.
    pub values: serde_json::Value,
    /// Tensors, saved in their own dtype.
    pub tensors: Named<Tensor>,
}

impl State {
    /// A state of host values alone.
    ///
    /// # Errors
    /// [`Error::State`] where the values cannot be written as JSON (a map with keys that are not text, say).
    pub fn of(values: &impl Serialize) -> Result<Self> {
        let values = serde_json::to_value(values).map_err(|e| Error::state("a value", "a JSON value", e))?;
        Ok(Self { values, tensors: Named::default() })
    }

    /// The host values, read back; `what` names the thing in the error.
    ///
    /// # Errors
    /// [`Error::State`] where they are not of type `T`.
    pub fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        T::deserialize(&self.values).map_err(|e| Error::state(what, std::any::type_name::<T>(), e))
    }
}

/// A thing whose state can be saved and restored exactly: a resumed run equals an uninterrupted one bit for bit.
pub trait Stateful {
    /// The whole state.
    ///
    /// # Errors
    /// Those of the thing saved.
    fn save(&self) -> Result<State>;

    /// Takes a saved state over. On an error nothing has changed.
    ///
    /// # Errors
    /// [`Error::State`] where it does not fit.
    fn restore(&mut self, state: &State) -> Result<()>;
}
