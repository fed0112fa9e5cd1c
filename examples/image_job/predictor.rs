//! A trained network of a run, ready to predict.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::ops::softmax;
use taskweave::heads::Network;
use taskweave::prelude::*;

use super::Saved;

/// A trained network of a run.
pub struct Predictor {
    model: Network,
    pub saved: Saved,
}

/// What a network says about one image.
pub struct Prediction {
    /// The probability of each class.
    pub classes: Vec<f32>,
    /// The probability of the foreground, pixel by pixel.
    pub foreground: Vec<f32>,
}

impl Predictor {
    /// The newest checkpoint of a multi-task method and seed of the run in `root`.
    pub fn load(root: &Path, method: &str, seed: u64) -> Result<Self> {
        let saved: Saved = Run::config(root)?;
        let methods: Named<_> = Named::new(saved.job.methods().into_iter().map(|m| (m.name, m)))?;
        let network = methods.require("method", method)?;
        if network.tasks.len() < 2 {
            return Err(Error::parameter("method", "one that learns class and mask", method));
        }
        let params = Params::new(&Rng::new(seed), DType::F32, &Device::Cpu);
        let model = saved.job.network(network, saved.size[0], saved.classes.len())?.build(&params)?;
        let checkpoints = Run::open(root, &saved)?.checkpoints(&network.training(seed));
        let checkpoint = checkpoints
            .latest()?
            .ok_or_else(|| Error::data(root, format!("a checkpoint of `{method}`, seed {seed}"), "none"))?;
        params.load(&checkpoint.best())?;
        Ok(Self { model, saved })
    }

    /// Predicts a batch of images `[batch, channels, height, width]` in `[0, 1]`.
    pub fn predict(&self, images: &Tensor) -> Result<Vec<Prediction>> {
        let inputs = Named::new([("image", images.clone())])?;
        let logits = self.model.forward(&inputs, Mode::Eval)?;
        let classes = softmax(logits.require("task", "class")?, 1)?.to_vec2()?;
        let mask =
            softmax(logits.require("task", "mask")?, 1)?.narrow(1, 1, 1)?.flatten_from(1)?.to_vec2()?;
        let join = |(classes, foreground)| Prediction { classes, foreground };
        Ok(classes.into_iter().zip(mask).map(join).collect())
    }
}

impl Prediction {
    /// The most probable class.
    pub fn class(&self) -> usize {
        (0..self.classes.len()).max_by(|&a, &b| self.classes[a].total_cmp(&self.classes[b])).unwrap_or(0)
    }

    /// The mask in black and white.
    pub fn mask(&self) -> Vec<u8> {
        self.foreground.iter().map(|p| if *p >= 0.5 { 255 } else { 0 }).collect()
    }
}
