//! Labels that networks leave out, each another fold of them.

use taskweave_data::{Dataset, Sample, Spec};
use taskweave_kernels::{Error, Result};

use super::folds::deal;

/// The labels of one task for several networks, each of which leaves out one fold of them and can be judged by it.
///
/// Folds are dealt class by class, so that each has its share of every class; labels that are no classes are dealt in their order. The
/// j-th network leaves out the j-th fold, and begins again with the first where there are more networks than folds. A
/// label that is left out is missing for that network's term alone. It takes the place of
/// [`Ensemble::spread`](crate::Ensemble::spread).
///
/// # Example
/// ```
/// use taskweave_cotrain::gate::LeftOut;
/// use taskweave_data::{Dataset, SelectTasks, Shapes, ShapesConfig};
/// let shapes = SelectTasks::new(Shapes::new(ShapesConfig { len: 40, ..ShapesConfig::default() })?, &["class"])?;
/// let labels = LeftOut::new(shapes, "class", &["class@a", "class@b"], 4)?;
/// let own = labels.samples("class@a")?;
/// assert!(own.len() >= 5 && own.iter().all(|at| !labels.samples("class@b").unwrap().contains(at)));
/// let sample = labels.get(own[0])?;
/// assert!(!sample.targets.contains("class@a") && sample.targets.contains("class@b"));
/// assert!(LeftOut::new(labels, "class@a", &["x"], 1).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LeftOut<D> {
    dataset: D,
    task: String,
    terms: Vec<String>,
    /// Of each sample; none for one without a label.
    fold: Vec<Option<usize>>,
    folds: usize,
    spec: Spec,
}

impl<D: Dataset> LeftOut<D> {
    /// The labels of `task` for the terms of some networks, dealt into so many folds. Every sample is read once.
    ///
    /// # Errors
    /// [`Error::Parameter`] for fewer than two folds, no term, or fewer labels than folds; [`Error::Unknown`] for a task that the
    /// data set does not have, [`Error::Name`] for a term twice.
    pub fn new(dataset: D, task: &str, terms: &[&str], folds: usize) -> Result<Self> {
        if folds < 2 {
            return Err(Error::parameter("folds", "at least 2", folds));
        }
        if terms.is_empty() {
            return Err(Error::parameter("terms of the networks", "at least one", 0));
        }
        let mut spec = dataset.spec().clone();
        let labels = spec.targets.require("task", task)?.clone();
        spec.targets.remove(task);
        terms.iter().try_for_each(|term| spec.targets.insert(*term, labels.clone()))?;
        let labeled = labeled(&dataset, task)?;
        if labeled.len() < folds {
            let expected = format!("at least {folds}");
            return Err(Error::parameter("labels to be dealt into folds", expected, labeled.len()));
        }
        let mut fold = vec![None; dataset.len()];
        for (number, samples) in deal(labeled, folds).into_iter().enumerate() {
            samples.into_iter().for_each(|sample| fold[sample] = Some(number));
        }
        let terms = terms.iter().map(|term| term.to_string()).collect();
        Ok(Self { dataset, task: task.into(), terms, fold, folds, spec })
    }

    /// The samples that the network of a term leaves out.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a term that is none of them.
    pub fn samples(&self, term: &str) -> Result<Vec<usize>> {
        let Some(place) = self.terms.iter().position(|name| name == term) else {
            return Err(Error::Unknown { what: "term".into(), name: term.into(), known: self.terms.clone() });
        };
        let own = Some(place % self.folds);
        Ok((0..self.fold.len()).filter(|&sample| self.fold[sample] == own).collect())
    }
}

impl<D: Dataset> Dataset for LeftOut<D> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let mut sample = self.dataset.get(index)?;
        let Some(label) = sample.targets.remove(&self.task) else { return Ok(sample) };
        let fold = self.fold.get(index).copied().flatten();
        for (place, term) in self.terms.iter().enumerate() {
            if fold != Some(place % self.folds) {
                sample.targets.insert(term.clone(), label.clone())?;
            }
        }
        Ok(sample)
    }
}

/// The samples that have a label, each with its class, or 0 where labels are no classes.
fn labeled(dataset: &impl Dataset, task: &str) -> Result<Vec<(usize, f64)>> {
    let mut labeled = Vec::new();
    for index in 0..dataset.len() {
        let sample = dataset.get(index)?;
        if let Some(label) = sample.targets.get(task).filter(|label| label.weight() > 0.0) {
            labeled.push((index, f64::from(label.value().to_scalar::<u32>().unwrap_or(0))));
        }
    }
    Ok(labeled)
}
