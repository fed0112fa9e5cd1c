//! Lessons of soft labels on everything that has no given label.

use taskweave_kernels::{Error, Named, Result};

use super::vote::together;
use super::{Room, Turn};
use crate::learner::{Lesson, Matrix};

/// Given labels, and the probabilities or values that `teachers` say together of all other samples, with `weight` each.
pub(super) fn lesson(room: &Room<'_>, learner: &str, teachers: &[&str], weight: f64) -> Result<Lesson> {
    let given = room.pool.lesson(learner)?;
    if weight == 0.0 {
        return Ok(given);
    }
    let open = room.pool.without_given_label();
    let said = teachers.iter().map(|name| Ok((*name, room.team.predict_by(name, room.views, &open)?)));
    let said = together(&Named::new(said.collect::<Result<Vec<_>>>()?)?, room.pool.answers())?;
    let weights = vec![weight; open.len()];
    given.and(&open, &said, &weights)
}

/// Whether predictions have stopped moving since the round before, which they replace.
pub(super) fn settled(room: &Room<'_>, before: &mut Option<Vec<f64>>, tolerance: f64) -> Result<Turn> {
    let open = room.pool.without_given_label();
    let said = room.team.predict(room.views, &open)?;
    let now: Vec<f64> = said.values().flat_map(Matrix::values).copied().collect();
    let moved = match &before {
        Some(before) => before.iter().zip(&now).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs())),
        None => f64::INFINITY,
    };
    *before = Some(now);
    Ok(if moved <= tolerance { Turn::Over } else { Turn::Learn })
}

pub(super) fn check_weight(weight: f64) -> Result<f64> {
    match weight.is_finite() && weight >= 0.0 {
        true => Ok(weight),
        false => Err(Error::parameter("weight of an unlabeled sample", "a finite number ≥ 0", weight)),
    }
}
