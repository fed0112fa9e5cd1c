//! Operations of candle between two functions of ours, differentiated by candle.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

use super::{Call, Function, Gradient};
use crate::Result;

/// What lies between some leaves of candle's graph and a tensor of it.
pub(super) struct Segment;

/// The leaves that a tensor of candle's graph depends on.
pub(super) fn leaves(x: &Tensor) -> Vec<Tensor> {
    x.sorted_nodes().into_iter().filter(|node| node.is_variable()).cloned().collect()
}

/// Whether candle's graph leads to a tensor, rather than starting with it.
pub(super) fn is_inner(x: &Tensor) -> bool {
    x.track_op() && !x.is_variable()
}

impl Function for Segment {
    fn name(&self) -> &'static str {
        "candle"
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let gradients = call.output.apply_op1(Seed(cotangent.clone()))?.backward()?;
        let of = |(i, leaf)| gradients.get(leaf).filter(|_| call.wants(i)).cloned().map(Gradient::Dense);
        Ok(call.inputs.iter().enumerate().map(of).collect())
    }
}

/// A scalar whose derivative is a given tensor.
struct Seed(Tensor);

impl CustomOp1 for Seed {
    fn name(&self) -> &'static str {
        "seed"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        _: &Layout,
    ) -> candle_core::Result<(candle_core::CudaStorage, Shape)> {
        use candle_core::backend::{BackendDevice, BackendStorage};
        Ok((storage.device().zeros_impl(&Shape::from(()), candle_core::DType::F32)?, Shape::from(())))
    }

    #[cfg(feature = "metal")]
    fn metal_fwd(
        &self,
        storage: &candle_core::MetalStorage,
        _: &Layout,
    ) -> candle_core::Result<(candle_core::MetalStorage, Shape)> {
        use candle_core::backend::{BackendDevice, BackendStorage};
        Ok((storage.device().zeros_impl(&Shape::from(()), candle_core::DType::F32)?, Shape::from(())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}
