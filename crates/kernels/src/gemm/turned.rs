//! Products a · bᵀ of f32 matrices in rows, for processors with AVX-512.
//!
//! Both factors run along the inner dimension in memory, so that both have to be turned before they can be multiplied
//! with vectors across the columns. A general product packs them number by number; here blocks of 16 × 16 are turned in
//! registers. It pays where few rows of `a` share the work of packing `b`, as in a linear layer of a small batch.
//!
//! Blocks of 512 rows of `b` and up to 256 of the inner dimension stay in the cache, and 14 rows of `a` at a time meet
//! 32 of them in 28 vectors of sums. Every number is summed in one order, whatever the split among threads.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512, __mmask16, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_fmadd_ps, _mm512_load_ps,
    _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4,
    _mm512_store_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};
use std::cell::RefCell;
use std::ops::Range;

use super::{Matrix, MatrixMut, Onto};

/// Numbers of a vector.
const LANES: usize = 16;
/// Rows of `a` whose sums are in registers at a time.
const ROWS: usize = 14;
/// Vectors of columns whose sums are in registers at a time.
const WIDE: usize = 2;
/// The most of the inner dimension that is summed at a time.
const DEPTH: usize = 256;
/// Rows of `b` that are packed at a time.
const BLOCK: usize = 512;
/// The most rows of `a` for which packing `b` this way pays.
const FEW: usize = 1024;

/// Whether a product of these sizes is faster here.
pub(super) fn pays(a: &Matrix<'_, f32>, b: &Matrix<'_, f32>) -> bool {
    let along = a.step[1] == 1 && b.step[0] == 1 && b.step[1] > 1;
    let large = a.size[0] >= 8 && b.size[1] >= LANES && a.size[1] >= LANES;
    along && large && a.size[0] <= FEW && is_x86_feature_detected!("avx512f")
}

/// `out += a · bᵀ` or `out = a · bᵀ`, the columns of `out` split into `parts` for rayon's current pool; `b` is given as
/// the transpose that is meant.
///
/// # Panics
/// Where the sizes do not fit together, or [`pays`] does not hold.
pub(super) fn product(onto: Onto, out: MatrixMut<'_, f32>, [a, b]: [Matrix<'_, f32>; 2], parts: usize) {
    assert!(pays(&a, &b) && out.size == [a.size[0], b.size[1]] && a.size[1] == b.size[0], "matrix sizes");
    assert!(a.fits() && b.fits(), "matrix sizes and their memory");
    split(onto, out, [a, b], parts);
}

fn split(onto: Onto, out: MatrixMut<'_, f32>, [a, b]: [Matrix<'_, f32>; 2], parts: usize) {
    let columns = b.size[1];
    let half = (columns / 2).next_multiple_of(LANES * WIDE);
    if parts < 2 || half >= columns {
        // SAFETY: `pays` has found AVX-512.
        return unsafe { serial(onto, out, [a, b]) };
    }
    let (left, right) = out.split_at_column(half);
    let rows = |first: usize, count: usize| Matrix {
        values: b.values.get(first * b.step[1]..).unwrap_or_default(),
        size: [b.size[0], count],
        ..b
    };
    rayon::join(
        || split(onto, left, [a, rows(0, half)], parts / 2),
        || split(onto, right, [a, rows(half, columns - half)], parts - parts / 2),
    );
}

/// Numbers that a vector holds, aligned for it.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Lanes([f32; LANES]);

thread_local! {
    /// Memory that packed blocks are written to, kept from product to product.
    static PACKED: RefCell<Vec<Lanes>> = const { RefCell::new(Vec::new()) };
}

#[target_feature(enable = "avx512f")]
fn serial(onto: Onto, mut out: MatrixMut<'_, f32>, [a, b]: [Matrix<'_, f32>; 2]) {
    let ([rows, depth], columns) = (a.size, b.size[1]);
    let step = depth.div_ceil(depth.div_ceil(DEPTH));
    let room = step * (1 + BLOCK / LANES);
    PACKED.with_borrow_mut(|packed| {
        packed.resize(room.max(packed.len()), Lanes([0.0; LANES]));
        let (a_panel, b_panels) = packed[..room].split_at_mut(step);
        for left in (0..columns).step_by(BLOCK) {
            let block = left..columns.min(left + BLOCK);
            for first in (0..depth).step_by(step) {
                let along = first..depth.min(first + step);
                for (panel, from) in b_panels.chunks_mut(step * WIDE).zip(block.clone().step_by(LANES * WIDE))
                {
                    let some = from..block.end.min(from + LANES * WIDE);
                    pack(panel, (b.values, b.step[1]), [some, along.clone()]);
                }
                let onto = if first == 0 { onto } else { Onto::Sum };
                for top in (0..rows).step_by(ROWS) {
                    let some = top..rows.min(top + ROWS);
                    pack(a_panel, (a.values, a.step[0]), [some.clone(), along.clone()]);
                    for (panel, from) in b_panels.chunks(step * WIDE).zip(block.clone().step_by(LANES * WIDE))
                    {
                        let place = [some.clone(), from..block.end.min(from + LANES * WIDE)];
                        write(onto, &mut out, place, [&a_panel[..along.len()], panel]);
                    }
                }
            }
        }
    });
}

/// Turns some rows of a matrix over a part of its inner dimension: `panel[k · vectors + v]` holds the k-th number of
/// rows 16 v to 16 v + 15, and 0 for rows that are not there.
#[target_feature(enable = "avx512f")]
fn pack(panel: &mut [Lanes], (values, step): (&[f32], usize), [rows, along]: [Range<usize>; 2]) {
    let vectors = rows.len().div_ceil(LANES);
    for v in 0..vectors {
        let some = rows.start + v * LANES..rows.end.min(rows.start + (v + 1) * LANES);
        for k in (0..along.len()).step_by(LANES) {
            let count = LANES.min(along.len() - k);
            let mut square = [_mm512_setzero_ps(); LANES];
            for (vector, row) in square.iter_mut().zip(some.clone()) {
                *vector = load(&values[row * step + along.start + k..][..count]);
            }
            for (i, vector) in turn(square).into_iter().take(count).enumerate() {
                let lanes = &mut panel[(k + i) * vectors + v].0;
                // SAFETY: `lanes` are 16 numbers, aligned to 64 bytes.
                unsafe { _mm512_store_ps(lanes.as_mut_ptr(), vector) };
            }
        }
    }
}

/// Up to 16 numbers, followed by zeros.
#[target_feature(enable = "avx512f")]
fn load(values: &[f32]) -> __m512 {
    // SAFETY: only as many numbers are read as `values` has.
    unsafe { _mm512_maskz_loadu_ps(first(values.len()), values.as_ptr()) }
}

/// The mask of the first `count` of 16 numbers.
fn first(count: usize) -> __mmask16 {
    if count < LANES { (1 << count) - 1 } else { __mmask16::MAX }
}

/// The transpose of a square of 16 × 16.
#[target_feature(enable = "avx512f")]
fn turn(rows: [__m512; LANES]) -> [__m512; LANES] {
    let mut pairs = rows;
    for i in 0..8 {
        let (a, b) = (rows[2 * i], rows[2 * i + 1]);
        (pairs[2 * i], pairs[2 * i + 1]) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    }
    // fours[4 i + c]: column c of every quarter, rows 4 i to 4 i + 3.
    let mut fours = pairs;
    for i in 0..4 {
        for j in 0..2 {
            let (a, b) = (_mm512_castps_pd(pairs[4 * i + j]), _mm512_castps_pd(pairs[4 * i + 2 + j]));
            fours[4 * i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            fours[4 * i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    }
    let mut columns = fours;
    for c in 0..4 {
        let even = |a, b| _mm512_shuffle_f32x4::<0x88>(a, b);
        let odd = |a, b| _mm512_shuffle_f32x4::<0xdd>(a, b);
        let (a, b) = (even(fours[c], fours[4 + c]), odd(fours[c], fours[4 + c]));
        let (d, e) = (even(fours[8 + c], fours[12 + c]), odd(fours[8 + c], fours[12 + c]));
        (columns[c], columns[8 + c]) = (even(a, d), odd(a, d));
        (columns[4 + c], columns[12 + c]) = (even(b, e), odd(b, e));
    }
    columns
}

/// Adds the product of two panels to a place of `out`, or writes it there.
#[target_feature(enable = "avx512f")]
fn write(
    onto: Onto,
    out: &mut MatrixMut<'_, f32>,
    [rows, columns]: [Range<usize>; 2],
    panels: [&[Lanes]; 2],
) {
    let (count, mut rows) = (rows.len(), out.some(rows));
    let mut store = |i: usize, v: usize, sum: __m512| {
        let from = columns.start + v * LANES;
        let columns = from..columns.end.min(from + LANES);
        let (place, mask) = (rows.place(i, &columns), first(columns.len()));
        // SAFETY: as many numbers of the row as the mask has begin at `place`. They are read only where something was
        // written to them before.
        unsafe {
            let before = || _mm512_maskz_loadu_ps(mask, place);
            let sum = if onto == Onto::Sum { _mm512_add_ps(before(), sum) } else { sum };
            _mm512_mask_storeu_ps(place, mask, sum);
        }
    };
    macro_rules! tiles {
        ($($count:literal),+) => {
            match (count, columns.len() > LANES) {
                $(($count, true) => sums::<$count, 2>(panels).into_iter().enumerate().for_each(|(i, sums)| {
                    store(i, 0, sums[0]);
                    store(i, 1, sums[1]);
                }),
                ($count, false) => sums::<$count, 1>(panels).into_iter().enumerate().for_each(|(i, sums)| store(i, 0, sums[0])),)+
                _ => {}
            }
        };
    }
    tiles!(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14);
}

/// Row i, vector v: Σₖ a[k][i] · b[k][v].
#[target_feature(enable = "avx512f")]
fn sums<const M: usize, const V: usize>([a, b]: [&[Lanes]; 2]) -> [[__m512; V]; M] {
    let mut sums = [[_mm512_setzero_ps(); V]; M];
    for (a, b) in a.iter().zip(b.chunks_exact(V)) {
        let mut row = [_mm512_setzero_ps(); V];
        for (vector, lanes) in row.iter_mut().zip(b) {
            // SAFETY: `lanes` are 16 numbers, aligned to 64 bytes.
            *vector = unsafe { _mm512_load_ps(lanes.0.as_ptr()) };
        }
        for (sums, a) in sums.iter_mut().zip(&a.0) {
            let a = _mm512_set1_ps(*a);
            for (sum, b) in sums.iter_mut().zip(&row) {
                *sum = _mm512_fmadd_ps(a, *b, *sum);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * step).sin()).collect()
    }

    #[test]
    fn odd_sizes_agree_with_the_sums_that_define_them() {
        for [m, n, k] in
            [[8, 16, 16], [9, 17, 33], [15, 47, 300], [31, 530, 17], [64, 33, 513], [14, 1030, 20]]
        {
            let (a, b) = (numbers(m * k, 0.37), numbers(n * k, 0.73));
            let factors = [Matrix::rows(&a, k), Matrix::rows(&b, k).transposed()];
            if !pays(&factors[0], &factors[1]) {
                assert!(!is_x86_feature_detected!("avx512f"));
                continue;
            }
            let mut outs = [vec![f32::NAN; m * n], vec![f32::NAN; m * n], vec![1.0; m * n]];
            for (out, (onto, parts)) in
                outs.iter_mut().zip([(Onto::Nothing, 1), (Onto::Nothing, 3), (Onto::Sum, 2)])
            {
                product(onto, MatrixMut::rows(out, n), factors, parts);
            }
            assert_eq!(outs[0], outs[1]);
            for (i, out) in outs[0].iter().enumerate() {
                let (a, b) = (&a[i / n * k..][..k], &b[i % n * k..][..k]);
                let exact: f64 = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                assert!((f64::from(*out) - exact).abs() < 1e-4, "{m} {n} {k} {i}: {out} instead of {exact}");
                assert!((outs[2][i] - out - 1.0).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn only_the_columns_given_are_written() {
        let (a, b) = (numbers(8 * 16, 0.3), numbers(16 * 16, 0.7));
        let factors = [Matrix::rows(&a, 16), Matrix::rows(&b, 16).transposed()];
        if pays(&factors[0], &factors[1]) {
            let mut out = vec![-7.0; 8 * 20];
            product(Onto::Nothing, MatrixMut::block(&mut out, [8, 16], 20), factors, 2);
            assert!(out.chunks(20).all(|row| row[16..] == [-7.0; 4] && row[..16].iter().all(|x| *x != -7.0)));
        }
    }
}
