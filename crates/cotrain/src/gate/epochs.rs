//! The gate of a training of networks: epochs in the place of rounds.
//!
//! What a score is, which epochs are kept and where the training ends is as for rounds:
//!     with validation labels   the accuracy (R² for values) on them of what the networks say together, the mean of their
//!                              probabilities;
//!     without                  ½ (κ̄ + a): κ̄ the mean agreement beyond chance of each two networks on inputs without labels, a the
//!                              accuracy on given labels, of each network on those that it has left out. With one network a alone.
//! A learner of rounds is cross-validated by lessons that leave out a fold. A network would have to be trained anew for every fold and
//! epoch; here each network leaves out one fold for good ([`LeftOut`](super::LeftOut)), and what it says of that fold is what a
//! network says that never learned it. What the others teach it may still know of these labels, as in the rounds.
//! Cost: after every epoch one prediction of what it judges by, per network. Not: proof; networks that are wrong alike agree.

use taskweave_data::{Batch, Loader};
use taskweave_kernels::{Error, Named, Result, State};

use super::Decision;
use super::estimate::{Estimate, mean_agreement};
use super::judge::Judge;
use crate::Ensemble;
use crate::learner::{Answers, Matrix, softmax};

/// Whose predictions of which task a gate looks at.
///
/// # Example
/// ```
/// use taskweave_cotrain::gate::Judged;
/// use taskweave_cotrain::learner::Answers;
/// let digits = Judged::new("class", &["a", "b"], Answers::Classes(10));
/// assert_eq!(digits.members, ["a", "b"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The task.
    pub task: String,
    /// The networks of the ensemble that have it and count.
    pub members: Vec<String>,
    /// What they say: logits `[batch, classes]`, or values `[batch, 1]`.
    pub answers: Answers,
}

impl Judged {
    /// These networks, by what they say of this task.
    pub fn new(task: &str, members: &[&str], answers: Answers) -> Self {
        let members = members.iter().map(|member| member.to_string()).collect();
        Self { task: task.into(), members, answers }
    }
}

/// Judges the epochs of a training of networks, and remembers the last good one.
///
/// The [`Trainer`](crate::Trainer) and its step end as they were after the last epoch that was kept, with all that a next step depends on:
/// parameters, optimizer, balance, protocol, teachings and rate. What was decided is in the record of every epoch.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `tolerance` | 0.5 | ≥ 0 | by how many of its standard errors a score may lie below the best |
/// | `patience` | 2 | ≥ 0 | epochs in a row that may be worse |
///
/// # Example
/// Two networks that know nothing yet, judged by four labels.
/// ```
/// use std::sync::Arc;
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_cotrain::gate::{EpochGate, Judged};
/// use taskweave_cotrain::learner::Answers;
/// use taskweave_cotrain::teaching::{MutualLearning, Teaching};
/// use taskweave_cotrain::Ensemble;
/// use taskweave_data::{Loader, TwoMoons, TwoMoonsConfig};
/// use taskweave_heads::{Classification, HardSharing, MlpConfig, Model, Network, Params, Stage};
/// use taskweave_kernels::{Named, Result, Rng};
///
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let network = |name: &str| -> Result<Box<dyn Model>> {
///     let own = params.member(name);
///     let trunk = MlpConfig { inputs: 2, widths: vec![8], dropout: 0.0 }.build(&own.shared())?;
///     let head = Classification::new(&own.task("class"), trunk.features(), 2)?;
///     let heads = Named::new([("class", Box::new(head) as Box<dyn Stage>)])?;
///     Ok(Box::new(Network::new(Box::new(HardSharing::new("left", trunk)), heads)))
/// };
/// let members = Named::new([("a", network("a")?), ("b", network("b")?)])?;
/// let text = r#"{"task": "class", "members": ["a", "b"], "criterion": {"name": "cross_entropy"}}"#;
/// let method: MutualLearning = serde_json::from_str(text).unwrap();
/// let ensemble = Ensemble::new(&params, members, method.terms()?)?;
/// let moons = TwoMoons::new(TwoMoonsConfig { len: 4, ..TwoMoonsConfig::default() })?;
/// let labeled = Loader::builder(Arc::new(moons)).batch_size(4).build()?;
/// let judged = || Judged::new("class", &["a", "b"], Answers::Classes(2));
/// let gate = EpochGate::validation(&ensemble, judged(), labeled.clone())?.tolerance(1.0)?.patience(0);
/// assert!(EpochGate::validation(&ensemble, Judged::new("class", &["c"], Answers::Classes(2)), labeled).is_err());
/// # let _ = gate;
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct EpochGate {
    ensemble: Ensemble,
    judged: Judged,
    evidence: Evidence,
    judge: Judge,
}

/// What the score of an epoch is formed from.
enum Evidence {
    Validation(Loader),
    Unlabeled { inputs: Loader, left_out: Named<Loader> },
}

impl EpochGate {
    /// Judges by samples with labels that no network learns from; other tasks' labels are not looked at.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a network or a task that there is not, [`Error::Name`] for a network twice,
    /// [`Error::Parameter`] for no network or no sample.
    pub fn validation(ensemble: &Ensemble, judged: Judged, labeled: Loader) -> Result<Self> {
        Self::of(ensemble, judged, Evidence::Validation(labeled))
    }

    /// Judges by agreement on inputs without labels, and by the given labels that each network leaves out; `left_out` has
    /// them by network.
    ///
    /// # Errors
    /// As [`EpochGate::validation`]; [`Error::Unknown`] also for a network without labels that it leaves out, or for labels of
    /// a network that is not judged.
    pub fn unlabeled(
        ensemble: &Ensemble,
        judged: Judged,
        inputs: Loader,
        left_out: Named<Loader>,
    ) -> Result<Self> {
        for member in &judged.members {
            left_out.require("labels that are left out by network", member)?;
        }
        if let Some(name) = left_out.names().find(|name| !judged.members.iter().any(|member| member == name))
        {
            let (what, known) = ("network that a gate judges".into(), judged.members.clone());
            return Err(Error::Unknown { what, name: name.into(), known });
        }
        Self::of(ensemble, judged, Evidence::Unlabeled { inputs, left_out })
    }

    /// By how many of its standard errors a score may lie below the best.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is negative or not finite.
    pub fn tolerance(mut self, tolerance: f64) -> Result<Self> {
        self.judge = self.judge.tolerance(tolerance)?;
        Ok(self)
    }

    /// How many epochs in a row may be worse.
    pub fn patience(mut self, epochs: u64) -> Self {
        self.judge = self.judge.patience(epochs);
        self
    }

    fn of(ensemble: &Ensemble, judged: Judged, evidence: Evidence) -> Result<Self> {
        if judged.members.is_empty() {
            return Err(Error::parameter("networks that a gate judges", "at least one", 0));
        }
        for (place, member) in judged.members.iter().enumerate() {
            ensemble.require(member, &judged.task)?;
            // A network agrees with itself.
            if judged.members[..place].contains(member) {
                return Err(Error::Name { name: member.clone() });
            }
        }
        let samples = match &evidence {
            Evidence::Validation(labeled) => vec![labeled],
            Evidence::Unlabeled { inputs, left_out } => {
                [inputs].into_iter().chain(left_out.values()).collect()
            }
        };
        if samples.iter().any(|loader| loader.samples() == 0) {
            return Err(Error::parameter("samples that a gate judges by", "at least one", 0));
        }
        Ok(Self { ensemble: ensemble.clone(), judged, evidence, judge: Judge::default() })
    }

    /// Judges an epoch; `state` is asked for what is to be remembered.
    pub(crate) fn judge(&mut self, epoch: u64, state: impl FnOnce() -> Result<State>) -> Result<Decision> {
        self.judge.judge(self.estimate()?, epoch, state)
    }

    pub(crate) fn way_back(&self) -> Option<(u64, &State)> {
        self.judge.way_back()
    }

    pub(crate) fn save(&self) -> Result<State> {
        self.judge.save()
    }

    pub(crate) fn restore(&mut self, state: &State) -> Result<()> {
        self.judge.restore(state)
    }

    fn estimate(&self) -> Result<Estimate> {
        let (members, answers) = (&self.judged.members, self.judged.answers);
        match &self.evidence {
            Evidence::Validation(labeled) => {
                let said =
                    members.iter().map(|member| self.labeled(member, labeled)).collect::<Result<Vec<_>>>()?;
                let labels = said.first().map(|(_, labels)| labels.clone()).unwrap_or_default();
                let said: Vec<Vec<Vec<f64>>> = said.into_iter().map(|(rows, _)| rows).collect();
                Ok(Estimate::of(&Matrix::of_rows(&together(&said))?, labels, answers))
            }
            Evidence::Unlabeled { inputs, left_out } => {
                let (mut rows, mut labels) = (Vec::new(), Vec::new());
                for member in members {
                    let (said, own) = self.labeled(member, left_out.require("network", member)?)?;
                    rows.extend(said);
                    labels.extend(own);
                }
                let estimate = Estimate::of(&Matrix::of_rows(&rows)?, labels, answers);
                let said: Vec<Matrix> =
                    members.iter().map(|member| self.all(member, inputs)).collect::<Result<_>>()?;
                Ok(estimate.with_agreement(mean_agreement(&said.iter().collect::<Vec<_>>(), answers)))
            }
        }
    }

    /// What a network says of those samples that have a label, and their labels.
    fn labeled(&self, member: &str, loader: &Loader) -> Result<(Vec<Vec<f64>>, Vec<f64>)> {
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        for batch in loader.epoch(0) {
            let batch = batch?.to_device(self.ensemble.params().device())?;
            let Some(target) = batch.targets.get(&self.judged.task) else { continue };
            let values = Matrix::of_tensor(target.value())?;
            let weights = Matrix::of_tensor(target.weight())?;
            let said = self.said(member, &batch)?;
            let known = said.into_iter().zip(values.iter()).zip(weights.iter());
            for ((row, label), _) in known.filter(|(_, weight)| weight.iter().any(|weight| *weight > 0.0)) {
                let label = label.first().copied().unwrap_or(f64::NAN);
                self.judged.answers.row(label)?;
                rows.push(row);
                labels.push(label);
            }
        }
        match labels.is_empty() {
            true => Err(Error::parameter("labels that a gate judges by", "at least one", 0)),
            false => Ok((rows, labels)),
        }
    }

    /// What a network says of all samples.
    fn all(&self, member: &str, loader: &Loader) -> Result<Matrix> {
        let mut rows = Vec::new();
        for batch in loader.epoch(0) {
            rows.extend(self.said(member, &batch?.to_device(self.ensemble.params().device())?)?);
        }
        Matrix::of_rows(&rows)
    }

    /// Probabilities, or values.
    fn said(&self, member: &str, batch: &Batch) -> Result<Vec<Vec<f64>>> {
        let Judged { task, answers, .. } = &self.judged;
        let prediction = self.ensemble.predict(member, task, &Named::default(), &batch.inputs)?;
        if prediction.dims() != [batch.len(), answers.width()] {
            let expected = format!("[{}, {}]", batch.len(), answers.width());
            return Err(Error::shape(
                format!("prediction of `{task}@{member}`"),
                expected,
                prediction.dims(),
            ));
        }
        let mut rows: Vec<Vec<f64>> = Matrix::of_tensor(&prediction)?.iter().map(<[f64]>::to_vec).collect();
        if let Answers::Classes(_) = answers {
            rows.iter_mut().for_each(|row| softmax(row));
        }
        Ok(rows)
    }
}

/// The mean of what several say of the same samples.
fn together(said: &[Vec<Vec<f64>>]) -> Vec<Vec<f64>> {
    let mut mean = said.first().cloned().unwrap_or_default();
    for rows in said.iter().skip(1) {
        let numbers = mean.iter_mut().zip(rows).flat_map(|(mean, row)| mean.iter_mut().zip(row));
        numbers.for_each(|(mean, value)| *mean += value);
    }
    mean.iter_mut().flatten().for_each(|mean| *mean /= said.len() as f64);
    mean
}
