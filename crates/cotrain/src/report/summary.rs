//! The table of results in the form in which it is saved.

use serde::ser::{Serialize, SerializeMap, Serializer};
use taskweave_kernels::Named;

use super::Stat;

/// What `summary.json` holds: the rows of a [`Table`](super::Table), keys in the order of the table.
///
/// ```text
/// {"rows": [{"method": "jointly", "accuracy": {"mean": 0.8, "std": 0.1}, …}, …], "seconds": 12.5, "seeds": [0, 1, 2]}
/// ```
///
/// # Example
/// ```
/// use taskweave_cotrain::report::{Stat, Table};
/// use taskweave_kernels::Named;
/// let mut table = Table::new(1.0, &[0])?;
/// table.row("jointly", Named::new([("loss", Stat::of(&[0.5])?)])?)?;
/// let saved = serde_json::to_value(table.summary()).unwrap();
/// assert_eq!(saved["rows"][0]["loss"]["mean"], 0.5);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary<'a> {
    rows: Vec<Row<'a>>,
    seconds: f64,
    seeds: &'a [u64],
}

impl<'a> Summary<'a> {
    pub(super) fn new(rows: &'a Named<Named<Stat>>, seconds: f64, seeds: &'a [u64]) -> Self {
        Self { rows: rows.iter().map(|(method, metrics)| Row { method, metrics }).collect(), seconds, seeds }
    }
}

#[derive(Debug, Clone)]
struct Row<'a> {
    method: &'a str,
    metrics: &'a Named<Stat>,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.metrics.len() + 1))?;
        map.serialize_entry("method", self.method)?;
        for (metric, stat) in self.metrics.iter() {
            map.serialize_entry(metric, stat)?;
        }
        map.end()
    }
}
