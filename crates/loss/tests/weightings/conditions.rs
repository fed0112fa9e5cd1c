//! The conditions of optimality.

use super::families::{Rows, along, losses, norm, update};

/// The conditions of optimality of each method, from its weights alone.
pub fn optimal(text: &str, rows: &Rows, w: &[f64], (gains, d): (&[f64], &[f64]), what: &str) {
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
