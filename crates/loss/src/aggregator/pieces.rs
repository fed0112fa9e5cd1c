//! Aggregation piece by piece: the values that all tasks have at some thousand coordinates of a block, in parallel.
//!
//! Pieces are cut at the same places whatever the number of threads, and what is summed over them is summed in their order,
//! so that results do not depend on it. Rows are read where they lie; nothing is concatenated or converted but gradients on
//! another device, by rows, or in half precision.

use candle_core::{DType, Device, Storage, Tensor, WithDType};
use rayon::prelude::*;
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Error, Named, Result, chunks_with, wide};

use super::memory::{Kept, Memory};
use crate::Jacobian;

/// Numbers of a row in one piece, so that those of all tasks lie in cache.
pub(super) const PIECE: usize = 4096;

/// The numbers that gradients are made of.
pub(super) trait Number: WithDType + Default {
    fn is_finite(self) -> bool;
    fn absolute(self) -> Self;
    fn root(self) -> Self;
    fn kept(kept: &mut Kept) -> Option<&mut Vec<Vec<Self>>>;
}

macro_rules! number {
    ($real:ty, $kept:path) => {
        impl Number for $real {
            #[inline(always)]
            fn is_finite(self) -> bool {
                self.is_finite()
            }

            #[inline(always)]
            fn absolute(self) -> Self {
                self.abs()
            }

            #[inline(always)]
            fn root(self) -> Self {
                self.sqrt()
            }

            fn kept(kept: &mut Kept) -> Option<&mut Vec<Vec<Self>>> {
                if let $kept(rows) = kept { Some(rows) } else { None }
            }
        }
    };
}
number!(f32, Kept::F32);
number!(f64, Kept::F64);

/// Some coordinates of one block.
pub(super) struct Piece<'a, T> {
    /// Which block, and which piece of it.
    pub(super) at: [u64; 2],
    /// What each task has there; finite.
    pub(super) rows: Vec<&'a [T]>,
    /// What is remembered of each task.
    pub(super) kept: Vec<&'a mut [T]>,
    /// The gradient to be written, 0 so far; empty where none is.
    pub(super) out: &'a mut [T],
}

/// What is done to every piece.
pub(super) trait Pass: Sync {
    /// Whether it writes a gradient.
    const WRITES: bool;

    /// Does it; returns numbers that are summed over all pieces. To be inlined, so that it takes the widest vectors.
    fn piece<T: Number>(&self, piece: Piece<'_, T>) -> Vec<f64>;
}

/// Does nothing but what [`run`] does to any piece: look for what is not finite.
pub(super) struct Check;

impl Pass for Check {
    const WRITES: bool = false;

    #[inline(always)]
    fn piece<T: Number>(&self, _: Piece<'_, T>) -> Vec<f64> {
        Vec::new()
    }
}

/// The gradient that a pass writes, and the sums of its numbers.
///
/// # Errors
/// [`Error::NonFinite`] with the task whose gradient holds a NaN or an infinity, and those of [`Memory::of`].
pub(super) fn run(
    jacobian: &Jacobian,
    mut memory: Option<&mut Memory>,
    pass: &impl Pass,
) -> Result<(Named<Gradient>, Vec<f64>)> {
    let (mut gradient, mut sums) = (Named::default(), Vec::new());
    let Some(first) = jacobian.rows().values().next() else { return Ok((gradient, sums)) };
    for (at, (name, like)) in first.iter().enumerate() {
        let rows = on_host(jacobian, name)?;
        let mut none = Kept::F32(Vec::new());
        let kept = match &mut memory {
            Some(memory) => memory.of(name, &rows)?,
            None => &mut none,
        };
        let wide = rows.values().any(|row| row.dtype() == DType::F64);
        let (values, more) = match wide {
            true => block::<_, f64>(at as u64, &rows, kept, pass)?,
            false => block::<_, f32>(at as u64, &rows, kept, pass)?,
        };
        sums.resize(sums.len().max(more.len()), 0.0);
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        if let Some(values) = values {
            let (shape, like) = (like.shape(), like.values());
            let values = values.reshape(shape)?.to_dtype(like.dtype())?.to_device(like.device())?;
            gradient.insert(name, Gradient::from(values))?;
        }
    }
    Ok((gradient, sums))
}

/// One block of all tasks: contiguous, on the host, all f32 or all f64.
fn on_host(jacobian: &Jacobian, name: &str) -> Result<Named<Tensor>> {
    let rows = jacobian.rows().try_map(|_, row| row.require("block", name)?.clone().into_dense())?;
    let wide = rows.values().any(|row| row.dtype() == DType::F64);
    let dtype = if wide { DType::F64 } else { DType::F32 };
    rows.try_map(|_, row| Ok(row.to_device(&Device::Cpu)?.to_dtype(dtype)?.contiguous()?))
}

fn block<P: Pass, T: Number>(
    at: u64,
    rows: &Named<Tensor>,
    kept: &mut Kept,
    pass: &P,
) -> Result<(Option<Tensor>, Vec<f64>)> {
    let storages: Vec<_> = rows.values().map(Tensor::storage_and_layout).collect();
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
    let (kept, one) = (cut(T::kept(kept), count), Part { at, rows: &slices, pass });
    let (out, sums): (Vec<T>, Vec<_>) = match P::WRITES {
        true => chunks_with(count, PIECE, kept, |start, out, kept| one.sums(start, out, kept)),
        false => {
            let kept = kept.into_par_iter().enumerate();
            (Vec::new(), kept.map(|(i, kept)| one.sums(i * PIECE, &mut [], kept)).collect())
        }
    };
    match sums.into_iter().collect::<Result<Vec<_>, usize>>() {
        Ok(parts) => {
            let values = P::WRITES.then(|| Tensor::from_vec(out, count, &Device::Cpu));
            Ok((values.transpose()?, total(&parts)))
        }
        Err(bad) => Err(Error::non_finite("gradient", rows.names().nth(bad).unwrap_or_default())),
    }
}

/// The pieces of what is remembered of each task.
fn cut<T: Number>(kept: Option<&mut Vec<Vec<T>>>, count: usize) -> Vec<Vec<&mut [T]>> {
    let mut places = Vec::new();
    places.resize_with(count.div_ceil(PIECE), Vec::new);
    for row in kept.into_iter().flatten() {
        places.iter_mut().zip(row.chunks_mut(PIECE)).for_each(|(kept, piece)| kept.push(piece));
    }
    places
}

fn total(parts: &[Vec<f64>]) -> Vec<f64> {
    let mut sums = vec![0.0; parts.first().map_or(0, Vec::len)];
    parts.iter().for_each(|part| sums.iter_mut().zip(part).for_each(|(sum, more)| *sum += more));
    sums
}

/// A pass over one block of all tasks.
struct Part<'a, P, T> {
    at: u64,
    rows: &'a [&'a [T]],
    pass: &'a P,
}

impl<P: Pass, T: Number> Part<'_, P, T> {
    /// The sums of the piece that begins at `start`, or the row that holds what is not finite.
    fn sums(&self, start: usize, out: &mut [T], kept: Vec<&mut [T]>) -> Result<Vec<f64>, usize> {
        let count = self.rows.first().map_or(0, |row| row.len());
        let range = start..count.min(start + PIECE);
        let rows: Vec<&[T]> = self.rows.iter().map(|row| &row[range.clone()]).collect();
        wide(
            #[inline(always)]
            || match rows.iter().position(|row| !finite(row)) {
                Some(bad) => Err(bad),
                None => Ok(self.pass.piece(Piece { at: [self.at, (start / PIECE) as u64], rows, kept, out })),
            },
        )
    }
}

#[inline(always)]
fn finite<T: Number>(row: &[T]) -> bool {
    row.iter().fold(true, |all, value| all & value.is_finite())
}
