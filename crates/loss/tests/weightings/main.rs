//! What every weighting must hold: one row per weighting, over families of Jacobians.

mod conditions;
mod families;
mod table;

use conditions::optimal;
use families::{Rows, along, families, gramian, norm, slack, update};
use proptest::prelude::*;
use table::Promise::*;
use table::{Promise, ROWS, Row, build, config};
use taskweave_kernels::{Error, Rng};
use taskweave_loss::{Gramian, WeightingConfig};

/// What the row does not need: too few tasks for Krum, no agreement where none exists.
fn excused(row: &Row, tasks: usize, error: &Error) -> bool {
    match error {
        Error::Parameter { .. } => row.text.contains("krum") && tasks < 4,
        // Secondary tasks that cancel cannot all be owed something.
        Error::NotConverged { .. } => {
            row.promises.contains(&NoneWhereStationary) || row.text.contains("\"tau\": 0.1")
        }
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
    let w = build(r#"{"name": "mgda"}"#, 0).weights(&gramian(&units)).unwrap();
    norm(&update(&units, &w).0) < 1e-6
}

#[test]
fn every_weighting_keeps_its_promises_on_every_kind_of_jacobian() {
    let mut cells = 0;
    for row in &ROWS {
        for tasks in [1, 2, 3, 8, 40, 128] {
            for (family, rows) in families(tasks) {
                let what = format!("{}, {tasks} tasks, {family}", row.text);
                let w = match build(row.text, tasks).weights(&gramian(&rows)) {
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
    assert!(cells > 5000, "{cells}");
}

#[test]
fn no_weighting_is_missing_from_the_table() {
    for name in WeightingConfig::NAMES {
        let begin = format!(r#"{{"name": "{name}""#);
        assert!(ROWS.iter().any(|row| row.text.starts_with(&begin)), "{name}");
    }
}

/// The most tasks that solvers are made for, with norms over six orders of magnitude, and fewer dimensions than tasks.
#[test]
fn two_hundred_and_fifty_six_tasks_are_no_more_than_a_few() {
    let families: Vec<_> = families(256)
        .into_iter()
        .filter(|(family, _)| ["scaled", "scaled, rank-deficient"].contains(family))
        .collect();
    // What wraps another row's method has that row's solver.
    for row in ROWS.iter().filter(|row| !row.text.contains("\"of\"")) {
        for (family, rows) in &families {
            let what = format!("{}, 256 tasks, {family}", row.text);
            match build(row.text, 256).weights(&gramian(rows)) {
                Ok(w) => {
                    assert!(w.len() == 256 && w.iter().all(|w| w.is_finite()), "{what}");
                    let own = row.promises.iter().filter(|p| ![Equivariant, UnitFree, Linear].contains(p));
                    own.for_each(|promise| check(*promise, row.text, rows, &w, &what));
                }
                Err(error) => assert!(excused(row, 256, &error) && stationary(rows), "{what}: {error}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// Any shape, any norms over 10^±3, drawn at random: whatever a row promises.
    #[test]
    fn promises_hold_on_whatever_is_drawn(
        seed in any::<u64>(),
        tasks in 1usize..12,
        width in 1usize..16,
        lean in -0.5f64..1.0,
        powers in prop::collection::vec(-3.0f64..3.0, 12),
    ) {
        let mut rng = Rng::new(seed);
        let rows: Rows = powers[..tasks].iter()
            .map(|power| (0..width).map(|_| (rng.normal() + lean) * 10f64.powf(*power)).collect())
            .collect();
        for row in &ROWS {
            let what = format!("{}, {tasks} × {width}, seed {seed}", row.text);
            match build(row.text, tasks).weights(&gramian(&rows)) {
                Ok(w) => {
                    assert!(w.iter().all(|w| w.is_finite()), "{what}");
                    let theorems = [NoConflict, Shortest, NoneWhereStationary];
                    let promised = row.promises.iter().filter(|promise| theorems.contains(promise));
                    promised.for_each(|promise| check(*promise, row.text, &rows, &w, &what));
                }
                Err(error) => assert!(excused(row, tasks, &error), "{what}: {error}"),
            }
        }
    }
}

fn check(promise: Promise, text: &str, rows: &Rows, w: &[f64], what: &str) {
    let (d, terms) = update(rows, w);
    let gains = along(rows, &d);
    match promise {
        NoConflict => {
            let limit = slack(what);
            for (gain, row) in gains.iter().zip(rows) {
                assert!(*gain >= -limit * norm(row) * terms, "{what}: {gain:e} of {:e}", norm(row) * terms);
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
            let back = build(text, rows.len()).weights(&gramian(&turned)).unwrap();
            // Weights may differ where gradients depend on each other; the update may not.
            let (other, _) = update(&turned, &back);
            let apart: Vec<f64> = d.iter().zip(&other).map(|(a, b)| a - b).collect();
            assert!(norm(&apart) <= 1e-6 * terms, "{what}: {:e} apart of {terms:e}", norm(&apart));
        }
        UnitFree => {
            let stretched: Rows = (rows.iter().enumerate())
                .map(|(i, row)| row.iter().map(|x| x * (1 + i % 5) as f64).collect())
                .collect();
            let other = update(&stretched, &build(text, rows.len()).weights(&gramian(&stretched)).unwrap()).0;
            let apart: Vec<f64> = d.iter().zip(&other).map(|(a, b)| a - b).collect();
            assert!(norm(&apart) <= 1e-6 * terms, "{what}: {:e} apart of {terms:e}", norm(&apart));
        }
        Optimal => optimal(text, rows, w, (&gains, &d), what),
        Linear => {
            let update_of = |by: &dyn Fn(usize) -> f64| {
                let scaled: Rows = (rows.iter().enumerate())
                    .map(|(i, row)| row.iter().map(|x| x * by(i)).collect())
                    .collect();
                update(&scaled, &build(text, rows.len()).weights(&gramian(&scaled)).unwrap()).0
            };
            let (a, b) = (|i: usize| 1.0 + (i % 3) as f64, |i: usize| 0.5 + (i % 2) as f64);
            let parts = [update_of(&a), update_of(&b), update_of(&|i| a(i) + b(i))];
            let apart: Vec<f64> = (0..d.len()).map(|k| parts[0][k] + parts[1][k] - parts[2][k]).collect();
            assert!(norm(&apart) <= 1e-8 * terms, "{what}: {:e} apart of {terms:e}", norm(&apart));
        }
        SumOfAgreeing => {
            let agree = rows.iter().all(|a| along(rows, a).iter().all(|product| *product >= 0.0));
            assert!(!agree || w.iter().all(|w| (w - 1.0).abs() < 1e-12), "{what}: {w:?}");
        }
        EqualLengths => {
            let lengths: Vec<f64> = rows.iter().zip(w).map(|(row, w)| w * norm(row)).collect();
            let most = lengths.iter().fold(0.0, |most: f64, length| most.max(*length));
            let even =
                lengths.iter().zip(rows).all(|(l, row)| norm(row) == 0.0 || (l - most).abs() <= 1e-9 * most);
            assert!(even, "{what}: {lengths:?}");
        }
        Shares => {
            assert!(
                w.iter().all(|w| *w >= 0.0) && (w.iter().sum::<f64>() - 1.0).abs() < 1e-9,
                "{what}: {w:?}"
            );
        }
        Selects => {
            let selected = w.iter().filter(|w| (**w - 0.5).abs() < 1e-12).count();
            assert!(selected == 2 && w.iter().filter(|w| **w == 0.0).count() == w.len() - 2, "{what}: {w:?}");
        }
        Orthogonal => {
            let independent = what.contains(", random") || what.ends_with("scaled");
            if independent {
                let g = gramian(rows);
                let matrix = nalgebra::DMatrix::from_row_slice(rows.len(), rows.len(), g.values());
                let mut values: Vec<f64> = matrix.symmetric_eigenvalues().iter().copied().collect();
                values.sort_by(f64::total_cmp);
                let expected = match text {
                    text if text.contains("min") => values[0],
                    text if text.contains("rmse") => values.iter().sum::<f64>() / values.len() as f64,
                    _ => values[(values.len() - 1) / 2],
                };
                let found = norm(&d).powi(2) * rows.len() as f64;
                let gap = (found - expected).abs() / expected;
                assert!(gap <= 1e-5, "{what}: {found:e} instead of {expected:e}");
            }
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
                gramian(&(0..5_usize).map(|_| (0..9).map(|_| rng.normal() + 0.4).collect()).collect())
            })
            .collect();
        let mut weighting = build(row.text, 5);
        gramians[..3].iter().for_each(|g| drop(weighting.weights(g).unwrap()));
        let mut back = build(row.text, 5);
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
        let mut first = build(text, 3);
        first.weights(&three).unwrap();
        let mut restored = build(text, 3);
        restored.restore(&first.save().unwrap()).unwrap();
        for mut weighting in [first, restored] {
            assert!(matches!(weighting.weights(&two), Err(Error::Shape { .. })), "{text}");
        }
    }
}

#[test]
fn configs_are_checked_and_survive_a_round_trip() {
    for row in &ROWS {
        let config = config(row.text, 3);
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<WeightingConfig>(&text).unwrap(), config);
        let unknown = format!(r#"{}, "wieght": 1}}"#, text.strip_suffix('}').unwrap());
        assert!(serde_json::from_str::<WeightingConfig>(&unknown).is_err(), "{unknown}");
    }
    for (text, name) in [
        (r#"{"name": "constant", "weights": [1.0, -1.0]}"#, "weights[1]"),
        (r#"{"name": "gradvac", "beta": 1.5}"#, "beta"),
        (r#"{"name": "cagrad", "c": -0.1}"#, "c: "),
        (r#"{"name": "fairgrad", "alpha": 0.0}"#, "alpha"),
        (r#"{"name": "nash_mtl", "max_norm": 0.0}"#, "max_norm"),
        (r#"{"name": "krum", "n_selected": 0}"#, "n_selected"),
        (r#"{"name": "gradnorm", "alpha": -1.0}"#, "alpha"),
        (r#"{"name": "gradnorm", "lr": 0.0}"#, "lr"),
        (r#"{"name": "mgda", "normalize": "l3"}"#, "l3"),
        (r#"{"name": "conic_grad", "c": 0.0}"#, "c: "),
        (r#"{"name": "pcd", "tau": 1.5}"#, "tau"),
        (r#"{"name": "pcd", "beta": 1.0}"#, "beta"),
        (r#"{"name": "epo", "preference": [1.0, 0.0]}"#, "preference[1]"),
        (r#"{"name": "epo", "preference": [1.0], "epsilon": 0.0}"#, "epsilon"),
        (r#"{"name": "ferero", "preference": [["a", -1.0]]}"#, "preference of task `a`"),
        (r#"{"name": "ferero", "preference": [1.0], "rate": -1.0}"#, "rate"),
        (r#"{"name": "aligned_mtl", "scale": "most"}"#, "most"),
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
