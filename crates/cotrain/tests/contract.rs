//! A model that does not keep the contract of the trait is an error, not a panic.

use candle_core::{DType, Device, Tensor};
use taskweave_cotrain::Step;
use taskweave_data::Batch;
use taskweave_heads::{Mode, Model, Params};
use taskweave_kernels::{Error, Named, Result, Rng, Target};
use taskweave_loss::criterion::Mse;

struct Talkative;

impl Model for Talkative {
    fn tasks(&self) -> Vec<String> {
        vec!["sum".into()]
    }

    fn share(&self, inputs: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
        Named::new([("sum", inputs["x"].clone())])
    }

    fn heads(&self, features: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
        Named::new([("sum", features["sum"].clone()), ("more", features["sum"].clone())])
    }
}

#[test]
fn a_model_that_predicts_other_tasks_is_refused() {
    let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
    let mut step = Step::builder(Talkative, params).criterion("sum", Mse).build().unwrap();
    let x = Tensor::ones((4, 1), DType::F64, &Device::Cpu).unwrap();
    let batch = Batch {
        inputs: Named::new([("x", x.clone())]).unwrap(),
        targets: Named::new([("sum", Target::new(x).unwrap())]).unwrap(),
        indices: vec![0, 1, 2, 3],
    };
    assert!(matches!(step.step(&batch), Err(Error::Parameter { .. })));
}
