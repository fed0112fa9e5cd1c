//! Networks built from configurations: shapes, repeatability, modes and bad input.

use candle_core::{DType, Device, Tensor};
use taskweave_heads::{
    CnnConfig, Features, HeadConfig, MlpConfig, Mode, Model, Network, NetworkConfig, Params,
};
use taskweave_kernels::{Error, Named, Owner, Rng};

fn config() -> NetworkConfig {
    let heads = [
        ("class", HeadConfig::Classification { classes: 5 }),
        ("mask", HeadConfig::Dense { classes: 2 }),
        ("age", HeadConfig::Regression { outputs: 1 }),
    ];
    let backbone = CnnConfig { dropout: 0.3, convs: 2, ..CnnConfig::new(3, &[4, 6]) };
    NetworkConfig { view: "image".into(), backbone, heads: Named::new(heads).unwrap() }
}

fn build(seed: u64) -> (Network, Params) {
    let params = Params::new(&Rng::new(seed), DType::F32, &Device::Cpu);
    (config().build(&params).unwrap(), params)
}

fn images() -> Named<Tensor> {
    let mut rng = Rng::new(9);
    let values: Vec<f32> = (0..2 * 3 * 64).map(|_| rng.normal() as f32).collect();
    Named::new([("image", Tensor::from_vec(values, (2, 3, 8, 8), &Device::Cpu).unwrap())]).unwrap()
}

fn flat(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn every_task_gets_its_prediction() {
    let y = build(0).0.forward(&images(), Mode::Eval).unwrap();
    let shapes: Vec<_> = y.iter().map(|(task, y)| (task.to_owned(), y.dims().to_vec())).collect();
    let expected = [("class", vec![2, 5]), ("mask", vec![2, 2, 8, 8]), ("age", vec![2, 1])];
    assert_eq!(shapes, expected.map(|(task, shape)| (task.to_owned(), shape)));
}

#[test]
fn the_same_seed_and_step_give_the_same_bits() {
    let run = |seed: u64, step: u64| {
        let step = Rng::new(1).fork_at(step);
        let y = build(seed).0.forward(&images(), Mode::Train(&step)).unwrap();
        flat(&y["class"])
    };
    assert_eq!(run(0, 0), run(0, 0));
    assert_ne!(run(0, 0), run(0, 1), "another step has another dropout mask");
    assert_ne!(run(0, 0), run(1, 0));
}

#[test]
fn evaluation_changes_nothing_and_training_moves_the_running_statistics() {
    let (model, params) = build(0);
    let before = flat(&params.tensors()["shared.0.0.norm.running_mean"]);
    let first = model.forward(&images(), Mode::Eval).unwrap();
    let second = model.forward(&images(), Mode::Eval).unwrap();
    assert_eq!(flat(&first["mask"]), flat(&second["mask"]));
    assert_eq!(flat(&params.tensors()["shared.0.0.norm.running_mean"]), before);
    model.forward(&images(), Mode::Train(&Rng::new(0))).unwrap();
    assert_ne!(flat(&params.tensors()["shared.0.0.norm.running_mean"]), before);
}

#[test]
fn gradients_reach_the_trunk_from_every_task_and_stay_out_of_the_other_heads() {
    let (model, params) = build(0);
    let y = model.forward(&images(), Mode::Train(&Rng::new(0))).unwrap();
    for (task, y) in y.iter() {
        let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        for (name, param) in params.named().iter().filter(|(_, p)| p.kind.is_trained()) {
            let reached = grads.get(&param.var).is_some();
            let expected = match &param.owner {
                Owner::Shared => true,
                Owner::Task(owner) => owner == task,
            };
            assert_eq!(reached, expected, "{task} and {name}");
        }
    }
}

#[test]
fn only_the_tasks_asked_for_are_predicted() {
    let (model, _) = build(0);
    let mut features = model.share(&images(), Mode::Eval).unwrap();
    features.remove("mask");
    assert_eq!(model.heads(&features, Mode::Eval).unwrap().names().collect::<Vec<_>>(), ["class", "age"]);
    features.insert("depth", features["class"].clone()).unwrap();
    let error = model.heads(&features, Mode::Eval).unwrap_err();
    assert!(matches!(&error, Error::Unknown { name, .. } if name == "depth"), "{error}");
}

#[test]
fn bad_configurations_are_refused() {
    let params = || Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
    let trunk = |widths: &[usize]| CnnConfig::new(3, widths).build(&params().shared()).map(|_| ());
    assert!(matches!(trunk(&[]), Err(Error::Parameter { .. })));
    assert!(matches!(trunk(&[4, 0]), Err(Error::Parameter { .. })));
    let dropout = CnnConfig { dropout: 1.0, ..CnnConfig::new(3, &[4]) };
    assert!(matches!(dropout.build(&params().shared()), Err(Error::Parameter { .. })));
    let head = HeadConfig::Dense { classes: 2 };
    let vector = Features::Vector { width: 4 };
    assert!(matches!(head.build(&params().task("mask"), vector), Err(Error::Parameter { .. })));
    let single = HeadConfig::Classification { classes: 1 };
    assert!(matches!(single.build(&params().task("class"), vector), Err(Error::Parameter { .. })));
    let mlp = MlpConfig { inputs: 0, widths: vec![3], dropout: 0.0 };
    assert!(matches!(mlp.build(&params().shared()), Err(Error::Parameter { .. })));
    let none = NetworkConfig { heads: Named::default(), ..config() };
    assert!(matches!(none.build(&params()), Err(Error::Parameter { .. })));
}

#[test]
fn a_missing_view_is_named() {
    let inputs = Named::new([("text", images()["image"].clone())]).unwrap();
    let error = build(0).0.forward(&inputs, Mode::Eval).unwrap_err();
    assert_eq!(error.to_string(), "unknown view `image`: known are [\"text\"]");
}
