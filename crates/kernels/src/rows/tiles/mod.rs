//! Inner products of f32 rows in f64, for processors with wide vectors.
//!
//! What costs is not to multiply but to convert and to fetch. Some rows meet some others at a time, so that each number is
//! converted a few times at most while all their sums stay in registers, and the next piece is fetched meanwhile. An f64
//! holds the product of two f32, and the sums run in the order of the plain loops: not one bit differs from theirs.
//!
//! | file | at a time |
//! | --- | --- |
//! | `avx512` | four rows and four others, eight sums of each product side by side |
//! | `avx2` | four rows and two others, four sums of each product, and then the other four |

mod avx2;
mod avx512;

pub(super) use avx2::Avx2;
pub(super) use avx512::Avx512;

use super::PIECE;
use crate::ops::host::Real;

/// Rows that meet others at a time.
const SIDE: usize = 4;
/// Sums of a product that run side by side.
const LANES: usize = 8;

/// The instructions of a processor; there is a value only where the processor has them.
pub(super) trait Tiles: Copy + Sync {
    /// Others that rows meet at a time, at most [`SIDE`].
    const ACROSS: usize;

    /// The products of rows of one length with each other, 0 below the diagonal. What is a piece further on is fetched.
    fn among<const M: usize>(self, rows: [&[f32]; M], fetch: bool) -> [[f64; M]; M];

    /// The products of rows with others, all of one length. What is a piece further on of the others is fetched.
    fn between<const M: usize, const N: usize>(
        self,
        rows: [&[f32]; M],
        others: [&[f32]; N],
        fetch: bool,
    ) -> [[f64; N]; M];
}

/// The same rows, where they are f32.
pub(super) fn singles<'a, T: Real>(rows: &[&'a [T]]) -> Option<Vec<&'a [f32]>> {
    rows.iter().map(|row| T::singles(row)).collect()
}

/// Adds the products of one piece of all rows to the upper triangle.
pub(super) fn add_products<T: Tiles>(tiles: T, rows: &[&[f32]], sums: &mut [f64]) {
    let size = rows.len();
    for i in (0..size).step_by(SIDE) {
        macro_rules! add {
            ($products:expr, $j:expr) => {
                for (sums, products) in sums[i * size..].chunks_mut(size).zip($products) {
                    sums[$j..].iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
                }
            };
        }
        // Only the first rows are read for the first time, and others with them.
        let fetch = i == 0;
        match rows[i..] {
            [a, b, c, d, ..] => add!(tiles.among([a, b, c, d], fetch), i),
            [a, b, c] => add!(tiles.among([a, b, c], fetch), i),
            [a, b] => add!(tiles.among([a, b], fetch), i),
            [a] => add!(tiles.among([a], fetch), i),
            [] => {}
        }
        let [a, b, c, d, ref others @ ..] = rows[i..] else { return };
        for (some, j) in others.chunks(T::ACROSS).zip((i + SIDE..).step_by(T::ACROSS)) {
            match *some {
                [e, f, g, h] => add!(tiles.between([a, b, c, d], [e, f, g, h], fetch), j),
                [e, f, g] => add!(tiles.between([a, b, c, d], [e, f, g], fetch), j),
                [e, f] => add!(tiles.between([a, b, c, d], [e, f], fetch), j),
                [e] => add!(tiles.between([a, b, c, d], [e], fetch), j),
                _ => {}
            }
        }
    }
}

/// Numbers of a row that are multiplied in vectors of [`LANES`].
type Vectors<'a> = &'a [[f32; LANES]];

/// The vectors of some rows, as many of each.
fn vectors<'a, const M: usize>(rows: [&'a [f32]; M], others: &[&[f32]]) -> ([Vectors<'a>; M], usize) {
    let count = rows.iter().chain(others).map(|row| row.len() / LANES).min().unwrap_or(0);
    (rows.map(|row| &row.as_chunks::<LANES>().0[..count]), count)
}

/// The sum of the sums of a product, after that of the numbers which do not fill a vector.
fn total(lanes: [f64; LANES], a: &[f32], b: &[f32]) -> f64 {
    let (a, b) = (a.as_chunks::<LANES>().1, b.as_chunks::<LANES>().1);
    let rest: f64 = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    rest + lanes.iter().sum::<f64>()
}
