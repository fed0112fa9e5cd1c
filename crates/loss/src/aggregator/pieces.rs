//! Aggregation piece by piece: the values that all tasks have at some thousand coordinates of a block, in parallel.
//!
//! Pieces are cut at the same places whatever the number of threads, and what is summed over them is summed in their order,
//! so that results do not depend on it. Rows are read where they lie; nothing is concatenated or converted but gradients on
//! another device, by rows, or in half precision.

use candle_core::{DType, Device, Storage, Tensor, WithDType};
use rayon::prelude::*;
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Error, Named, Result, finite, fresh_beside, wide};

use crate::Jacobian;

/// What a pass sums over all pieces.
pub(super) type Sums = [f64; 2];

/// The numbers that gradients are made of.
pub(super) trait Number: WithDType + Default {
    fn absolute(self) -> Self;
    /// The lesser of two finite numbers.
    fn least(self, other: Self) -> Self;
    /// The greater of two finite numbers.
    fn most(self, other: Self) -> Self;
    fn root(self) -> Self;
}

macro_rules! number {
    ($real:ty) => {
        impl Number for $real {
            #[inline(always)]
            fn absolute(self) -> Self {
                self.abs()
            }

            #[inline(always)]
            fn least(self, other: Self) -> Self {
                self.min(other)
            }

            #[inline(always)]
            fn most(self, other: Self) -> Self {
                self.max(other)
            }

            #[inline(always)]
            fn root(self) -> Self {
                self.sqrt()
            }
        }
    };
}
number!(f32);
number!(f64);

/// Some coordinates of one block.
pub(super) struct Piece<'a, T> {
    /// Which block, and which piece of it.
    pub(super) at: [u64; 2],
    /// What each row has there.
    pub(super) rows: Vec<&'a [T]>,
    /// The gradient to be written, 0 so far; empty where none is.
    pub(super) out: &'a mut [T],
}

/// What is done to every piece.
pub(super) trait Pass: Sync {
    /// Whether it writes a gradient.
    const WRITES: bool;
    /// Whether rows are searched for what is not finite before it gets them.
    const CHECKS: bool = true;
    /// Numbers of a row in one piece, so that those of all rows lie in cache.
    const PIECE: usize = 4096;

    /// Does it; returns what is summed over all pieces. To be inlined, so that it takes the widest vectors.
    fn piece<T: Number>(&self, piece: Piece<'_, T>) -> Sums;
}

/// Does nothing but what [`run`] does to any piece: look for what is not finite.
pub(super) struct Check;

impl Pass for Check {
    const WRITES: bool = false;

    #[inline(always)]
    fn piece<T: Number>(&self, _: Piece<'_, T>) -> Sums {
        Sums::default()
    }
}

/// The gradients of all tasks.
pub(super) fn rows(jacobian: &Jacobian) -> Vec<(&str, &Named<Gradient>)> {
    jacobian.rows().iter().collect()
}

/// The gradient that a pass writes, and the sums of its numbers. Rows come with the name of their task, and have the blocks of the
/// first; what is written has its shape and dtype.
///
/// # Errors
/// [`Error::NonFinite`] with the task whose row holds a NaN or an infinity, where the pass has them searched.
pub(super) fn run<P: Pass>(rows: &[(&str, &Named<Gradient>)], pass: &P) -> Result<(Named<Gradient>, Sums)> {
    let (mut gradient, mut sums) = (Named::default(), Sums::default());
    let Some((_, first)) = rows.first() else { return Ok((gradient, sums)) };
    for (at, (name, like)) in first.iter().enumerate() {
        let host = on_host(rows, name)?;
        let wide = host.iter().any(|row| row.dtype() == DType::F64);
        let found = match wide {
            true => block::<_, f64>(at as u64, &host, pass)?,
            false => block::<_, f32>(at as u64, &host, pass)?,
        };
        let (values, more) = found.map_err(|bad| {
            let task = rows.get(bad).map_or("", |(task, _)| task);
            Error::non_finite("gradient", task)
        })?;
        sums = plus(sums, more);
        if let Some(values) = values {
            let (shape, like) = (like.shape(), like.values());
            let values = values.reshape(shape)?.to_dtype(like.dtype())?.to_device(like.device())?;
            gradient.insert(name, Gradient::from(values))?;
        }
    }
    Ok((gradient, sums))
}

/// One block of all rows: contiguous, on the host, all f32 or all f64.
fn on_host(rows: &[(&str, &Named<Gradient>)], name: &str) -> Result<Vec<Tensor>> {
    let dense = |(_, row): &(&str, &Named<Gradient>)| row.require("block", name)?.clone().into_dense();
    let rows = rows.iter().map(dense).collect::<Result<Vec<_>>>()?;
    let wide = rows.iter().any(|row| row.dtype() == DType::F64);
    let dtype = if wide { DType::F64 } else { DType::F32 };
    rows.iter().map(|row| Ok(row.to_device(&Device::Cpu)?.to_dtype(dtype)?.contiguous()?)).collect()
}

/// What a pass writes and the sums of its numbers, or which row holds what is not finite.
type Found = Result<(Option<Tensor>, Sums), usize>;

fn block<P: Pass, T: Number>(at: u64, rows: &[Tensor], pass: &P) -> Result<Found> {
    let storages: Vec<_> = rows.iter().map(Tensor::storage_and_layout).collect();
    let slices: Vec<&[T]> = storages
        .iter()
        .map(|(storage, layout)| match (&**storage, layout.contiguous_offsets()) {
            // A block without numbers may begin beyond the end of its storage.
            (Storage::Cpu(cpu), Some((start, end))) => {
                Ok(T::cpu_storage_as_slice(cpu)?.get(start..end).unwrap_or_default())
            }
            _ => Err(Error::parameter("block", "contiguous numbers on the host", "something else")),
        })
        .collect::<Result<_>>()?;
    let count = slices.first().map_or(0, |row| row.len());
    let part = Part { at, rows: &slices, pass };
    let (out, sums): (Vec<T>, Vec<_>) = match P::WRITES {
        true => fresh_beside(count, P::PIECE, |start, out| part.sums(start, out)),
        false => {
            let starts = (0..count.div_ceil(P::PIECE)).into_par_iter().map(|i| i * P::PIECE);
            (Vec::new(), starts.map(|start| part.sums(start, &mut [])).collect())
        }
    };
    let total = sums.into_iter().try_fold(Sums::default(), |total, part| Ok(plus(total, part?)));
    let values = P::WRITES.then(|| Tensor::from_vec(out, count, &Device::Cpu)).transpose()?;
    Ok(total.map(|total| (values, total)))
}

fn plus(a: Sums, b: Sums) -> Sums {
    [a[0] + b[0], a[1] + b[1]]
}

/// A pass over one block of all tasks.
struct Part<'a, P, T> {
    at: u64,
    rows: &'a [&'a [T]],
    pass: &'a P,
}

impl<P: Pass, T: Number> Part<'_, P, T> {
    /// The sums of the piece that begins at `start`, or the row that holds what is not finite.
    fn sums(&self, start: usize, out: &mut [T]) -> Result<Sums, usize> {
        let count = self.rows.first().map_or(0, |row| row.len());
        let range = start..count.min(start + P::PIECE);
        let rows: Vec<&[T]> = self.rows.iter().map(|row| &row[range.clone()]).collect();
        wide(
            #[inline(always)]
            || {
                if P::CHECKS {
                    // A loop, since `position` is not inlined.
                    for (row, values) in rows.iter().enumerate() {
                        if !finite(values) {
                            return Err(row);
                        }
                    }
                }
                Ok(self.pass.piece(Piece { at: [self.at, (start / P::PIECE) as u64], rows, out }))
            },
        )
    }
}
