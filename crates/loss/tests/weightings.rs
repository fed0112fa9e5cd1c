//! What every weighting must hold: one row per weighting, over families of Jacobians.

use taskweave_kernels::{Error, Named, Rng};
use taskweave_loss::{Gramian, Weighting, WeightingConfig};

/// A weighting and what it promises.
struct Row {
    text: &'static str,
    promises: &'static [Promise],
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Promise {
    /// No task's loss rises to first order.
    NoConflict,
    /// Tasks in another order get the same weights in that order.
    Equivariant,
    /// wᵢ‖gᵢ‖ does not depend on ‖gᵢ‖.
    UnitFree,
    /// Where 0 is in the convex hull there is no solution, and an error says so.
    NoneWhereStationary,
    /// ‖d‖² ≤ gᵢ·d for every task.
    Shortest,
    /// d is 0 or has the same cosine to every gradient that is not 0, if any direction has.
    EqualCosines,
}

use Promise::*;

/// The table: a new weighting is tested by a new row.
const ROWS: [Row; 21] = [
    Row { text: r#"{"name": "mean"}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "sum"}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "random", "seed": 3}"#, promises: &[] },
    Row { text: r#"{"name": "norm_balance"}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "mgda"}"#, promises: &[NoConflict, Equivariant, Shortest] },
    Row { text: r#"{"name": "mgda", "normalize": "l2"}"#, promises: &[NoConflict, Equivariant, UnitFree] },
    Row { text: r#"{"name": "dualproj"}"#, promises: &[NoConflict, Equivariant] },
    Row { text: r#"{"name": "upgrad"}"#, promises: &[NoConflict, Equivariant] },
    Row { text: r#"{"name": "pcgrad"}"#, promises: &[] },
    Row { text: r#"{"name": "gradvac", "beta": 0.5}"#, promises: &[] },
    Row { text: r#"{"name": "imtl_g"}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "cagrad", "c": 0.4}"#, promises: &[Equivariant] },
    Row {
        text: r#"{"name": "cagrad", "c": 1.5, "rescale": "one_plus_c2"}"#,
        promises: &[NoConflict, Equivariant],
    },
    Row {
        text: r#"{"name": "nash_mtl"}"#,
        promises: &[NoConflict, Equivariant, UnitFree, NoneWhereStationary],
    },
    Row {
        text: r#"{"name": "fairgrad", "alpha": 2.0}"#,
        promises: &[NoConflict, Equivariant, NoneWhereStationary],
    },
    Row {
        text: r#"{"name": "fairgrad", "alpha": 0.5}"#,
        promises: &[NoConflict, Equivariant, NoneWhereStationary],
    },
    Row { text: r#"{"name": "aligned_mtl", "scale": "median"}"#, promises: &[] },
    Row { text: r#"{"name": "config"}"#, promises: &[EqualCosines] },
    Row { text: r#"{"name": "krum", "n_byzantine": 1, "n_selected": 2}"#, promises: &[] },
    Row { text: r#"{"name": "ema", "beta": 0.7, "of": {"name": "upgrad"}}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "every", "steps": 2, "of": {"name": "pcgrad", "seed": 5}}"#, promises: &[] },
];

fn build(text: &str) -> Box<dyn Weighting> {
    serde_json::from_str::<WeightingConfig>(text).unwrap().build().unwrap()
}

type Rows = Vec<Vec<f64>>;

/// Jacobians of K tasks, of every kind that solvers stumble on.
fn families(tasks: usize) -> Vec<(&'static str, Rows)> {
    let mut rng = Rng::new(tasks as u64);
    let mut normal =
        |width: usize| -> Rows { (0..tasks).map(|_| (0..width).map(|_| rng.normal()).collect()).collect() };
    let wide = normal(2 * tasks + 3);
    let flat = normal(tasks.div_ceil(2));
    let scaled = |rows: &Rows| -> Rows {
        let by = |i: usize| 10f64.powi((i % 7) as i32 - 3);
        rows.iter().enumerate().map(|(i, row)| row.iter().map(|x| x * by(i)).collect()).collect()
    };
    let agreeing: Rows = wide.iter().map(|row| row.iter().map(|x| x.abs()).collect()).collect();
    let mut one_zero = wide.clone();
    one_zero[tasks / 2] = vec![0.0; wide[0].len()];
    let mut opposed = wide.clone();
    opposed[tasks - 1] = wide[0].iter().map(|x| -x).collect();
    let mut twice = wide.clone();
    twice[tasks - 1] = wide[0].clone();
    vec![
        ("scaled", scaled(&wide)),
        ("scaled, rank-deficient", scaled(&flat)),
        ("agreeing", scaled(&agreeing)),
        ("random", wide.clone()),
        ("rank-deficient", flat),
        ("one zero", one_zero),
        ("opposed", opposed),
        ("twice", twice),
        ("zero", vec![vec![0.0; 3]; tasks]),
    ]
}

fn gramian(rows: &Rows) -> Gramian {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let products: Rows = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
    Gramian::new((0..rows.len()).map(|i| format!("t{i}")), &products).unwrap()
}

fn norm(row: &[f64]) -> f64 {
    row.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// d = Jᵀ w, and the length that rounding is relative to.
fn update(rows: &Rows, w: &[f64]) -> (Vec<f64>, f64) {
    let mut d = vec![0.0; rows[0].len()];
    for (row, w) in rows.iter().zip(w) {
        d.iter_mut().zip(row).for_each(|(d, x)| *d += w * x);
    }
    let terms: f64 = rows.iter().zip(w).map(|(row, w)| w.abs() * norm(row)).sum();
    (d, terms)
}

fn along(rows: &Rows, d: &[f64]) -> Vec<f64> {
    rows.iter().map(|row| row.iter().zip(d).map(|(x, d)| x * d).sum()).collect()
}

/// What the row does not need: too few tasks for Krum, no agreement where none exists.
fn excused(row: &Row, tasks: usize, error: &Error) -> bool {
    match error {
        Error::Parameter { .. } => row.text.contains("krum") && tasks < 4,
        Error::NotConverged { .. } => row.promises.contains(&NoneWhereStationary),
        _ => false,
    }
}

/// Whether 0 is in the convex hull, by the exact shortest vector.
fn stationary(rows: &Rows) -> bool {
    let units: Rows = (rows.iter().filter(|row| norm(row) > 0.0))
        .map(|row| row.iter().map(|x| x / norm(row)).collect())
        .collect();
    if units.is_empty() {
        return false;
    }
    let w = build(r#"{"name": "mgda"}"#).weights(&gramian(&units)).unwrap();
    norm(&update(&units, &w).0) < 1e-6
}

#[test]
fn every_weighting_keeps_its_promises_on_every_kind_of_jacobian() {
    let mut cells = 0;
    for row in &ROWS {
        for tasks in [1, 2, 3, 8, 40, 128] {
            for (family, rows) in families(tasks) {
                let what = format!("{}, {tasks} tasks, {family}", row.text);
                let w = match build(row.text).weights(&gramian(&rows)) {
                    Ok(w) => w,
                    Err(error) => {
                        assert!(excused(row, tasks, &error), "{what}: {error}");
                        assert!(
                            matches!(error, Error::Parameter { .. }) || stationary(&rows),
                            "{what}: {error}"
                        );
                        continue;
                    }
                };
                assert!(w.len() == tasks && w.iter().all(|w| w.is_finite()), "{what}: {w:?}");
                for promise in row.promises {
                    check(*promise, row.text, &rows, &w, &what);
                    cells += 1;
                }
                cells += 1;
            }
        }
    }
    println!("{cells} cells");
    assert!(cells > 1500, "{cells}");
}

fn check(promise: Promise, text: &str, rows: &Rows, w: &[f64], what: &str) {
    let (d, terms) = update(rows, w);
    let gains = along(rows, &d);
    match promise {
        NoConflict => {
            for (gain, row) in gains.iter().zip(rows) {
                assert!(*gain >= -1e-9 * norm(row) * terms, "{what}: {gain:e} of {:e}", norm(row) * terms);
            }
        }
        Shortest => {
            let square = norm(&d).powi(2);
            for (gain, row) in gains.iter().zip(rows) {
                assert!(*gain >= square - 1e-9 * norm(row) * terms, "{what}: {gain:e} below {square:e}");
            }
        }
        EqualCosines => {
            let cosines: Vec<f64> = (gains.iter().zip(rows))
                .filter(|(_, row)| norm(row) > 0.0)
                .map(|(gain, row)| gain / norm(row) / norm(&d).max(1e-300))
                .collect();
            let independent =
                2 * rows.len() < rows[0].len() && !what.contains("opposed") && !what.contains("agreeing");
            if independent && norm(&d) > 1e-9 * terms {
                assert!(cosines.iter().all(|c| (c - cosines[0]).abs() < 1e-7), "{what}: {cosines:?}");
            }
        }
        Equivariant => {
            let turned: Rows = rows.iter().rev().cloned().collect();
            let back = build(text).weights(&gramian(&turned)).unwrap();
            // Weights may differ where gradients depend on each other; the update may not.
            let (other, _) = update(&turned, &back);
            let apart: Vec<f64> = d.iter().zip(&other).map(|(a, b)| a - b).collect();
            assert!(norm(&apart) <= 1e-6 * terms, "{what}: {:e} apart of {terms:e}", norm(&apart));
        }
        UnitFree => {
            let stretched: Rows = (rows.iter().enumerate())
                .map(|(i, row)| row.iter().map(|x| x * (1 + i % 5) as f64).collect())
                .collect();
            let other = update(&stretched, &build(text).weights(&gramian(&stretched)).unwrap()).0;
            let apart: Vec<f64> = d.iter().zip(&other).map(|(a, b)| a - b).collect();
            assert!(norm(&apart) <= 1e-6 * terms, "{what}: {:e} apart of {terms:e}", norm(&apart));
        }
        NoneWhereStationary => {
            // It came to a solution, so that every task gains.
            for (gain, row) in gains.iter().zip(rows) {
                assert!(
                    norm(row) == 0.0 || rows.iter().all(|r| norm(r) == 0.0) || *gain > 0.0,
                    "{what}: {gain:e}"
                );
            }
        }
    }
}

#[test]
fn a_restored_weighting_goes_on_where_it_was() {
    for row in &ROWS {
        let gramians: Vec<Gramian> = (0..6)
            .map(|i| {
                let mut rng = Rng::new(i);
                gramian(&(0..5).map(|_| (0..9).map(|_| rng.normal() + 0.4).collect()).collect())
            })
            .collect();
        let mut weighting = build(row.text);
        gramians[..3].iter().for_each(|g| drop(weighting.weights(g).unwrap()));
        let mut back = build(row.text);
        back.restore(&weighting.save().unwrap()).unwrap();
        for g in &gramians[3..] {
            assert_eq!(weighting.weights(g).unwrap(), back.weights(g).unwrap(), "{}", row.text);
        }
        assert!(back.restore(&taskweave_kernels::State::of(&"nonsense").unwrap()).is_err(), "{}", row.text);
    }
}

#[test]
fn another_number_of_tasks_than_before_is_refused_by_what_remembers_them() {
    let three = gramian(&vec![vec![1.0, 2.0, 3.0]; 3]);
    let two = gramian(&vec![vec![1.0, 2.0]; 2]);
    for text in [
        r#"{"name": "gradvac"}"#,
        r#"{"name": "ema", "of": {"name": "mean"}}"#,
        r#"{"name": "every", "steps": 3, "of": {"name": "mean"}}"#,
        r#"{"name": "constant", "weights": [1.0, 2.0, 3.0]}"#,
    ] {
        let mut first = build(text);
        first.weights(&three).unwrap();
        let mut restored = build(text);
        restored.restore(&first.save().unwrap()).unwrap();
        for mut weighting in [first, restored] {
            assert!(matches!(weighting.weights(&two), Err(Error::Shape { .. })), "{text}");
        }
    }
}

#[test]
fn configs_are_checked_and_survive_a_round_trip() {
    for row in &ROWS {
        let config: WeightingConfig = serde_json::from_str(row.text).unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<WeightingConfig>(&text).unwrap(), config);
        let unknown = format!(r#"{}, "wieght": 1}}"#, row.text.strip_suffix('}').unwrap());
        assert!(serde_json::from_str::<WeightingConfig>(&unknown).is_err(), "{unknown}");
    }
    for (text, name) in [
        (r#"{"name": "constant", "weights": [1.0, -1.0]}"#, "weights[1]"),
        (r#"{"name": "gradvac", "beta": 1.5}"#, "beta"),
        (r#"{"name": "cagrad", "c": -0.1}"#, "c: "),
        (r#"{"name": "fairgrad", "alpha": 0.0}"#, "alpha"),
        (r#"{"name": "nash_mtl", "max_norm": 0.0}"#, "max_norm"),
        (r#"{"name": "krum", "n_selected": 0}"#, "n_selected"),
    ] {
        let error = serde_json::from_str::<WeightingConfig>(text).unwrap_err().to_string();
        assert!(error.contains(name), "{text}: {error}");
    }
    for (text, name) in [
        (r#"{"name": "ema", "beta": 2.0, "of": {"name": "mean"}}"#, "beta"),
        (r#"{"name": "every", "steps": 0, "of": {"name": "mean"}}"#, "steps"),
    ] {
        let error = serde_json::from_str::<WeightingConfig>(text).unwrap().build().err().unwrap().to_string();
        assert!(error.contains(name), "{text}: {error}");
    }
}

#[test]
fn a_preference_reaches_the_weighting_through_its_wrappers() {
    let gramian = Gramian::new(["a", "b"], &[[1.0, 0.0], [0.0, 1.0]]).unwrap();
    let preference = Named::new([("a", 0.2), ("b", 0.8)]).unwrap();
    for text in [
        r#"{"name": "constant", "weights": [1, 1]}"#,
        r#"{"name": "ema", "of": {"name": "constant", "weights": [1, 1]}}"#,
        r#"{"name": "every", "steps": 3, "of": {"name": "constant", "weights": [1, 1]}}"#,
    ] {
        let mut weighting = serde_json::from_str::<WeightingConfig>(text).unwrap().build().unwrap();
        weighting.prefer(&preference).unwrap();
        assert_eq!(weighting.weights(&gramian).unwrap(), [0.2, 0.8], "{text}");
    }
    let mut mean = serde_json::from_str::<WeightingConfig>(r#"{"name": "mean"}"#).unwrap().build().unwrap();
    assert!(matches!(mean.prefer(&preference), Err(Error::Parameter { .. })));
}
