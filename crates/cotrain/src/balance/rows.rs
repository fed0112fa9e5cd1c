//! What a method asks of several gradients, and what it makes of them.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::optim::IntoGradient;
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::weighting::checked;
use taskweave_loss::{Aggregated, Aggregator, Gramian, Jacobian, Weighting};

use super::{Balance, Gradients, Normalize};

/// The gradients of several objectives, one row each, as far as a method asks for them.
pub(crate) trait Rows {
    /// Their inner products, `[rows · rows]`.
    fn products(&mut self) -> Result<Vec<f64>>;

    /// What their numbers are stored as.
    fn dtype(&self) -> DType;

    /// The rows themselves, with the same blocks in each.
    fn rows(&mut self) -> Result<Named<Named<Gradient>>>;

    /// The features that the rows are the gradients of, `[batch, …]` by block; nothing where they are those of parameters.
    fn features(&self) -> Option<Named<Tensor>> {
        None
    }

    /// Σ wᵢ rᵢ.
    fn combined(&mut self, weights: &[f64]) -> Result<Named<Gradient>>;

    /// From what was made of the rows to what the parameters get; `own` weighs what only one of the objectives has.
    fn finish(&mut self, made: Named<Gradient>, _own: &[f64]) -> Result<Named<Gradient>> {
        Ok(made)
    }
}

/// What a balance makes of rows.
pub(crate) struct Balanced {
    pub(crate) gradient: Named<Gradient>,
    /// The weight of each row in it, where it is a weighted sum.
    pub(crate) weights: Option<Named<f64>>,
}

/// Weights that were computed, and at how many steps they were used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Last {
    age: u64,
    weights: Named<f64>,
}

/// What every row stands for: its objective's loss, and what the scalarizer multiplies it by.
#[derive(Clone, Copy)]
struct Objectives<'a> {
    losses: &'a Named<f64>,
    slopes: &'a Named<f64>,
}

impl Balance {
    /// One gradient of several rows. Each is multiplied by its slope, and divided as [`Normalize`] says; then comes the
    /// method, then the scale.
    pub(crate) fn balance(
        &mut self,
        rows: &mut dyn Rows,
        losses: &Named<f64>,
        slopes: &Named<f64>,
    ) -> Result<Balanced> {
        let (of, normalize) = (Objectives { losses, slopes }, self.normalize);
        let factor = self.scale.factor(losses.len());
        if let Some(weights) = self.remembered(slopes) {
            let made = of.weighted_sum(rows, weights)?;
            self.last.iter_mut().for_each(|last| last.age += 1);
            return Ok(made);
        }
        let weights = match (self.without_gradients(slopes)?, &mut self.gradients) {
            (Some(weights), _) => weights,
            (None, Gradients::None) => {
                return Err(Error::parameter("balance", "one of gradients", "one of losses"));
            }
            (None, Gradients::Samples(weighting)) => of.weights(&mut **weighting, rows, normalize)?,
            (None, Gradients::Parameters(aggregator) | Gradients::Representation(aggregator)) => {
                match aggregator.weighting() {
                    Some(weighting) => of.weights(weighting, rows, normalize)?,
                    None => return of.aggregate(&mut **aggregator, rows, (normalize, factor)),
                }
            }
        };
        let weights = weights.map(|_, weight| factor * weight);
        let made = of.weighted_sum(rows, weights.clone())?;
        self.last = (self.refresh > 1).then_some(Last { age: 1, weights });
        Ok(made)
    }

    /// The weights of a method that does not look at the gradients of the parameters, which then need not be formed.
    fn without_gradients(&mut self, rows: &Named<f64>) -> Result<Option<Named<f64>>> {
        let (Gradients::Parameters(aggregator), Normalize::None) = (&mut self.gradients, self.normalize)
        else {
            return Ok(None);
        };
        let Some(weighting) = aggregator.weighting() else { return Ok(None) };
        let weights = weighting.without_gradients(&rows.names().collect::<Vec<_>>())?;
        let named = |weights| Named::new(rows.names().map(String::from).zip(checked(rows.names(), weights)?));
        weights.map(named).transpose()
    }

    /// The last weights, where they still hold: for the same rows, and for `refresh` steps.
    fn remembered(&self, rows: &Named<f64>) -> Option<Named<f64>> {
        let last = self.last.as_ref()?;
        let holds = last.age < self.refresh && last.weights.names().eq(rows.names());
        holds.then(|| last.weights.clone())
    }
}

impl Objectives<'_> {
    fn weighted_sum(self, rows: &mut dyn Rows, weights: Named<f64>) -> Result<Balanced> {
        let own: Vec<f64> = weights.values().zip(self.slopes.values()).map(|(w, slope)| w * slope).collect();
        self.require_finite(&own, rows.dtype())?;
        let made = rows.combined(&own)?;
        Ok(Balanced { gradient: rows.finish(made, &own)?, weights: Some(weights) })
    }

    /// The weights of a method that needs no more than the Gramian, for the rows before they are divided.
    fn weights(
        self,
        weighting: &mut dyn Weighting,
        rows: &mut dyn Rows,
        normalize: Normalize,
    ) -> Result<Named<f64>> {
        let slopes: Vec<f64> = self.slopes.values().copied().collect();
        let products = scaled(&rows.products()?, &slopes);
        let gramian = Gramian::of_products(self.slopes.names(), &products)?;
        let divisors = normalize.divisors(&gramian.norms(), self.losses)?;
        let gramian = match normalize {
            Normalize::None => gramian,
            _ => {
                let factors: Vec<f64> = divisors.iter().map(|divisor| 1.0 / divisor).collect();
                Gramian::of_products(self.slopes.names(), &scaled(&products, &factors))?
            }
        };
        let losses = self.losses.values().copied().collect();
        let weights = checked(self.slopes.names(), weighting.weights(&gramian.with_losses(losses)?)?)?;
        let weights = weights.iter().zip(&divisors).map(|(weight, divisor)| weight / divisor);
        Named::new(self.slopes.names().map(String::from).zip(weights))
    }

    /// What an aggregator makes of the rows themselves.
    fn aggregate(
        self,
        aggregator: &mut dyn Aggregator,
        rows: &mut dyn Rows,
        (normalize, factor): (Normalize, f64),
    ) -> Result<Balanced> {
        let found = rows.rows()?;
        let norms = match normalize.needs_norms() {
            true => self.scaled_rows(&found, &vec![1.0; found.len()])?.gramian()?.norms(),
            false => Vec::new(),
        };
        let divisors = normalize.divisors(&norms, self.losses)?;
        let jacobian = self.scaled_rows(&found, &divisors)?.with_losses(self.losses.clone())?;
        let jacobian = match rows.features() {
            Some(features) => jacobian.with_features(features)?,
            None => jacobian,
        };
        let Aggregated { gradient, weights } = aggregator.aggregate(&jacobian)?;
        let weights = weights.map(|weights| checked(self.slopes.names(), weights)).transpose()?;
        let gradient = gradient.try_map(|_, block| times(block, factor))?;
        let weight = |i: usize| weights.as_ref().and_then(|weights| weights.get(i)).copied().unwrap_or(1.0);
        let own = self.slopes.values().zip(&divisors).enumerate();
        let own: Vec<f64> = own.map(|(i, (slope, divisor))| factor * weight(i) * slope / divisor).collect();
        self.require_finite(&own, rows.dtype())?;
        let gradient = rows.finish(gradient, &own)?;
        let of_row = |(weight, divisor): (&f64, &f64)| factor * weight / divisor;
        let weights = weights.map(|weights| weights.iter().zip(&divisors).map(of_row).collect::<Vec<_>>());
        let names = self.slopes.names().map(String::from);
        let weights = weights.map(|weights| Named::new(names.zip(weights))).transpose()?;
        Ok(Balanced { gradient, weights })
    }

    /// Gradients of a dtype can be multiplied by what every row weighs: a number may be too large for it.
    fn require_finite(self, weights: &[f64], dtype: DType) -> Result<()> {
        let stored = Tensor::new(weights, &Device::Cpu)?.to_dtype(dtype)?.to_dtype(DType::F64)?;
        let stored = stored.to_vec1::<f64>()?;
        match self.slopes.names().zip(stored).find(|(_, weight)| !weight.is_finite()) {
            Some((row, _)) => Err(Error::non_finite(format!("weight (in {dtype:?})"), row)),
            None => Ok(()),
        }
    }

    fn scaled_rows(self, rows: &Named<Named<Gradient>>, divisors: &[f64]) -> Result<Jacobian> {
        let mut factors = self.slopes.values().zip(divisors).map(|(slope, divisor)| slope / divisor);
        Jacobian::new(rows.try_map(|_, row| {
            let factor = factors.next().unwrap_or(1.0);
            row.try_map(|_, block| times(block, factor))
        })?)
    }
}

/// The products of rows that are multiplied by `factors`.
fn scaled(products: &[f64], factors: &[f64]) -> Vec<f64> {
    let pairs = factors.iter().flat_map(|a| factors.iter().map(move |b| a * b));
    products.iter().zip(pairs).map(|(product, factor)| product * factor).collect()
}

/// A gradient times a number.
pub(crate) fn times(block: &Gradient, factor: f64) -> Result<Gradient> {
    if factor == 1.0 { Ok(block.clone()) } else { block.map_values(|values| values.affine(factor, 0.0)) }
}
