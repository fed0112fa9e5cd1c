//! What is recorded of one step.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::Jacobian;

use super::Alignment;

/// How the gradients of the tasks meet at one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GradientRecord {
    /// The number of the step.
    pub step: u64,
    /// Over all shared parameters together.
    pub shared: Alignment,
    /// Over the shared parameters of each layer.
    pub layers: Named<Alignment>,
}

/// Which layers are looked at by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layers {
    /// None: all shared parameters together.
    #[default]
    None,
    /// Every layer: parameters whose names agree up to the last dot.
    Each,
    /// The parameters below each of these names: `shared.1` holds `shared.1.weight` and `shared.1.norm.bias`, and not
    /// `shared.10.weight`.
    Below(Vec<String>),
}

impl GradientRecord {
    /// The record of a step, from the tasks' gradients of the shared parameters.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the task whose gradient is not finite, [`Error::Unknown`] for a name that no parameter is
    /// below.
    ///
    /// # Example
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use taskweave_cotrain::diagnostics::{GradientRecord, Layers};
    /// use taskweave_kernels::Named;
    /// use taskweave_loss::Jacobian;
    /// let row = |a: f64, b: f64| {
    ///     let block = |x: f64| Tensor::new(x, &Device::Cpu).map(Into::into);
    ///     Named::new([("shared.0.weight", block(a)?), ("shared.1.weight", block(b)?)])
    /// };
    /// let jacobian = Jacobian::new(Named::new([("class", row(1.0, 3.0)?), ("mask", row(1.0, -1.0)?)])?)?;
    /// let record = GradientRecord::of(7, &jacobian, &Layers::Each)?;
    /// assert_eq!(record.layers["shared.0"].conflict_rate, 0.0);
    /// assert_eq!(record.layers["shared.1"].pairs[0].norm_ratio, Some(3.0));
    /// assert_eq!(record.shared.conflict_rate, 1.0); // 1 · 1 + 3 · (−1) < 0
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn of(step: u64, jacobian: &Jacobian, layers: &Layers) -> Result<Self> {
        let names = jacobian.rows().values().next().into_iter().flat_map(Named::names).collect::<Vec<_>>();
        let layers = layers.of(&names)?.try_map(|_, inside| {
            let part = jacobian.rows().try_map(|_, row| {
                Named::new(inside.iter().filter_map(|name| Some((*name, row.get(name)?.clone()))))
            })?;
            Alignment::of(&Jacobian::new(part)?.gramian()?)
        })?;
        Ok(Self { step, shared: Alignment::of(&jacobian.gramian()?)?, layers })
    }
}

impl Layers {
    /// The names of the parameters of every layer.
    fn of<'a>(&self, names: &[&'a str]) -> Result<Named<Vec<&'a str>>> {
        match self {
            Self::None => Ok(Named::default()),
            Self::Each => {
                let mut layers: Named<Vec<&str>> = Named::default();
                for name in names {
                    let layer = name.rsplit_once('.').map_or(*name, |(layer, _)| layer);
                    if !layers.contains(layer) {
                        layers.insert(layer, Vec::new())?;
                    }
                    layers.require_mut("layer", layer)?.push(name);
                }
                Ok(layers)
            }
            Self::Below(layers) => Named::new(layers.iter().map(|layer| (layer, ())))?.try_map(|layer, _| {
                let inside: Vec<&str> = names.iter().copied().filter(|name| is_below(name, layer)).collect();
                match inside.is_empty() {
                    false => Ok(inside),
                    true => Err(Error::Unknown {
                        what: "layer".into(),
                        name: layer.into(),
                        known: names.iter().map(|name| name.to_string()).collect(),
                    }),
                }
            }),
        }
    }
}

fn is_below(name: &str, layer: &str) -> bool {
    name.strip_prefix(layer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["shared.1.bias", "shared.1.norm.weight", "shared.1.weight", "shared.10.weight"];

    #[test]
    fn each_layer_is_what_agrees_up_to_the_last_dot() {
        let found = Layers::Each.of(&NAMES).unwrap();
        assert_eq!(found.names().collect::<Vec<_>>(), ["shared.1", "shared.1.norm", "shared.10"]);
        assert_eq!(found["shared.1"], ["shared.1.bias", "shared.1.weight"]);
    }

    #[test]
    fn a_prefix_ends_at_a_dot() {
        let below = |layer: &str| Layers::Below(vec![layer.into()]).of(&NAMES);
        assert_eq!(below("shared.1").unwrap()["shared.1"], NAMES[..3]);
        assert_eq!(below("shared").unwrap()["shared"], NAMES);
        assert!(matches!(below("shared.2").unwrap_err(), Error::Unknown { name, .. } if name == "shared.2"));
    }
}
