//! From candle's tensors to slices in memory and back, for the kernels that run on the CPU.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Deref, Range};

use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Result, Storage, Tensor, WithDType, bail};

/// The number types that the CPU kernels are written for.
pub(crate) trait Real: WithDType + Default {
    fn is_nan(self) -> bool;
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
    /// The values where they are f32.
    fn singles(values: &[Self]) -> Option<&[f32]>;
    /// The place where it is one of f32.
    fn singles_mut(place: *mut Self) -> Option<*mut f32>;
}

impl Real for f32 {
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        if let CpuStorage::F32(values) = storage { Some(values) } else { None }
    }

    fn singles(values: &[Self]) -> Option<&[f32]> {
        Some(values)
    }

    fn singles_mut(place: *mut Self) -> Option<*mut f32> {
        Some(place)
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }
}

impl Real for f64 {
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        if let CpuStorage::F64(values) = storage { Some(values) } else { None }
    }

    fn singles(_: &[Self]) -> Option<&[f32]> {
        None
    }

    fn singles_mut(_: *mut Self) -> Option<*mut f32> {
        None
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }
}

/// Whether the kernels of this crate apply; elsewhere candle's own operations do the work.
pub(crate) fn applies(x: &Tensor) -> bool {
    x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// Refuses whole numbers.
pub(crate) fn require_float(x: &Tensor, what: &str) -> crate::Result<()> {
    match x.dtype().is_float() {
        true => Ok(()),
        false => Err(crate::Error::dtype(what, "floating point", x.dtype())),
    }
}

/// The values of a contiguous CPU tensor in row-major order.
pub(crate) fn read<'a, T: Real>(x: &'a Tensor) -> Result<impl Deref<Target = [T]> + 'a> {
    let Some((start, end)) = x.layout().contiguous_offsets() else {
        return Err(candle_core::Error::RequiresContiguous { op: "taskweave kernel" }.bt());
    };
    within(x, start..end)
}

/// The values of a CPU tensor from its first to its last, with whatever lies between them: neighbors along a dimension are
/// as far apart as [`Tensor::stride`] says.
pub(crate) fn spread<'a, T: Real>(x: &'a Tensor) -> Result<impl Deref<Target = [T]> + 'a> {
    let steps = x.dims().iter().zip(x.stride()).map(|(size, step)| size.saturating_sub(1) * step);
    let (start, last) = (x.layout().start_offset(), steps.sum::<usize>());
    within(x, start..start + if x.elem_count() == 0 { 0 } else { last + 1 })
}

fn within<'a, T: Real>(x: &'a Tensor, range: Range<usize>) -> Result<impl Deref<Target = [T]> + 'a> {
    let (storage, range) = (x.storage_and_layout().0, placed(range));
    if let Storage::Cpu(cpu) = &*storage {
        T::cpu_storage_as_slice(cpu)?;
    } else {
        bail!("expected a tensor on the CPU");
    }
    Ok(Values { storage, range, number: PhantomData })
}

/// The same range; a part without values may be said to begin beyond the end of its storage, and is moved to the start.
fn placed(range: Range<usize>) -> Range<usize> {
    if range.is_empty() { 0..0 } else { range }
}

/// Values that are read while nothing may change them.
struct Values<S, T> {
    storage: S,
    range: Range<usize>,
    number: PhantomData<T>,
}

impl<S: Deref<Target = Storage>, T: Real> Deref for Values<S, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &*self.storage {
            // `read` has seen both succeed.
            Storage::Cpu(cpu) => T::cpu_storage_as_slice(cpu).map_or(&[], |all| &all[self.range.clone()]),
            _ => &[],
        }
    }
}

/// Lets `f` change the values of a contiguous CPU tensor.
pub(crate) fn change<T: Real>(x: &Tensor, f: impl FnOnce(&mut [T])) -> Result<()> {
    x.inplace_op1(&Change(RefCell::new(Some(f)), PhantomData))
}

struct Change<F, T>(RefCell<Option<F>>, PhantomData<fn(T)>);

impl<T: Real, F: FnOnce(&mut [T])> InplaceOp1 for Change<F, T> {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        match (T::slice_mut(storage), layout.contiguous_offsets(), self.0.take()) {
            (Some(values), Some((start, end)), Some(f)) => {
                f(&mut values[placed(start..end)]);
                Ok(())
            }
            _ => bail!("expected a contiguous {:?} tensor on the CPU", T::DTYPE),
        }
    }
}

/// The address of a tensor's storage, equal for all its views.
pub(crate) fn storage_of(tensor: &Tensor) -> usize {
    std::ptr::from_ref(&*tensor.storage_and_layout().0).addr()
}

/// The tensor of freshly computed values, without a gradient.
pub(crate) fn tensor<T: Real>(values: Vec<T>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, like.shape(), &Device::Cpu)
}

/// Calls `f` with the values of a CPU tensor in row-major order.
pub(crate) fn with_values<T: Real, R>(x: &Tensor, f: impl FnOnce(&[T]) -> Result<R>) -> Result<R> {
    let x = x.contiguous()?;
    f(&read(&x)?)
}

/// Runs a generic expression for the dtype of a tensor that [`applies`] has accepted.
macro_rules! for_real {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F64 => {
                type $T = f64;
                $body
            }
            _ => {
                type $T = f32;
                $body
            }
        }
    };
}
pub(crate) use for_real;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_without_values_is_empty_wherever_it_begins() {
        let whole = Tensor::zeros((2, 0, 8), DType::F32, &Device::Cpu).unwrap();
        let part = whole.narrow(2, 4, 4).unwrap();
        assert!(part.layout().start_offset() > 0);
        assert_eq!(read::<f32>(&part).unwrap().len(), 0);
        assert_eq!(spread::<f32>(&part).unwrap().len(), 0);
        let part = Tensor::zeros((0, 8), DType::F32, &Device::Cpu).unwrap().narrow(1, 4, 4).unwrap();
        change::<f32>(&part, |values| assert!(values.is_empty())).unwrap();
    }

    #[test]
    fn values_are_read_from_the_first_to_the_last() {
        let whole = Tensor::arange(0f64, 24.0, &Device::Cpu).unwrap().reshape((2, 3, 4)).unwrap();
        let part = whole.narrow(2, 1, 2).unwrap();
        assert_eq!(spread::<f64>(&part).unwrap()[..4], [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(spread::<f64>(&part).unwrap().len(), 22);
        let repeated = whole.narrow(1, 2, 1).unwrap().broadcast_as((2, 5, 4)).unwrap();
        assert_eq!(spread::<f64>(&repeated).unwrap().len(), 16);
    }
}
