//! The states of parts inside the state of a whole: host values by name, tensors under a prefix.

use candle_core::Tensor;
use taskweave_kernels::{Named, Result, State};

/// Puts a part's tensors among the others, and returns its values.
pub(crate) fn keep(tensors: &mut Named<Tensor>, prefix: &str, part: State) -> Result<serde_json::Value> {
    for (name, tensor) in part.tensors {
        tensors.insert(format!("{prefix}{name}"), tensor)?;
    }
    Ok(part.values)
}

/// The state of a part.
pub(crate) fn pick(state: &State, prefix: &str, values: &serde_json::Value) -> Result<State> {
    let own = state.tensors.iter().filter_map(|(name, t)| Some((name.strip_prefix(prefix)?, t.clone())));
    Ok(State { values: values.clone(), tensors: Named::new(own)? })
}
