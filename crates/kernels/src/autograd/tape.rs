//! The tape: what was computed, in order, and the way back.

use std::collections::{HashMap, HashSet};

use candle_core::{Tensor, TensorId};

use super::segment::{self, Segment};
use super::{Call, Function, Gradient};
use crate::{Error, Result};

/// Functions in the order in which they were applied.
///
/// It can be run backward any number of times, from any tensors on it to any others.
#[derive(Default)]
pub struct Tape {
    nodes: Vec<Node>,
    /// Tensors of candle's graph that a node of their own leads to.
    cut: HashSet<TensorId>,
}

struct Node {
    function: Box<dyn Function>,
    inputs: Vec<Tensor>,
    output: Tensor,
}

impl Tape {
    /// The gradients of `targets`, given those of some results: Σ over seeds of cotangentᵀ · ∂seed/∂target.
    ///
    /// A seed without a cotangent has 1 everywhere. Only what lies between seeds and targets is computed. A
    /// target that no seed depends on has no gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] for a cotangent of another shape than its seed, [`Error::Parameter`] for a target inside
    /// candle's graph, and those of the functions.
    pub fn backward(&self, seeds: &[(&Tensor, Option<Tensor>)], targets: &[&Tensor]) -> Result<Gradients> {
        if let Some(inner) = targets.iter().find(|target| segment::is_inner(target)) {
            let expected = "a variable or the result of a function on the tape";
            return Err(Error::parameter("target of a tape", expected, format!("{:?}", inner.shape())));
        }
        let mut flow = Flow::default();
        let mut last = Vec::new();
        for (seed, cotangent) in seeds {
            if segment::is_inner(seed) && !self.cut.contains(&seed.id()) {
                last.push(Node::segment(seed));
            }
            flow.seed(seed, cotangent.as_ref())?;
        }
        let targets: HashSet<TensorId> = targets.iter().map(|t| t.id()).collect();
        let nodes: Vec<&Node> = self.nodes.iter().chain(&last).collect();
        let needed = leading_to(&targets, &nodes);
        for node in nodes.iter().rev().filter(|node| needed.contains(&node.output.id())) {
            let Some(cotangent) = flow.take(node.output.id(), &targets)? else { continue };
            let wanted: Vec<bool> = node.inputs.iter().map(|x| needed.contains(&x.id())).collect();
            let call = Call { inputs: &node.inputs, output: &node.output, wanted: &wanted };
            let gradients = node.function.backward(&call, &cotangent)?;
            for ((input, gradient), wanted) in node.inputs.iter().zip(gradients).zip(wanted) {
                if let Some(gradient) = gradient.filter(|_| wanted) {
                    flow.add(input.id(), gradient)?;
                }
            }
        }
        Ok(flow.finish(&targets))
    }

    pub(super) fn push(&mut self, function: Box<dyn Function>, inputs: Vec<Tensor>, output: Tensor) {
        for x in inputs.iter().filter(|x| segment::is_inner(x)) {
            if self.cut.insert(x.id()) {
                self.nodes.push(Node::segment(x));
            }
        }
        self.nodes.push(Node { function, inputs, output });
    }
}

impl Node {
    fn segment(x: &Tensor) -> Self {
        Self { function: Box::new(Segment), inputs: segment::leaves(x), output: x.clone() }
    }
}

/// The tensors that depend on a target, targets included.
fn leading_to(targets: &HashSet<TensorId>, nodes: &[&Node]) -> HashSet<TensorId> {
    let mut needed = targets.clone();
    for node in nodes {
        if node.inputs.iter().any(|x| needed.contains(&x.id())) {
            needed.insert(node.output.id());
        }
    }
    needed
}

/// Gradients on their way.
#[derive(Default)]
struct Flow(HashMap<TensorId, Arrived>);

/// What has arrived at a tensor.
struct Arrived {
    gradient: Gradient,
    /// Whether nobody else holds its memory.
    fresh: bool,
}

impl Flow {
    fn seed(&mut self, seed: &Tensor, cotangent: Option<&Tensor>) -> Result<()> {
        let cotangent = match cotangent {
            None => seed.detach().ones_like()?,
            Some(cotangent) if cotangent.dims() != seed.dims() => {
                return Err(Error::shape("cotangent", format!("{:?}", seed.dims()), cotangent.dims()));
            }
            Some(cotangent) => cotangent.detach(),
        };
        match self.0.contains_key(&seed.id()) {
            true => self.add(seed.id(), cotangent.into()),
            false => {
                self.0.insert(seed.id(), Arrived { gradient: cotangent.into(), fresh: false });
                Ok(())
            }
        }
    }

    fn add(&mut self, id: TensorId, gradient: Gradient) -> Result<()> {
        let sum = match self.0.remove(&id) {
            None => gradient,
            Some(Arrived { gradient: sum, fresh: true }) => sum.plus(&gradient)?,
            Some(Arrived { gradient: sum, fresh: false }) => gradient.plus(&sum)?,
        };
        self.0.insert(id, Arrived { gradient: sum, fresh: true });
        Ok(())
    }

    /// What has arrived, which stays where it is asked for.
    fn take(&mut self, id: TensorId, targets: &HashSet<TensorId>) -> Result<Option<Tensor>> {
        let arrived = match targets.contains(&id) {
            true => self.0.get(&id).map(|arrived| arrived.gradient.clone()),
            false => self.0.remove(&id).map(|arrived| arrived.gradient),
        };
        arrived.map(Gradient::into_dense).transpose()
    }

    fn finish(mut self, targets: &HashSet<TensorId>) -> Gradients {
        self.0.retain(|id, _| targets.contains(id));
        Gradients(self.0.into_iter().map(|(id, arrived)| (id, arrived.gradient)).collect())
    }
}

/// The gradients of some tensors.
#[derive(Debug, Default)]
pub struct Gradients(HashMap<TensorId, Gradient>);

impl Gradients {
    /// The gradient of a tensor, if anything reached it.
    pub fn get(&self, of: &Tensor) -> Option<&Gradient> {
        self.0.get(&of.id())
    }

    /// The gradient of a tensor with every number.
    ///
    /// # Errors
    /// Those of candle.
    pub fn dense(&self, of: &Tensor) -> Result<Option<Tensor>> {
        self.get(of).cloned().map(Gradient::into_dense).transpose()
    }

    /// Takes the gradient of a tensor out.
    pub fn remove(&mut self, of: &Tensor) -> Option<Gradient> {
        self.0.remove(&of.id())
    }
}
