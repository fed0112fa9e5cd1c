//! A function as one node of candle's graph, whatever the number of its inputs.
//!
//! Candle's nodes have up to three arguments. A function with more of them that are differentiated sees the
//! rest through a node that packs them into one.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor, bail};

use super::{Call, Function};
use crate::Result;

/// Makes the node whose output is already known.
pub(super) fn node(
    function: Box<dyn Function>,
    inputs: Vec<Tensor>,
    output: CpuStorage,
    shape: Shape,
) -> Result<Tensor> {
    let tracked: Vec<usize> = (0..inputs.len()).filter(|&i| inputs[i].track_op()).collect();
    let arguments: Vec<Tensor> = tracked.iter().map(|&i| inputs[i].clone()).collect();
    let node = Node { function, inputs, tracked, output: Mutex::new(Some((output, shape))) };
    Ok(join(&arguments, Box::new(node))?)
}

/// A node over any number of arguments.
fn join(arguments: &[Tensor], op: Box<dyn CustomOp3 + Send + Sync>) -> candle_core::Result<Tensor> {
    let op = std::sync::Arc::new(op);
    match arguments {
        [] => bail!("a function of nothing"),
        // What stands in for a missing argument is a constant: candle never looks beyond it.
        [a] => a.apply_op3_arc(&a.detach(), &a.detach(), op),
        [a, b] => a.apply_op3_arc(b, &a.detach(), op),
        [a, b, c] => a.apply_op3_arc(b, c, op),
        [a, b, rest @ ..] => a.apply_op3_arc(b, &join(rest, Box::new(Pack(rest.to_vec())))?, op),
    }
}

struct Node {
    function: Box<dyn Function>,
    inputs: Vec<Tensor>,
    /// Which of the inputs are differentiated.
    tracked: Vec<usize>,
    output: Mutex<Option<(CpuStorage, Shape)>>,
}

impl Node {
    fn gradients(&self, output: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let wanted: Vec<bool> = self.inputs.iter().map(Tensor::track_op).collect();
        let call = Call { inputs: &self.inputs, output, wanted: &wanted };
        let mut all = self.function.backward(&call, cotangent)?;
        all.resize(self.inputs.len(), None);
        self.tracked.iter().map(|&i| all[i].take().map(|g| g.into_dense()).transpose()).collect()
    }
}

type Three = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

/// The gradients of up to three arguments, those beyond two packed as [`join`] packs them.
fn packed(mut gradients: Vec<Option<Tensor>>, arguments: &[Tensor]) -> candle_core::Result<Three> {
    gradients.resize(arguments.len().max(3), None);
    if arguments.len() <= 3 {
        let [a, b, c] = [gradients[0].take(), gradients[1].take(), gradients[2].take()];
        return Ok((a, b, c));
    }
    let rest = gradients.split_off(2).into_iter().zip(&arguments[2..]);
    let rest = rest.map(|(g, x)| match g {
        Some(g) => g.flatten_all(),
        None => x.zeros_like()?.flatten_all(),
    });
    let rest = Tensor::cat(&rest.collect::<candle_core::Result<Vec<_>>>()?, 0)?;
    Ok((gradients[0].take(), gradients[1].take(), Some(rest)))
}

impl CustomOp3 for Node {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        match self.output.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(output) => Ok(output),
            None => bail!("{}: its value was taken already", self.function.name()),
        }
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        output: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<Three> {
        let arguments: Vec<Tensor> = self.tracked.iter().map(|&i| self.inputs[i].clone()).collect();
        packed(self.gradients(output, cotangent)?, &arguments)
    }
}

/// Several tensors as one, for the gradient to come back through; nobody reads its values.
struct Pack(Vec<Tensor>);

impl CustomOp3 for Pack {
    fn name(&self) -> &'static str {
        "pack"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let count: usize = self.0.iter().map(Tensor::elem_count).sum();
        let values = Tensor::zeros(count, self.0[0].dtype(), self.0[0].device())?;
        match &*values.storage_and_layout().0 {
            candle_core::Storage::Cpu(storage) => Ok((storage.clone(), Shape::from(count))),
            _ => bail!("expected tensors on the CPU"),
        }
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<Three> {
        let mut from = 0;
        let mut gradients = Vec::new();
        for x in &self.0 {
            gradients.push(Some(cotangent.narrow(0, from, x.elem_count())?.reshape(x.shape())?));
            from += x.elem_count();
        }
        packed(gradients, &self.0)
    }
}
