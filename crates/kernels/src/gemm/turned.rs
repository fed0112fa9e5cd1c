//! Products a · bᵀ of f32 matrices in rows, for processors with AVX-512.
//!
//! Both factors run along the inner dimension in memory, so that a general product packs both, number by number. Here only
//! `a` is turned, in blocks of 16 × 16 in registers: its rows lie across the vectors, the rows of `b` are copied as they
//! are and read number by number, and the sums are turned back when they are written. It pays where `a` has few
//! rows, as in a linear layer of a small batch.
//!
//! Blocks of up to 256 rows of `a` and 512 of the inner dimension stay in the cache, and 14 rows of `b` at a time meet
//! 32 of them in 28 vectors of sums. Every number is summed in one order, whatever the split among threads.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512, __mmask16, _MM_HINT_T1, _mm_prefetch, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd,
    _mm512_fmadd_ps, _mm512_load_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_store_ps, _mm512_unpackhi_pd,
    _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};
use std::cell::RefCell;
use std::ops::Range;

use super::{End, Floor, Matrix, MatrixMut, Onto};

/// Numbers of a vector.
const LANES: usize = 16;
/// Rows of `b` whose sums are in registers at a time.
const ROWS: usize = 14;
/// Vectors of rows of `a` whose sums are in registers at a time.
const WIDE: usize = 2;
/// Rows of `a` that lie side by side in a panel.
const PANEL: usize = LANES * WIDE;
/// The most of the inner dimension that is summed at a time.
const DEPTH: usize = 512;
/// Rows of `a` that are packed at a time.
const BLOCK: usize = 256;
/// The most rows of `a` for which this pays.
const FEW: usize = 1024;

/// Whether a product of these sizes is faster here.
pub(super) fn pays(a: &Matrix<'_, f32>, b: &Matrix<'_, f32>) -> bool {
    let along = a.step[1] == 1 && b.step[0] == 1 && b.step[1] > 1;
    let large = a.size[0] >= 8 && b.size[1] >= LANES && a.size[1] >= LANES;
    along && large && a.size[0] <= FEW && is_x86_feature_detected!("avx512f")
}

/// Where the sums of a product go.
#[derive(Clone, Copy)]
pub(super) struct Sums<'a> {
    pub(super) onto: Onto,
    /// What is done to them once they are complete.
    pub(super) end: End<'a, f32>,
}

/// `out += a · bᵀ` or `out = a · bᵀ`, the columns of `out` split into `parts` for rayon's current pool; `b` is given as
/// the transpose that is meant.
///
/// # Panics
/// Where the sizes do not fit together, or [`pays`] does not hold.
pub(super) fn product(sums: Sums<'_>, out: MatrixMut<'_, f32>, [a, b]: [Matrix<'_, f32>; 2], parts: usize) {
    assert!(pays(&a, &b) && out.size == [a.size[0], b.size[1]] && a.size[1] == b.size[0], "matrix sizes");
    assert!(a.fits() && b.fits(), "matrix sizes and their memory");
    assert!(sums.end.bias.is_none_or(|bias| bias.len() == b.size[1]), "bias of a product");
    split(sums, out, [a, b], parts);
}

fn split(sums: Sums<'_>, out: MatrixMut<'_, f32>, [a, b]: [Matrix<'_, f32>; 2], parts: usize) {
    let columns = b.size[1];
    let half = (columns / 2).next_multiple_of(ROWS);
    if parts < 2 || half >= columns {
        // SAFETY: `pays` has found AVX-512.
        return unsafe { serial(sums, out, [a, b]) };
    }
    let (left, right) = out.split_at_column(half);
    let rows = |first: usize, count: usize| Matrix {
        values: b.values.get(first * b.step[1]..).unwrap_or_default(),
        size: [b.size[0], count],
        ..b
    };
    let (first, last) = (sums.of(0..half), sums.of(half..columns));
    rayon::join(
        || split(first, left, [a, rows(0, half)], parts / 2),
        || split(last, right, [a, rows(half, columns - half)], parts - parts / 2),
    );
}

impl Sums<'_> {
    /// The same for some of the columns.
    fn of(self, columns: Range<usize>) -> Self {
        let bias = self.end.bias.and_then(|bias| bias.get(columns));
        Self { end: End { bias, ..self.end }, ..self }
    }
}

/// Numbers that a vector holds, aligned for it.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Lanes([f32; LANES]);

thread_local! {
    /// Memory that packed blocks are written to, kept from product to product.
    static PACKED: RefCell<(Vec<Lanes>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

#[target_feature(enable = "avx512f")]
fn serial(sums: Sums<'_>, mut out: MatrixMut<'_, f32>, [a, b]: [Matrix<'_, f32>; 2]) {
    let ([rows, depth], columns) = (a.size, b.size[1]);
    let step = depth.div_ceil(depth.div_ceil(DEPTH));
    let room = step * BLOCK.min(rows.next_multiple_of(PANEL)) / LANES;
    PACKED.with_borrow_mut(|(packed, rows_of_b)| {
        packed.resize(room.max(packed.len()), Lanes([0.0; LANES]));
        for top in (0..rows).step_by(BLOCK) {
            let block = top..rows.min(top + BLOCK);
            for first in (0..depth).step_by(step) {
                let along = first..depth.min(first + step);
                for (panel, some) in packed.chunks_mut(step * WIDE).zip(panels(&block)) {
                    pack(panel, (a.values, a.step[0]), [some, along.clone()]);
                }
                let onto = if first == 0 { sums.onto } else { Onto::Sum };
                let end = if along.end == depth { sums.end } else { End::default() };
                for left in (0..columns).step_by(ROWS) {
                    let some = left..columns.min(left + ROWS);
                    let from = Along { values: &b.values[left * b.step[1] + first..], step: b.step[1] };
                    let factor = side_by_side_rows(rows_of_b, from, [some.len(), along.len()]);
                    let mut next = ahead(b, some.end..columns.min(some.end + ROWS), &along);
                    let share = next.len().div_ceil(block.len().div_ceil(PANEL));
                    for (panel, rows) in packed.chunks(step * WIDE).zip(panels(&block)) {
                        next.by_ref().take(share).for_each(|line| _mm_prefetch::<_MM_HINT_T1>(line));
                        let panel = &panel[..along.len() * rows.len().div_ceil(LANES)];
                        write(Sums { onto, end }, &mut out, [rows, some.clone()], (factor, panel));
                    }
                }
            }
        }
    });
}

/// A copy of some rows, one close behind the other: rows that lie a power of two apart would push each other out of the
/// cache, since their numbers are read side by side.
fn side_by_side_rows<'a>(place: &'a mut Vec<f32>, from: Along<'_>, [rows, columns]: [usize; 2]) -> Along<'a> {
    let step = columns + LANES;
    place.resize(place.len().max(rows * step), 0.0);
    for (row, to) in place.chunks_mut(step).take(rows).enumerate() {
        to[..columns].copy_from_slice(&from.values[row * from.step..][..columns]);
    }
    Along { values: place, step }
}

/// The cache lines of what is copied next, which come from further away than anything else here.
fn ahead<'a>(
    b: Matrix<'a, f32>,
    rows: Range<usize>,
    along: &Range<usize>,
) -> impl ExactSizeIterator<Item = *const i8> + use<'a> {
    let (lines, first) = (along.len().div_ceil(LANES), along.start);
    (0..rows.len() * lines).map(move |i| {
        let place = (rows.start + i / lines) * b.step[1] + first + i % lines * LANES;
        b.values.as_ptr().wrapping_add(place).cast()
    })
}

/// Some rows, as many at a time as a panel has.
fn panels(rows: &Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
    let end = rows.end;
    rows.clone().step_by(PANEL).map(move |from| from..end.min(from + PANEL))
}

/// Rows of numbers that begin `step` apart.
#[derive(Clone, Copy)]
struct Along<'a> {
    values: &'a [f32],
    step: usize,
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

/// Adds the product of a panel and up to 14 rows of `b` to a place of `out`, or writes it there.
#[target_feature(enable = "avx512f")]
fn write(
    Sums { onto, end }: Sums<'_>,
    out: &mut MatrixMut<'_, f32>,
    [rows, columns]: [Range<usize>; 2],
    factors: (Along<'_>, &[Lanes]),
) {
    let (mask, bias) = (first(columns.len()), end.bias.map(|bias| load(&bias[columns.clone()])));
    let mut store = |row: usize, sum: __m512| {
        let place = out.place(row, &columns);
        // SAFETY: as many numbers of the row as the mask has begin at `place`. They are read only where something was
        // written to them before.
        unsafe {
            let before = || _mm512_maskz_loadu_ps(mask, place);
            let sum = if onto == Onto::Sum { _mm512_add_ps(before(), sum) } else { sum };
            _mm512_mask_storeu_ps(place, mask, ended(end.floor, sum, bias));
        }
    };
    macro_rules! tiles {
        ($($count:literal),+) => {
            match (columns.len(), rows.len() > LANES) {
                $(($count, true) => {
                    let sums = sums::<$count, 2>(factors);
                    for v in 0..2 {
                        let some = rows.clone().skip(v * LANES);
                        turn(side_by_side(&sums, v)).into_iter().zip(some).for_each(|(sum, row)| store(row, sum));
                    }
                },
                ($count, false) => {
                    let sums = side_by_side(&sums::<$count, 1>(factors), 0);
                    turn(sums).into_iter().zip(rows.clone()).for_each(|(sum, row)| store(row, sum));
                },)+
                _ => {}
            }
        };
    }
    tiles!(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14);
}

/// The v-th vectors of sums, and zeros where there are no more.
#[target_feature(enable = "avx512f")]
fn side_by_side<const M: usize, const V: usize>(sums: &[[__m512; V]; M], v: usize) -> [__m512; LANES] {
    let mut square = [_mm512_setzero_ps(); LANES];
    square.iter_mut().zip(sums).for_each(|(vector, sums)| *vector = sums[v]);
    square
}

/// What becomes of complete sums; a NaN stays one.
#[target_feature(enable = "avx512f")]
fn ended(floor: Floor, sums: __m512, bias: Option<__m512>) -> __m512 {
    let sums = bias.map_or(sums, |bias| _mm512_add_ps(sums, bias));
    match floor {
        Floor::None => sums,
        Floor::Zero => _mm512_max_ps(_mm512_setzero_ps(), sums),
    }
}

/// Row i of `b`, vector v of the panel: Σₖ b[i][k] · panel[k][v].
#[target_feature(enable = "avx512f")]
fn sums<const M: usize, const V: usize>((b, panel): (Along<'_>, &[Lanes])) -> [[__m512; V]; M] {
    let depth = panel.len() / V;
    let rows: [&[f32]; M] = std::array::from_fn(|i| &b.values[i * b.step..][..depth]);
    let mut sums = [[_mm512_setzero_ps(); V]; M];
    for (k, lanes) in panel.chunks_exact(V).enumerate() {
        let mut vectors = [_mm512_setzero_ps(); V];
        for (vector, lanes) in vectors.iter_mut().zip(lanes) {
            // SAFETY: `lanes` are 16 numbers, aligned to 64 bytes.
            *vector = unsafe { _mm512_load_ps(lanes.0.as_ptr()) };
        }
        for (sums, row) in sums.iter_mut().zip(&rows) {
            // SAFETY: k is below `depth`, which is the length of every row.
            let factor = _mm512_set1_ps(unsafe { *row.get_unchecked(k) });
            for (sum, vector) in sums.iter_mut().zip(&vectors) {
                *sum = _mm512_fmadd_ps(factor, *vector, *sum);
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
                product(Sums { onto, end: End::default() }, MatrixMut::rows(out, n), factors, parts);
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
    fn complete_sums_get_the_bias_and_the_floor_once() {
        let [m, n, k] = [9, 70, 600];
        let (a, b, bias) = (numbers(m * k, 0.37), numbers(n * k, 0.73), numbers(n, 0.9));
        let factors = [Matrix::rows(&a, k), Matrix::rows(&b, k).transposed()];
        if !pays(&factors[0], &factors[1]) {
            return;
        }
        let [mut plain, mut ended] = [vec![0.0; m * n], vec![0.0; m * n]];
        let sums = |end| Sums { onto: Onto::Nothing, end };
        product(sums(End::default()), MatrixMut::rows(&mut plain, n), factors, 1);
        let end = End { bias: Some(&bias), floor: Floor::Zero };
        product(sums(end), MatrixMut::rows(&mut ended, n), factors, 2);
        for (i, (plain, ended)) in plain.iter().zip(&ended).enumerate() {
            let sum = plain + bias[i % n];
            assert_eq!(*ended, if sum < 0.0 { 0.0 } else { sum }, "{i}");
        }
        assert!(ended.contains(&0.0) && ended.iter().any(|x| *x > 0.0));
    }

    #[test]
    fn only_the_columns_given_are_written() {
        let (a, b) = (numbers(8 * 16, 0.3), numbers(16 * 16, 0.7));
        let factors = [Matrix::rows(&a, 16), Matrix::rows(&b, 16).transposed()];
        if pays(&factors[0], &factors[1]) {
            let mut out = vec![-7.0; 8 * 20];
            let sums = Sums { onto: Onto::Nothing, end: End::default() };
            product(sums, MatrixMut::block(&mut out, [8, 16], 20), factors, 2);
            assert!(out.chunks(20).all(|row| row[16..] == [-7.0; 4] && row[..16].iter().all(|x| *x != -7.0)));
        }
    }
}
