//! Jacobians of every kind that solvers stumble on, and the numbers of one.

use taskweave_kernels::Rng;
use taskweave_loss::Gramian;

pub type Rows = Vec<Vec<f64>>;

/// Jacobians of K tasks, one per kind.
pub fn families(tasks: usize) -> Vec<(&'static str, Rows)> {
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
    let mut rounded = wide.clone();
    rounded[tasks - 1] = wide[0].iter().map(|x| -x * (1.0 + 2e-7 * (rng.uniform() - 0.5))).collect();
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
        ("opposed, but for rounding", rounded),
        ("opposed, 1 : 1000", small_opposed),
        ("twice", twice),
        ("zero", vec![vec![0.0; 3]; tasks]),
    ]
}

pub fn gramian(rows: &Rows) -> Gramian {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let products: Rows = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
    let gramian = Gramian::new((0..rows.len()).map(|i| format!("t{i}")), &products).unwrap();
    gramian.with_losses(losses(rows)).unwrap()
}

/// A loss for every row that depends on its direction alone.
pub fn losses(rows: &Rows) -> Vec<f64> {
    rows.iter().map(|row| 0.2 + (row[0] / norm(row).max(1e-300)).abs()).collect()
}

pub fn norm(row: &[f64]) -> f64 {
    row.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// d = Jᵀ w, and the length that rounding is relative to.
pub fn update(rows: &Rows, w: &[f64]) -> (Vec<f64>, f64) {
    let mut d = vec![0.0; rows[0].len()];
    for (row, w) in rows.iter().zip(w) {
        d.iter_mut().zip(row).for_each(|(d, x)| *d += w * x);
    }
    let terms: f64 = rows.iter().zip(w).map(|(row, w)| w.abs() * norm(row)).sum();
    (d, terms)
}

pub fn along(rows: &Rows, d: &[f64]) -> Vec<f64> {
    rows.iter().map(|row| row.iter().zip(d).map(|(x, d)| x * d).sum()).collect()
}

/// How far promises may be missed: gradients that are opposed but for rounding of f32 count as opposed.
pub fn slack(family: &str) -> f64 {
    if family.ends_with("but for rounding") { 4e-7 } else { 1e-9 }
}
