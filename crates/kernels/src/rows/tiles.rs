//! Inner products of f32 rows in f64, for processors with AVX-512.
//!
//! What costs is not to multiply but to convert and to fetch. Rows meet four at a time with four others, so that each
//! number is converted twice or less while sixteen sums stay in registers, and the next piece is fetched meanwhile. An f64
//! holds the product of two f32, and the sums run in the order of the plain loops: not one bit differs from theirs.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512d, _MM_HINT_T1, _mm_prefetch, _mm256_loadu_ps, _mm512_cvtps_pd, _mm512_fmadd_pd, _mm512_setzero_pd,
    _mm512_storeu_pd,
};
use std::ops::Range;

use super::PIECE;
use crate::ops::host::Real;

/// Rows that meet at a time.
const SIDE: usize = 4;
/// Numbers of a vector, and so sums of a product that run side by side.
const LANES: usize = 8;

/// The same rows, where they are f32 and the processor has the instructions.
pub(super) fn singles<'a, T: Real>(rows: &[&'a [T]]) -> Option<Vec<&'a [f32]>> {
    let rows = rows.iter().map(|row| T::singles(row)).collect::<Option<Vec<_>>>()?;
    is_x86_feature_detected!("avx512f").then_some(rows)
}

/// Adds the products of one piece to the upper triangle.
///
/// # Panics
/// Where a row does not reach to the end of the piece, or the processor has no AVX-512.
pub(super) fn add_products(rows: &[&[f32]], piece: &Range<usize>, sums: &mut [f64]) {
    assert!(is_x86_feature_detected!("avx512f"), "a processor with AVX-512");
    let rows: Vec<&[f32]> = rows.iter().map(|row| &row[piece.clone()]).collect();
    // SAFETY: the processor has AVX-512.
    unsafe { add(&rows, sums) }
}

#[target_feature(enable = "avx512f")]
fn add(rows: &[&[f32]], sums: &mut [f64]) {
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
            [a, b, c, d, ..] => add!(among([a, b, c, d], fetch), i),
            [a, b, c] => add!(among([a, b, c], fetch), i),
            [a, b] => add!(among([a, b], fetch), i),
            [a] => add!(among([a], fetch), i),
            [] => {}
        }
        let [a, b, c, d, ref others @ ..] = rows[i..] else { return };
        for (some, j) in others.chunks(SIDE).zip((i + SIDE..).step_by(SIDE)) {
            match *some {
                [e, f, g, h] => add!(between([a, b, c, d], [e, f, g, h], fetch), j),
                [e, f, g] => add!(between([a, b, c, d], [e, f, g], fetch), j),
                [e, f] => add!(between([a, b, c, d], [e, f], fetch), j),
                [e] => add!(between([a, b, c, d], [e], fetch), j),
                _ => {}
            }
        }
    }
}

/// The products of rows of one length with each other, 0 below the diagonal.
#[target_feature(enable = "avx512f")]
fn among<const M: usize>(rows: [&[f32]; M], fetch: bool) -> [[f64; M]; M] {
    let mut sums = [[_mm512_setzero_pd(); M]; M];
    let vectors = rows.map(|row| row.as_chunks::<LANES>().0);
    for c in 0..count(&vectors) {
        let mut x = [_mm512_setzero_pd(); M];
        for j in 0..M {
            // SAFETY: c is below the number of vectors of each row.
            x[j] = unsafe { load(vectors[j], c, fetch) };
            for i in 0..=j {
                sums[i][j] = _mm512_fmadd_pd(x[i], x[j], sums[i][j]);
            }
        }
    }
    let mut products = [[0.0; M]; M];
    for i in 0..M {
        for j in i..M {
            products[i][j] = total(sums[i][j], rows[i], rows[j]);
        }
    }
    products
}

/// The products of rows with others, all of one length.
#[target_feature(enable = "avx512f")]
fn between<const M: usize, const N: usize>(
    rows: [&[f32]; M],
    others: [&[f32]; N],
    fetch: bool,
) -> [[f64; N]; M] {
    let mut sums = [[_mm512_setzero_pd(); N]; M];
    let (a, b) = (rows.map(|row| row.as_chunks::<LANES>().0), others.map(|row| row.as_chunks::<LANES>().0));
    for c in 0..count(&a).min(count(&b)) {
        let mut x = [_mm512_setzero_pd(); M];
        for i in 0..M {
            // SAFETY: c is below the number of vectors of each row.
            x[i] = unsafe { load(a[i], c, false) };
        }
        for j in 0..N {
            // SAFETY: the same holds for the others.
            let y = unsafe { load(b[j], c, fetch) };
            for i in 0..M {
                sums[i][j] = _mm512_fmadd_pd(x[i], y, sums[i][j]);
            }
        }
    }
    let mut products = [[0.0; N]; M];
    for i in 0..M {
        for j in 0..N {
            products[i][j] = total(sums[i][j], rows[i], others[j]);
        }
    }
    products
}

/// How many vectors every row has.
fn count(rows: &[&[[f32; LANES]]]) -> usize {
    rows.iter().map(|row| row.len()).min().unwrap_or(0)
}

/// Vector `c` in f64, while the one of the next piece is fetched.
///
/// # Safety
/// `c` is below the length of `row`.
#[target_feature(enable = "avx512f")]
unsafe fn load(row: &[[f32; LANES]], c: usize, fetch: bool) -> __m512d {
    if fetch && c.is_multiple_of(2) {
        _mm_prefetch::<_MM_HINT_T1>(row.as_ptr().wrapping_add(c + PIECE / LANES).cast());
    }
    // SAFETY: the caller answers for `c`, and a vector is eight numbers.
    unsafe { _mm512_cvtps_pd(_mm256_loadu_ps(row.get_unchecked(c).as_ptr())) }
}

/// The sum of a vector of sums, after that of the numbers which do not fill one.
#[target_feature(enable = "avx512f")]
fn total(sums: __m512d, a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    // SAFETY: `lanes` are eight numbers.
    unsafe { _mm512_storeu_pd(lanes.as_mut_ptr(), sums) };
    let (a, b) = (a.as_chunks::<LANES>().1, b.as_chunks::<LANES>().1);
    let rest: f64 = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    rest + lanes.iter().sum::<f64>()
}
