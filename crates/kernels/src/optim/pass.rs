//! One step of one parameter: in place on the CPU, as a composition of tensor operations elsewhere.
//!
//! The fused pass reads and writes every number once: parameter, gradient and all slots side by side, in
//! chunks that rayon spreads over the cores. Every number depends on its own position only, so that neither the
//! chunks nor the threads change a bit.

use std::cell::RefCell;
use std::convert::Infallible;

use candle_core::{
    CpuStorage, DType, Device, InplaceOp1, Layout, Result as CandleResult, Storage, Tensor, Var, WithDType,
    bail,
};
use rayon::prelude::*;

use super::{Elementwise, Formula};
use crate::Result;

/// How many numbers one task takes: enough to outweigh the hand-over, few enough to spread.
const CHUNK: usize = 1 << 14;

/// Steps `var` and `slots` along a contiguous `gradient` that shares its storage with neither of them.
pub(super) fn update<F: Formula>(
    formula: &F,
    var: &Var,
    gradient: &Tensor,
    slots: &mut [Tensor],
) -> Result<()> {
    if var.elem_count() == 0 {
        return Ok(());
    }
    Ok(match (var.device(), var.dtype()) {
        (Device::Cpu, DType::F32) => host::<F, f32>(formula, var, gradient, slots),
        (Device::Cpu, DType::F64) => host::<F, f64>(formula, var, gradient, slots),
        _ => composed(formula, var, gradient, slots),
    }?)
}

/// The formula on whole tensors, for every device and dtype.
pub(super) fn composed<F: Formula>(
    formula: &F,
    var: &Var,
    gradient: &Tensor,
    slots: &mut [Tensor],
) -> CandleResult<()> {
    var.set(&formula.apply(&var.as_detached_tensor(), gradient, slots)?)
}

/// Numbers that a CPU tensor holds and a formula runs on without failing.
pub(super) trait Number: WithDType + Elementwise<Error = Infallible> {
    fn numbers_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

impl Number for f32 {
    fn numbers_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        if let CpuStorage::F32(numbers) = storage { Some(numbers) } else { None }
    }
}

impl Number for f64 {
    fn numbers_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        if let CpuStorage::F64(numbers) = storage { Some(numbers) } else { None }
    }
}

/// What `read` makes of the numbers of a contiguous CPU tensor.
pub(super) fn with_numbers<T: Number, R>(tensor: &Tensor, read: impl FnOnce(&[T]) -> R) -> CandleResult<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(storage), Some((from, to))) => Ok(read(&storage.as_slice::<T>()?[from..to])),
        _ => bail!("expected a contiguous tensor on the CPU"),
    }
}

fn host<F: Formula, T: Number>(
    formula: &F,
    var: &Var,
    gradient: &Tensor,
    slots: &mut [Tensor],
) -> CandleResult<()> {
    match slots.len() {
        0 => fused::<F, T, 0>(formula, var, gradient, slots),
        1 => fused::<F, T, 1>(formula, var, gradient, slots),
        2 => fused::<F, T, 2>(formula, var, gradient, slots),
        3 => fused::<F, T, 3>(formula, var, gradient, slots),
        _ => composed(formula, var, gradient, slots),
    }
}

fn fused<F: Formula, T: Number, const K: usize>(
    formula: &F,
    var: &Var,
    gradient: &Tensor,
    slots: &[Tensor],
) -> CandleResult<()> {
    let targets: Vec<_> = std::iter::once(var.as_tensor()).chain(slots).collect();
    with_numbers(gradient, |g| {
        open(&targets, Vec::new(), &mut |targets: Vec<&mut [T]>| {
            let mut targets = targets.into_iter();
            let x = targets.next().unwrap_or_default();
            spread::<F, T, K>(formula, g, x, std::array::from_fn(|_| targets.next().unwrap_or_default()));
        })
    })?
}

/// Hands the numbers of all `tensors` to `run`, which may change them. candle lends one tensor at a time for
/// changing, hence one call inside the other.
fn open<T: Number>(
    tensors: &[&Tensor],
    held: Vec<&mut [T]>,
    run: &mut dyn FnMut(Vec<&mut [T]>),
) -> CandleResult<()> {
    let Some((first, rest)) = tensors.split_first() else {
        run(held);
        return Ok(());
    };
    let mut held = Some(held);
    let mut lend = |numbers: &mut [T]| {
        let mut held = held.take().unwrap_or_default();
        held.push(numbers);
        open(rest, held, run)
    };
    first.inplace_op1(&Lend(RefCell::new(&mut lend)))
}

/// A function that takes numbers for changing them.
type Borrower<'a, T> = dyn FnMut(&mut [T]) -> CandleResult<()> + 'a;

/// Lends the numbers of a tensor to a function.
struct Lend<'a, T>(RefCell<&'a mut Borrower<'a, T>>);

impl<T: Number> InplaceOp1 for Lend<'_, T> {
    fn name(&self) -> &'static str {
        "optimizer step"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> CandleResult<()> {
        match (T::numbers_mut(storage), layout.contiguous_offsets()) {
            (Some(numbers), Some((from, to))) => (self.0.borrow_mut())(&mut numbers[from..to]),
            _ => bail!("expected a contiguous {:?} tensor on the CPU", T::DTYPE),
        }
    }
}

/// Cuts parameter, gradient and slots into chunks and runs them in parallel.
fn spread<F: Formula, T: Number, const K: usize>(formula: &F, g: &[T], x: &mut [T], slots: [&mut [T]; K]) {
    let mut slots = slots.map(|slot| slot.chunks_mut(CHUNK));
    let mut chunks: Vec<_> = x
        .chunks_mut(CHUNK)
        .zip(g.chunks(CHUNK))
        .map(|(x, g)| (x, g, slots.each_mut().map(|slot| slot.next().unwrap_or_default())))
        .collect();
    match chunks.as_mut_slice() {
        [(x, g, slots)] => step(formula, x, g, slots),
        chunks => chunks.par_iter_mut().for_each(|(x, g, slots)| step(formula, x, g, slots)),
    }
}

fn step<F: Formula, T: Number, const K: usize>(formula: &F, x: &mut [T], g: &[T], slots: &mut [&mut [T]; K]) {
    // A copy of the formula and slices of one length let the compiler see that nothing overlaps.
    let formula = *formula;
    let count = g.len();
    let x = &mut x[..count];
    let slots = slots.each_mut().map(|slot| &mut slot[..count]);
    for i in 0..count {
        let mut state: [T; K] = std::array::from_fn(|k| slots[k][i]);
        let Ok(new) = formula.apply(&x[i], &g[i], &mut state);
        x[i] = new;
        for k in 0..K {
            slots[k][i] = state[k];
        }
    }
}
