//! Scalarizers that want the losses after a step: a second forward pass that leaves nothing behind.

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor};
use taskweave_cotrain::{Balance, Step};
use taskweave_data::Batch;
use taskweave_heads::{CnnConfig, HeadConfig, NetworkConfig, Params};
use taskweave_kernels::{Kind, Named, Result, Rng, State, Stateful, Target};
use taskweave_loss::Scalarizer;
use taskweave_loss::criterion::CrossEntropy;
use taskweave_loss::scalarizer::{Feedback, Sum};

/// The sum, which hears the losses and keeps them.
struct Listening {
    heard: Arc<Mutex<Vec<Named<f64>>>>,
}

impl Scalarizer for Listening {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        Sum.scalarize(losses)
    }

    fn after_step(&mut self, losses: &Named<f64>) -> Result<()> {
        self.heard.lock().unwrap().push(losses.clone());
        Ok(())
    }

    fn feedback(&self) -> Feedback {
        Feedback::LossesAfterStep
    }
}

impl Stateful for Listening {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, _: &State) -> Result<()> {
        Ok(())
    }
}

const TASKS: [&str; 2] = ["shape", "color"];

/// A network with batch normalization, which sees every forward pass in training mode.
fn network(balance: Balance) -> (Step, Params) {
    let params = Params::new(&Rng::new(1), DType::F32, &Device::Cpu);
    let heads = TASKS.map(|task| (task, HeadConfig::Classification { classes: 3 }));
    let backbone = CnnConfig::new(3, &[4, 5]);
    let config = NetworkConfig { view: "image".into(), backbone, heads: Named::new(heads).unwrap() };
    let builder = Step::builder(config.build(&params).unwrap(), params.clone()).balance(balance);
    let builder = TASKS.iter().fold(builder, |b, task| b.criterion(task, CrossEntropy::default()));
    (builder.rng(&Rng::new(2)).build().unwrap(), params)
}

fn batch(seed: u64) -> Batch {
    let mut rng = Rng::new(seed);
    let image: Vec<f32> = (0..6 * 3 * 8 * 8).map(|_| rng.normal() as f32).collect();
    let image = Tensor::from_vec(image, (6, 3, 8, 8), &Device::Cpu).unwrap();
    let labels = |by: u32| {
        let labels: Vec<u32> = (0..6).map(|i| i * by % 3).collect();
        Target::new(Tensor::new(labels, &Device::Cpu).unwrap()).unwrap()
    };
    Batch {
        inputs: Named::new([("image", image)]).unwrap(),
        targets: Named::new([("shape", labels(1)), ("color", labels(2))]).unwrap(),
        indices: (0..6).collect(),
    }
}

fn bits(params: &Params) -> Vec<u32> {
    let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    params.tensors().values().flat_map(flat).map(f32::to_bits).collect()
}

#[test]
fn a_second_forward_pass_changes_no_statistics_and_no_report() {
    for batches in [vec![batch(0)], vec![batch(0), batch(1)]] {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listening = Box::new(Listening { heard: heard.clone() });
        let (mut step, found) = network(Balance::losses(listening));
        let (mut plain, expected) = network(Balance::default());
        let buffers = found.named().values().filter(|param| param.kind == Kind::Buffer).count();
        assert!(buffers > 0);
        let mut reported = Vec::new();
        for _ in 0..4 {
            let (a, b) = (step.step_over(&batches).unwrap(), plain.step_over(&batches).unwrap());
            assert_eq!((&a.losses, a.value), (&b.losses, b.value));
            assert_eq!(bits(&found), bits(&expected));
            reported.push(a.losses);
        }
        // The same batches again: the loss after one step is that before the next.
        assert_eq!(heard.lock().unwrap()[..3], reported[1..]);
    }
}
