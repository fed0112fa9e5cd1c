//! Rows of a table, looked up by their numbers.

use std::ops::Range;

use candle_core::{DType, Tensor};
use rayon::prelude::*;

use super::host::{self, Real, for_real};
use crate::autograd::{Call, Function, Gradient, RowGradient, Samples, apply};
use crate::simd::wide;
use crate::{Error, Result};

/// Numbers per task of the thread pool.
const CHUNK: usize = 1 << 13;
/// Bits that one round of sorting looks at, so that its counts stay in the cache.
const DIGIT: u32 = 11;

/// The row of `table` for every id. The gradient of the table has those rows only, each the sum over the places
/// of its id, in their order.
///
/// # Shapes
/// `table [rows, width]` of a floating-point dtype, `ids [..]` u32 → `[.., width]`.
///
/// # Errors
/// [`Error::Shape`] for a table that is not a matrix, [`Error::DType`] for ids that are not u32, and
/// [`Error::Parameter`] with the first id that the table has no row for.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let table = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu)?;
/// let ids = Tensor::new(&[1u32, 1, 0], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::embedding(&table, &ids)?;
/// assert_eq!(y.to_vec2::<f32>()?, [[3.0, 4.0], [3.0, 4.0], [1.0, 2.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn embedding(table: &Tensor, ids: &Tensor) -> Result<Tensor> {
    looked_up(table, ids, None)
}

/// An [`embedding`] in which the row of the id `padding` gets no gradient: it stays as it is.
///
/// # Shapes
/// As [`embedding`].
///
/// # Errors
/// As [`embedding`].
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor, Var};
/// let table = Var::new(&[[0f32], [3.0]], &Device::Cpu)?;
/// let ids = Tensor::new(&[1u32, 0, 0], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::embedding_padded(&table, &ids, 0)?;
/// let gradient = y.sum_all()?.backward()?.get(&table).unwrap().to_vec2::<f32>()?;
/// assert_eq!(gradient, [[0.0], [1.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn embedding_padded(table: &Tensor, ids: &Tensor, padding: u32) -> Result<Tensor> {
    looked_up(table, ids, Some(padding))
}

fn looked_up(table: &Tensor, ids: &Tensor, padding: Option<u32>) -> Result<Tensor> {
    let &[rows, width] = table.dims() else {
        return Err(Error::shape("table of an embedding", "[rows, width]", table.dims()));
    };
    let known = checked(ids, rows)?;
    if !host::applies(table) {
        return composed(table, ids, padding);
    }
    let (shape, matrix) = ([ids.dims(), &[width]].concat(), table.contiguous()?);
    for_real!(table.dtype(), T => {
        let values = gathered::<T>(&host::read(&matrix)?, &known, width);
        apply(Embedding { ids: known, padding }, &[table], values, shape)
    })
}

/// The ids, all of them below `rows`.
fn checked(ids: &Tensor, rows: usize) -> Result<Vec<u32>> {
    if ids.dtype() != DType::U32 {
        return Err(Error::dtype("ids of an embedding", "u32", ids.dtype()));
    }
    let ids = ids.flatten_all()?.to_vec1::<u32>()?;
    match ids.iter().find(|&&id| id as usize >= rows) {
        Some(id) => Err(Error::parameter("id of an embedding", format!("a row of {rows}"), id)),
        None => Ok(ids),
    }
}

fn composed(table: &Tensor, ids: &Tensor, padding: Option<u32>) -> Result<Tensor> {
    let shape = [ids.dims(), &table.dims()[1..]].concat();
    let ids = ids.flatten_all()?;
    let mut y = table.contiguous()?.index_select(&ids, 0)?;
    if let Some(padding) = padding {
        let padded = ids.eq(padding)?.unsqueeze(1)?.broadcast_as(y.shape())?;
        y = padded.where_cond(&y.detach(), &y)?;
    }
    Ok(y.reshape(shape)?)
}

fn gathered<T: Real>(table: &[T], ids: &[u32], width: usize) -> Vec<T> {
    let mut y = vec![T::zero(); ids.len() * width];
    let per_task = (CHUNK / width.max(1)).max(1);
    y.par_chunks_mut((per_task * width).max(1)).zip(ids.par_chunks(per_task)).for_each(|(y, ids)| {
        for (row, &id) in y.chunks_exact_mut(width).zip(ids) {
            row.copy_from_slice(&table[id as usize * width..][..width]);
        }
    });
    y
}

struct Embedding {
    ids: Vec<u32>,
    padding: Option<u32>,
}

impl Embedding {
    fn gradient<T: Real>(&self, dy: &[T], table: &Tensor) -> Result<RowGradient> {
        let (height, width) = table.dims2()?;
        let places = sorted(&self.ids, height);
        let runs = runs(&self.ids, &places, self.padding);
        let mut sums = vec![T::zero(); runs.len() * width];
        let per_task = (CHUNK / width.max(1)).max(1);
        sums.par_chunks_mut((per_task * width).max(1)).zip(runs.par_chunks(per_task)).for_each(
            |(sums, runs)| {
                let rows = sums.chunks_exact_mut(width).zip(runs);
                wide(
                    #[inline(always)]
                    || rows.for_each(|(sum, run)| add_rows(sum, dy, &places[run.clone()])),
                );
            },
        );
        let rows: Vec<u32> = runs.iter().map(|run| self.ids[places[run.start] as usize]).collect();
        let values = Tensor::from_vec(sums, (rows.len(), width), table.device())?;
        RowGradient::new(rows, values, height)
    }
}

/// Adds the rows of `dy` at some places to a sum.
#[inline(always)]
fn add_rows<T: Real>(sum: &mut [T], dy: &[T], places: &[u32]) {
    for &place in places {
        let row = &dy[place as usize * sum.len()..][..sum.len()];
        sum.iter_mut().zip(row).for_each(|(sum, &v)| *sum += v);
    }
}

/// The places of all ids by ascending id, those of one id in their order: digit by digit, the lowest first.
fn sorted(ids: &[u32], height: usize) -> Vec<u32> {
    let mut places: Vec<u32> = (0..ids.len() as u32).collect();
    let mut moved = places.clone();
    let bits = usize::BITS - height.saturating_sub(1).leading_zeros();
    for shift in (0..bits).step_by(DIGIT as usize) {
        let digit = |place: u32| (ids[place as usize] >> shift) as usize & ((1 << DIGIT) - 1);
        let mut next = [0u32; 1 << DIGIT];
        places.iter().for_each(|&place| next[digit(place)] += 1);
        let mut before = 0;
        for count in &mut next {
            before += std::mem::replace(count, before);
        }
        for &place in &places {
            let to = &mut next[digit(place)];
            moved[*to as usize] = place;
            *to += 1;
        }
        std::mem::swap(&mut places, &mut moved);
    }
    places
}

/// Where the places of each id begin and end.
fn runs(ids: &[u32], places: &[u32], padding: Option<u32>) -> Vec<Range<usize>> {
    let mut end = 0;
    let same = places.chunk_by(|&a, &b| ids[a as usize] == ids[b as usize]);
    let runs = same.map(|run| {
        end += run.len();
        end - run.len()..end
    });
    runs.filter(|run| Some(ids[places[run.start] as usize]) != padding).collect()
}

impl Function for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Whole
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let dy = cotangent.contiguous()?;
        let rows = for_real!(dy.dtype(), T => self.gradient::<T>(&host::read(&dy)?, &call.inputs[0])?);
        Ok(vec![Some(Gradient::Rows(rows))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_sorted_by_id_and_then_by_themselves() {
        for height in [1, 2, 2048, 2049, 300_000, 5_000_000] {
            let ids: Vec<u32> = (0..5000u64).map(|i| (i * i * 7919 % height as u64) as u32).collect();
            let mut expected: Vec<u32> = (0..5000).collect();
            expected.sort_by_key(|&place| ids[place as usize]);
            assert_eq!(sorted(&ids, height), expected, "{height}");
        }
    }

    #[test]
    fn the_composition_is_the_same() {
        let table = candle_core::Var::new(&[[1f64, 2.0], [3.0, 4.0], [5.0, 6.0]], &candle_core::Device::Cpu);
        let (table, ids) =
            (table.unwrap(), Tensor::new(&[[2u32, 0], [2, 1]], &candle_core::Device::Cpu).unwrap());
        for padding in [None, Some(1), Some(2)] {
            let found = [looked_up(&table, &ids, padding), composed(&table, &ids, padding)].map(|y| {
                let y = y.unwrap();
                let gradient = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                let gradient = gradient.get(&table).unwrap().to_vec2::<f64>().unwrap();
                (y.to_vec3::<f64>().unwrap(), gradient)
            });
            assert_eq!(found[0], found[1], "{padding:?}");
        }
    }
}
