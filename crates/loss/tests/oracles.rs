//! Results that can be derived by hand, and problems on which common implementations fail.

use taskweave_kernels::Rng;
use taskweave_loss::{Gramian, Weighting, WeightingConfig};

fn build(text: &str) -> Box<dyn Weighting> {
    serde_json::from_str::<WeightingConfig>(text).unwrap().build().unwrap()
}

type Rows = Vec<Vec<f64>>;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn gramian(rows: &Rows) -> Gramian {
    let products: Rows = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
    Gramian::new((0..rows.len()).map(|i| format!("t{i}")), &products).unwrap()
}

fn weights(name: &str, gramian: &Gramian) -> Vec<f64> {
    build(&format!(r#"{{"name": "{name}"}}"#)).weights(gramian).unwrap()
}

fn update(rows: &Rows, w: &[f64]) -> Vec<f64> {
    let mut d = vec![0.0; rows[0].len()];
    for (row, w) in rows.iter().zip(w) {
        d.iter_mut().zip(row).for_each(|(d, x)| *d += w * x);
    }
    d
}

fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-9 * (1e-9 + b.abs()), "{what}: {found:?} instead of {expected:?}");
    }
}

#[test]
fn the_example_of_two_gradients() {
    let g = gramian(&vec![vec![-4.0, 1.0, 1.0], vec![6.0, 1.0, 1.0]]);
    for (name, expected) in [
        ("mgda", [0.6, 0.4]),
        ("pcgrad", [20.0 / 9.0, 30.0 / 19.0]),
        ("upgrad", [10.0 / 9.0, 15.0 / 19.0]),
        ("dualproj", [11.0 / 18.0, 0.5]),
    ] {
        assert_close(&weights(name, &g), &expected, name);
    }
}

#[test]
fn two_tasks_have_closed_forms_whatever_the_norms() {
    for (a, b) in [(1.0, 1.0), (1e3, 1e-3), (1e-3, 1e3), (2.0, 5.0)] {
        for cosine in [-0.99, -0.5, -0.1, 0.0, 0.3, 0.9] {
            let g = a * b * cosine;
            let gramian = Gramian::new(["a", "b"], &[[a * a, g], [g, b * b]]).unwrap();
            let what = format!("{a}, {b}, {cosine}");
            let first = ((b * b - g) / (a * a + b * b - 2.0 * g)).clamp(0.0, 1.0);
            let found = weights("mgda", &gramian);
            assert!(
                (found[0] - first).abs() < 1e-9 && (found[1] - 1.0 + first).abs() < 1e-9,
                "{what}: {found:?}"
            );
            let conflict = g.min(0.0);
            let half = [0.5 * (1.0 - conflict / a / a), 0.5 * (1.0 - conflict / b / b)];
            assert_close(&weights("upgrad", &gramian), &half, &format!("upgrad, {what}"));
            let nash = [1.0 / (a * (1.0 + cosine).sqrt()), 1.0 / (b * (1.0 + cosine).sqrt())];
            assert_close(&weights("nash_mtl", &gramian), &nash, &format!("nash_mtl, {what}"));
            // DualProj raises the weight of whichever task the mean gradient harms.
            let raised = |own: f64| if 0.5 * (own * own + g) < 0.0 { -0.5 * g / own / own } else { 0.5 };
            assert_close(
                &weights("dualproj", &gramian),
                &[raised(a), raised(b)],
                &format!("dualproj, {what}"),
            );
        }
    }
}

fn random(tasks: usize, width: usize, spread: i32, seed: u64) -> Rows {
    let mut rng = Rng::new(seed);
    let scale = |i: usize| 10f64.powi((i as i32 % (2 * spread + 1)) - spread);
    (0..tasks).map(|i| (0..width).map(|_| (rng.normal() + 0.2) * scale(i)).collect()).collect()
}

/// Steps of Frank and Wolfe with exact line search from equal weights, the common way to MGDA.
fn frank_wolfe(gramian: &Gramian, steps: usize) -> Vec<f64> {
    let size = gramian.len();
    let times = |w: &[f64]| -> Vec<f64> { gramian.rows().map(|row| dot(row, w)).collect() };
    let mut w = vec![1.0 / size as f64; size];
    for _ in 0..steps {
        let gains = times(&w);
        let least = (0..size).min_by(|i, j| gains[*i].total_cmp(&gains[*j])).unwrap();
        let (own, both, other) = (dot(&gains, &w), gains[least], gramian[(least, least)]);
        let step = ((own - both) / (own + other - 2.0 * both)).clamp(0.0, 1.0);
        w.iter_mut()
            .enumerate()
            .for_each(|(i, w)| *w = (1.0 - step) * *w + if i == least { step } else { 0.0 });
    }
    w
}

#[test]
fn the_shortest_vector_is_shorter_than_that_of_a_hundred_frank_wolfe_steps() {
    let mut worst: f64 = 1.0;
    for seed in 0..40 {
        let rows = random(8, 9, 1, seed);
        let g = gramian(&rows);
        let length = |w: &[f64]| dot(&update(&rows, w), &update(&rows, w)).sqrt();
        let (exact, early) = (length(&weights("mgda", &g)), length(&frank_wolfe(&g, 100)));
        assert!(exact <= early * (1.0 + 1e-9), "{exact} and {early}");
        worst = worst.max(early / exact);
    }
    println!("up to {worst} times as long");
    assert!(worst > 1.1, "{worst}");
}

#[test]
fn a_small_gradient_is_not_harmed_where_a_ridge_on_the_gramian_harms_it() {
    for cosine in [-0.9, -0.5, -0.1] {
        let sine = f64::sqrt(1.0 - cosine * cosine);
        let rows = vec![vec![100.0, 0.0], vec![cosine, sine]];
        let (g, small) = (gramian(&rows), &rows[1]);
        let toward = |w: &[f64]| {
            let d = update(&rows, w);
            dot(&d, small) / dot(&d, &d).sqrt()
        };
        assert!(toward(&weights("upgrad", &g)) >= -1e-9);
        // The common code solves with G / tr G + 1e-4 I; the closed form of two tasks is the same.
        let ridge = 1e-4 * (g[(0, 0)] + g[(1, 1)]);
        let half = |i: usize| 0.5 * (1.0 - g[(0, 1)] / (g[(i, i)] + ridge));
        assert!(toward(&[half(0), half(1)]) < -0.03, "{}", toward(&[half(0), half(1)]));
    }
}

#[test]
fn bargaining_at_hard_scales_is_solved_and_not_replaced_by_equal_weights() {
    for (tasks, seed) in [(2, 0), (3, 1), (8, 2), (20, 3), (40, 4)] {
        let rows = random(tasks, 3 * tasks, 3, seed);
        let g = gramian(&rows);
        let w = weights("nash_mtl", &g);
        for (row, own) in g.rows().zip(&w) {
            assert!((dot(row, &w) * own - 1.0).abs() < 1e-8, "{tasks} tasks");
        }
        let most = w.iter().fold(0.0, |most: f64, w| most.max(*w));
        let least = w.iter().fold(f64::INFINITY, |least, w| least.min(*w));
        assert!(most / least > 10.0, "{w:?}");
    }
}
