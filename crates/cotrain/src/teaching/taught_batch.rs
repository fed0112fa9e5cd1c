//! The batch of one step, while methods set it up.

use candle_core::{DType, Device, Tensor};
use taskweave_data::Batch;
use taskweave_kernels::{Error, Named, Result, Target};
use taskweave_loss::CriterionConfig;

use crate::Ensemble;

/// The batch of one step, while methods set it up.
///
/// # Example
/// Two labeled samples and, beside them, three others.
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_cotrain::teaching::TaughtBatch;
/// use taskweave_data::Batch;
/// use taskweave_kernels::{Named, Target};
/// let zeros = |n: usize| Tensor::zeros((n, 1), DType::F32, &Device::Cpu);
/// let labels = Target::new(Tensor::new(&[0u32, 1], &Device::Cpu)?)?;
/// let labeled = Batch {
///     inputs: Named::new([("image", zeros(2)?)])?,
///     targets: Named::new([("class@a", labels)])?,
///     indices: vec![4, 7],
/// };
/// let others =
///     Batch { inputs: Named::new([("weak", zeros(3)?)])?, targets: Named::default(), indices: vec![1, 2, 3] };
/// let mut taught = TaughtBatch::new(labeled, Some(others), 0)?;
/// assert_eq!(taught.samples("weak")?, [1, 2, 3]);
/// taught.select("class@a", &[1])?;
/// assert_eq!(taught.batch.targets["class@a"].weight().to_vec1::<f32>()?, [0.0, 1.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TaughtBatch {
    /// What the step will see: the inputs and targets of all samples.
    pub batch: Batch,
    /// The number of the step, from 0.
    pub step: u64,
    /// By input, the index of each sample in its data set.
    samples: Named<Vec<usize>>,
}

impl TaughtBatch {
    /// A batch, and one beside it whose inputs have other names and whose samples may be others and of another number.
    ///
    /// # Errors
    /// [`Error::Name`] for an input or a target that both have.
    pub fn new(mut batch: Batch, beside: Option<Batch>, step: u64) -> Result<Self> {
        let mut samples = batch.inputs.map(|_, _| batch.indices.clone());
        if let Some(other) = beside {
            for (name, input) in other.inputs {
                samples.insert(name.clone(), other.indices.clone())?;
                batch.inputs.insert(name, input)?;
            }
            for (name, target) in other.targets {
                batch.targets.insert(name, target)?;
            }
        }
        Ok(Self { batch, step, samples })
    }

    /// The index of each sample of an input in its data set.
    ///
    /// # Errors
    /// [`Error::Unknown`] for an input that there is not.
    pub fn samples(&self, input: &str) -> Result<&[usize]> {
        Ok(self.samples.require("input", input)?)
    }

    /// The index of each sample that a network sees which reads `reads`, see [`Term::reading`](crate::Term::reading).
    ///
    /// # Errors
    /// [`Error::Unknown`] for an input that there is not, [`Error::Parameter`] where no input is named and those of two
    /// loaders are of different samples.
    pub fn samples_of(&self, reads: &Named<String>) -> Result<&[usize]> {
        if let Some(input) = reads.values().next() {
            return self.samples(input);
        }
        // Without a name, all inputs have to be of the same samples.
        match self.samples.values().find(|samples| **samples != self.batch.indices) {
            Some(_) => {
                Err(Error::parameter("reads", "an input, where there are several sets of samples", "none"))
            }
            None => Ok(&self.batch.indices),
        }
    }

    /// Sets the target of a term, in the place of one that there may be.
    ///
    /// # Errors
    /// [`Error::Name`] for an empty name.
    pub fn set(&mut self, term: &str, target: Target) -> Result<()> {
        self.batch.targets.remove(term);
        self.batch.targets.insert(term, target)
    }

    /// Sets the weight of all samples of a term between networks, which has no labels.
    ///
    /// # Errors
    /// As for [`TaughtBatch::samples_of`].
    pub fn set_weight(&mut self, term: &str, reads: &Named<String>, weight: f64) -> Result<()> {
        let samples = self.samples_of(reads)?.len();
        self.set(term, self.bare(&vec![weight; samples])?)
    }

    /// A target without labels, of these weights.
    ///
    /// # Errors
    /// Only those of candle.
    pub(super) fn bare(&self, weights: &[f64]) -> Result<Target> {
        let device = self.batch.inputs.values().next().map_or(Device::Cpu, |x| x.device().clone());
        let weights = column(weights, &device)?;
        Target::weighted(Tensor::zeros(weights.dims(), DType::U32, &device)?, weights)
    }

    /// Takes the target of a term away, so that the step does not train it.
    pub fn forget(&mut self, term: &str) {
        self.batch.targets.remove(term);
    }

    /// Sets the weight of all samples of a term to 0 but those at `places` in the batch, which keep theirs.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a term without a target.
    pub fn select(&mut self, term: &str, places: &[usize]) -> Result<()> {
        let target = self.batch.targets.require("target of term", term)?;
        let mut factors = vec![0f64; target.len()];
        for place in places {
            if let Some(factor) = factors.get_mut(*place) {
                *factor = 1.0;
            }
        }
        let scaled = scaled(target, &factors)?;
        self.set(term, scaled)
    }

    /// The places of the samples of a term that have a label, and the weight of each.
    ///
    /// # Errors
    /// Only those of candle.
    pub(super) fn labeled(&self, term: &str) -> Result<Vec<(usize, f64)>> {
        let Some(target) = self.batch.targets.get(term) else { return Ok(Vec::new()) };
        let weights = target.sample_weight()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        Ok(weights.into_iter().enumerate().filter(|(_, weight)| *weight > 0.0).collect())
    }

    /// The prediction of a term of one network, and the loss of each sample by the method's own criterion: that of the term may
    /// have the labels' weights in it.
    ///
    /// # Errors
    /// Those of predicting, and [`Error::NonFinite`] for a loss with a NaN or an infinity.
    pub(super) fn judged(
        &self,
        term: &str,
        criterion: &CriterionConfig,
        ensemble: &Ensemble,
    ) -> Result<(Tensor, Vec<f64>)> {
        let parts = ensemble.terms().require("term", term)?;
        let member = parts.members.first().map_or("", String::as_str);
        let prediction = ensemble.predict(member, &parts.task, &parts.reads, &self.batch.inputs)?;
        let target = self.batch.targets.require("target of term", term)?;
        let losses = criterion.build().losses(&prediction, target)?;
        let losses = losses.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        match losses.iter().all(|loss| loss.is_finite()) {
            true => Ok((prediction, losses)),
            false => Err(Error::non_finite("loss", term)),
        }
    }
}

/// Weights `[samples]` in f32, which every device has.
pub(super) fn column(weights: &[f64], device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_slice(weights, weights.len(), &Device::Cpu)?.to_dtype(DType::F32)?.to_device(device)?)
}

/// The same labels, the weight of each sample times its factor.
pub(super) fn scaled(target: &Target, factors: &[f64]) -> Result<Target> {
    let weight = target.weight();
    let mut shape = vec![1; weight.rank()];
    if let Some(first) = shape.first_mut() {
        *first = factors.len();
    }
    let factors = column(factors, weight.device())?.reshape(shape)?.to_dtype(weight.dtype())?;
    Target::weighted(target.value().clone(), weight.broadcast_mul(&factors)?)
}
