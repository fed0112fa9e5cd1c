//! Ridge regressions to compare with: one per school, one for all, and one for all with one of the rest per school.

use candle_core::{Device, Tensor};
use nalgebra::{DMatrix, DVector};
use taskweave::prelude::*;

use super::pupils::{COLUMNS, Parts, r2};

/// Where the weights come from.
#[derive(Clone, Copy)]
pub enum Kind {
    PerSchool,
    Pooled,
    Residual,
}

pub const KINDS: [Kind; 3] = [Kind::PerSchool, Kind::Pooled, Kind::Residual];

/// What a squared weight costs.
const PENALTIES: [f64; 8] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0];

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::PerSchool => "ridge per school",
            Self::Pooled => "pooled ridge",
            Self::Residual => "pooled + residual ridge",
        }
    }
}

/// R² on the pupils to be judged by, with the penalty that is best on the inner division.
pub fn chosen(kind: Kind, outer: &Parts, inner: &Parts) -> Result<f64> {
    judged(kind, best(kind, inner)?.1, outer)
}

/// The best R² of a division over the penalties, and its penalty.
pub fn best(kind: Kind, parts: &Parts) -> Result<(f64, f64)> {
    let tried: Vec<(f64, f64)> = PENALTIES
        .iter()
        .map(|&penalty| Ok((judged(kind, penalty, parts)?, penalty)))
        .collect::<Result<_>>()?;
    let best = tried.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
    best.ok_or_else(|| Error::parameter("penalties", "at least one", 0))
}

fn judged(kind: Kind, penalty: f64, parts: &Parts) -> Result<f64> {
    let learn = parts.learn.iter().map(Table::of).collect::<Result<Vec<_>>>()?;
    let nothing = Ridge { weights: DVector::zeros(COLUMNS), offset: 0.0 };
    let pooled = match kind {
        Kind::PerSchool => nothing.clone(),
        // The pooled regression of so many pupils needs no choice.
        Kind::Pooled | Kind::Residual => Ridge::fit(&Table::all(&learn), 1.0)?,
    };
    let own = learn.iter().map(|table| match kind {
        Kind::Pooled => Ok(nothing.clone()),
        _ => Ridge::fit(&Table { y: &table.y - pooled.predict(&table.x), x: table.x.clone() }, penalty),
    });
    let own = own.collect::<Result<Vec<_>>>()?;
    r2(&parts.judge, |school, batch| {
        let x = Table::of(batch)?.x;
        let sum = pooled.predict(&x) + own[school].predict(&x);
        let values: Vec<f32> = sum.iter().map(|value| *value as f32).collect();
        Ok(Tensor::from_vec(values, (x.nrows(), 1), &Device::Cpu)?)
    })
}

/// Pupils and their scores.
struct Table {
    x: DMatrix<f64>,
    y: DVector<f64>,
}

impl Table {
    fn of(batch: &Batch) -> Result<Self> {
        let x = batch.inputs.require("view", "pupil")?.flatten_all()?.to_vec1::<f32>()?;
        let mut y = Vec::new();
        for target in batch.targets.values() {
            y.extend(target.value().flatten_all()?.to_vec1::<f32>()?);
        }
        let x = DMatrix::from_row_iterator(batch.len(), COLUMNS, x.into_iter().map(f64::from));
        Ok(Self { x, y: DVector::from_iterator(y.len(), y.into_iter().map(f64::from)) })
    }

    fn all(tables: &[Self]) -> Self {
        let rows: Vec<_> = tables.iter().flat_map(|table| table.x.row_iter()).collect();
        let y: Vec<f64> = tables.iter().flat_map(|table| table.y.iter().copied()).collect();
        Self { x: DMatrix::from_rows(&rows), y: DVector::from_vec(y) }
    }
}

/// y = x · weights + offset.
#[derive(Clone)]
struct Ridge {
    weights: DVector<f64>,
    offset: f64,
}

impl Ridge {
    /// Minimizes Σ (y − ŷ)² + penalty · |weights|²; the offset is free.
    fn fit(Table { x, y }: &Table, penalty: f64) -> Result<Self> {
        let (mean, center) = (x.row_mean(), y.mean());
        let centered = DMatrix::from_fn(x.nrows(), COLUMNS, |i, j| x[(i, j)] - mean[j]);
        let gram = centered.tr_mul(&centered) + DMatrix::identity(COLUMNS, COLUMNS) * penalty;
        let factor = gram.cholesky().ok_or_else(|| Error::non_finite("Gramian of the pupils", "ridge"))?;
        let weights = factor.solve(&centered.tr_mul(&y.add_scalar(-center)));
        Ok(Self { offset: center - (mean * &weights)[0], weights })
    }

    fn predict(&self, x: &DMatrix<f64>) -> DVector<f64> {
        (x * &self.weights).add_scalar(self.offset)
    }
}
