//! The states of parts in the state of a whole: each part's tensors have a prefix of their own.

use candle_core::Tensor;
use serde_json::Value;
use taskweave_kernels::{Named, Result, State, Stateful};

/// Puts a part's tensors among the others, and returns its values.
pub(crate) fn keep(tensors: &mut Named<Tensor>, prefix: &str, part: State) -> Result<Value> {
    for (name, tensor) in part.tensors {
        tensors.insert(format!("{prefix}{name}"), tensor)?;
    }
    Ok(part.values)
}

/// The state of a part.
pub(crate) fn pick(state: &State, prefix: &str, values: &Value) -> Result<State> {
    let own = state.tensors.iter().filter_map(|(name, t)| Some((name.strip_prefix(prefix)?, t.clone())));
    Ok(State { values: values.clone(), tensors: Named::new(own)? })
}

/// Restores a whole by `take`; where that fails in the middle, everything is as it was before.
pub(crate) fn all_or_nothing<T: Stateful>(
    whole: &mut T,
    state: &State,
    take: impl Fn(&mut T, &State) -> Result<()>,
) -> Result<()> {
    let before = whole.save()?;
    take(whole, state).or_else(|error| {
        take(whole, &before)?;
        Err(error)
    })
}
