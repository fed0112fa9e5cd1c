//! What an aggregator remembers of every task at every coordinate, 0 at first.
//!
//! What is remembered is never written over: at each step new rows take the place of the old ones. So a saved state shares
//! its tensors with the method, and costs nothing; a step that is refused leaves everything as it was.

use candle_core::{DType, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::optim::IntoGradient;
use taskweave_kernels::{Error, Named, Result, State, sum_of_squares};

use super::pieces::{Check, Number, Pass, Piece, Sums, rows, run};
use crate::{
    Jacobian,
    known_tasks::{self, KnownTasks},
};

/// One row of numbers per task, block by block.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    tasks: KnownTasks,
    /// In how many Jacobians each known task was.
    steps: Vec<u64>,
    rows: Vec<Named<Gradient>>,
}

/// Where the rows of a Jacobian are in a memory.
pub(super) struct At {
    tasks: KnownTasks,
    /// Of each row.
    pub(super) places: Vec<usize>,
    /// In how many Jacobians the task of each row was, this one included.
    pub(super) steps: Vec<u64>,
}

impl At {
    /// How many tasks are known.
    pub(super) fn known(&self) -> usize {
        self.tasks.len()
    }
}

/// What is saved beside the rows.
#[derive(Serialize, Deserialize)]
struct Saved<S> {
    tasks: KnownTasks,
    steps: Vec<u64>,
    seen: S,
}

/// What is configured is equal, whatever is remembered.
impl PartialEq for Memory {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Memory {
    /// All tasks, of which a Jacobian may then lack some.
    ///
    /// # Errors
    /// [`Error::Shape`] where others are remembered.
    pub(super) fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        self.tasks.name(tasks)
    }

    /// How many tasks are known.
    pub(super) fn known(&self) -> usize {
        self.tasks.len()
    }

    /// Where the rows of a Jacobian are.
    ///
    /// # Errors
    /// [`Error::Shape`] where there were other tasks before.
    pub(super) fn at(&self, jacobian: &Jacobian) -> Result<At> {
        let (tasks, places) = self.tasks.places("Jacobian", jacobian.rows().names())?;
        let steps = places.iter().map(|place| self.steps.get(*place).unwrap_or(&0) + 1).collect();
        Ok(At { tasks, places, steps })
    }

    /// What is remembered of every task of a Jacobian, in its order, in f64 where its gradients are and else in f32.
    ///
    /// # Errors
    /// [`Error::Shape`] where there were other numbers before, [`Error::DType`] where they were of another type.
    fn rows(&self, at: &At, jacobian: &Jacobian) -> Result<Vec<Named<Gradient>>> {
        let row = |(place, row): (&usize, &Named<Gradient>)| {
            row.try_map(|name, like| {
                let kept = self.rows.get(*place).and_then(|kept| kept.get(name));
                kept.map_or_else(|| zeros(like), |kept| fitting(kept, name, like))
            })
        };
        at.places.iter().zip(jacobian.rows().values()).map(row).collect()
    }

    /// Remembers these rows; other tasks, and blocks that are not among them, are remembered as before.
    pub(super) fn put(&mut self, at: At, rows: Vec<Named<Gradient>>) -> Result<()> {
        self.rows.resize_with(at.known(), Named::default);
        self.steps.resize(at.known(), 0);
        known_tasks::put(&mut self.steps, &at.places, at.steps);
        self.tasks = at.tasks;
        for (place, row) in at.places.into_iter().zip(rows) {
            let kept = &mut self.rows[place];
            for (name, block) in row {
                match kept.get_mut(&name) {
                    Some(place) => *place = block,
                    None => kept.insert(name, block)?,
                }
            }
        }
        Ok(())
    }

    /// The state of a method that has this memory and has seen `seen`: one tensor per task and block.
    pub(super) fn save(&self, seen: &impl Serialize) -> Result<State> {
        let mut tensors = Named::default();
        for (i, row) in self.rows.iter().enumerate() {
            for (name, block) in row.iter() {
                tensors.insert(format!("{i}/{name}"), block.values().clone())?;
            }
        }
        Ok(State {
            tensors,
            ..State::of(&Saved { tasks: self.tasks.clone(), steps: self.steps.clone(), seen })?
        })
    }

    /// What a method that the error names has seen, and its memory.
    pub(super) fn restored<S: DeserializeOwned>(&self, method: &str, state: &State) -> Result<(S, Self)> {
        let Saved { tasks, steps, seen } = state.read(method)?;
        if steps.len() > tasks.len() {
            return Err(Error::state(method, "no more counts than tasks", steps.len()));
        }
        let tasks = self.tasks.restored(tasks)?;
        let mut rows = Vec::<Named<Gradient>>::new();
        for (name, tensor) in state.tensors.iter() {
            let place = name.split_once('/').and_then(|(i, block)| Some((i.parse::<usize>().ok()?, block)));
            let Some((i, block)) = place.filter(|(i, _)| *i < tasks.len()) else {
                let expected = format!("tensors `task/block` of {} tasks", tasks.len());
                return Err(Error::state(method, expected, format!("`{name}`")));
            };
            if !matches!(tensor.dtype(), DType::F32 | DType::F64) {
                let found = format!("{:?} for `{name}`", tensor.dtype());
                return Err(Error::state(method, "tensors of F32 or F64", found));
            }
            rows.resize_with(rows.len().max(i + 1), Named::default);
            rows[i].insert(block, tensor.clone().into())?;
        }
        Ok((seen, Self { tasks, steps, rows }))
    }
}

fn dtype(like: &Gradient) -> DType {
    if like.values().dtype() == DType::F64 { DType::F64 } else { DType::F32 }
}

fn zeros(like: &Gradient) -> Result<Gradient> {
    Ok(Tensor::zeros(like.shape(), dtype(like), like.values().device())?.into())
}

/// What is remembered of a block, where the new gradient is.
fn fitting(kept: &Gradient, name: &str, like: &Gradient) -> Result<Gradient> {
    let (shape, found) = (kept.shape(), like.shape());
    if shape != found {
        let expected = format!("{:?} as before", shape.dims());
        return Err(Error::shape(format!("block `{name}`"), expected, found.dims()));
    }
    if kept.values().dtype() != dtype(like) {
        let expected = format!("{:?} as before", kept.values().dtype());
        return Err(Error::dtype(format!("block `{name}`"), expected, dtype(like)));
    }
    Ok(kept.values().to_device(like.values().device())?.into())
}

/// What a pass makes of the memory and the gradient of a task, in the place of that memory, and the sums of its numbers.
pub(super) type Moved = (Vec<Named<Gradient>>, Vec<Sums>);

/// Every task's row m of the memory and row g of the gradients, through the pass of that task, which writes the row to be
/// remembered.
///
/// # Errors
/// Those of the memory for other numbers than before, and [`Error::NonFinite`] with the task whose row holds a NaN or an infinity,
/// or of which `summed` is none that is finite.
pub(super) fn moved<P: Pass>(
    (memory, at): (&Memory, &At),
    jacobian: &Jacobian,
    summed: &str,
    pass: impl Fn(usize) -> P + Sync,
) -> Result<Moved> {
    let (kept, gradients) = (memory.rows(at, jacobian)?, rows(jacobian));
    let row = |i: usize| {
        let (task, row) = gradients[i];
        let (row, sums) = run(&[(task, &kept[i]), (task, row)], &pass(i))?;
        if sums.iter().all(|sum| sum.is_finite()) {
            return Ok((row, sums));
        }
        run(&gradients[i..=i], &Check)?;
        Err(Error::non_finite(summed, task))
    };
    // Tasks side by side: a thread that is done with one need not wait for the others.
    let moved: Vec<Result<_>> = (0..gradients.len()).into_par_iter().map(row).collect();
    Ok(moved.into_iter().collect::<Result<Vec<_>>>()?.into_iter().unzip())
}

/// keepᵢ · mᵢ + takeᵢ · gᵢ of what is remembered and the gradients, and of each task ‖gᵢ‖² and the square of the norm of what
/// that makes.
pub(super) fn tracked(kept: (&Memory, &At), jacobian: &Jacobian, [keep, take]: [&[f64]; 2]) -> Result<Moved> {
    moved(kept, jacobian, "gradient", |i| Track { keep: keep[i], take: take[i] })
}

/// keep · m + take · g of a row m and a row g; the sums are ‖g‖² and the square of the norm of what it writes, and not finite where
/// g is not.
struct Track {
    keep: f64,
    take: f64,
}

impl Pass for Track {
    const WRITES: bool = true;
    const CHECKS: bool = false;
    const PIECE: usize = 1024;

    #[inline(always)]
    fn piece<T: Number>(&self, piece: Piece<'_, T>) -> Sums {
        let (keep, take) = (T::from_f64(self.keep), T::from_f64(self.take));
        let (m, g) = (piece.rows[0], piece.rows[1]);
        let values = m.iter().zip(g).map(|(m, g)| keep * *m + take * *g);
        piece.out.iter_mut().zip(values).for_each(|(out, value)| *out = value);
        [sum_of_squares(g), sum_of_squares(piece.out)]
    }
}

/// Rows in the place of a Jacobian's.
pub(super) fn in_place_of(jacobian: &Jacobian, rows: &[Named<Gradient>]) -> Result<Jacobian> {
    let named = jacobian.rows().names().map(String::from).zip(rows.iter().cloned());
    Jacobian::new(Named::new(named)?)
}

/// A gradient that was made of what is remembered, in the dtypes of the Jacobian's.
pub(super) fn as_gradient(made: Named<Gradient>, jacobian: &Jacobian) -> Result<Named<Gradient>> {
    let Some(first) = jacobian.rows().values().next() else { return Ok(made) };
    made.try_map(|name, block| {
        let dtype = first.require("block", name)?.values().dtype();
        block.map_values(|values| values.to_dtype(dtype))
    })
}
