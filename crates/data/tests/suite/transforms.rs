//! The conformance table of transforms: a new transform is tested by a new row.

use candle_core::{DType, Device, Tensor};
use taskweave_data::{Dataset, Label, Padding, Sample, Shapes, ShapesConfig, TransformConfig};
use taskweave_kernels::{Error, Named, Rng};

/// What a transform does to maps.
#[derive(PartialEq)]
enum Maps {
    Move,
    Stay,
}

fn table() -> Vec<(TransformConfig, Maps)> {
    use TransformConfig as T;
    vec![
        (T::Flip { p: 1.0 }, Maps::Move),
        (T::Shift { pixels: 5, padding: Padding::Zero }, Maps::Move),
        (T::Shift { pixels: 5, padding: Padding::Edge }, Maps::Move),
        (T::Cutout { size: 9 }, Maps::Stay),
        (T::ColorJitter { brightness: 0.5, contrast: 0.5, saturation: 0.5 }, Maps::Stay),
        (T::Noise { std: 0.1 }, Maps::Stay),
        (T::Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] }, Maps::Stay),
        (T::Compose(vec![T::Flip { p: 1.0 }, T::Shift { pixels: 3, padding: Padding::Zero }]), Maps::Move),
    ]
}

/// An image of [`Shapes`] whose green channel is its mask.
fn sample() -> Sample {
    let mut sample = Shapes::new(ShapesConfig::default()).unwrap().get(4).unwrap();
    let mask = sample.targets["mask"].value().to_dtype(DType::F32).unwrap();
    let image = &sample.inputs["image"];
    let planes = [&image.get(0).unwrap(), &mask, &image.get(2).unwrap()];
    *sample.inputs.get_mut("image").unwrap() = Tensor::stack(&planes, 0).unwrap();
    sample
}

fn apply(config: &TransformConfig, seed: u64) -> Sample {
    config.build().unwrap().apply(sample(), &mut Rng::new(seed)).unwrap()
}

fn image(sample: &Sample) -> Vec<f32> {
    sample.inputs["image"].flatten_all().unwrap().to_vec1().unwrap()
}

fn mask(sample: &Sample) -> Vec<u32> {
    sample.targets["mask"].value().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn images_change_and_keep_shape_and_dtype() {
    for (config, _) in table() {
        let after = apply(&config, 1);
        assert_ne!(image(&after), image(&sample()), "{config:?}");
        assert_eq!(after.inputs["image"].shape(), sample().inputs["image"].shape(), "{config:?}");
        assert_eq!(
            after.targets["class"].value().to_scalar::<u32>().unwrap(),
            sample().targets["class"].value().to_scalar::<u32>().unwrap(),
            "{config:?}"
        );
    }
}

#[test]
fn maps_move_with_the_image_or_stay() {
    for (config, maps) in table() {
        for seed in 0..20 {
            let after = apply(&config, seed);
            if maps == Maps::Stay {
                assert_eq!(mask(&after), mask(&sample()), "{config:?}");
                continue;
            }
            let green: Vec<u32> = image(&after)[1024..2048].iter().map(|&value| value as u32).collect();
            assert_eq!(mask(&after), green, "{config:?}");
        }
    }
}

#[test]
fn equal_streams_give_equal_samples_and_others_do_not() {
    for (config, _) in table() {
        assert_eq!(image(&apply(&config, 3)), image(&apply(&config, 3)), "{config:?}");
        let drawn = !matches!(config, TransformConfig::Flip { .. } | TransformConfig::Normalize { .. });
        let distinct = (0..5).any(|seed| image(&apply(&config, seed)) != image(&apply(&config, 9)));
        assert_eq!(distinct, drawn, "{config:?}");
    }
}

#[test]
fn a_label_keeps_its_weight() {
    for (config, _) in table() {
        let mut before = sample();
        let weak = Label::weighted(before.targets["mask"].value().clone(), 0.25).unwrap();
        *before.targets.get_mut("mask").unwrap() = weak;
        let after = config.build().unwrap().apply(before, &mut Rng::new(0)).unwrap();
        assert_eq!(after.targets["mask"].weight(), 0.25, "{config:?}");
    }
}

#[test]
fn a_sample_without_an_image_is_refused() {
    for (config, _) in table() {
        let x = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
        let blind = Sample { inputs: Named::new([("x", x)]).unwrap(), targets: Named::default() };
        let result = config.build().unwrap().apply(blind, &mut Rng::new(0));
        assert!(matches!(result, Err(Error::Parameter { .. })), "{config:?}");
    }
}

#[test]
fn a_map_of_another_size_is_refused_by_what_would_move_it() {
    for (config, maps) in table() {
        let mut half = sample();
        let map = Tensor::zeros((16, 16), DType::U32, &Device::Cpu).unwrap();
        half.targets.insert("half", Label::new(map)).unwrap();
        let result = config.build().unwrap().apply(half, &mut Rng::new(0));
        assert_eq!(matches!(result, Err(Error::Shape { .. })), maps == Maps::Move, "{config:?}");
    }
}

#[test]
fn configurations_survive_a_file() {
    for (config, _) in table() {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TransformConfig>(&text).unwrap(), config);
    }
    assert!(serde_json::from_str::<TransformConfig>(r#"{ "flip": { "p": 1.0, "q": 2.0 } }"#).is_err());
}

#[test]
fn parameters_out_of_range_are_refused() {
    use TransformConfig as T;
    let bad = [
        T::Flip { p: -0.1 },
        T::Flip { p: f64::NAN },
        T::Cutout { size: 0 },
        T::ColorJitter { brightness: 1.1, contrast: 0.0, saturation: 0.0 },
        T::ColorJitter { brightness: 0.0, contrast: -0.1, saturation: 0.0 },
        T::ColorJitter { brightness: 0.0, contrast: 0.0, saturation: f64::INFINITY },
        T::RandAugment { changes: 0, strength: 0.5 },
        T::RandAugment { changes: 2, strength: 1.5 },
        T::Noise { std: -1.0 },
        T::Noise { std: f64::INFINITY },
        T::Normalize { mean: vec![], std: vec![] },
        T::Normalize { mean: vec![0.0], std: vec![1.0, 1.0] },
        T::Normalize { mean: vec![f32::NAN], std: vec![1.0] },
        T::Normalize { mean: vec![0.0], std: vec![0.0] },
        T::Compose(vec![T::Noise { std: -1.0 }]),
    ];
    for config in bad {
        assert!(matches!(config.build().err(), Some(Error::Parameter { .. })), "{config:?}");
    }
}

#[test]
fn a_hole_is_as_large_as_its_size_away_from_the_border() {
    let white = |seed| {
        let x = Tensor::ones((1, 9, 9), DType::F32, &Device::Cpu).unwrap();
        let sample = Sample { inputs: Named::new([("image", x)]).unwrap(), targets: Named::default() };
        let cut =
            TransformConfig::Cutout { size: 4 }.build().unwrap().apply(sample, &mut Rng::new(seed)).unwrap();
        81 - image(&cut).iter().sum::<f32>() as usize
    };
    let holes: Vec<usize> = (0..60).map(white).collect();
    // Whole 4 × 4; at the border 3 or 2 are left of a side.
    assert!(holes.iter().all(|hole| [4, 6, 8, 9, 12, 16].contains(hole)), "{holes:?}");
    assert!(holes.contains(&16) && holes.iter().any(|&hole| hole < 16));
}
