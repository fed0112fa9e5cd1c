//! Running means of the tasks' gradients, and what is formed of them.

use super::pieces::{Number, Pass, Piece};

/// mᵢ ← keep · mᵢ + takeᵢ · gᵢ. The sums are the inner products mᵢ·mⱼ for i ≤ j, or the squares mᵢ·mᵢ alone.
pub(super) struct Track {
    pub(super) keep: f64,
    pub(super) take: Vec<f64>,
    pub(super) products: Products,
}

/// Which inner products are summed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Products {
    All,
    Squares,
}

impl Pass for Track {
    const WRITES: bool = false;

    #[inline(always)]
    fn piece<T: Number>(&self, mut piece: Piece<'_, T>) -> Vec<f64> {
        let keep = T::from_f64(self.keep);
        for ((m, g), take) in piece.kept.iter_mut().zip(&piece.rows).zip(&self.take) {
            let take = T::from_f64(*take);
            m.iter_mut().zip(*g).for_each(|(m, g)| *m = keep * *m + take * *g);
        }
        let (m, mut products) = (&piece.kept, Vec::new());
        for i in 0..m.len() {
            let last = if self.products == Products::All { m.len() } else { i + 1 };
            for j in i..last {
                products.push(dot(m[i], m[j]));
            }
        }
        products
    }
}

/// Σ wᵢmᵢ.
pub(super) struct Combined {
    pub(super) weights: Vec<f64>,
}

impl Pass for Combined {
    const WRITES: bool = true;

    #[inline(always)]
    fn piece<T: Number>(&self, piece: Piece<'_, T>) -> Vec<f64> {
        for (m, weight) in piece.kept.iter().zip(&self.weights) {
            let weight = T::from_f64(*weight);
            piece.out.iter_mut().zip(m.iter()).for_each(|(out, m)| *out += weight * *m);
        }
        Vec::new()
    }
}

#[inline(always)]
fn dot<T: Number>(a: &[T], b: &[T]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in a.0.iter().zip(b.0) {
        (0..8).for_each(|k| lanes[k] += x[k].to_f64() * y[k].to_f64());
    }
    let rest: f64 = a.1.iter().zip(b.1).map(|(x, y)| x.to_f64() * y.to_f64()).sum();
    rest + lanes.iter().sum::<f64>()
}
