//! Several networks as one model, whose tasks are the terms of an objective.
//!
//! A step knows one model with tasks. Co-training has several networks, and its objective has terms that a plain
//! task does not have: two networks that should agree, a network that should predict from one view what another
//! predicts from a second. An [`Ensemble`] is the model of such an objective: its tasks are its [`Term`]s, and the
//! prediction of a term is what its networks say about a task from the inputs that the term reads. So everything
//! that holds for tasks holds for terms: balance methods, missing labels, checks, checkpoints.
//!
//! The seam of an ensemble lies at its predictions: all of the networks is *sharing*.

mod term;

use std::sync::Arc;

use candle_core::Tensor;
use taskweave_data::Spread;
use taskweave_heads::{Mode, Model, Params};
use taskweave_kernels::{Error, Named, Result, autograd, ops};

pub use term::Term;

use crate::{Step, StepBuilder};

/// Several networks as one model, whose tasks are the terms of an objective.
///
/// Cloning is cheap and shares the networks. Networks that no wanted term needs do not run.
///
/// # Example
/// Two networks on the same numbers; each has its own labels, and both should agree.
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_cotrain::{Ensemble, Term};
/// use taskweave_heads::{Classification, HardSharing, MlpConfig, Mode, Model, Network, Params, Stage};
/// use taskweave_kernels::{Named, Result, Rng};
/// use taskweave_loss::{CriterionConfig, criterion::{CrossEntropy, JensenShannon}};
///
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let network = |name: &str| -> Result<Box<dyn Model>> {
///     let own = params.member(name);
///     let trunk = MlpConfig { inputs: 2, widths: vec![8], dropout: 0.0 }.build(&own.shared())?;
///     let head = Classification::new(&own.task("class"), trunk.features(), 3)?;
///     let heads = Named::new([("class", Box::new(head) as Box<dyn Stage>)])?;
///     Ok(Box::new(Network::new(Box::new(HardSharing::new("x", trunk)), heads)))
/// };
/// let members = Named::new([("a", network("a")?), ("b", network("b")?)])?;
/// let labels = CriterionConfig::CrossEntropy(CrossEntropy::default());
/// let terms = Named::new([
///     ("class@a", Term::of("a", "class", labels.clone())),
///     ("class@b", Term::of("b", "class", labels)),
///     ("agree", Term::between(&["a", "b"], "class", CriterionConfig::JensenShannon(JensenShannon))),
/// ])?;
/// let ensemble = Ensemble::new(&params, members, terms)?;
///
/// let inputs = Named::new([("x", Tensor::ones((5, 2), DType::F32, &Device::Cpu)?)])?;
/// let predictions = ensemble.forward(&inputs, Mode::Eval)?;
/// assert_eq!(predictions["class@a"].dims(), [5, 3]);
/// assert_eq!(predictions["agree"].dims(), [5, 2, 3]);
/// let step = ensemble.step().build()?;
/// assert_eq!(step.tasks(), ["class@a", "class@b", "agree"]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Clone)]
pub struct Ensemble {
    parts: Arc<Parts>,
}

struct Parts {
    params: Params,
    members: Named<Box<dyn Model>>,
    terms: Named<Term>,
}

/// One run of a network: from which inputs, for which tasks.
struct Call<'a> {
    member: &'a str,
    reads: &'a Named<String>,
    tasks: Vec<String>,
}

impl Ensemble {
    /// The networks `members`, whose parameters are among `params`, under an objective of `terms`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no terms or a term without a network, and [`Error::Unknown`] for a term of a network
    /// or a task that there is not.
    pub fn new(params: &Params, members: Named<Box<dyn Model>>, terms: Named<Term>) -> Result<Self> {
        if terms.is_empty() {
            return Err(Error::parameter("terms of an ensemble", "at least one", 0));
        }
        for (name, term) in terms.iter() {
            if term.members.is_empty() {
                return Err(Error::parameter(format!("networks of term `{name}`"), "at least one", 0));
            }
            for member in &term.members {
                require(&members, member, &term.task)?;
            }
        }
        Ok(Self { parts: Arc::new(Parts { params: params.clone(), members, terms }) })
    }

    /// Refuses a network or a task of it that there is not.
    pub(crate) fn require(&self, member: &str, task: &str) -> Result<()> {
        require(&self.parts.members, member, task)
    }

    /// The parameters of all networks.
    pub fn params(&self) -> &Params {
        &self.parts.params
    }

    /// The terms by name.
    pub fn terms(&self) -> &Named<Term> {
        &self.parts.terms
    }

    /// A step for this objective, each term under its criterion.
    pub fn step(&self) -> StepBuilder {
        let step = Step::builder(self.clone(), self.params().clone());
        self.terms()
            .iter()
            .fold(step, |step, (name, term)| step.boxed_criterion(name, term.criterion.build()))
    }

    /// A transform that gives the label of each task to all terms of one network that read the inputs as they are.
    pub fn spread(&self) -> Spread {
        let mut names: Named<Vec<String>> = Named::default();
        for (name, term) in self.terms().iter().filter(|(_, term)| term.is_plain()) {
            match names.get_mut(&term.task) {
                Some(names) => names.push(name.into()),
                // The name is not taken.
                None => drop(names.insert(&*term.task, vec![name.into()])),
            }
        }
        Spread::new(names)
    }

    /// What one network predicts for a task in evaluation mode, from the inputs that `reads` renames (see
    /// [`Term::reading`]). No gradient is kept.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a network, task or input that there is not, and [`Error::NonFinite`] for a prediction
    /// with a NaN or an infinity.
    pub fn predict(
        &self,
        member: &str,
        task: &str,
        reads: &Named<String>,
        inputs: &Named<Tensor>,
    ) -> Result<Tensor> {
        let prediction = autograd::no_grad(|| self.respond(member, task, reads, inputs))?.detach();
        match ops::all_finite(&prediction)? {
            true => Ok(prediction),
            false => Err(Error::non_finite("prediction", format!("{task}@{member}"))),
        }
    }

    /// The same with a gradient.
    pub(crate) fn respond(
        &self,
        member: &str,
        task: &str,
        reads: &Named<String>,
        inputs: &Named<Tensor>,
    ) -> Result<Tensor> {
        let call = Call { member, reads, tasks: vec![task.into()] };
        let found = self.run(&call, inputs, Mode::Eval)?;
        found.require("prediction of task", task).cloned()
    }

    /// The runs that some terms need, each network once for each set of inputs.
    fn calls(&self, terms: &[String]) -> Result<Vec<Call<'_>>> {
        let mut calls: Vec<Call<'_>> = Vec::new();
        for name in terms {
            let term = self.terms().require("term", name)?;
            for member in &term.members {
                let same = |call: &&mut Call<'_>| call.member == member && *call.reads == term.reads;
                match calls.iter_mut().find(same) {
                    Some(call) if call.tasks.contains(&term.task) => {}
                    Some(call) => call.tasks.push(term.task.clone()),
                    None => calls.push(Call { member, reads: &term.reads, tasks: vec![term.task.clone()] }),
                }
            }
        }
        Ok(calls)
    }

    fn run(&self, call: &Call<'_>, inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        let network = self.parts.members.require("network", call.member)?;
        let mut seen = inputs.clone();
        for (view, input) in call.reads.iter() {
            let input = inputs.require("input", input)?.clone();
            seen.remove(view);
            seen.insert(view, input)?;
        }
        // Other inputs are another draw of dropout.
        let stream = match mode {
            Mode::Train(rng) if !call.reads.is_empty() => {
                let read: Vec<&str> = call.reads.values().map(String::as_str).collect();
                Some(rng.fork(&format!("reading {}", read.join(", "))))
            }
            _ => None,
        };
        let mode = stream.as_ref().map_or(mode, Mode::Train);
        let mut features = network.share_for(&call.tasks, &seen, mode)?;
        let mut wanted = Named::default();
        for task in &call.tasks {
            let known = features.names().map(String::from).collect();
            let missing = || Error::Unknown { what: "features of task".into(), name: task.clone(), known };
            wanted.insert(task.clone(), features.remove(task).ok_or_else(missing)?)?;
        }
        network.heads(&wanted, mode)
    }
}

impl Model for Ensemble {
    fn tasks(&self) -> Vec<String> {
        self.terms().names().map(String::from).collect()
    }

    fn share(&self, inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        self.share_for(&self.tasks(), inputs, mode)
    }

    fn share_for(&self, tasks: &[String], inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        let calls = self.calls(tasks)?;
        let found: Vec<_> = calls.iter().map(|call| self.run(call, inputs, mode)).collect::<Result<_>>()?;
        let of = |term: &Term, member: &String| -> Result<Tensor> {
            let same = |call: &Call<'_>| call.member == member && *call.reads == term.reads;
            let of_call = calls.iter().position(same).and_then(|at| found.get(at));
            let of_call = of_call.ok_or_else(|| Error::Name { name: member.clone() })?;
            of_call.require("prediction of task", &term.task).cloned()
        };
        let mut predictions = Named::default();
        for name in tasks {
            let term = self.terms().require("term", name)?;
            let parts: Vec<Tensor> =
                term.members.iter().map(|member| of(term, member)).collect::<Result<_>>()?;
            predictions.insert(name.clone(), stacked(parts)?)?;
        }
        Ok(predictions)
    }

    fn heads(&self, features: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
        features.names().try_for_each(|name| self.terms().require("term", name).map(|_| ()))?;
        Ok(features.clone())
    }
}

fn require(members: &Named<Box<dyn Model>>, member: &str, task: &str) -> Result<()> {
    let known = members.require("network", member)?.tasks();
    match known.iter().any(|name| name == task) {
        true => Ok(()),
        false => {
            Err(Error::Unknown { what: format!("task of network `{member}`"), name: task.into(), known })
        }
    }
}

/// One prediction as it is, several along a new dimension behind that of the batch.
fn stacked(parts: Vec<Tensor>) -> Result<Tensor> {
    match &parts[..] {
        [one] => Ok(one.clone()),
        parts => Ok(Tensor::stack(parts, 1)?),
    }
}
