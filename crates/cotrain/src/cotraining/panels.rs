//! What a session leaves on the page of a run.

use taskweave_kernels::{Named, Result};

use super::{RoundRecord, Rounds};
use crate::gate;
use crate::report::{Figure, HeatMap, Report};

impl Rounds {
    /// Adds what happened to a page: how the pool grew, how many guesses were right, the scores by learner, what the gate saw,
    /// and the agreement at the end. A figure without a point is left out.
    ///
    /// # Errors
    /// Those of the figures.
    ///
    /// # Example
    /// ```
    /// use taskweave_cotrain::{cotraining::Rounds, report::Report};
    /// let page = Rounds::default().panels(Report::new("Nothing yet"), "co-training")?.to_html()?;
    /// assert!(!page.contains("<svg"));
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn panels(&self, page: Report, name: &str) -> Result<Report> {
        let last = self.rounds.last();
        let scores: Vec<&str> = last.map(|record| record.scores.names().collect()).unwrap_or_default();
        let count = |f: fn(&RoundRecord) -> usize| move |record: &RoundRecord| Some(f(record) as f64);
        let mut page = self.figure(
            page,
            &format!("{name}: samples"),
            &[
                ("with a guessed label", &count(|record| record.pseudo)),
                ("without a label", &count(|record| record.unlabeled)),
            ],
        );
        page = self.figure(
            page,
            &format!("{name}: share of right guesses"),
            &[("all so far", &|r| r.precision)],
        );
        let curves = scores
            .iter()
            .map(|score| (*score, move |record: &RoundRecord| record.scores.get(score).copied()));
        let curves: Vec<_> = curves.collect();
        let curves: Vec<(&str, Curve<'_>)> = curves.iter().map(|(name, f)| (*name, f as Curve<'_>)).collect();
        page = self.figure(page, &format!("{name}: score on samples to be judged by"), &curves);
        let seen = self.rounds.iter().filter_map(|record| Some((record.round, record.decision.as_ref()?)));
        if let Some(figure) = gate::figure(&format!("{name}: what the gate saw"), "round", seen) {
            page = page.curves(figure);
        }
        match last.filter(|record| !record.agreement.is_empty()) {
            Some(record) => {
                Ok(page.heat_map(agreement(&format!("{name}: agreement at the end"), &record.agreement)?))
            }
            None => Ok(page),
        }
    }

    fn figure(&self, page: Report, title: &str, curves: &[(&str, Curve<'_>)]) -> Report {
        let mut figure = Figure::new(title).axes("round", "");
        let mut empty = true;
        for (name, value) in curves {
            let points: Vec<(f64, f64)> =
                self.rounds.iter().filter_map(|record| Some((record.round as f64, value(record)?))).collect();
            if !points.is_empty() {
                figure = figure.series(*name, points);
                empty = false;
            }
        }
        if empty { page } else { page.curves(figure) }
    }
}

type Curve<'a> = &'a dyn Fn(&RoundRecord) -> Option<f64>;

fn agreement(title: &str, matrix: &Named<Named<f64>>) -> Result<HeatMap> {
    let names: Vec<&str> = matrix.names().collect();
    let values = matrix.values().flat_map(|row| row.values().copied()).collect();
    HeatMap::new(title, &names, &names, values)
}
