//! The scalar of a step together with the weight that it gives to each task.

use candle_core::{DType, Tensor, Var};
use taskweave_kernels::{Error, Named, Result, ops};

use super::Scalarizer;

/// The scalar of a step and the weight of each task in it.
#[derive(Debug, Clone)]
pub struct Scalarized {
    /// The scalar, differentiable in the losses and in the scalarizer's own parameters.
    pub value: Tensor,
    /// ∂value/∂Lᵢ of every task that is present.
    pub weights: Named<f64>,
}

/// Runs a scalarizer once and reads off the weights.
///
/// The scalarizer sees the losses as leaves of their own, so that ∂value/∂Lᵢ costs a backward pass over a
/// handful of scalars, its state advances once, and its own parameters stay attached. The network is attached
/// through Σ wᵢ(Lᵢ − constant Lᵢ), which is 0 and has the right gradient.
///
/// # Errors
/// Those of [`Scalarizer::scalarize`]; [`Error::NonFinite`] with the task whose loss, or whose weight, is a NaN or an infinity,
/// and with all tasks where the scalar is.
///
/// # Example
/// ```
/// use candle_core::{Device, Var};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{scalarized, scalarizer::Mean};
/// let x = Var::new(3f64, &Device::Cpu)?;
/// let losses = Named::new([("square", x.sqr()?), ("double", (x.as_tensor() * 2.0)?)])?;
/// let step = scalarized(&mut Mean, &losses)?;
/// assert_eq!(step.weights, Named::new([("square", 0.5), ("double", 0.5)])?);
/// let slope = step.value.backward()?.get(&x).unwrap().to_scalar::<f64>()?;
/// assert_eq!(slope, 4.0); // ½·2x + ½·2
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn scalarized(scalarizer: &mut dyn Scalarizer, losses: &Named<Tensor>) -> Result<Scalarized> {
    for (task, loss) in losses.iter() {
        if !ops::all_finite(loss)? {
            return Err(Error::non_finite("loss", task));
        }
    }
    let leaves = losses.try_map(|_, loss| Var::from_tensor(&loss.copy()?.detach()))?;
    let mut value = scalarizer.scalarize(&leaves.map(|_, leaf| leaf.as_tensor().clone()))?;
    if !ops::all_finite(&value)? {
        let tasks = losses.names().collect::<Vec<_>>().join("`, `");
        return Err(Error::non_finite("scalar of the losses", tasks));
    }
    let slopes = value.backward()?;
    let mut weights = Named::default();
    for (task, leaf) in leaves.iter() {
        let weight = match slopes.get(leaf) {
            Some(slope) => slope.to_dtype(DType::F64)?.to_scalar::<f64>()?,
            None => 0.0,
        };
        if !weight.is_finite() {
            return Err(Error::non_finite("weight of the loss", task));
        }
        let loss = losses.require("task", task)?;
        value = (value + ((loss - loss.detach())? * weight)?)?;
        weights.insert(task, weight)?;
    }
    Ok(Scalarized { value, weights })
}
