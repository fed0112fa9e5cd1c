//! What every weighting must hold: one row per weighting, over families of Jacobians.

use taskweave_kernels::{Error, Rng};
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
    /// The conditions that make the solution the best one hold to 1e-9.
    Optimal,
    /// With rows times a + b, d is the sum of those with rows times a and times b.
    Linear,
    /// d is 0 or has the same cosine to every gradient that is not 0, if any direction has.
    EqualCosines,
}

use Promise::*;

/// Preferences of 128 tasks at most.
fn preference(tasks: usize) -> String {
    let numbers: Vec<String> = (0..tasks).map(|i| format!("{}.0", 1 + i % 3)).collect();
    format!("[{}]", numbers.join(", "))
}

/// The table: a new weighting is tested by a new row.
const ROWS: [Row; 31] = [
    Row { text: r#"{"name": "mean"}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "sum"}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "random", "seed": 3}"#, promises: &[] },
    Row { text: r#"{"name": "norm_balance"}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "gradnorm"}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "mgda"}"#, promises: &[NoConflict, Equivariant, Shortest] },
    Row { text: r#"{"name": "mgda", "normalize": "l2"}"#, promises: &[NoConflict, Equivariant, UnitFree] },
    Row { text: r#"{"name": "mgda", "normalize": "loss"}"#, promises: &[NoConflict, Equivariant] },
    Row { text: r#"{"name": "mgda", "normalize": "loss+"}"#, promises: &[NoConflict, Equivariant, UnitFree] },
    Row { text: r#"{"name": "dualproj"}"#, promises: &[NoConflict, Equivariant, Optimal] },
    Row { text: r#"{"name": "upgrad"}"#, promises: &[NoConflict, Equivariant, Linear] },
    Row { text: r#"{"name": "pcgrad"}"#, promises: &[] },
    Row { text: r#"{"name": "gradvac", "beta": 0.5}"#, promises: &[] },
    Row { text: r#"{"name": "imtl_g"}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "cagrad", "c": 0.4}"#, promises: &[Equivariant, Optimal] },
    Row {
        text: r#"{"name": "cagrad", "c": 1.5, "rescale": "one_plus_c2"}"#,
        promises: &[NoConflict, Equivariant],
    },
    Row { text: r#"{"name": "conic_grad", "c": 0.3}"#, promises: &[Equivariant, Optimal] },
    Row { text: r#"{"name": "conic_grad", "c": 0.9}"#, promises: &[Equivariant, Optimal] },
    Row {
        text: r#"{"name": "nash_mtl"}"#,
        promises: &[NoConflict, Equivariant, UnitFree, NoneWhereStationary, Optimal],
    },
    Row {
        text: r#"{"name": "fairgrad", "alpha": 2.0}"#,
        promises: &[NoConflict, Equivariant, NoneWhereStationary, Optimal],
    },
    Row {
        text: r#"{"name": "fairgrad", "alpha": 0.5}"#,
        promises: &[NoConflict, Equivariant, NoneWhereStationary, Optimal],
    },
    Row { text: r#"{"name": "pcd", "tau": 0.0}"#, promises: &[Optimal] },
    Row { text: r#"{"name": "pcd", "tau": 0.1}"#, promises: &[Optimal] },
    Row { text: r#"{"name": "epo", "preference": PREFERENCE}"#, promises: &[Optimal] },
    Row {
        text: r#"{"name": "epo", "preference": PREFERENCE, "epsilon": 1e9}"#,
        promises: &[NoConflict, Optimal],
    },
    Row { text: r#"{"name": "ferero", "preference": PREFERENCE}"#, promises: &[Optimal] },
    Row { text: r#"{"name": "aligned_mtl", "scale": "median"}"#, promises: &[] },
    Row { text: r#"{"name": "config"}"#, promises: &[EqualCosines] },
    Row { text: r#"{"name": "krum", "n_byzantine": 1, "n_selected": 2}"#, promises: &[] },
    Row { text: r#"{"name": "ema", "beta": 0.7, "of": {"name": "upgrad"}}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "every", "steps": 2, "of": {"name": "pcgrad", "seed": 5}}"#, promises: &[] },
];

fn config(text: &str, tasks: usize) -> WeightingConfig {
    serde_json::from_str(&text.replace("PREFERENCE", &preference(tasks))).unwrap()
}

fn build(text: &str, tasks: usize) -> Box<dyn Weighting> {
    config(text, tasks).build().unwrap()
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
    let mut small_opposed = wide.clone();
    small_opposed[tasks - 1] = wide[0].iter().map(|x| -1e-3 * x).collect();
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
        ("opposed, 1 : 1000", small_opposed),
        ("twice", twice),
        ("zero", vec![vec![0.0; 3]; tasks]),
    ]
}

fn gramian(rows: &Rows) -> Gramian {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let products: Rows = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
    let gramian = Gramian::new((0..rows.len()).map(|i| format!("t{i}")), &products).unwrap();
    gramian.with_losses(losses(rows)).unwrap()
}

/// A loss for every row that depends on its direction alone.
fn losses(rows: &Rows) -> Vec<f64> {
    rows.iter().map(|row| 0.2 + (row[0] / norm(row).max(1e-300)).abs()).collect()
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

/// The conditions of optimality of each method, from its weights alone.
fn optimal(text: &str, rows: &Rows, w: &[f64], (gains, d): (&[f64], &[f64]), what: &str) {
    let norms: Vec<f64> = rows.iter().map(|row| norm(row)).collect();
    let live: Vec<usize> = (0..rows.len()).filter(|i| norms[*i] > 0.0).collect();
    if live.is_empty() {
        return;
    }
    let mean = update(rows, &vec![1.0 / rows.len() as f64; rows.len()]).0;
    let (share, terms) = (1.0 / rows.len() as f64, update(rows, w).1);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let name = text.split('"').nth(3).unwrap();
    let holds = |gap: f64, scale: f64| assert!(gap.abs() <= 1e-9 * scale, "{what}: {gap:e} of {scale:e}");
    match name {
        "dualproj" => live.iter().for_each(|&i| {
            holds((share - w[i]).max(0.0), share);
            holds((w[i] - share) * gains[i], w[i].max(share) * norms[i] * terms);
        }),
        "nash_mtl" => live.iter().for_each(|&i| holds(w[i] * gains[i] - 1.0, 1.0 + norms[i] * terms * w[i])),
        "fairgrad" => {
            let alpha: f64 = if text.contains("0.5") { 0.5 } else { 2.0 };
            live.iter().for_each(|&i| holds(gains[i] - w[i].powf(-1.0 / alpha), gains[i] + norms[i] * terms));
        }
        "cagrad" => {
            let (apart, length): (Vec<f64>, f64) =
                (d.iter().zip(&mean).map(|(d, g)| d - g).collect(), norm(&mean));
            holds((norm(&apart) - 0.4 * length).max(0.0), length.max(1e-3 * terms));
            let least = live.iter().map(|&i| gains[i]).fold(f64::INFINITY, f64::min);
            let most = norms.iter().fold(0.0, |most: f64, norm| most.max(*norm));
            live.iter().for_each(|&i| {
                holds((share - w[i]).max(0.0) * norms[i], terms);
                // What has more weight than in the mean is at the least gain.
                if (w[i] - share) * norms[i] > 1e-6 * terms {
                    assert!(gains[i] - least <= 1e-6 * most * terms, "{what}: {:e}", gains[i] - least);
                }
            });
        }
        "conic_grad" => {
            let c = if text.contains("0.3") { 0.3 } else { 0.9 };
            if norm(&mean) > 1e-6 * norms.iter().sum::<f64>() * share {
                holds((c - dot(d, &mean) / norm(d) / norm(&mean)).max(0.0), 1e3);
                holds(norm(d) - norm(&mean), 1e3 * norm(&mean));
                let least = |gains: &[f64]| live.iter().map(|&i| gains[i]).fold(f64::INFINITY, f64::min);
                let resting = least(&along(rows, &mean));
                assert!(
                    resting < 0.0 || least(gains) >= resting - 1e-9 * norm(&mean) * norms[live[0]].max(terms),
                    "{what}"
                );
            }
        }
        "pcd" => {
            // At the first step all scaled gradients have the length 1, and d is a multiple of the solution.
            let tau = if text.contains("0.1") { 0.1 } else { 0.0 };
            if w[0] == 0.0 {
                return;
            }
            holds(norm(d) - norms[0], terms);
            let factor = w[0] * norms[0];
            live.iter().filter(|i| **i > 0).for_each(|&i| {
                let progress = gains[i] / norms[i] / factor - tau;
                holds(progress.min(0.0), terms / factor);
                holds(w[i].min(0.0) * norms[i], terms);
                holds(w[i] * norms[i] / factor * progress, (terms / factor).powi(2));
            });
        }
        "epo" => {
            holds(w.iter().sum::<f64>() - 1.0, 1.0);
            live.iter().for_each(|&i| holds(w[i].min(0.0), 1.0));
            let preferred: Vec<f64> =
                losses(rows).iter().enumerate().map(|(i, loss)| loss * (1 + i % 3) as f64).collect();
            let ahead = (0..rows.len()).max_by(|i, j| preferred[*i].total_cmp(&preferred[*j])).unwrap();
            holds(gains[ahead].min(0.0), norms[ahead] * terms);
        }
        _ => {
            // FERERO: what a step changes of the losses across the preference is what is across it now, where gradients
            // are independent.
            let independent = 2 * rows.len() < rows[0].len() && live.len() == rows.len();
            let v: Vec<f64> = (0..rows.len()).map(|i| (1 + i % 3) as f64).collect();
            let across = |x: &[f64]| -> Vec<f64> {
                let along = dot(x, &v) / dot(&v, &v);
                x.iter().zip(&v).map(|(x, v)| x - along * v).collect()
            };
            let (wanted, found) = (across(&losses(rows)), across(gains));
            if independent
                && !["opposed", "twice", "agreeing", "scaled"].iter().any(|name| what.contains(name))
            {
                wanted.iter().zip(&found).for_each(|(a, b)| holds(a - b, 1e3 * (1.0 + terms)));
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
