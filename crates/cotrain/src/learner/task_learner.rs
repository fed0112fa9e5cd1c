//! A task of any model of this project as a learner.
//!
//! A lesson is some epochs of steps on its samples, in random order. The other tasks of the model learn in the same steps,
//! from labels of their own that are given once: a sample that has no label for a task weighs 0 there, and a sample of
//! another task that is not in the lesson weighs 0 in this one. So co-training of one task and multi-task learning of all
//! are one training.
//! A network is not set back before a lesson: it goes on from what it knows.

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_data::Batch;
use taskweave_heads::Mode;
use taskweave_kernels::{Error, Named, Result, Rng, State, Stateful, Target, autograd};

use super::softmax::softmax;
use super::{Answers, Learner, Lesson, Matrix};
use crate::Step;
use crate::parts::{all_or_nothing, keep, pick};
use crate::rate::Rate;

/// A task of a model, trained by a [`Step`] with its optimizers and schedule.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `answers` | – | – | classes, whose criterion takes distributions such as `SoftCrossEntropy`; or a value |
/// | `shape` | the columns of the view | – | of one sample of the model's input |
/// | `epochs` | 1 | ≥ 1 | passes over a lesson |
/// | `batch_size` | 32 | ≥ 1 | samples per step |
/// | `rate` | constant | – | a learning-rate schedule over all steps of all lessons |
/// | `also` | none | – | labels of another task, one per sample of the view, weight 0 where there is none |
/// | `rng` | seed 0 | – | where the order of the samples comes from |
///
/// # Example
/// One weight, one value: y = 2x is learned from two samples.
/// ```
/// use candle_core::{DType, Device};
/// use taskweave_cotrain::Step;
/// use taskweave_cotrain::learner::{Answers, Learner, Lesson, Matrix, TaskLearner};
/// use taskweave_heads::{Backbone, Features, HardSharing, Params, Regression, Stage};
/// use taskweave_kernels::{Named, Rng, optim::{OptimizerConfig, Sgd}};
/// use taskweave_loss::criterion::Mse;
///
/// let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
/// let features = Features::Vector { width: 1 };
/// let head = Regression::new(&params.task("y"), features, 1)?;
/// let heads = Named::new([("y", Box::new(head) as Box<dyn Stage>)])?;
/// let trunk = HardSharing::new("x", Backbone::new(Vec::new(), features));
/// let step = Step::builder(taskweave_heads::Network::new(Box::new(trunk), heads), params)
///     .criterion("y", Mse)
///     .optimizer(OptimizerConfig::Sgd(Sgd { lr: 0.2, ..Sgd::default() }))
///     .build()?;
/// let mut learner = TaskLearner::new(step, ("x", "y"), Answers::Value)?.epochs(200)?;
/// let view = Matrix::new(3, 1, vec![1.0, -1.0, 0.5])?;
/// learner.learn(&view, &Lesson::of_labels(Answers::Value, [(0, 2.0), (1, -2.0)])?)?;
/// assert!((learner.predict(&view, &[2])?.row(0)?[0] - 1.0).abs() < 1e-6);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct TaskLearner {
    step: Step,
    input: String,
    task: String,
    answers: Answers,
    shape: Option<Vec<usize>>,
    epochs: u64,
    batch_size: usize,
    rate: Option<Box<dyn Rate>>,
    others: Named<Target>,
    rng: Rng,
    lessons: u64,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    lessons: u64,
    /// One, or none; a list, because the state of a schedule may itself be nothing.
    rate: Vec<serde_json::Value>,
    step: serde_json::Value,
    model: serde_json::Value,
}

impl TaskLearner {
    /// The task `task` of the model that `step` trains, seen through the model's input `input`.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a task that the model does not have.
    pub fn new(step: Step, (input, task): (&str, &str), answers: Answers) -> Result<Self> {
        if !step.tasks().iter().any(|known| known == task) {
            let known = step.tasks().to_vec();
            return Err(Error::Unknown { what: "task".into(), name: task.into(), known });
        }
        Ok(Self {
            step,
            input: input.into(),
            task: task.into(),
            answers,
            shape: None,
            epochs: 1,
            batch_size: 32,
            rate: None,
            others: Named::default(),
            rng: Rng::new(0),
            lessons: 0,
        })
    }

    /// The shape of one sample of the model's input, such as `[3, 32, 32]`.
    pub fn shape(mut self, shape: &[usize]) -> Self {
        self.shape = Some(shape.to_vec());
        self
    }

    /// Passes over a lesson.
    ///
    /// # Errors
    /// [`Error::Parameter`] for none.
    pub fn epochs(mut self, epochs: u64) -> Result<Self> {
        self.epochs = at_least_one("epochs", epochs)?;
        Ok(self)
    }

    /// Samples per step.
    ///
    /// # Errors
    /// [`Error::Parameter`] for none.
    pub fn batch_size(mut self, samples: usize) -> Result<Self> {
        self.batch_size = at_least_one("batch size", samples as u64)? as usize;
        Ok(self)
    }

    /// A learning-rate schedule, asked at every step.
    pub fn rate(mut self, rate: Box<dyn Rate>) -> Self {
        self.rate = Some(rate);
        self
    }

    /// The labels of another task of the model, one per sample of the view.
    ///
    /// # Errors
    /// [`Error::Name`] for this learner's own task or a task twice, [`Error::Unknown`] for one that the model does not
    /// have.
    pub fn also(mut self, task: &str, labels: Target) -> Result<Self> {
        if task == self.task {
            return Err(Error::Name { name: task.into() });
        }
        if !self.step.tasks().iter().any(|known| known == task) {
            let known = self.step.tasks().to_vec();
            return Err(Error::Unknown { what: "task".into(), name: task.into(), known });
        }
        self.others.insert(task, labels)?;
        Ok(self)
    }

    /// Where the order of the samples comes from: the fork `"network"` of `rng`.
    pub fn rng(mut self, rng: &Rng) -> Self {
        self.rng = rng.fork("network");
        self
    }

    /// The step, for its model and parameters.
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// All samples of a lesson: its own, with target and weight, and those that other tasks have labels for.
    fn rows(&self, view: &Matrix, lesson: &Lesson) -> Result<Vec<(usize, Vec<f64>, f64)>> {
        let mut rows: Vec<_> =
            lesson.iter().map(|(sample, t, weight)| (sample, t.to_vec(), weight)).collect();
        let mut known = vec![false; view.rows()];
        for (sample, ..) in &rows {
            if let Some(known) = known.get_mut(*sample) {
                *known = true;
            }
        }
        for (task, target) in self.others.iter() {
            if target.len() != view.rows() {
                let what = format!("labels of task `{task}`");
                return Err(Error::shape(what, format!("[{}, …]", view.rows()), target.value().dims()));
            }
            let weights = target
                .weight()
                .to_dtype(DType::F64)?
                .reshape((target.len(), ()))?
                .sum(1)?
                .to_vec1::<f64>()?;
            for (sample, known) in
                known.iter_mut().enumerate().filter(|(sample, known)| !**known && weights[*sample] > 0.0)
            {
                *known = true;
                rows.push((sample, vec![0.0; self.answers.width()], 0.0));
            }
        }
        Ok(rows)
    }

    fn batch(&self, view: &Matrix, rows: &[(usize, Vec<f64>, f64)]) -> Result<Batch> {
        let samples: Vec<usize> = rows.iter().map(|row| row.0).collect();
        let dtype = self.dtype();
        let device = self.step.params().device();
        let targets = rows.iter().flat_map(|row| row.1.iter().copied()).collect();
        let targets =
            Tensor::from_vec(targets, (rows.len(), self.answers.width()), device)?.to_dtype(dtype)?;
        let weights: Vec<f64> = rows.iter().map(|row| row.2).collect();
        let weights = Tensor::new(weights, device)?.to_dtype(dtype)?;
        let mut all = Named::new([(self.task.clone(), Target::weighted(targets, weights)?)])?;
        for (task, target) in self.others.iter() {
            let value = target.value().to_device(device)?;
            let chosen = Tensor::new(samples.iter().map(|&s| s as u32).collect::<Vec<_>>(), device)?;
            let weight = target.weight().to_device(device)?.index_select(&chosen, 0)?;
            all.insert(task, Target::weighted(value.index_select(&chosen, 0)?, weight)?)?;
        }
        Ok(Batch {
            inputs: Named::new([(self.input.clone(), self.tensor(view, &samples)?)])?,
            targets: all,
            indices: samples,
        })
    }

    /// Some samples as the model's input.
    fn tensor(&self, view: &Matrix, samples: &[usize]) -> Result<Tensor> {
        let mut values = Vec::with_capacity(samples.len() * view.columns());
        for &sample in samples {
            values.extend_from_slice(view.row(sample)?);
        }
        let shape = self.shape.clone().unwrap_or_else(|| vec![view.columns()]);
        let shape = [vec![samples.len()], shape].concat();
        if shape.iter().product::<usize>() != values.len() {
            return Err(Error::shape("sample of a view", format!("{:?}", &shape[1..]), &[view.columns()]));
        }
        Ok(Tensor::from_vec(values, shape, self.step.params().device())?.to_dtype(self.dtype())?)
    }

    fn dtype(&self) -> DType {
        self.step.params().named().values().next().map_or(DType::F32, |param| param.var.dtype())
    }
}

impl Learner for TaskLearner {
    fn learn(&mut self, view: &Matrix, lesson: &Lesson) -> Result<()> {
        let rows = self.rows(view, lesson)?;
        let rng = self.rng.fork_at(self.lessons);
        for epoch in 0..self.epochs {
            let mut rows = rows.clone();
            rng.fork_at(epoch).shuffle(&mut rows);
            for rows in rows.chunks(self.batch_size) {
                let batch = self.batch(view, rows)?;
                if let Some(rate) = &self.rate {
                    let now = rate.rate(self.step.base_rate(), self.step.done());
                    self.step.schedule_rate(now)?;
                }
                self.step.step(&batch)?;
            }
        }
        self.lessons += 1;
        Ok(())
    }

    fn predict(&self, view: &Matrix, samples: &[usize]) -> Result<Matrix> {
        let mut values = Vec::with_capacity(samples.len() * self.answers.width());
        for samples in samples.chunks(self.batch_size.max(256)) {
            let inputs = Named::new([(self.input.clone(), self.tensor(view, samples)?)])?;
            let predictions = autograd::no_grad(|| self.step.model().forward(&inputs, Mode::Eval))?;
            let said = predictions.require("task", &self.task)?.to_dtype(DType::F64)?;
            if said.dims() != [samples.len(), self.answers.width()] {
                let expected = format!("[{}, {}]", samples.len(), self.answers.width());
                return Err(Error::shape(format!("prediction of `{}`", self.task), expected, said.dims()));
            }
            values.extend(said.flatten_all()?.to_vec1::<f64>()?);
        }
        if let Answers::Classes(classes) = self.answers {
            values.chunks_mut(classes.max(1)).for_each(softmax);
        }
        Matrix::new(samples.len(), self.answers.width(), values)
    }
}

impl Stateful for TaskLearner {
    fn save(&self) -> Result<State> {
        let mut tensors = Named::default();
        let model = State {
            tensors: self.step.params().tensors().try_map(|_, tensor| tensor.copy())?,
            ..State::default()
        };
        let saved = Saved {
            lessons: self.lessons,
            rate: self.rate.iter().map(|rate| Ok(rate.save()?.values)).collect::<Result<_>>()?,
            step: keep(&mut tensors, "step/", self.step.save()?)?,
            model: keep(&mut tensors, "model/", model)?,
        };
        Ok(State { tensors, ..State::of(&saved)? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        all_or_nothing(self, state, Self::take)
    }
}

impl TaskLearner {
    fn take(&mut self, state: &State) -> Result<()> {
        let saved: Saved = state.read("TaskLearner")?;
        let count = |rates: usize| format!("{rates} learning-rate schedules");
        let mine = usize::from(self.rate.is_some());
        if saved.rate.len() != mine {
            return Err(Error::state("TaskLearner", count(mine), count(saved.rate.len())));
        }
        self.step.restore(&pick(state, "step/", &saved.step)?)?;
        self.step.params().load(&pick(state, "model/", &saved.model)?.tensors)?;
        for (rate, values) in self.rate.iter_mut().zip(&saved.rate) {
            rate.restore(&State { values: values.clone(), ..State::default() })?;
        }
        self.lessons = saved.lessons;
        Ok(())
    }
}

fn at_least_one(name: &str, value: u64) -> Result<u64> {
    match value {
        0 => Err(Error::parameter(name, "at least 1", 0)),
        value => Ok(value),
    }
}
