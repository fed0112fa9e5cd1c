//! Two networks, each with a view of its own, in the place of the classical learners.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use taskweave::data::Subset;
use taskweave::prelude::*;

use super::Problem;
use super::problems::Split;
use crate::view_pair::{Pair, Way};

/// The classes that both networks together give to the test samples of a split.
pub fn labels(problem: &Problem, split: &Split, way: Way, seed: u64) -> Result<Vec<u32>> {
    let inputs = problem.views.iter().map(|view| Ok((*view, problem.features(split.views.require(view)?)?)));
    let inputs = Named::new(inputs.collect::<Result<Vec<_>>>()?)?;
    let known = split.pool.labeled();
    let class = |sample| known.get(&sample).map_or(0, |class| *class as u32);
    let weight = |sample| if known.contains_key(&sample) { 1.0 } else { 0.0 };
    let samples = problem.classes.len();
    let classes = Tensor::from_vec((0..samples).map(class).collect::<Vec<u32>>(), samples, &Device::Cpu)?;
    let weights = Tensor::from_vec((0..samples).map(weight).collect::<Vec<f32>>(), samples, &Device::Cpu)?;
    let target = (Labels::Class(vec!["0".into(), "1".into()]), Target::weighted(classes, weights)?);
    let all = Memory::new(inputs.clone(), Named::new([("class", target)])?)?;
    let train: Vec<usize> = known.keys().copied().chain(split.pool.without_given_label()).collect();
    let batch = train.len();
    let pair =
        Pair { hidden: 32, batch, epochs: 200, ..Pair::new(problem.views, Named::new([("class", 2)])?, way) };
    let trained = pair.train(&Rng::new(seed), Arc::new(Subset::new(all, train)?), None)?;
    let test: Vec<u32> = split.test.iter().map(|sample| *sample as u32).collect();
    let test = Tensor::from_vec(test, split.test.len(), &Device::Cpu)?;
    trained.vote("class", &inputs.try_map(|_, input| Ok::<_, Error>(input.index_select(&test, 0)?))?)
}
