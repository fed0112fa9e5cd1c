//! Trade-offs between tasks.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::pareto::{hypervolume, non_dominated};

use crate::report::Figure;

/// One trade-off: the losses that a preference has led to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TradeOff {
    /// The preference, one number per task.
    pub preference: Named<f64>,
    /// The loss of each task on the samples that it is judged by; lower is better.
    pub losses: Named<f64>,
    /// The parameters that give it; not part of what is saved as JSON, and empty where the trade-offs share a network.
    #[serde(skip)]
    pub model: Named<Tensor>,
}

/// A set of trade-offs between the same tasks.
///
/// # Example
/// ```
/// use taskweave_cotrain::pareto::{Front, TradeOff};
/// use taskweave_kernels::Named;
/// let trade_off = |a: f64, b: f64| TradeOff {
///     preference: Named::default(),
///     losses: Named::new([("a", a), ("b", b)]).unwrap(),
///     model: Named::default(),
/// };
/// let front = Front::new(vec![trade_off(1.0, 3.0), trade_off(3.0, 1.0), trade_off(3.5, 3.0)])?;
/// assert_eq!(front.best()?.len(), 2);
/// assert_eq!(front.hypervolume(&Named::new([("a", 4.0), ("b", 4.0)])?)?, 5.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Vec<TradeOff>", into = "Vec<TradeOff>")]
pub struct Front {
    trade_offs: Vec<TradeOff>,
}

impl Front {
    /// A set of trade-offs, in this order.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no trade-off, one without tasks, or two of different tasks; [`Error::NonFinite`] for a loss
    /// that is not finite.
    pub fn new(trade_offs: Vec<TradeOff>) -> Result<Self> {
        let Some(first) = trade_offs.first() else {
            return Err(Error::parameter("trade-offs of a front", "at least one", 0));
        };
        let tasks: Vec<&str> = first.losses.names().collect();
        for (i, trade_off) in trade_offs.iter().enumerate() {
            let found: Vec<&str> = trade_off.losses.names().collect();
            if found != tasks || tasks.is_empty() {
                let expected = format!("at least one, those of the first, {tasks:?}");
                return Err(Error::parameter(
                    format!("tasks of trade-off {i}"),
                    expected,
                    format!("{found:?}"),
                ));
            }
            if let Some((task, _)) = trade_off.losses.iter().find(|(_, loss)| !loss.is_finite()) {
                return Err(Error::non_finite(format!("loss in trade-off {i}"), task));
            }
        }
        Ok(Self { trade_offs })
    }

    /// All trade-offs.
    pub fn trade_offs(&self) -> &[TradeOff] {
        &self.trade_offs
    }

    /// The trade-offs that no other one is better than: nowhere worse and somewhere better.
    ///
    /// # Errors
    /// None: the losses have been checked.
    pub fn best(&self) -> Result<Vec<&TradeOff>> {
        Ok(non_dominated(&self.points())?.into_iter().map(|i| &self.trade_offs[i]).collect())
    }

    /// The volume between the trade-offs and a reference; higher is better. Compare fronts by one reference.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a task without a reference, and those of [`hypervolume`]: a reference that does not bound
    /// every trade-off is refused.
    pub fn hypervolume(&self, reference: &Named<f64>) -> Result<f64> {
        let tasks = self.trade_offs[0].losses.names();
        let reference =
            tasks.map(|task| reference.require("task", task).copied()).collect::<Result<Vec<_>>>()?;
        hypervolume(&self.points(), &reference)
    }

    fn points(&self) -> Vec<Vec<f64>> {
        self.trade_offs.iter().map(|trade_off| trade_off.losses.values().copied().collect()).collect()
    }
}

impl TryFrom<Vec<TradeOff>> for Front {
    type Error = Error;

    fn try_from(trade_offs: Vec<TradeOff>) -> Result<Self> {
        Self::new(trade_offs)
    }
}

impl From<Front> for Vec<TradeOff> {
    fn from(front: Front) -> Self {
        front.trade_offs
    }
}

/// The losses of two tasks against each other, one set of marks per front.
///
/// # Errors
/// [`Error::Unknown`] for a task that a front does not have.
///
/// # Example
/// ```
/// use taskweave_cotrain::pareto::{Front, TradeOff, front_figure};
/// use taskweave_cotrain::report::Report;
/// use taskweave_kernels::Named;
/// let losses = Named::new([("a", 1.0), ("b", 3.0)])?;
/// let front = Front::new(vec![TradeOff { preference: Named::default(), losses, model: Named::default() }])?;
/// let figure = front_figure("Front", &Named::new([("cosmos", front)])?, ["a", "b"])?;
/// assert!(Report::new("A run").curves(figure).to_html()?.contains("loss of a"));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn front_figure(title: &str, fronts: &Named<Front>, [x, y]: [&str; 2]) -> Result<Figure> {
    let mut figure = Figure::new(title).axes(format!("loss of {x}"), format!("loss of {y}"));
    for (name, front) in fronts.iter() {
        let point = |trade_off: &TradeOff| {
            let loss = |task| trade_off.losses.require("task", task).copied();
            Ok((loss(x)?, loss(y)?))
        };
        figure = figure.marks(name, front.trade_offs.iter().map(point).collect::<Result<Vec<_>>>()?);
    }
    Ok(figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade_off(losses: &[(&str, f64)]) -> TradeOff {
        let losses = Named::new(losses.iter().copied()).unwrap();
        TradeOff { preference: losses.clone(), losses, model: Named::default() }
    }

    #[test]
    fn what_is_no_front_is_refused_also_from_a_file() {
        assert!(matches!(Front::new(vec![]), Err(Error::Parameter { .. })));
        assert!(matches!(Front::new(vec![trade_off(&[])]), Err(Error::Parameter { .. })));
        let mixed = vec![trade_off(&[("a", 1.0), ("b", 1.0)]), trade_off(&[("a", 1.0), ("c", 1.0)])];
        let error = Front::new(mixed.clone()).unwrap_err().to_string();
        assert!(
            error.starts_with("tasks of trade-off 1: expected at least one, those of the first"),
            "{error}"
        );
        assert!(serde_json::from_str::<Front>(&serde_json::to_string(&mixed).unwrap()).is_err());
        let error = Front::new(vec![trade_off(&[("a", f64::NAN)])]).unwrap_err().to_string();
        assert_eq!(error, "loss in trade-off 0 of `a` is not finite");
    }

    #[test]
    fn a_reference_has_to_bound_every_trade_off() {
        let front = Front::new(vec![trade_off(&[("a", 1.0), ("b", 3.0)])]).unwrap();
        let volume = |a: f64, b: f64| front.hypervolume(&Named::new([("b", b), ("a", a)]).unwrap());
        assert_eq!(volume(2.0, 5.0).unwrap(), 2.0);
        assert!(matches!(volume(2.0, 2.0), Err(Error::Parameter { .. })));
        let missing = front.hypervolume(&Named::new([("a", 2.0)]).unwrap());
        assert!(matches!(missing, Err(Error::Unknown { .. })));
        let text = serde_json::to_string(&front).unwrap();
        assert_eq!(serde_json::from_str::<Front>(&text).unwrap().trade_offs()[0].losses["b"], 3.0);
    }
}
