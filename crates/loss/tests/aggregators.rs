//! What every aggregator must hold that looks at the coordinates, one row per aggregator.

use candle_core::{DType, Device, Tensor};
use taskweave_kernels::autograd::{Gradient, RowGradient};
use taskweave_kernels::{Named, Rng};
use taskweave_loss::{Aggregator, AggregatorConfig, Jacobian};

/// The table: a new aggregator is tested by a new row.
const ROWS: [&str; 12] = [
    r#"{"name": "trimmed_mean", "trim": 1}"#,
    r#"{"name": "graddrop", "leak": 0.25, "seed": 4}"#,
    r#"{"name": "upgrad"}"#,
    r#"{"name": "gradvac", "beta": 0.3}"#,
    r#"{"name": "db_mtl"}"#,
    r#"{"name": "db_mtl", "beta": 0.0}"#,
    r#"{"name": "moco"}"#,
    r#"{"name": "excess_mtl"}"#,
    r#"{"name": "sam_gs"}"#,
    r#"{"name": "sam_gs", "gamma": 0.1}"#,
    r#"{"name": "per_group", "of": {"name": "cagrad"}}"#,
    r#"{"name": "within", "blocks": "v", "of": {"name": "mgda", "normalize": "loss"}}"#,
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
    with_losses(Jacobian::new(Named::new(rows).unwrap()).unwrap())
}

fn with_losses(jacobian: Jacobian) -> Jacobian {
    let losses = Named::new(jacobian.rows().names().map(String::from).zip([0.7, 0.2, 1.3, 0.4])).unwrap();
    jacobian.with_losses(losses).unwrap()
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
    let row = |x: f64| Named::new([("v", Gradient::from(Tensor::new(x, &Device::Cpu).unwrap()))]).unwrap();
    let rows = [("good", row(1.0)), ("bad", row(f64::NAN)), ("fine", row(2.0))];
    let jacobian = with_losses(Jacobian::new(Named::new(rows).unwrap()).unwrap());
    for text in ROWS {
        let error = build(text).aggregate(&jacobian).unwrap_err();
        assert_eq!(error.to_string(), "gradient of `bad` is not finite", "{text}");
    }
    let error = build(r#"{"name": "trimmed_mean", "trim": 2}"#).aggregate(&jacobian).unwrap_err();
    assert_eq!(error.to_string(), "trim: expected less than half of 3 tasks, found 2");
    for (text, name) in [
        (r#"{"name": "graddrop", "leak": 2.0}"#, "leak"),
        (r#"{"name": "trimmed_mean", "rim": 1}"#, "rim"),
        (r#"{"name": "db_mtl", "beta": 1.0}"#, "beta"),
        (r#"{"name": "db_mtl", "sigma": -1.0}"#, "sigma"),
        (r#"{"name": "moco", "beta": 1.5}"#, "beta"),
        (r#"{"name": "moco", "beta_sigma": -1.0}"#, "beta_sigma"),
        (r#"{"name": "moco", "gamma": -1.0}"#, "gamma"),
        (r#"{"name": "moco", "gamma_sigma": -1.0}"#, "gamma_sigma"),
        (r#"{"name": "moco", "rho": -1.0}"#, "rho"),
        (r#"{"name": "excess_mtl", "step_size": -1.0}"#, "step_size"),
        (r#"{"name": "excess_mtl", "warm_up": 0}"#, "warm_up"),
        (r#"{"name": "sam_gs", "beta1": 1.0}"#, "beta1"),
        (r#"{"name": "sam_gs", "beta2": 1.0}"#, "beta2"),
        (r#"{"name": "sam_gs", "gamma": 2.0}"#, "gamma"),
        (r#"{"name": "per_group", "of": {"name": "cagrad", "c": -1.0}}"#, "c: "),
        (r#"{"name": "within", "of": {"name": "mean"}}"#, "blocks"),
    ] {
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

/// Two samples of two features by hand. Summed over the samples with the signs of A, feature 1 has −2 of task a and 4 of task b,
/// so that b remains with the share 2/3; feature 2 has 2 of a and nothing of b. Without the features all values are positive.
#[test]
fn of_features_the_sign_is_that_of_the_features_times_the_gradients() {
    let tensor = |x: [[f64; 2]; 2]| Tensor::new(&x, &Device::Cpu).unwrap();
    let row = |x| Named::new([("v", Gradient::from(tensor(x)))]).unwrap();
    let rows = Named::new([("a", row([[1.0, 2.0], [3.0, 4.0]])), ("b", row([[5.0, 1.0], [1.0, 1.0]]))]);
    let jacobian = Jacobian::new(rows.unwrap()).unwrap();
    let features = Named::new([("v", tensor([[1.0, -2.0], [-1.0, 3.0]]))]).unwrap();
    let seen = jacobian.clone().with_features(features).unwrap();
    let mut of_b = 0;
    for seed in 0..300 {
        let text = format!(r#"{{"name": "graddrop", "leak": 0.5, "seed": {seed}}}"#);
        let found = numbers(&build(&text).aggregate(&seen).unwrap().gradient);
        // What is dropped passes by half.
        let (a, b) = ([3.5, 2.5, 3.5, 4.5], [5.5, 2.5, 2.5, 4.5]);
        assert!(found == a || found == b, "{found:?}");
        of_b += usize::from(found == b);
        assert_eq!(numbers(&build(&text).aggregate(&jacobian).unwrap().gradient), [6.0, 3.0, 4.0, 5.0]);
    }
    assert!((170..230).contains(&of_b), "{of_b}");
    for shape in [(1, 2), (2, 1)] {
        let other = Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap();
        let error = jacobian.clone().with_features(Named::new([("v", other)]).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("features `v`: expected shape [2, 2]"), "{error}");
    }
}

/// A feature that is 0 for every sample, as behind a rectifier: the signs of A say nothing, and no task's gradient of it is lost.
#[test]
fn gradients_of_features_that_are_all_zero_remain() {
    let tensor = |x: [[f64; 2]; 2]| Tensor::new(&x, &Device::Cpu).unwrap();
    let row = |x| Named::new([("v", Gradient::from(tensor(x)))]).unwrap();
    let rows = Named::new([("a", row([[1.0, 2.0], [3.0, 4.0]])), ("b", row([[-5.0, 1.0], [-1.0, 1.0]]))]);
    let features = Named::new([("v", tensor([[0.0, -2.0], [0.0, -3.0]]))]).unwrap();
    let seen = Jacobian::new(rows.unwrap()).unwrap().with_features(features).unwrap();
    for seed in 0..20 {
        let text = format!(r#"{{"name": "graddrop", "seed": {seed}}}"#);
        let found = numbers(&build(&text).aggregate(&seen).unwrap().gradient);
        // The other feature: both signed sums are negative.
        assert_eq!(found, [-4.0, 3.0, 2.0, 5.0]);
    }
}

#[test]
fn what_is_unknown_or_missing_is_named() {
    let jacobian = jacobian(0, DType::F64);
    for (text, expected) in [
        (r#"{"name": "within", "blocks": "fc", "of": {"name": "mean"}}"#, "block that begins with `fc`"),
        (r#"{"name": "per_group", "of": {"name": "mean"}, "groups": ["m"]}"#, "group of block `v`"),
        (r#"{"name": "pcd", "tau": 0.1, "primary": "e"}"#, "primary task `e`"),
    ] {
        let error = build(text).aggregate(&jacobian).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let bare = Jacobian::new(jacobian.rows().clone()).unwrap();
    for (text, method) in [
        (r#"{"name": "db_mtl"}"#, "db_mtl"),
        (r#"{"name": "gradnorm"}"#, "gradnorm"),
        (r#"{"name": "mgda", "normalize": "loss"}"#, "mgda"),
        (r#"{"name": "epo", "preference": [1.0, 1.0, 1.0, 1.0]}"#, "epo"),
        (r#"{"name": "ferero", "preference": [1.0, 1.0, 1.0, 1.0]}"#, "ferero"),
    ] {
        let error = build(text).aggregate(&bare).unwrap_err().to_string();
        assert_eq!(error, format!("losses for {method}: expected one per task, found none"));
    }
    let twice = r#"{"name": "per_group", "of": {"name": "mean"}, "groups": ["m", "m"]}"#;
    assert!(serde_json::from_str::<AggregatorConfig>(twice).unwrap().build().is_err());
}

/// Three gradients of three numbers by hand.
fn three(losses: [f64; 2]) -> Jacobian {
    let row = |x: [f64; 2]| Named::new([("x", Tensor::new(&x, &Device::Cpu).unwrap().into())]).unwrap();
    let rows = Named::new([("a", row([1.0, 0.0])), ("b", row([0.0, 2.0]))]).unwrap();
    let losses = Named::new([("a", losses[0]), ("b", losses[1])]).unwrap();
    Jacobian::new(rows).unwrap().with_losses(losses).unwrap()
}

#[test]
fn what_is_remembered_decides_the_next_step() {
    let close = |found: &[f64], expected: [f64; 2]| {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}, not {expected:?}");
    };
    // m = ½ g / L, then ¼ g / L + ½ g / L′: lengths (½, 1), then (½ + ¼, ½ + ½) of losses (1, 1) and (1, 2).
    let mut db_mtl = build(r#"{"name": "db_mtl", "beta": 0.5}"#);
    close(&numbers(&db_mtl.aggregate(&three([1.0, 1.0])).unwrap().gradient), [1.0, 1.0]);
    close(&numbers(&db_mtl.aggregate(&three([1.0, 2.0])).unwrap().gradient), [1.0, 1.0]);
    // With equal losses: lengths (¾, 3/2) after two steps.
    let mut db_mtl = build(r#"{"name": "db_mtl", "beta": 0.5}"#);
    db_mtl.aggregate(&three([1.0, 1.0])).unwrap();
    close(&numbers(&db_mtl.aggregate(&three([1.0, 1.0])).unwrap().gradient), [1.5, 1.5]);
    // y = ½ g, then ½ y + ½ g = ¾ g, λ = ½ without steps.
    let mut moco = build(r#"{"name": "moco", "beta": 0.5, "beta_sigma": 0.0, "gamma": 0.0}"#);
    close(&numbers(&moco.aggregate(&three([1.0, 1.0])).unwrap().gradient), [0.25, 0.5]);
    close(&numbers(&moco.aggregate(&three([1.0, 1.0])).unwrap().gradient), [0.375, 0.75]);
    // φ = 4/5, 1 − φ = 1/5: v̂ = 1/25 (+ 1e-7), m̂ = g, d = g² / (1/5).
    let mut sam_gs = build(r#"{"name": "sam_gs", "gamma": 0.5}"#);
    let found = numbers(&sam_gs.aggregate(&three([1.0, 1.0])).unwrap().gradient);
    assert!((found[0] - 5.0).abs() < 1e-4 && (found[1] - 20.0).abs() < 1e-4, "{found:?}");
}

#[test]
fn long_blocks_are_cut_at_the_same_places_for_any_number_of_threads() {
    let mut rng = Rng::new(5);
    let mut row = || {
        let values: Vec<f32> = (0..30_011).map(|_| rng.normal() as f32).collect();
        Named::new([("v", Gradient::from(Tensor::new(values, &Device::Cpu).unwrap()))]).unwrap()
    };
    let rows = ["a", "b", "c", "d"].map(|task| (task, row()));
    let jacobian = with_losses(Jacobian::new(Named::new(rows).unwrap()).unwrap());
    for text in ROWS {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| numbers(&build(text).aggregate(&jacobian).unwrap().gradient))
        };
        assert!(on(1) == on(3), "{text}");
    }
}

#[test]
fn configs_survive_a_round_trip() {
    for text in ROWS {
        let config: AggregatorConfig = serde_json::from_str(text).unwrap();
        let again = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<AggregatorConfig>(&again).unwrap(), config);
    }
}
