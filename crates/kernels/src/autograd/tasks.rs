//! The gradients of several tasks from one tape: their inner products first, a weighted sum of them later.

use std::collections::HashSet;

use candle_core::{Tensor, TensorId};

use super::tape::{Flow, Gradients, Node, leading_to};
use super::{Call, Gradient, Tape, segment};
use crate::{Error, Result, inner_products, weighted_sum};

/// The gradients of several losses with respect to some tensors, as far as they had to be formed.
///
/// Where a function knows the inner products of the tasks' gradients without them, they are not formed, and a weighted
/// sum of them takes one more backward pass over the part of the tape that leads there.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use taskweave_kernels::{autograd, ops};
/// let (x, w) = (Tensor::new(&[[1f64, 2.0]], &Device::Cpu)?, Var::new(&[[3f64, 4.0], [5.0, 6.0]], &Device::Cpu)?);
/// let ((a, b), tape) = autograd::record(|| {
///     let y = ops::linear(&x, &w, None)?;
///     Ok((y.sum_all()?, (y.sum_all()? * 2.0)?))
/// })?;
/// let tasks = tape.task_gradients(&[&a, &b], &[&w])?;
/// assert_eq!(tasks.products(), [10.0, 20.0, 20.0, 40.0]);
/// let sum = tasks.weighted_sum(&[1.0, 0.5])?;
/// assert_eq!(sum.dense(&w)?.unwrap().to_vec2::<f64>()?, [[2.0, 4.0], [2.0, 4.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct TaskGradients<'a> {
    tape: &'a Tape,
    losses: Vec<&'a Tensor>,
    products: Vec<f64>,
    /// The targets whose gradients were formed, with that of each task.
    formed: Vec<(&'a Tensor, Vec<Gradient>)>,
    /// The targets whose gradients were not.
    folded: Vec<&'a Tensor>,
}

impl Tape {
    /// The gradients of several scalar losses with respect to `targets`, for their inner products and weighted sums.
    ///
    /// # Errors
    /// Those of [`Tape::backward`].
    pub fn task_gradients<'a>(
        &'a self,
        losses: &[&'a Tensor],
        targets: &[&'a Tensor],
    ) -> Result<TaskGradients<'a>> {
        let cut = |loss: &&&Tensor| segment::is_inner(loss) && !self.cut.contains(&loss.id());
        let last: Vec<Node> = losses.iter().filter(cut).map(|loss| Node::segment(loss)).collect();
        let nodes: Vec<&Node> = self.nodes.iter().chain(&last).collect();
        let mut pass = Pass::new(&nodes, losses, targets)?;
        for node in nodes.iter().rev() {
            pass.through(node)?;
        }
        let mut found: Vec<Gradients> =
            pass.flows.into_iter().map(|flow| flow.finish(&pass.targets)).collect();
        let (mut products, mut formed, mut folded) = (pass.products, Vec::new(), Vec::new());
        for target in targets {
            if pass.folded.contains(&target.id()) {
                folded.push(*target);
                continue;
            }
            if found.iter().all(|gradients| gradients.get(target).is_none()) {
                continue;
            }
            let row = |gradients: &mut Gradients| match gradients.remove(target) {
                Some(gradient) => Ok(gradient),
                None => Ok(target.zeros_like()?.detach().into()),
            };
            let rows = found.iter_mut().map(row).collect::<Result<Vec<Gradient>>>()?;
            products.iter_mut().zip(inner_products(&rows)?).for_each(|(sum, product)| *sum += product);
            formed.push((*target, rows));
        }
        Ok(TaskGradients { tape: self, losses: losses.to_vec(), products, formed, folded })
    }
}

impl TaskGradients<'_> {
    /// The inner products of the tasks' gradients over all targets together, `[tasks · tasks]`.
    pub fn products(&self) -> &[f64] {
        &self.products
    }

    /// Σ wᵢ gᵢ of the tasks' gradients g, for every target that a task reaches.
    ///
    /// # Errors
    /// [`Error::Shape`] for weights of another number, and those of [`Tape::backward`].
    pub fn weighted_sum(&self, weights: &[f64]) -> Result<Gradients> {
        if weights.len() != self.losses.len() {
            return Err(Error::shape(
                "weights of tasks",
                format!("[{}]", self.losses.len()),
                &[weights.len()],
            ));
        }
        let mut sum = match self.folded.is_empty() {
            true => Gradients::default(),
            false => {
                let seeds = self.losses.iter().zip(weights);
                let seeds = seeds.map(|(&loss, &w)| Ok((loss, Some((loss.detach().ones_like()? * w)?))));
                self.tape.backward(&seeds.collect::<Result<Vec<_>>>()?, &self.folded)?
            }
        };
        for (target, rows) in &self.formed {
            sum.insert(target, weighted_sum(rows, weights)?);
        }
        Ok(sum)
    }
}

/// One backward pass for all tasks side by side.
struct Pass {
    needed: HashSet<TensorId>,
    targets: HashSet<TensorId>,
    /// Targets that one function alone uses, so that its products are all there are.
    single: HashSet<TensorId>,
    folded: HashSet<TensorId>,
    flows: Vec<Flow>,
    products: Vec<f64>,
}

impl Pass {
    fn new(nodes: &[&Node], losses: &[&Tensor], targets: &[&Tensor]) -> Result<Self> {
        let targets: HashSet<TensorId> = targets.iter().map(|t| t.id()).collect();
        let mut flows = Vec::new();
        for loss in losses {
            let mut flow = Flow::default();
            flow.seed(loss, None)?;
            flows.push(flow);
        }
        let (mut once, mut again) = (HashSet::new(), HashSet::new());
        for x in nodes.iter().flat_map(|node| &node.inputs) {
            if !once.insert(x.id()) {
                again.insert(x.id());
            }
        }
        Ok(Self {
            needed: leading_to(&targets, nodes),
            single: targets.iter().filter(|id| !again.contains(id)).copied().collect(),
            targets,
            folded: HashSet::new(),
            products: vec![0.0; flows.len() * flows.len()],
            flows,
        })
    }

    fn through(&mut self, node: &Node) -> Result<()> {
        if !self.needed.contains(&node.output.id()) {
            return Ok(());
        }
        let mut cotangents = Vec::new();
        for flow in &mut self.flows {
            cotangents.push(flow.take(node.output.id(), &self.targets)?);
        }
        if cotangents.iter().all(Option::is_none) {
            return Ok(());
        }
        let folded = self.fold(node, &cotangents)?;
        let wanted: Vec<bool> =
            node.inputs.iter().map(|x| self.needed.contains(&x.id()) && !folded.contains(&x.id())).collect();
        if wanted.contains(&true) {
            for (flow, cotangent) in self.flows.iter_mut().zip(cotangents) {
                if let Some(cotangent) = cotangent {
                    let call = Call { inputs: &node.inputs, output: &node.output, wanted: &wanted };
                    let gradients = node.function.backward(&call, &cotangent)?;
                    flow.spread(node, &wanted, gradients, &cotangent)?;
                }
            }
        }
        self.folded.extend(folded);
        Ok(())
    }

    /// Adds the products that the function knows by itself; returns the targets that they are of.
    fn fold(&mut self, node: &Node, cotangents: &[Option<Tensor>]) -> Result<HashSet<TensorId>> {
        let own = |x: &Tensor| self.single.contains(&x.id());
        let wanted: Vec<bool> = node.inputs.iter().map(own).collect();
        if !wanted.contains(&true) {
            return Ok(HashSet::new());
        }
        let call = Call { inputs: &node.inputs, output: &node.output, wanted: &wanted };
        let Some(products) = node.function.task_products(&call, cotangents)? else {
            return Ok(HashSet::new());
        };
        self.products.iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
        Ok(node.inputs.iter().filter(|x| own(x)).map(Tensor::id).collect())
    }
}
