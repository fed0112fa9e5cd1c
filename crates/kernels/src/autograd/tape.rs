//! The tape: what was computed, in order, and the way back.

use std::collections::{HashMap, HashSet};

use candle_core::{Tensor, TensorId};

use super::segment::{self, Segment};
use super::{Call, Function, Gradient, Samples};
use crate::ops::host;
use crate::{Error, Result};

/// Functions in the order in which they were applied.
///
/// It can be run backward any number of times, from any tensors on it to any others.
#[derive(Default)]
pub struct Tape {
    pub(super) nodes: Vec<Node>,
    /// Tensors of candle's graph that a node of their own leads to.
    pub(super) cut: HashSet<TensorId>,
}

pub(super) struct Node {
    pub(super) function: Box<dyn Function>,
    pub(super) inputs: Vec<Tensor>,
    pub(super) output: Tensor,
}

impl Tape {
    /// The gradients of `targets`, given those of some results: Σ over seeds of cotangentᵀ · ∂seed/∂target.
    ///
    /// A seed without a cotangent has 1 everywhere. Only what lies between seeds and targets is computed. A
    /// target that no seed depends on has no gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::DType`] for a cotangent that differs from its seed, [`Error::Parameter`] for a target inside
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
            flow.spread(node, &wanted, gradients, &cotangent)?;
        }
        Ok(flow.finish(&targets))
    }

    /// The inner products ⟨∂ℓᵢ/∂θ, ∂ℓⱼ/∂θ⟩ of the gradients of all samples' losses, θ being all `targets` together:
    /// `[batch · batch]`, from one backward pass. No sample's gradient is formed where its products are cheaper.
    ///
    /// The loss of a sample is the sum over the seeds of its own entry times that of the cotangent; a seed without a
    /// cotangent has 1 everywhere.
    ///
    /// # Shapes
    /// Seeds and cotangents `[batch]`, the entry of sample b depending on sample b alone, as what a criterion gives does.
    ///
    /// # Errors
    /// [`Error::Shape`] for seeds of another rank or length than the first, [`Error::Parameter`] for no seed, where a
    /// function on the way couples the samples (batch normalization while training does, and so may an operation of
    /// candle), where two functions share a target, or where a target is a result or holds the samples themselves.
    ///
    /// # Example
    /// ```
    /// use candle_core::{Device, Tensor, Var};
    /// use taskweave_kernels::{autograd, ops};
    /// let x = Tensor::new(&[[1f64, 0.0], [1.0, 2.0]], &Device::Cpu)?;
    /// let w = Var::new(&[[3f64, 4.0]], &Device::Cpu)?;
    /// // ℓᵢ = w·xᵢ, whose gradient is xᵢ
    /// let (losses, tape) = autograd::record(|| Ok(ops::linear(&x, &w, None)?.flatten_all()?))?;
    /// assert_eq!(tape.sample_products(&[(&losses, None)], &[&w])?, [1.0, 1.0, 1.0, 5.0]);
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn sample_products(
        &self,
        seeds: &[(&Tensor, Option<Tensor>)],
        targets: &[&Tensor],
    ) -> Result<Vec<f64>> {
        let batch = batch_of(seeds)?;
        let targets: HashSet<TensorId> = targets.iter().map(|t| t.id()).collect();
        let (mut flow, mut last) = (Flow::default(), Vec::new());
        for (seed, cotangent) in seeds {
            if segment::is_inner(seed) && !self.cut.contains(&seed.id()) {
                last.push(Node::segment(seed));
            }
            flow.seed(seed, cotangent.as_ref())?;
        }
        let seeds: HashSet<TensorId> = seeds.iter().map(|(seed, _)| seed.id()).collect();
        let nodes: Vec<&Node> = self.nodes.iter().chain(&last).collect();
        require_single_use(&targets, &nodes)?;
        let needed = leading_to(&targets, &nodes);
        let mut sums = vec![0.0; batch * batch];
        for node in nodes.iter().rev().filter(|node| needed.contains(&node.output.id())) {
            let Some(cotangent) = flow.take(node.output.id(), &HashSet::new())? else { continue };
            let is_target = |x: &Tensor| targets.contains(&x.id());
            let own: Vec<bool> = node.inputs.iter().map(is_target).collect();
            let passed: Vec<bool> =
                node.inputs.iter().map(|x| needed.contains(&x.id()) && !is_target(x)).collect();
            node.require_apart((batch, seeds.contains(&node.output.id())), [&own, &passed])?;
            if own.contains(&true) {
                let call = Call { inputs: &node.inputs, output: &node.output, wanted: &own };
                let products = node.function.sample_products(&call, &cotangent)?;
                sums.iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
            }
            if passed.contains(&true) {
                let call = Call { inputs: &node.inputs, output: &node.output, wanted: &passed };
                let gradients = node.function.backward(&call, &cotangent)?;
                flow.spread(node, &passed, gradients, &cotangent)?;
            }
        }
        Ok(sums)
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
    pub(super) fn segment(x: &Tensor) -> Self {
        Self { function: Box::new(Segment), inputs: segment::leaves(x), output: x.clone() }
    }

    /// Refuses a function whose own targets are no parameters to it, or that passes gradients on to what is not the
    /// samples'. That the losses keep samples apart is what their caller promises.
    fn require_apart(&self, (batch, is_seed): (usize, bool), [own, passed]: [&[bool]; 2]) -> Result<()> {
        let fits = |i: usize| match self.function.samples(i) {
            Samples::Coupled => false,
            Samples::Apart => !own[i],
            Samples::Whole => !passed[i],
        };
        let apart =
            self.output.rank() > 1 && (0..self.inputs.len()).all(fits) || is_seed && !own.contains(&true);
        match apart && self.output.dims().first() == Some(&batch) {
            true => Ok(()),
            false => Err(Error::parameter(
                "products of samples",
                "functions that keep samples apart, along the first dimension, and parameters that all of them see",
                format!("{} to {:?}", self.function.name(), self.output.dims()),
            )),
        }
    }
}

/// The number of samples whose losses the seeds hold.
fn batch_of(seeds: &[(&Tensor, Option<Tensor>)]) -> Result<usize> {
    let Some((first, _)) = seeds.first() else {
        return Err(Error::parameter("losses of samples", "at least one seed", 0));
    };
    match seeds.iter().find(|(seed, _)| seed.rank() != 1 || seed.dims() != first.dims()) {
        Some((odd, _)) => Err(Error::shape("losses of samples", "[batch], as all of them", odd.dims())),
        None => Ok(first.elem_count()),
    }
}

/// Refuses targets that are results, or that two functions use: no function alone knows their products.
fn require_single_use(targets: &HashSet<TensorId>, nodes: &[&Node]) -> Result<()> {
    let mut seen = HashSet::new();
    let used = nodes.iter().flat_map(|node| &node.inputs).filter(|x| targets.contains(&x.id()));
    let refused = |x: &Tensor, found: &str| {
        let what = format!("target of shape {:?} in the products of samples", x.dims());
        Err(Error::parameter(what, "a parameter that one function uses", found))
    };
    for x in used {
        if !seen.insert(x.id()) {
            return refused(x, "one that two or more use");
        }
    }
    match nodes.iter().find(|node| targets.contains(&node.output.id())) {
        Some(node) => refused(&node.output, "a result"),
        None => Ok(()),
    }
}

/// The tensors that depend on a target, targets included.
pub(super) fn leading_to(targets: &HashSet<TensorId>, nodes: &[&Node]) -> HashSet<TensorId> {
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
pub(super) struct Flow(HashMap<TensorId, Arrived>);

/// What has arrived at a tensor.
struct Arrived {
    gradient: Gradient,
    /// Whether nobody else holds its memory.
    fresh: bool,
}

impl Flow {
    pub(super) fn seed(&mut self, seed: &Tensor, cotangent: Option<&Tensor>) -> Result<()> {
        let cotangent = match cotangent {
            None => seed.detach().ones_like()?,
            Some(cotangent) if cotangent.dims() != seed.dims() => {
                return Err(Error::shape("cotangent", format!("{:?}", seed.dims()), cotangent.dims()));
            }
            Some(cotangent) if cotangent.dtype() != seed.dtype() => {
                let expected = format!("{:?}, as its seed", seed.dtype());
                return Err(Error::dtype("cotangent", expected, cotangent.dtype()));
            }
            Some(cotangent) => cotangent.detach(),
        };
        match self.0.contains_key(&seed.id()) {
            true => self.add(seed.id(), cotangent.into(), false),
            false => {
                self.0.insert(seed.id(), Arrived { gradient: cotangent.into(), fresh: false });
                Ok(())
            }
        }
    }

    /// Sends what a function gives to its inputs. Memory is added to only where nobody else holds it: neither the
    /// cotangent, nor an input or the output, nor another of the gradients.
    pub(super) fn spread(
        &mut self,
        node: &Node,
        wanted: &[bool],
        gradients: Vec<Option<Gradient>>,
        cotangent: &Tensor,
    ) -> Result<()> {
        let known = node.inputs.iter().chain([&node.output, cotangent]);
        let given = gradients.iter().flatten().map(Gradient::values);
        let held: Vec<usize> = known.chain(given).map(host::storage_of).collect();
        for ((input, gradient), &wanted) in node.inputs.iter().zip(gradients).zip(wanted) {
            if let Some(gradient) = gradient.filter(|_| wanted) {
                let own = host::storage_of(gradient.values());
                let fresh = held.iter().filter(|&&storage| storage == own).count() == 1;
                self.add(input.id(), gradient, fresh)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, id: TensorId, gradient: Gradient, fresh: bool) -> Result<()> {
        let arrived = match self.0.remove(&id) {
            None => Arrived { gradient, fresh },
            Some(Arrived { gradient: sum, fresh: true }) => {
                Arrived { gradient: sum.plus(&gradient)?, fresh: true }
            }
            Some(Arrived { gradient: sum, .. }) if fresh => {
                Arrived { gradient: gradient.plus(&sum)?, fresh: true }
            }
            Some(Arrived { gradient: sum, .. }) => {
                let sum = (sum.into_dense()? + gradient.into_dense()?)?;
                Arrived { gradient: sum.into(), fresh: true }
            }
        };
        self.0.insert(id, arrived);
        Ok(())
    }

    /// What has arrived, which stays where it is asked for.
    pub(super) fn take(&mut self, id: TensorId, targets: &HashSet<TensorId>) -> Result<Option<Tensor>> {
        let arrived = match targets.contains(&id) {
            true => self.0.get(&id).map(|arrived| arrived.gradient.clone()),
            false => self.0.remove(&id).map(|arrived| arrived.gradient),
        };
        arrived.map(Gradient::into_dense).transpose()
    }

    pub(super) fn finish(mut self, targets: &HashSet<TensorId>) -> Gradients {
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

    pub(super) fn insert(&mut self, of: &Tensor, gradient: Gradient) {
        self.0.insert(of.id(), gradient);
    }

    /// Takes the gradient of a tensor out.
    pub fn remove(&mut self, of: &Tensor) -> Option<Gradient> {
        self.0.remove(&of.id())
    }
}
