//! Products of rows for processors with AVX2: four rows and two others at a time.
//!
//! A vector holds four f64, and there are sixteen registers: half of the sums of the products run at a time, over a few
//! vectors of all rows, which stay in the first cache for the other half.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256d, _MM_HINT_T1, _mm_loadu_ps, _mm_prefetch, _mm256_cvtps_pd, _mm256_fmadd_pd, _mm256_setzero_pd,
    _mm256_storeu_pd,
};

use super::{LANES, PIECE, Tiles, Vectors, total, vectors};

/// Vectors of a row that one half of the sums goes through before the other.
const STRIP: usize = 64;

/// AVX2 and fused products.
#[derive(Clone, Copy)]
pub(in super::super) struct Avx2(());

impl Avx2 {
    pub(in super::super) fn at_hand() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

impl Tiles for Avx2 {
    const ACROSS: usize = 2;

    fn among<const M: usize>(self, rows: [&[f32]; M], fetch: bool) -> [[f64; M]; M] {
        // SAFETY: there is a value of this type only where the processor has AVX2 and FMA.
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

/// The sums of a product: the first four, and the others.
type Halves = [__m256d; 2];

#[target_feature(enable = "avx2,fma")]
fn among<const M: usize>(rows: [&[f32]; M], fetch: bool) -> [[f64; M]; M] {
    let mut halves = [[[_mm256_setzero_pd(); M]; M]; 2];
    let (vectors, count) = vectors(rows, &[]);
    for start in (0..count).step_by(STRIP) {
        for (half, kept) in halves.iter_mut().enumerate() {
            let mut sums = *kept;
            for c in start..count.min(start + STRIP) {
                let mut x = [_mm256_setzero_pd(); M];
                for j in 0..M {
                    // SAFETY: c is below the number of vectors of each row, and there are two halves.
                    x[j] = unsafe { load(vectors[j], (c, half), fetch) };
                    for i in 0..=j {
                        sums[i][j] = _mm256_fmadd_pd(x[i], x[j], sums[i][j]);
                    }
                }
            }
            *kept = sums;
        }
    }
    let mut products = [[0.0; M]; M];
    for i in 0..M {
        for j in i..M {
            products[i][j] = total(lanes(halves.map(|sums| sums[i][j])), rows[i], rows[j]);
        }
    }
    products
}

#[target_feature(enable = "avx2,fma")]
fn between<const M: usize, const N: usize>(
    rows: [&[f32]; M],
    others: [&[f32]; N],
    fetch: bool,
) -> [[f64; N]; M] {
    let mut halves = [[[_mm256_setzero_pd(); N]; M]; 2];
    let ((a, count), (b, _)) = (vectors(rows, &others), vectors(others, &rows));
    for start in (0..count).step_by(STRIP) {
        for (half, kept) in halves.iter_mut().enumerate() {
            let mut sums = *kept;
            for c in start..count.min(start + STRIP) {
                let mut x = [_mm256_setzero_pd(); M];
                for i in 0..M {
                    // SAFETY: c is below the number of vectors of each row, and there are two halves.
                    x[i] = unsafe { load(a[i], (c, half), false) };
                }
                for j in 0..N {
                    // SAFETY: the same holds for the others.
                    let y = unsafe { load(b[j], (c, half), fetch) };
                    for i in 0..M {
                        sums[i][j] = _mm256_fmadd_pd(x[i], y, sums[i][j]);
                    }
                }
            }
            *kept = sums;
        }
    }
    let mut products = [[0.0; N]; M];
    for i in 0..M {
        for j in 0..N {
            products[i][j] = total(lanes(halves.map(|sums| sums[i][j])), rows[i], others[j]);
        }
    }
    products
}

/// The first (0) or second (1) half of vector `c` in f64, while the vector of the next piece is fetched.
///
/// # Safety
/// `c` is below the length of `row`, and `half` below two.
#[target_feature(enable = "avx2,fma")]
unsafe fn load(row: Vectors<'_>, (c, half): (usize, usize), fetch: bool) -> __m256d {
    if fetch && half == 0 && c.is_multiple_of(2) {
        _mm_prefetch::<_MM_HINT_T1>(row.as_ptr().wrapping_add(c + PIECE / LANES).cast());
    }
    // SAFETY: the caller answers for `c` and `half`, and a vector is twice four numbers.
    unsafe { _mm256_cvtps_pd(_mm_loadu_ps(row.get_unchecked(c).as_ptr().add(half * LANES / 2))) }
}

#[target_feature(enable = "avx2,fma")]
fn lanes(halves: Halves) -> [f64; LANES] {
    let mut lanes = [0.0; LANES];
    let (first, second) = lanes.split_at_mut(LANES / 2);
    // SAFETY: each half of `lanes` is four numbers.
    unsafe {
        _mm256_storeu_pd(first.as_mut_ptr(), halves[0]);
        _mm256_storeu_pd(second.as_mut_ptr(), halves[1]);
    }
    lanes
}
