//! Inner products of rows in f64, in loops for any processor and number.

use std::ops::Range;

use crate::ops::host::Real;

/// Adds the products of one piece to the upper triangle: of two rows with four at a time, so that each number that is
/// read is multiplied more than once.
#[inline(always)]
pub(super) fn add_products<T: Real>([rows, others]: [&[&[T]]; 2], piece: Range<usize>, sums: &mut [f64]) {
    let size = rows.len();
    for (i, pair) in rows.chunks(2).enumerate() {
        match pair {
            [a, b] => add_pair([a, b].map(|row| &row[piece.clone()]), others, (2 * i, &piece), sums),
            // Of an odd last row nothing is left but the product with its like.
            _ => {
                let [[product]] = dots([&rows[size - 1][piece.clone()]], [&others[size - 1][piece.clone()]]);
                sums[size * size - 1] += product;
            }
        }
    }
}

/// Adds the products of pieces of the rows `i` and `i + 1` with those from `i` on.
#[inline(always)]
fn add_pair<T: Real>(a: [&[T]; 2], others: &[&[T]], (i, piece): (usize, &Range<usize>), sums: &mut [f64]) {
    let size = others.len();
    let fours = i + (size - i) / 4 * 4;
    let mut add = |j: usize, products: &[[f64; 2]]| {
        for (j, products) in (j..).zip(products) {
            products.iter().enumerate().for_each(|(k, product)| sums[(i + k) * size + j] += product);
        }
    };
    for j in (i..fours).step_by(4) {
        add(j, &dots::<T, 2, 4>(a, std::array::from_fn(|k| &others[j + k][piece.clone()])));
    }
    for (j, row) in others.iter().enumerate().skip(fours) {
        add(j, &dots::<T, 2, 1>(a, [&row[piece.clone()]]));
    }
}

/// The products of some pieces with others of the same length.
#[inline(always)]
fn dots<T: Real, const A: usize, const B: usize>(a: [&[T]; A], b: [&[T]; B]) -> [[f64; A]; B] {
    let mut lanes = [[[0.0; 8]; A]; B];
    let (a, b) = (a.map(|a| a.as_chunks::<8>()), b.map(|b| b.as_chunks::<8>()));
    let chunks = a[0].0.len();
    let (whole_a, whole_b) = (a.map(|a| &a.0[..chunks]), b.map(|b| &b.0[..chunks]));
    for c in 0..chunks {
        let x = whole_a.map(|a| a[c].map(T::to_f64));
        for j in 0..B {
            let y = whole_b[j][c].map(T::to_f64);
            for i in 0..A {
                for k in 0..8 {
                    lanes[j][i][k] += x[i][k] * y[k];
                }
            }
        }
    }
    std::array::from_fn(|j| {
        std::array::from_fn(|i| {
            let rest: f64 = a[i].1.iter().zip(b[j].1).map(|(x, y)| x.to_f64() * y.to_f64()).sum();
            rest + lanes[j][i].iter().sum::<f64>()
        })
    })
}
