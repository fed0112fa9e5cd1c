//! What makes the batches of a training: the networks, the methods that teach them, unlabeled samples.

use taskweave_data::{Batch, Epoch, Loader};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{TaughtBatch, Teaching};
use crate::Ensemble;
use crate::parts::{all_or_nothing, keep, pick};

/// What makes the batches of a training of an [`Ensemble`]: the methods that teach it, in order, and a second loader,
/// of unlabeled samples say, whose batches come beside those of the first.
///
/// A [`Trainer`](crate::Trainer) takes it; in a loop of your own, call [`Teachings::prepare`] before each step and
/// [`Teachings::after_step`] after it. The second loader goes round as often as needed; its batches may be of another
/// size.
///
/// # Example
/// Co-teaching in a loop of one's own.
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_cotrain::Ensemble;
/// use taskweave_cotrain::selector::SmallLoss;
/// use taskweave_cotrain::teaching::{CoTeaching, Teachings, Teaching};
/// use taskweave_data::Batch;
/// use taskweave_heads::{Classification, HardSharing, MlpConfig, Model, Network, Params, Stage};
/// use taskweave_kernels::{Named, Result, Rng, Target};
/// use taskweave_loss::{CriterionConfig, criterion::CrossEntropy};
///
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let network = |name: &str| -> Result<Box<dyn Model>> {
///     let own = params.member(name);
///     let trunk = MlpConfig { inputs: 1, widths: vec![8], dropout: 0.0 }.build(&own.shared())?;
///     let head = Classification::new(&own.task("class"), trunk.features(), 2)?;
///     let heads = Named::new([("class", Box::new(head) as Box<dyn Stage>)])?;
///     Ok(Box::new(Network::new(Box::new(HardSharing::new("x", trunk)), heads)))
/// };
/// let method = CoTeaching {
///     task: "class".into(),
///     members: ["a".into(), "b".into()],
///     criterion: CriterionConfig::CrossEntropy(CrossEntropy::default()),
///     small_loss: SmallLoss { forget: 0.25, steps: 1 },
/// };
/// let members = Named::new([("a", network("a")?), ("b", network("b")?)])?;
/// let ensemble = Ensemble::new(&params, members, method.terms()?)?;
/// let mut step = ensemble.step().build()?;
/// let mut teachings = Teachings::new(&ensemble).teach(Box::new(method))?;
///
/// // The last label is wrong.
/// let x = Tensor::new(&[[-2f32], [-1.0], [1.0], [2.0]], &Device::Cpu)?;
/// let labels = Target::new(Tensor::new(&[0u32, 0, 1, 0], &Device::Cpu)?)?;
/// let batch = Batch {
///     inputs: Named::new([("x", x)])?,
///     targets: Named::new([("class@a", labels.clone()), ("class@b", labels)])?,
///     indices: vec![0, 1, 2, 3],
/// };
/// for number in 0..300 {
///     step.step(&teachings.prepare(batch.clone(), number, number)?)?;
///     teachings.after_step(number + 1)?;
/// }
/// let last = teachings.prepare(batch, 300, 300)?;
/// assert_eq!(last.targets["class@a"].weight().to_vec1::<f32>()?, [1.0, 1.0, 1.0, 0.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Teachings {
    ensemble: Ensemble,
    methods: Vec<Box<dyn Teaching>>,
    beside: Option<Loader>,
    /// Where the second loader is: the number of the next batch, and those to come.
    open: Option<(u64, Epoch)>,
}

impl Teachings {
    /// Teachings for these networks, by no method yet.
    pub fn new(ensemble: &Ensemble) -> Self {
        Self { ensemble: ensemble.clone(), methods: Vec::new(), beside: None, open: None }
    }

    /// Teaches by one more method, after those before.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter out of range and where a term of the method is not a term of the ensemble
    /// or differs from it, [`Error::Unknown`] where it is missing.
    pub fn teach(mut self, method: Box<dyn Teaching>) -> Result<Self> {
        for (name, term) in method.terms()?.iter() {
            if self.ensemble.terms().require("term", name)? != term {
                return Err(Error::parameter(format!("term `{name}`"), format!("{term:?}"), "another one"));
            }
        }
        self.methods.push(method);
        Ok(self)
    }

    /// Puts a batch of this loader beside each of the training's. Both may not have an input or a task in common.
    pub fn beside(mut self, loader: Loader) -> Self {
        self.beside = Some(loader);
        self
    }

    /// The batch that the step sees, made of one from the training's loader. `step` is the number of the step,
    /// `number` that of the batch, which is another where several batches make a step; both from 0.
    ///
    /// # Errors
    /// Those of the second loader and of the methods.
    pub fn prepare(&mut self, batch: Batch, step: u64, number: u64) -> Result<Batch> {
        let other = self.other(number)?;
        let mut taught = TaughtBatch::new(batch, other, step)?;
        for method in &mut self.methods {
            method.prepare(&mut taught, &self.ensemble)?;
        }
        Ok(taught.batch)
    }

    /// Moves what no gradient reaches, when `done` steps are done.
    ///
    /// # Errors
    /// Those of the methods.
    pub fn after_step(&mut self, done: u64) -> Result<()> {
        self.methods.iter_mut().try_for_each(|method| method.after_step(done, &self.ensemble))
    }

    /// The samples and the batches of an epoch of the second loader, where there is one.
    pub(crate) fn size(&self) -> Option<(usize, usize)> {
        self.beside.as_ref().map(|beside| (beside.samples(), beside.batches()))
    }

    /// The batch of that number of the second loader.
    fn other(&mut self, number: u64) -> Result<Option<Batch>> {
        let Some(loader) = &self.beside else { return Ok(None) };
        let per_epoch = loader.batches() as u64;
        let at = (number / per_epoch.max(1), number % per_epoch.max(1));
        let open = self.open.take().filter(|(next, _)| *next == number && at.1 != 0);
        let mut epoch = open.map_or_else(|| loader.epoch_from(at.0, at.1 as usize), |(_, epoch)| epoch);
        let batch = epoch.next().transpose()?;
        self.open = Some((number + 1, epoch));
        batch.map(|batch| batch.to_device(self.ensemble.params().device())).transpose()
    }
}

/// A saved state fits teachings by the same methods in the same order.
impl Stateful for Teachings {
    fn save(&self) -> Result<State> {
        let mut tensors = Named::default();
        let methods = self.methods.iter().enumerate();
        let values = methods.map(|(i, method)| keep(&mut tensors, &format!("{i}/"), method.save()?));
        let values = values.collect::<Result<Vec<_>>>()?;
        Ok(State { tensors, ..State::of(&values)? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        all_or_nothing(self, state, Self::take)
    }
}

impl Teachings {
    fn take(&mut self, state: &State) -> Result<()> {
        let values: Vec<serde_json::Value> = state.read("teachings")?;
        if values.len() != self.methods.len() {
            let expected = format!("{} methods", self.methods.len());
            return Err(Error::state("teachings", expected, values.len()));
        }
        for (i, (method, values)) in self.methods.iter_mut().zip(&values).enumerate() {
            method.restore(&pick(state, &format!("{i}/"), values)?)?;
        }
        Ok(())
    }
}
