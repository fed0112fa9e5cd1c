//! The Gramian of the gradients of single samples.
//!
//! Entry (i, j) is ⟨∂ℓᵢ/∂θ, ∂ℓⱼ/∂θ⟩ over all parameters together. For a linear layer it is (X Xᵀ) ∘ (Δ Δᵀ), X being
//! its inputs and Δ the gradients of its outputs, so that one backward pass gives them all and no sample's gradient is
//! ever formed.
//! Reference: Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", 2024, section 6,
//! <https://arxiv.org/abs/2406.16232>.

use candle_core::Tensor;
use taskweave_kernels::autograd::Tape;
use taskweave_kernels::{Named, Param, Result};

use crate::Gramian;

/// The Gramian of the samples' gradients with respect to all trained parameters; rows are samples, named by number.
///
/// # Shapes
/// `losses [batch]`, computed while `tape` was recorded, as a criterion gives them: each depends on its own sample.
///
/// # Errors
/// Those of [`Tape::sample_products`], and [`Error::NonFinite`](taskweave_kernels::Error::NonFinite) with the sample whose gradient holds a NaN or an
/// infinity.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use taskweave_kernels::{Kind, Named, Owner, Param, autograd, ops};
/// use taskweave_loss::sample_gramian;
/// let x = Tensor::new(&[[1f64, 0.0], [1.0, 2.0]], &Device::Cpu)?;
/// let w = Param::new(Var::new(&[[3f64, 4.0]], &Device::Cpu)?, Kind::Weight, Owner::Shared);
/// let (losses, tape) = autograd::record(|| Ok(ops::linear(&x, &w.var, None)?.flatten_all()?))?;
/// let gramian = sample_gramian(&tape, &losses, &Named::new([("w", w)])?)?;
/// assert_eq!(gramian.values(), [1.0, 1.0, 1.0, 5.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn sample_gramian(tape: &Tape, losses: &Tensor, params: &Named<Param>) -> Result<Gramian> {
    let trained = params.values().filter(|param| param.kind.is_trained());
    let targets: Vec<&Tensor> = trained.map(|param| param.var.as_tensor()).collect();
    let products = tape.sample_products(&[(losses, None)], &targets)?;
    let names = (0..losses.elem_count()).map(|sample| sample.to_string());
    Gramian::of_products(names, &products)
}
