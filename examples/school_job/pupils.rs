//! Pupils, by school, to learn from and to be judged by.

use candle_core::{DType, Device, Tensor};
use taskweave::data::{School, stratified};
use taskweave::loss::metric::Regression;
use taskweave::prelude::*;

/// Columns that say something; the last one is always 1.
pub const COLUMNS: usize = 27;

/// Columns of the year of the examination.
pub const YEARS: usize = 3;

/// A batch per school with the views `pupil` `[pupils, 27]`, standardized, and `year` `[pupils, 3]`, and the standardized score.
/// Means and deviations are those of the pupils to learn from.
pub struct Parts {
    pub learn: Vec<Batch>,
    pub judge: Vec<Batch>,
}

impl Parts {
    /// Three quarters of each school's pupils and the rest, by a seed; and the same division of the three quarters.
    pub fn of(school: &School, seed: u64) -> Result<(Self, Self)> {
        let rng = Rng::new(seed);
        let all: Vec<usize> = (0..school.len()).collect();
        let (learn, judge) = divide(school, &all, &mut rng.fork("split"))?;
        let (fit, choose) = divide(school, &learn, &mut rng.fork("validation"))?;
        Ok((Self::new(school, &learn, &judge)?, Self::new(school, &fit, &choose)?))
    }

    fn new(school: &School, learn: &[usize], judge: &[usize]) -> Result<Self> {
        let (learn, judge) = (by_school(school, learn)?, by_school(school, judge)?);
        let inputs: Vec<&Tensor> = learn.iter().flat_map(|batch| batch.inputs.values()).collect();
        let scores: Vec<&Tensor> =
            learn.iter().flat_map(|batch| batch.targets.values()).map(Target::value).collect();
        let (x, y) = (moments(&Tensor::cat(&inputs, 0)?)?, moments(&Tensor::cat(&scores, 0)?)?);
        let standardized = |batches: Vec<Batch>| {
            batches.into_iter().map(|batch| standardize(batch, [&x, &y])).collect::<Result<Vec<_>>>()
        };
        Ok(Self { learn: standardized(learn)?, judge: standardized(judge)? })
    }
}

/// R² over the pupils of all schools; `predict` gives `[pupils, 1]` of a school.
pub fn r2(batches: &[Batch], mut predict: impl FnMut(usize, &Batch) -> Result<Tensor>) -> Result<f64> {
    let mut metric = Regression::default();
    for (i, batch) in batches.iter().enumerate() {
        let prediction = predict(i, batch)?;
        batch.targets.values().try_for_each(|target| metric.update(&prediction, target))?;
    }
    metric.values()?.require("metric", "r2").copied()
}

fn divide(school: &School, indices: &[usize], rng: &mut Rng) -> Result<(Vec<usize>, Vec<usize>)> {
    let schools = school.schools();
    let labels: Vec<u32> = indices.iter().map(|&index| schools[index]).collect();
    let parts = stratified(&labels, [0.75, 0.0, 0.25], rng)?;
    let of = |places: Vec<usize>| places.into_iter().map(|place| indices[place]).collect();
    Ok((of(parts.train), of(parts.test)))
}

fn by_school(school: &School, indices: &[usize]) -> Result<Vec<Batch>> {
    let schools = school.schools();
    let mut groups: Vec<Vec<(usize, taskweave::data::Sample)>> =
        vec![Vec::new(); school.spec().targets.len()];
    for &index in indices {
        groups[schools[index] as usize].push((index, school.get(index)?));
    }
    groups.iter().map(|group| Batch::collate(group)).collect()
}

/// Mean and deviation of every column; a column without any has the deviation 1.
fn moments(values: &Tensor) -> Result<[Tensor; 2]> {
    let mean = values.mean_keepdim(0)?;
    let deviation = values.broadcast_sub(&mean)?.sqr()?.mean_keepdim(0)?.sqrt()?;
    let constant = deviation.lt(1e-6)?.to_dtype(DType::F32)?;
    Ok([mean, (deviation + constant)?])
}

fn standardize(batch: Batch, [x, y]: [&[Tensor; 2]; 2]) -> Result<Batch> {
    let scaled = |values: &Tensor, [mean, deviation]: &[Tensor; 2]| {
        values.broadcast_sub(mean)?.broadcast_div(deviation)
    };
    let pupil = batch.inputs.require("view", "pupil")?;
    let inputs = [
        ("pupil", scaled(pupil, x)?.narrow(1, 0, COLUMNS)?.contiguous()?),
        ("year", pupil.narrow(1, 0, YEARS)?.contiguous()?),
    ];
    let targets = batch
        .targets
        .try_map(|_, target| Target::weighted(scaled(target.value(), y)?, target.weight().clone()))?;
    Batch { inputs: Named::new(inputs)?, targets, ..batch }.to_device(&Device::Cpu)
}
