//! What every aggregator must hold that looks at the coordinates, one row per aggregator.

use candle_core::{DType, Device, Tensor};
use taskweave_kernels::autograd::{Gradient, RowGradient};
use taskweave_kernels::{Named, Rng};
use taskweave_loss::{Aggregator, AggregatorConfig, Jacobian};

/// The table: a new aggregator is tested by a new row.
const ROWS: [&str; 4] = [
    r#"{"name": "trimmed_mean", "trim": 1}"#,
    r#"{"name": "graddrop", "leak": 0.25, "seed": 4}"#,
    r#"{"name": "upgrad"}"#,
    r#"{"name": "gradvac", "beta": 0.3}"#,
];

fn build(text: &str) -> Box<dyn Aggregator> {
    serde_json::from_str::<AggregatorConfig>(text).unwrap().build().unwrap()
}

/// Four tasks, a matrix and a vector.
fn jacobian(seed: u64, dtype: DType) -> Jacobian {
    let mut rng = Rng::new(seed);
    let mut block = |shape: &[usize]| -> Gradient {
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap().into()
    };
    let rows = ["a", "b", "c", "d"]
        .map(|task| (task, Named::new([("m", block(&[3, 5])), ("v", block(&[7]))]).unwrap()));
    Jacobian::new(Named::new(rows).unwrap()).unwrap()
}

fn numbers(gradient: &Named<Gradient>) -> Vec<f64> {
    let flat =
        |block: &Gradient| block.clone().into_dense()?.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>();
    gradient.values().flat_map(|block| flat(block).unwrap()).collect()
}

#[test]
fn blocks_keep_their_shape_and_dtype_and_a_restored_aggregator_goes_on() {
    for text in ROWS {
        for dtype in [DType::F32, DType::F64] {
            let (mut first, mut back) = (build(text), build(text));
            first.aggregate(&jacobian(0, dtype)).unwrap();
            back.restore(&first.save().unwrap()).unwrap();
            for seed in 1..4 {
                let found = first.aggregate(&jacobian(seed, dtype)).unwrap();
                assert_eq!(found.gradient["m"].shape().dims(), [3, 5], "{text}");
                assert_eq!(found.gradient["v"].values().dtype(), dtype, "{text}");
                let other = back.aggregate(&jacobian(seed, dtype)).unwrap();
                assert_eq!(numbers(&found.gradient), numbers(&other.gradient), "{text}");
            }
        }
    }
}

#[test]
fn what_is_not_finite_names_its_task_and_too_much_trim_is_refused() {
    let row = |x: f64| Named::new([("x", Gradient::from(Tensor::new(x, &Device::Cpu).unwrap()))]).unwrap();
    let rows = [("good", row(1.0)), ("bad", row(f64::NAN)), ("fine", row(2.0))];
    let jacobian = Jacobian::new(Named::new(rows).unwrap()).unwrap();
    for text in ROWS {
        let error = build(text).aggregate(&jacobian).unwrap_err();
        assert_eq!(error.to_string(), "gradient of `bad` is not finite", "{text}");
    }
    let error = build(r#"{"name": "trimmed_mean", "trim": 2}"#).aggregate(&jacobian).unwrap_err();
    assert_eq!(error.to_string(), "trim: expected less than half of 3 tasks, found 2");
    for (text, name) in
        [(r#"{"name": "graddrop", "leak": 2.0}"#, "leak"), (r#"{"name": "trimmed_mean", "rim": 1}"#, "rim")]
    {
        let error = serde_json::from_str::<AggregatorConfig>(text).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn gradients_by_rows_count_as_zero_elsewhere() {
    let rows = |row: u32, x: f64| {
        let values = Tensor::new(&[[x]], &Device::Cpu).unwrap();
        Named::new([("table", Gradient::Rows(RowGradient::new(vec![row], values, 3).unwrap()))]).unwrap()
    };
    let jacobian =
        Jacobian::new(Named::new([("a", rows(0, 1.0)), ("b", rows(2, 5.0)), ("c", rows(2, 3.0))]).unwrap());
    let found = build(ROWS[0]).aggregate(&jacobian.unwrap()).unwrap();
    assert_eq!(numbers(&found.gradient), [0.0, 0.0, 3.0]);
}

#[test]
fn signs_are_drawn_by_their_share() {
    // 3 against −1: the positive sign has the share 3/4.
    let row =
        |x: f64| Named::new([("x", Gradient::from(Tensor::full(x, 20_000, &Device::Cpu).unwrap()))]).unwrap();
    let jacobian = Jacobian::new(Named::new([("a", row(3.0)), ("b", row(-1.0))]).unwrap()).unwrap();
    let found = numbers(&build(r#"{"name": "graddrop"}"#).aggregate(&jacobian).unwrap().gradient);
    assert!(found.iter().all(|x| *x == 3.0 || *x == -1.0));
    let share = found.iter().filter(|x| **x == 3.0).count() as f64 / 20_000.0;
    assert!((share - 0.75).abs() < 0.015, "{share}");
}

#[test]
fn configs_survive_a_round_trip() {
    for text in ROWS {
        let config: AggregatorConfig = serde_json::from_str(text).unwrap();
        let again = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<AggregatorConfig>(&again).unwrap(), config);
    }
}
