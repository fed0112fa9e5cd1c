//! Gradients by parameter, in which one that nothing has reached is absent.

use candle_core::{DType, Tensor};
use taskweave_kernels::autograd::{Gradient, Gradients, Tape};
use taskweave_kernels::optim::IntoGradient;
use taskweave_kernels::{Named, Param, Result, ops, weighted_sum};

/// What a backward pass starts from, each with its cotangent; 1 where there is none.
pub(super) type Seeds<'a> = Vec<(&'a Tensor, Option<Tensor>)>;

/// The gradients of those parameters that a value on a tape depends on.
pub(super) fn differentiate(tape: &Tape, value: &Tensor, params: &Named<Param>) -> Result<Named<Gradient>> {
    differentiate_all(tape, vec![(value, None)], params)
}

/// The same for several values, each with its cotangent.
pub(super) fn differentiate_all(
    tape: &Tape,
    seeds: Seeds<'_>,
    params: &Named<Param>,
) -> Result<Named<Gradient>> {
    Ok(taken(&mut tape.backward(&seeds, &targets(params))?, params))
}

/// The tensors of some parameters.
pub(super) fn targets(params: &Named<Param>) -> Vec<&Tensor> {
    params.values().map(|param| param.var.as_tensor()).collect()
}

/// Takes the gradients of some parameters out of those of a backward pass.
pub(super) fn taken(found: &mut Gradients, params: &Named<Param>) -> Named<Gradient> {
    let mut gradients = Named::default();
    for (name, param) in params.iter() {
        if let Some(gradient) = found.remove(&param.var) {
            // The names come from a set of unique ones.
            let _ = gradients.insert(name, gradient);
        }
    }
    gradients
}

/// Scalar losses with these weights for cotangents.
pub(super) fn weighed<'a>(losses: &'a Named<Tensor>, weights: &[f64]) -> Result<Seeds<'a>> {
    let seed = |(loss, weight): (&'a Tensor, &f64)| {
        let cotangent = Tensor::new(*weight, loss.device())?.to_dtype(loss.dtype())?;
        Ok((loss, Some(cotangent)))
    };
    losses.values().zip(weights).map(seed).collect()
}

/// The rows with every block that any of them has, in name order; 0 where a row had none.
pub(super) fn filled(rows: &Named<Named<Gradient>>) -> Result<Named<Named<Gradient>>> {
    let mut zeros = Named::default();
    for (name, block) in rows.values().flat_map(Named::iter) {
        if !zeros.contains(name) {
            zeros.insert(name, block.map_values(Tensor::zeros_like)?)?;
        }
    }
    let zeros = zeros.sorted();
    Ok(rows.map(|_, row| zeros.map(|name, zero| row.get(name).unwrap_or(zero).clone())))
}

/// The gradients of some parameters, and all others.
pub(super) fn split(gradients: &Named<Gradient>, params: &Named<Param>) -> [Named<Gradient>; 2] {
    let (mut some, mut others) = (Named::default(), Named::default());
    for (name, gradient) in gradients.iter() {
        let place = if params.contains(name) { &mut some } else { &mut others };
        // The names come from a set of unique ones.
        let _ = place.insert(name, gradient.clone());
    }
    [some, others]
}

/// Adds gradients to a sum.
pub(super) fn add(sum: &mut Named<Gradient>, gradients: Named<Gradient>) -> Result<()> {
    for (name, gradient) in gradients {
        match sum.get_mut(&name) {
            Some(have) => *have = weighted_sum(&[have.clone(), gradient], &[1.0, 1.0])?,
            None => sum.insert(name, gradient)?,
        }
    }
    Ok(())
}

pub(super) fn first_not_finite(gradients: &Named<Gradient>) -> Result<Option<String>> {
    for (name, gradient) in gradients.iter() {
        if !ops::all_finite(gradient.values())? {
            return Ok(Some(name.into()));
        }
    }
    Ok(None)
}

pub(super) fn scalar(x: &Tensor) -> Result<f64> {
    Ok(x.to_dtype(DType::F64)?.to_scalar::<f64>()?)
}
