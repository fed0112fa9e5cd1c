//! Smooth Tchebycheff scalarization: the largest weighted loss, smoothed.
//!
//! Given the losses of the tasks,
//!     value = μ log Σ exp(tᵢ / μ),   tᵢ = λᵢ (Lᵢ − zᵢ),   or tᵢ = λᵢ log((Lᵢ − zᵢ) / nᵢ) with a nadir n
//! with preferences λ and the ideal z. For μ → 0 it is max tᵢ. The largest exponent is taken out before anything is divided
//! by μ. λ is 1/K by default, over the K tasks that are present. Guarantees: for a small μ every Pareto optimum is the
//! minimum for some λ.
//! Reference: Lin et al., "Smooth Tchebycheff Scalarization for Multi-Objective Optimization", ICML 2024,
//! <https://arxiv.org/abs/2402.19078>; the logarithmic form is that of its multi-task experiments.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{
    PerTask, Scalarizer,
    terms::{numbers, sum_of},
};
use crate::parameter;

/// The largest weighted loss, smoothed.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `mu` | required | > 0, as 1/μ is finite | how smooth |
/// | `preference` | 1/K | > 0, one per task | λ |
/// | `ideal` | 0 | one per task | z, a bound that no loss falls below |
/// | `nadir` | none | > 0, one per task | n, losses of the worst kind; takes the logarithmic form |
///
/// # Errors
/// [`Error::Parameter`] in the logarithmic form for a loss that is not above its ideal.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Scalarizer, scalarizer::Stch};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(1000.0)?), ("mask", loss(1000.0)?)])?;
/// let value = Stch::new(1.0)?.scalarize(&losses)?.to_scalar::<f64>()?;
/// assert!((value - (500.0 + 2f64.ln())).abs() < 1e-9); // log(2 e^500)
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Stch {
    fields: Fields,
}

impl Stch {
    /// Equal preferences, ideal 0.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `mu` that is not a finite number > 0.
    pub fn new(mu: f64) -> Result<Self> {
        Self::try_from(Fields { mu, preference: None, ideal: None, nadir: None })
    }

    fn terms(&self, losses: &Named<Tensor>) -> Result<Named<Tensor>> {
        let Fields { preference, ideal, nadir, .. } = &self.fields;
        let lambda = match preference {
            Some(preference) => preference.of("preference", losses)?,
            None => losses.map(|_, _| 1.0 / losses.len() as f64),
        };
        let ideal = match ideal {
            Some(ideal) => ideal.of("ideal", losses)?,
            None => losses.map(|_, _| 0.0),
        };
        let over = losses.try_map(|task, loss| loss.affine(1.0, -ideal[task]))?;
        let Some(nadir) = nadir else {
            return over.try_map(|task, over| Ok(over.affine(lambda[task], 0.0)?));
        };
        let nadir = nadir.of("nadir", losses)?;
        if let Some((task, _)) = numbers(&over)?.iter().find(|(_, over)| **over <= 0.0 || over.is_nan()) {
            let expected = format!("a number > {}, its ideal", ideal[task]);
            return Err(Error::parameter(format!("loss of `{task}`"), expected, numbers(losses)?[task]));
        }
        over.try_map(|task, over| {
            Ok(over.affine(1.0 / nadir[task], 0.0)?.log()?.affine(lambda[task], 0.0)?)
        })
    }
}

impl Scalarizer for Stch {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        numbers(losses)?;
        let (terms, mu) = (self.terms(losses)?, self.fields.mu);
        let most = numbers(&terms)?.values().fold(f64::NEG_INFINITY, |most, term| most.max(*term));
        let sum = sum_of(&terms, |_, term| Ok(term.affine(1.0, -most)?.affine(1.0 / mu, 0.0)?.exp()?))?;
        Ok(sum.log()?.affine(mu, most)?)
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        let preference = Some(PerTask::from(preference.clone()));
        *self = Self::try_from(Fields { preference, ..self.fields.clone() })?;
        Ok(())
    }
}

impl Stateful for Stch {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("stch")
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    mu: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preference: Option<PerTask>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ideal: Option<PerTask>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nadir: Option<PerTask>,
}

impl TryFrom<Fields> for Stch {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let checked = |numbers: Option<PerTask>, what: &str, check: fn(&str, f64) -> Result<f64>| {
            numbers.map(|numbers| numbers.checked(what, check)).transpose()
        };
        if fields.mu > 0.0 && !fields.mu.recip().is_finite() {
            return Err(Error::parameter("mu", "a number > 0 with a finite 1/mu", fields.mu));
        }
        Ok(Self {
            fields: Fields {
                mu: parameter::positive("mu", fields.mu)?,
                preference: checked(fields.preference, "preference", parameter::positive)?,
                ideal: checked(fields.ideal, "ideal", parameter::finite)?,
                nadir: checked(fields.nadir, "nadir", parameter::positive)?,
            },
        })
    }
}

impl From<Stch> for Fields {
    fn from(stch: Stch) -> Self {
        stch.fields
    }
}
