//! From candle's tensors to slices in memory and back, for the kernels that run on the CPU.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, WithDType};

/// The number types that the CPU kernels are written for.
pub(crate) trait Real: WithDType {
    fn is_finite(self) -> bool;
    fn is_nan(self) -> bool;
}

impl Real for f32 {
    fn is_finite(self) -> bool {
        self.is_finite()
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }
}

impl Real for f64 {
    fn is_finite(self) -> bool {
        self.is_finite()
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }
}

/// Whether the kernels of this crate apply; elsewhere candle's own operations do the work.
pub(super) fn applies(x: &Tensor) -> bool {
    x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// The dtype of a storage.
pub(super) fn dtype(storage: &CpuStorage) -> DType {
    BackendStorage::dtype(storage)
}

/// The contiguous values behind a storage and its layout.
pub(super) fn slice<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| candle_core::Error::RequiresContiguous { op: "taskweave kernel" }.bt())?;
    Ok(&T::cpu_storage_as_slice(storage)?[start..end])
}

/// The storage of freshly computed values.
pub(super) fn stored<T: Real>(values: Vec<T>) -> CpuStorage {
    T::to_cpu_storage_owned(values)
}

/// Calls `f` with the values of a CPU tensor in row-major order.
pub(crate) fn with_values<T: Real, R>(x: &Tensor, f: impl FnOnce(&[T]) -> Result<R>) -> Result<R> {
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(cpu) => f(slice(cpu, layout)?),
        _ => Err(candle_core::Error::Msg("expected a tensor on the CPU".into()).bt()),
    }
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
pub(super) use for_real;
