//! The table, and the report of the run.

use std::path::Path;

use taskweave::cotrain::report::{Report, Table};
use taskweave::prelude::*;

use super::{Approach, Classical, Outcome, Problem};
use crate::view_pair::Way;

/// The outcomes of a problem: by split, then by approach.
type Found<'a> = [(&'a Problem, Vec<Vec<Outcome>>)];

/// The test errors of an approach, split by split.
pub fn errors(outcomes: &[Vec<Outcome>], approach: Approach) -> Vec<f64> {
    of(outcomes, approach).map(|outcome| outcome.error).collect()
}

/// Test error at the end and at the start, splits in which the end is worse, right guesses, sessions that the gate has set back.
pub fn table(found: &Found<'_>, seconds: f64) -> Result<Table> {
    let splits = found.first().map_or(0, |(_, outcomes)| outcomes.len());
    let mut table = Table::new(seconds, &(0..splits as u64).collect::<Vec<_>>())?;
    for (problem, outcomes) in found {
        for approach in Approach::ALL {
            let errors = errors(outcomes, approach);
            let starts: Vec<f64> = of(outcomes, approach)
                .zip(of(outcomes, Approach::Networks(Way::Supervised)))
                .map(|(outcome, networks)| outcome.start.unwrap_or(networks.error))
                .collect();
            let worse =
                errors.iter().zip(&starts).filter(|(error, start)| is_worse(**error, **start)).count();
            let precision: Vec<f64> =
                of(outcomes, approach).filter_map(|o| Some(100.0 * o.precision?)).collect();
            let mut metrics = Named::new([
                ("test error %", errors),
                ("at its start %", starts),
                ("splits worse", vec![worse as f64]),
            ])?;
            if !precision.is_empty() {
                metrics.insert("right guesses %", precision)?;
            }
            if approach == Approach::Rounds(Classical::CoTrainingGate) {
                let returned: usize = of(outcomes, approach).map(|outcome| outcome.returned).sum();
                metrics.insert("draws set back", vec![returned as f64])?;
            }
            let name = match found.len() {
                1 => approach.name().to_string(),
                _ => format!("{}: {}", problem.name, approach.name()),
            };
            table.samples(name, &metrics)?;
        }
    }
    Ok(table)
}

/// Writes the page: the table, and what happened in the first split of each problem.
pub fn write(found: &Found<'_>, table: &Table, path: &Path) -> Result<()> {
    let mut page = Report::new("Co-training with few labels")
        .lead(
            "The same splits into labeled, unlabeled and test samples for every method. Worse counts the splits in which \
             a method made more errors than at its own start, in round 0: two learners with a view each, one learner that \
             sees both views (self-training and EM), three learners on draws with replacement (tri-training), of the \
             given labels alone in each case.",
        )
        .table(table);
    for (problem, outcomes) in found {
        for classical in [Classical::CoTraining, Classical::CoTrainingVote, Classical::CoTrainingGate] {
            if let Some(outcome) = of(outcomes, Approach::Rounds(classical)).next() {
                let name = format!("{}, {}, split 0", problem.name, classical.name());
                page = outcome.history.panels(page, &name)?;
            }
        }
    }
    page.write(path)
}

/// More errors; both are shares of the same test samples, and round differently.
fn is_worse(error: f64, start: f64) -> bool {
    error > start + 1e-9
}

fn of(outcomes: &[Vec<Outcome>], approach: Approach) -> impl Iterator<Item = &Outcome> {
    let place = Approach::ALL.iter().position(|other| *other == approach).unwrap_or(0);
    outcomes.iter().filter_map(move |split| split.get(place))
}
