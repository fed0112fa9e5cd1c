//! Every weighting with its promises.

use taskweave_loss::{Weighting, WeightingConfig};

/// A weighting and what it promises.
pub struct Row {
    pub text: &'static str,
    pub promises: &'static [Promise],
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Promise {
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
    /// Where no two gradients are in conflict, d is their sum.
    SumOfAgreeing,
    /// Every gradient that is not 0 comes in at the same length.
    EqualLengths,
    /// The weights are ≥ 0 and sum to 1.
    Shares,
    /// As many tasks as are selected have equal weights, the others none.
    Selects,
    /// ‖d‖² is the least, the lower median or the mean of the eigenvalues of G over K, where gradients are independent.
    Orthogonal,
    /// d is 0 or has the same cosine to every gradient that is not 0, if any direction has.
    EqualCosines,
}

use Promise::*;

/// A number for each task.
pub fn preference(tasks: usize) -> String {
    let numbers: Vec<String> = (0..tasks).map(|i| format!("{}.0", 1 + i % 3)).collect();
    format!("[{}]", numbers.join(", "))
}

/// The table: a new weighting is tested by a new row.
pub const ROWS: [Row; 34] = [
    Row { text: r#"{"name": "mean"}"#, promises: &[Equivariant, Shares] },
    Row { text: r#"{"name": "sum"}"#, promises: &[Equivariant, SumOfAgreeing] },
    Row { text: r#"{"name": "constant", "weights": PREFERENCE}"#, promises: &[] },
    Row { text: r#"{"name": "random", "seed": 3}"#, promises: &[Shares] },
    Row { text: r#"{"name": "norm_balance"}"#, promises: &[Equivariant, EqualLengths] },
    Row { text: r#"{"name": "gradnorm"}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "mgda"}"#, promises: &[NoConflict, Equivariant, Shortest, Shares] },
    Row { text: r#"{"name": "mgda", "normalize": "l2"}"#, promises: &[NoConflict, Equivariant, UnitFree] },
    Row { text: r#"{"name": "mgda", "normalize": "loss"}"#, promises: &[NoConflict, Equivariant] },
    Row { text: r#"{"name": "mgda", "normalize": "loss+"}"#, promises: &[NoConflict, Equivariant, UnitFree] },
    Row { text: r#"{"name": "dualproj"}"#, promises: &[NoConflict, Equivariant, Optimal] },
    Row { text: r#"{"name": "upgrad"}"#, promises: &[NoConflict, Equivariant, Linear] },
    Row { text: r#"{"name": "pcgrad"}"#, promises: &[SumOfAgreeing] },
    Row { text: r#"{"name": "gradvac", "beta": 0.5}"#, promises: &[SumOfAgreeing] },
    Row { text: r#"{"name": "imtl_g"}"#, promises: &[Equivariant, EqualCosines] },
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
    Row { text: r#"{"name": "aligned_mtl", "scale": "min"}"#, promises: &[Orthogonal] },
    Row { text: r#"{"name": "aligned_mtl", "scale": "median"}"#, promises: &[Orthogonal] },
    Row { text: r#"{"name": "aligned_mtl", "scale": "rmse"}"#, promises: &[Orthogonal] },
    Row { text: r#"{"name": "config"}"#, promises: &[EqualCosines] },
    Row { text: r#"{"name": "krum", "n_byzantine": 1, "n_selected": 2}"#, promises: &[Selects] },
    Row { text: r#"{"name": "ema", "beta": 0.7, "of": {"name": "upgrad"}}"#, promises: &[Equivariant] },
    Row { text: r#"{"name": "every", "steps": 2, "of": {"name": "pcgrad", "seed": 5}}"#, promises: &[] },
];

pub fn config(text: &str, tasks: usize) -> WeightingConfig {
    serde_json::from_str(&text.replace("PREFERENCE", &preference(tasks))).unwrap()
}

pub fn build(text: &str, tasks: usize) -> Box<dyn Weighting> {
    config(text, tasks).build().unwrap()
}
