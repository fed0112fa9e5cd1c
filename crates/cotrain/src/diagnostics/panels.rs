//! The figures of how gradients meet.

use taskweave_kernels::{Error, Named, Result};

use super::{Alignment, GradientRecord};
use crate::report::{Figure, HeatMap, Report};

/// Columns of a heat map over time: as many as the card of a report holds.
const COLUMNS: usize = 8;
/// Points of a curve over time.
const POINTS: usize = 60;
/// Pairs that have a row, and pairs that have a curve.
const ROWS: usize = 24;
const CURVES: usize = 7;

/// Adds what was recorded to a report: the cosines of the pairs over time, the conflict rate, the ratios of the norms, and
/// where layers were looked at, their cosines and conflict rates.
///
/// Neighboring steps are averaged to what a page can show. Of more than 24 pairs the map shows those with the lowest mean
/// cosine, and of more than 7 the curves show these.
///
/// # Errors
/// [`Error::Parameter`] for no record, or records of fewer than two tasks.
///
/// # Example
/// ```
/// use taskweave_cotrain::diagnostics::{Alignment, GradientRecord, panels};
/// use taskweave_cotrain::report::Report;
/// use taskweave_kernels::Named;
/// use taskweave_loss::Gramian;
/// let record = |step: u64, product: f64| {
///     let gramian = Gramian::new(["class", "mask"], &[[1.0, product], [product, 4.0]])?;
///     Ok::<_, taskweave_kernels::Error>(GradientRecord { step, shared: Alignment::of(&gramian)?, layers: Named::default() })
/// };
/// let page = panels(Report::new("A run"), &[record(0, 1.0)?, record(1, -1.0)?])?.to_html()?;
/// assert!(page.contains(">0.50<") && page.contains(">−0.50<"));
/// assert!(page.contains("Conflict rate"));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn panels(report: Report, records: &[GradientRecord]) -> Result<Report> {
    let pairs = Pairs::of(records)?;
    let columns = bins(records, COLUMNS);
    let steps: Vec<String> = columns.iter().map(|bin| bin[0].step.to_string()).collect();
    let cosine =
        |bin: &[GradientRecord], pair: &Name| mean(bin.iter().filter_map(|r| pair.cosine(&r.shared)));
    let values = pairs.shown(ROWS).iter().flat_map(|pair| columns.iter().map(|bin| cosine(bin, pair)));
    let map = HeatMap::new(pairs.title(), &pairs.texts(ROWS), &steps, values.collect())?;
    let report = report
        .heat_map(map.full_at(1.0).axes("tasks", "from step"))
        .curves(conflict_rates(records))
        .curves(norm_ratios(records, &pairs));
    let layers: Vec<&str> = records[0].layers.names().collect();
    if layers.is_empty() {
        return Ok(report);
    }
    let of = |layer: &str, value: &dyn Fn(&Alignment) -> Option<f64>, bin: &[GradientRecord]| {
        mean(bin.iter().filter_map(|record| value(record.layers.get(layer)?)))
    };
    let shown = pairs.shown(CURVES);
    let by_pair =
        layers.iter().flat_map(|l| shown.iter().map(move |pair| of(l, &|a| pair.cosine(a), records)));
    let by_time =
        layers.iter().flat_map(|l| columns.iter().map(move |bin| of(l, &|a| Some(a.conflict_rate), bin)));
    let cosines =
        HeatMap::new("Cosines by layer, mean over time", &layers, &pairs.texts(CURVES), by_pair.collect())?;
    let conflicts = HeatMap::new("Conflict rate by layer", &layers, &steps, by_time.collect())?;
    Ok(report
        .heat_map(cosines.full_at(1.0).axes("layer", "tasks"))
        .heat_map(conflicts.full_at(1.0).axes("layer", "from step")))
}

fn conflict_rates(records: &[GradientRecord]) -> Figure {
    let point =
        |bin: &&[GradientRecord]| (bin[0].step as f64, mean(bin.iter().map(|r| r.shared.conflict_rate)));
    let points: Vec<_> = bins(records, POINTS).iter().map(point).collect();
    Figure::new("Conflict rate: pairs of tasks whose gradients point apart")
        .axes("step", "share of pairs")
        .series("all shared parameters", points)
}

fn norm_ratios(records: &[GradientRecord], pairs: &Pairs) -> Figure {
    let figure = Figure::new("Norm of the first task's gradient over that of the second")
        .axes("step", "ratio")
        .log_y();
    pairs.shown(CURVES).iter().fold(figure, |figure, pair| {
        // The mean of logarithms: a ratio and its inverse are equally far from 1.
        let ratio = |bin: &&[GradientRecord]| {
            let logs = bin.iter().filter_map(|r| pair.ratio(&r.shared)).map(f64::ln);
            (bin[0].step as f64, mean(logs.filter(|log| log.is_finite())).exp())
        };
        figure.series(pair.text(), bins(records, POINTS).iter().map(ratio).collect::<Vec<_>>())
    })
}

/// At most so many runs of neighboring records, of about one length.
fn bins(records: &[GradientRecord], most: usize) -> Vec<&[GradientRecord]> {
    let count = records.len().min(most);
    (0..count).map(|i| &records[i * records.len() / count..(i + 1) * records.len() / count]).collect()
}

/// The mean; NaN, which is a gap, for nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

/// The pairs of a record, those that conflict most first.
struct Pairs(Vec<Name>);

#[derive(Clone)]
struct Name {
    first: String,
    second: String,
}

impl Pairs {
    fn of(records: &[GradientRecord]) -> Result<Self> {
        let mut sums: Named<(Name, f64, f64)> = Named::default();
        for pair in records.iter().flat_map(|record| &record.shared.pairs) {
            let name = Name { first: pair.first.clone(), second: pair.second.clone() };
            let text = name.text();
            if !sums.contains(&text) {
                sums.insert(&text, (name, 0.0, 0.0))?;
            }
            let (_, sum, count) = sums.require_mut("pair", &text)?;
            (*sum, *count) = (*sum + pair.cosine, *count + 1.0);
        }
        let mut pairs: Vec<_> = sums.into_iter().map(|(_, (name, sum, count))| (name, sum / count)).collect();
        if pairs.is_empty() {
            return Err(Error::parameter(
                "records of gradients",
                "at least one, of two tasks or more",
                records.len(),
            ));
        }
        if pairs.len() > CURVES {
            pairs.sort_by(|a, b| a.1.total_cmp(&b.1));
        }
        Ok(Self(pairs.into_iter().map(|(name, _)| name).collect()))
    }

    fn shown(&self, most: usize) -> &[Name] {
        &self.0[..self.0.len().min(most)]
    }

    fn texts(&self, most: usize) -> Vec<String> {
        self.shown(most).iter().map(Name::text).collect()
    }

    fn title(&self) -> String {
        let title = "Cosines between the tasks' gradients";
        match self.0.len() {
            n if n > ROWS => format!("{title}: the {ROWS} of {n} pairs that conflict most"),
            _ => title.into(),
        }
    }
}

impl Name {
    fn text(&self) -> String {
        format!("{} · {}", self.first, self.second)
    }

    fn pair<'a>(&self, alignment: &'a Alignment) -> Option<&'a super::Pair> {
        alignment.pairs.iter().find(|pair| pair.first == self.first && pair.second == self.second)
    }

    fn cosine(&self, alignment: &Alignment) -> Option<f64> {
        Some(self.pair(alignment)?.cosine)
    }

    fn ratio(&self, alignment: &Alignment) -> Option<f64> {
        self.pair(alignment)?.norm_ratio
    }
}
