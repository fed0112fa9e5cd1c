//! Products of rows for processors with AVX-512: four rows and four others at a time, in sixteen vectors of sums.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512d, _MM_HINT_T1, _mm_prefetch, _mm256_loadu_ps, _mm512_cvtps_pd, _mm512_fmadd_pd, _mm512_setzero_pd,
    _mm512_storeu_pd,
};

use super::{LANES, PIECE, Tiles, Vectors, total, vectors};

/// AVX-512.
#[derive(Clone, Copy)]
pub(in super::super) struct Avx512(());

impl Avx512 {
    pub(in super::super) fn at_hand() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

impl Tiles for Avx512 {
    const ACROSS: usize = 4;

    fn among<const M: usize>(self, rows: [&[f32]; M], fetch: bool) -> [[f64; M]; M] {
        // SAFETY: there is a value of this type only where the processor has AVX-512.
        unsafe { among(rows, fetch) }
    }

    fn between<const M: usize, const N: usize>(
        self,
        rows: [&[f32]; M],
        others: [&[f32]; N],
        fetch: bool,
    ) -> [[f64; N]; M] {
        // SAFETY: as above.
        unsafe { between(rows, others, fetch) }
    }
}

#[target_feature(enable = "avx512f")]
fn among<const M: usize>(rows: [&[f32]; M], fetch: bool) -> [[f64; M]; M] {
    let mut sums = [[_mm512_setzero_pd(); M]; M];
    let (vectors, count) = vectors(rows, &[]);
    for c in 0..count {
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
            products[i][j] = total(lanes(sums[i][j]), rows[i], rows[j]);
        }
    }
    products
}

#[target_feature(enable = "avx512f")]
fn between<const M: usize, const N: usize>(
    rows: [&[f32]; M],
    others: [&[f32]; N],
    fetch: bool,
) -> [[f64; N]; M] {
    let mut sums = [[_mm512_setzero_pd(); N]; M];
    let ((a, count), (b, _)) = (vectors(rows, &others), vectors(others, &rows));
    for c in 0..count {
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
            products[i][j] = total(lanes(sums[i][j]), rows[i], others[j]);
        }
    }
    products
}

/// Vector `c` in f64, while the one of the next piece is fetched.
///
/// # Safety
/// `c` is below the length of `row`.
#[target_feature(enable = "avx512f")]
unsafe fn load(row: Vectors<'_>, c: usize, fetch: bool) -> __m512d {
    if fetch && c.is_multiple_of(2) {
        _mm_prefetch::<_MM_HINT_T1>(row.as_ptr().wrapping_add(c + PIECE / LANES).cast());
    }
    // SAFETY: the caller answers for `c`, and a vector is eight numbers.
    unsafe { _mm512_cvtps_pd(_mm256_loadu_ps(row.get_unchecked(c).as_ptr())) }
}

#[target_feature(enable = "avx512f")]
fn lanes(sums: __m512d) -> [f64; LANES] {
    let mut lanes = [0.0; LANES];
    // SAFETY: `lanes` are eight numbers.
    unsafe { _mm512_storeu_pd(lanes.as_mut_ptr(), sums) };
    lanes
}
