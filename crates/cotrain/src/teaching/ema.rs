//! The running mean of a network's parameters, kept in another network.
//!
//! After step t (the first is 1), with α_t = min(α, 1 − 1/t),
//!     θ̄ ← α_t·θ̄ + (1 − α_t)·θ   for parameters;   copied   for running statistics.
//! The warm-up makes θ̄ the plain mean of the first 1/(1 − α) steps; the first step copies.

use taskweave_heads::Params;
use taskweave_kernels::{Error, Kind, Result};

/// Moves the parameters of `teacher` towards those of `student`, when `done` steps are done; 0 copies.
///
/// # Errors
/// [`Error::Parameter`] where the two networks do not have the same parameters.
pub(super) fn follow(params: &Params, [teacher, student]: [&str; 2], decay: f64, done: u64) -> Result<()> {
    let keep = decay.min(1.0 - 1.0 / done.max(1) as f64);
    let (means, values) = (params.member(teacher).named(), params.member(student).named());
    let differ = |found: String| {
        let expected = format!("the parameters of network `{student}`");
        Error::parameter(format!("network `{teacher}`"), expected, found)
    };
    if means.is_empty() || means.len() != values.len() {
        return Err(differ(format!("{} parameters instead of {}", means.len(), values.len())));
    }
    for (name, value) in values.iter() {
        let own = name.replacen(&format!("member.{student}."), &format!("member.{teacher}."), 1);
        let mean = means.get(&own).ok_or_else(|| differ(format!("none called `{own}`")))?;
        if mean.var.shape() != value.var.shape() {
            return Err(differ(format!("`{own}` of shape {:?}", mean.var.dims())));
        }
        let new = match value.kind {
            Kind::Buffer => value.var.copy()?,
            // Exactly the student's where nothing is kept.
            _ if keep == 0.0 => value.var.copy()?,
            _ => (mean.var.affine(keep, 0.0)? + value.var.affine(1.0 - keep, 0.0)?)?,
        };
        mean.var.set(&new.detach())?;
    }
    Ok(())
}
