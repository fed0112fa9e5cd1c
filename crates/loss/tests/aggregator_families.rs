//! Every aggregator on every kind of Jacobian that the weightings are tried on: K ∈ {1, 2, 3, 8, 40, 128} tasks, norms over
//! 10^±3, rank-deficient, opposed, equal and zero gradients. A new aggregator is tested by a new row.

#[allow(dead_code, reason = "weightings use the rest")]
#[path = "weightings/families.rs"]
mod families;

use Promise::*;
use candle_core::{Device, Tensor};
use families::{Rows, families, losses, norm, slack};
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Error, Named};
use taskweave_loss::aggregator::BlockwiseConfig;
use taskweave_loss::{AggregatorConfig, Jacobian};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Promise {
    /// Tasks in another order give the same gradient, up to rounding.
    Equivariant,
    /// Every number lies between the least and the largest of the tasks'.
    Between,
    /// Every number lies between the sums of the negative and of the positive values, and is one of them where nothing leaks.
    OneSign,
    /// Where all values are positive it is the sum.
    SumOfAgreeing,
    /// No task's loss rises to first order, in every layer.
    NoConflict,
    /// Rows times ten give the gradient times ten.
    Homogeneous,
    /// At the first step, every task counts with the length of the longest scaled gradient.
    EqualLengths,
    /// d = Jᵀw with the weights that it reports.
    Weighted,
}

struct Row {
    text: &'static str,
    promises: &'static [Promise],
}

const ROWS: [Row; 12] = [
    Row { text: r#"{"name": "trimmed_mean", "trim": 0}"#, promises: &[Equivariant, Between, Homogeneous] },
    Row { text: r#"{"name": "trimmed_mean", "trim": 1}"#, promises: &[Equivariant, Between, Homogeneous] },
    Row {
        text: r#"{"name": "graddrop", "seed": 4}"#,
        promises: &[Equivariant, OneSign, SumOfAgreeing, Homogeneous],
    },
    Row {
        text: r#"{"name": "graddrop", "leak": 0.25}"#,
        promises: &[Equivariant, SumOfAgreeing, Homogeneous],
    },
    Row { text: r#"{"name": "moco"}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "moco", "gamma": 0.0}"#, promises: &[Equivariant, Homogeneous] },
    Row { text: r#"{"name": "db_mtl"}"#, promises: &[Equivariant, Homogeneous] },
    Row {
        text: r#"{"name": "db_mtl", "beta": 0.0}"#,
        promises: &[Equivariant, Homogeneous, EqualLengths, Weighted],
    },
    Row { text: r#"{"name": "excess_mtl"}"#, promises: &[Equivariant, Homogeneous, Weighted] },
    Row { text: r#"{"name": "sam_gs"}"#, promises: &[Equivariant] },
    Row {
        text: r#"{"name": "per_group", "of": {"name": "upgrad"}}"#,
        promises: &[Equivariant, NoConflict, Homogeneous],
    },
    Row {
        text: r#"{"name": "within", "blocks": "v", "of": {"name": "mgda"}}"#,
        promises: &[Equivariant, Homogeneous, Weighted],
    },
];

/// The rows cut into two layers, with losses that do not depend on their length.
fn jacobian(rows: &Rows, order: &[usize]) -> Jacobian {
    let half = rows[0].len().div_ceil(2);
    let block = |x: &[f64]| Gradient::from(Tensor::new(x, &Device::Cpu).unwrap());
    let named = order.iter().map(|&i| {
        let (m, v) = rows[i].split_at(half);
        (format!("t{i}"), Named::new([("m.weight", block(m)), ("v.weight", block(v))]).unwrap())
    });
    let of = losses(rows);
    let of = Named::new(order.iter().map(|&i| (format!("t{i}"), of[i]))).unwrap();
    Jacobian::new(Named::new(named).unwrap()).unwrap().with_losses(of).unwrap()
}

struct Found {
    d: Vec<f64>,
    weights: Option<Vec<f64>>,
}

fn found(text: &str, rows: &Rows, order: &[usize]) -> Result<Found, Error> {
    let config: AggregatorConfig = serde_json::from_str(text).unwrap();
    let made = config.build().unwrap().aggregate(&jacobian(rows, order))?;
    let block = |block: &Gradient| block.clone().into_dense().unwrap().to_vec1::<f64>().unwrap();
    Ok(Found { d: made.gradient.values().flat_map(block).collect(), weights: made.weights })
}

#[test]
fn every_aggregator_keeps_its_promises_on_every_kind_of_jacobian() {
    let mut cells = 0;
    for row in &ROWS {
        for tasks in [1, 2, 3, 8, 40, 128] {
            for (family, rows) in families(tasks) {
                let what = format!("{}, {tasks} tasks, {family}", row.text);
                let order: Vec<usize> = (0..tasks).collect();
                let made = match found(row.text, &rows, &order) {
                    Ok(made) => made,
                    Err(Error::Parameter { name, .. }) if name == "trim" && tasks < 3 => continue,
                    Err(error) => panic!("{what}: {error}"),
                };
                assert!(made.d.len() == rows[0].len() && made.d.iter().all(|x| x.is_finite()), "{what}");
                row.promises.iter().for_each(|promise| check(*promise, row.text, &rows, &made, &what));
                cells += 1 + row.promises.len();
            }
        }
    }
    println!("{cells} cells");
    assert!(cells > 2000, "{cells}");
}

fn columns(rows: &Rows) -> impl Iterator<Item = Vec<f64>> {
    (0..rows[0].len()).map(|k| rows.iter().map(|row| row[k]).collect())
}

fn check(promise: Promise, text: &str, rows: &Rows, made: &Found, what: &str) {
    let size: f64 =
        made.d.iter().map(|x| x.abs()).sum::<f64>() + rows.iter().map(|row| norm(row)).sum::<f64>();
    let near = |a: &[f64], b: &[f64], by: f64| {
        let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart <= by, "{what}, {promise:?}: {apart:e} apart of {by:e}");
    };
    match promise {
        Equivariant => {
            let turned: Vec<usize> = (0..rows.len()).rev().collect();
            near(&found(text, rows, &turned).unwrap().d, &made.d, 1e-9 * size);
        }
        Homogeneous => {
            let ten: Rows = rows.iter().map(|row| row.iter().map(|x| 10.0 * x).collect()).collect();
            let order: Vec<usize> = (0..rows.len()).collect();
            let grown: Vec<f64> = made.d.iter().map(|x| 10.0 * x).collect();
            near(&found(text, &ten, &order).unwrap().d, &grown, 1e-6 * size);
        }
        Between => columns(rows).zip(&made.d).for_each(|(column, d)| {
            let least = column.iter().copied().fold(f64::INFINITY, f64::min);
            let most = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let slack = 1e-12 * least.abs().max(most.abs());
            assert!(*d >= least - slack && *d <= most + slack, "{what}: {d} outside of {least} and {most}");
        }),
        OneSign => columns(rows).zip(&made.d).for_each(|(column, d)| {
            let sum = |keep: fn(&f64) -> bool| column.iter().copied().filter(keep).sum::<f64>();
            let (up, down) = (sum(|x| *x > 0.0), sum(|x| *x < 0.0));
            let close = |to: f64| (d - to).abs() <= 1e-12 * (up - down);
            assert!(close(up) || close(down), "{what}: {d} is neither {up} nor {down}");
        }),
        SumOfAgreeing if what.contains("agreeing") => {
            let sums: Vec<f64> = columns(rows).map(|column| column.iter().sum()).collect();
            near(&made.d, &sums, 1e-12 * size);
        }
        SumOfAgreeing => {}
        NoConflict => {
            let half = rows[0].len().div_ceil(2);
            for layer in [0..half, half..rows[0].len()] {
                let terms = norm(&made.d[layer.clone()]);
                for row in rows {
                    let g = &row[layer.clone()];
                    let gain: f64 = g.iter().zip(&made.d[layer.clone()]).map(|(g, d)| g * d).sum();
                    let most = rows.iter().map(|row| norm(&row[layer.clone()])).fold(terms, f64::max);
                    assert!(
                        gain >= -slack(what) * norm(g) * most,
                        "{what}: {gain:e} of {:e}",
                        norm(g) * most
                    );
                }
            }
        }
        EqualLengths => {
            let weights = made.weights.as_ref().unwrap();
            let lengths: Vec<f64> = (weights.iter().zip(rows))
                .map(|(weight, row)| weight * norm(row))
                .filter(|length| *length > 0.0)
                .collect();
            let first = lengths.first().copied().unwrap_or(0.0);
            assert!(
                lengths.iter().all(|length| (length - first).abs() <= 1e-9 * first),
                "{what}: {lengths:?}"
            );
        }
        Weighted => {
            let weights = made.weights.as_ref().unwrap();
            near(&families::update(rows, weights).0, &made.d, 1e-9 * families::update(rows, weights).1);
        }
    }
}

#[test]
fn no_aggregator_is_missing_from_the_table() {
    for name in BlockwiseConfig::NAMES {
        let begin = format!(r#"{{"name": "{name}""#);
        assert!(ROWS.iter().any(|row| row.text.starts_with(&begin)), "{name}");
    }
}
