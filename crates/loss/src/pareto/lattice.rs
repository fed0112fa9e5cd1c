//! Preferences that are spread evenly over the simplex.
//!
//! With H divisions, all (k₁/H, …, k_m/H) with whole kᵢ ≥ 0 and Σ kᵢ = H, drawn in to a smallest entry f:
//!     rᵢ = f + (1 − m f) kᵢ / H.
//! There are C(H + m − 1, m − 1) of them, for two objectives H + 1.
//! Reference: Das and Dennis, "Normal-Boundary Intersection", SIAM Journal on Optimization 1998 (the lattice).

use taskweave_kernels::{Error, Result};

/// More preferences than this are a mistake.
const MOST: usize = 100_000;

/// Preferences that are spread evenly: every entry at least `least`, all together 1, the first entry rising.
///
/// # Errors
/// [`Error::Parameter`] for no objective, no division, a `least` outside [0, 1/objectives), or more than 100 000 preferences.
///
/// # Example
/// ```
/// use taskweave_loss::pareto::simplex_lattice;
/// assert_eq!(simplex_lattice(2, 4, 0.0)?, [[0.0, 1.0], [0.25, 0.75], [0.5, 0.5], [0.75, 0.25], [1.0, 0.0]]);
/// assert_eq!(simplex_lattice(2, 1, 0.25)?, [[0.25, 0.75], [0.75, 0.25]]);
/// assert_eq!(simplex_lattice(3, 2, 0.0)?.len(), 6);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn simplex_lattice(objectives: usize, divisions: usize, least: f64) -> Result<Vec<Vec<f64>>> {
    for (name, count) in [("objectives", objectives), ("divisions of the simplex", divisions)] {
        if !(1..=MOST).contains(&count) {
            return Err(Error::parameter(name, format!("1 to {MOST}"), count));
        }
    }
    let share = 1.0 - objectives as f64 * least;
    if !(least >= 0.0 && share > 0.0) {
        let expected = format!("a number in [0, 1/{objectives})");
        return Err(Error::parameter("smallest entry of a preference", expected, least));
    }
    let mut wholes: Vec<Vec<usize>> = vec![Vec::new()];
    for left in (1..=objectives).rev() {
        wholes = wholes.iter().flat_map(|start| longer(start, divisions, left)).collect();
        if wholes.len() > MOST {
            return Err(Error::parameter("preferences", format!("at most {MOST}"), wholes.len()));
        }
    }
    let place = |k: usize| least + share * (k as f64 / divisions as f64);
    Ok(wholes.into_iter().map(|whole| whole.into_iter().map(place).collect()).collect())
}

/// A start with every next entry that it can have; the last of `left` entries takes what is left.
fn longer(start: &[usize], divisions: usize, left: usize) -> impl Iterator<Item = Vec<usize>> {
    let rest = divisions - start.iter().sum::<usize>();
    let from = if left == 1 { rest } else { 0 };
    (from..=rest).map(|next| start.iter().copied().chain([next]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_sum_to_one_and_keep_their_distance_from_the_edge() {
        let found = simplex_lattice(4, 5, 0.05).unwrap();
        assert_eq!(found.len(), 56); // C(8, 3)
        assert!(found.iter().all(|r| (r.iter().sum::<f64>() - 1.0).abs() < 1e-12));
        assert!(found.iter().flatten().all(|r| *r >= 0.05 - 1e-15));
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(simplex_lattice(1, 3, 0.5).unwrap(), [[1.0]]);
    }

    #[test]
    fn what_is_no_lattice_is_refused() {
        for (objectives, divisions, least) in
            [(0, 1, 0.0), (2, 0, 0.0), (2, 1, 0.5), (2, 1, -0.1), (2, 1, f64::NAN), (40, 40, 0.0)]
        {
            let error = simplex_lattice(objectives, divisions, least);
            assert!(matches!(error, Err(Error::Parameter { .. })), "{objectives} {divisions} {least}");
        }
    }
}
