//! What an aggregator remembers of every task at every coordinate, 0 at first.

use candle_core::{DType, Device, Tensor};
use serde::{Serialize, de::DeserializeOwned};
use taskweave_kernels::{Error, Named, Result, State};

/// Numbers of every task, block by block.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    blocks: Named<Kept>,
}

/// The numbers of one block: one row per task, in the dtype of its gradients.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    F32(Vec<Vec<f32>>),
    F64(Vec<Vec<f64>>),
}

/// What is configured is equal, whatever is remembered.
impl PartialEq for Memory {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Memory {
    /// What is remembered of a block with these rows.
    ///
    /// # Errors
    /// [`Error::Shape`] where there were other tasks or numbers before, [`Error::DType`] where they were of another type.
    pub(super) fn of(&mut self, name: &str, rows: &Named<Tensor>) -> Result<&mut Kept> {
        let dims = [rows.len(), rows.values().next().map_or(0, Tensor::elem_count)];
        let dtype = rows.values().next().map_or(DType::F32, Tensor::dtype);
        if !self.blocks.contains(name) {
            self.blocks.insert(name, Kept::zeros(dims, dtype))?;
        }
        let kept = self.blocks.require_mut("block", name)?;
        if kept.dims() != dims {
            let [tasks, numbers] = kept.dims();
            let expected = format!("[{tasks}, {numbers}] as before");
            return Err(Error::shape(format!("block `{name}` of all tasks"), expected, &dims));
        }
        if kept.dtype() != dtype {
            let expected = format!("{:?} as before", kept.dtype());
            return Err(Error::dtype(format!("block `{name}`"), expected, dtype));
        }
        Ok(kept)
    }

    /// The state of a method that has this memory and has seen `seen`: one tensor per block, `[tasks, numbers]`.
    pub(super) fn save(&self, seen: &impl Serialize) -> Result<State> {
        let tensors = self.blocks.try_map(|_, kept| {
            let dims = kept.dims();
            Ok::<_, Error>(match kept {
                Kept::F32(rows) => Tensor::from_vec(rows.concat(), &dims, &Device::Cpu)?,
                Kept::F64(rows) => Tensor::from_vec(rows.concat(), &dims, &Device::Cpu)?,
            })
        })?;
        Ok(State { tensors, ..State::of(seen)? })
    }

    /// What a method that the error names has seen, and its memory.
    pub(super) fn restored<S: DeserializeOwned>(method: &str, state: &State) -> Result<(S, Self)> {
        let seen = state.read(method)?;
        let blocks = state.tensors.try_map(|name, tensor| match (tensor.rank(), tensor.dtype()) {
            (2, DType::F32) => Ok(Kept::F32(tensor.to_vec2()?)),
            (2, DType::F64) => Ok(Kept::F64(tensor.to_vec2()?)),
            (_, dtype) => {
                let found = format!("{:?} of {dtype:?} for block `{name}`", tensor.dims());
                Err(Error::state(method, "[tasks, numbers] of F32 or F64 per block", found))
            }
        })?;
        Ok((seen, Self { blocks }))
    }
}

impl Kept {
    fn zeros([tasks, numbers]: [usize; 2], dtype: DType) -> Self {
        match dtype {
            DType::F64 => Self::F64(vec![vec![0.0; numbers]; tasks]),
            _ => Self::F32(vec![vec![0.0; numbers]; tasks]),
        }
    }

    fn dims(&self) -> [usize; 2] {
        match self {
            Self::F32(rows) => [rows.len(), rows.first().map_or(0, Vec::len)],
            Self::F64(rows) => [rows.len(), rows.first().map_or(0, Vec::len)],
        }
    }

    fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
        }
    }
}
