//! The table of results: methods × metrics, mean ± standard deviation over seeds.

use std::path::Path;

use taskweave_kernels::{Error, Named, Result};

use super::{Stat, Summary};
use crate::atomic;

/// Results of several methods: one row per method, one column per metric, each cell a [`Stat`] over seeds.
///
/// Columns come in the order in which the rows name them. A method need not have every metric: its cell shows
/// "–" in texts and is absent from the summary. All cells of a column have the same number of decimals, so that
/// its largest mean shows three digits; a column of whole numbers that were measured once shows none.
///
/// # Example
/// ```
/// use taskweave_cotrain::report::Table;
/// use taskweave_kernels::Named;
/// let mut table = Table::new(12.5, &[0, 1, 2])?;
/// table.samples("alone", &Named::new([("accuracy", vec![0.5, 0.6, 0.7])])?)?;
/// table.samples("jointly", &Named::new([("accuracy", vec![0.7, 0.8, 0.9]), ("images/s", vec![900.0])])?)?;
/// assert_eq!(
///     table.to_text(),
///     "method        accuracy  images/s\n\
///      alone    0.600 ± 0.100         –\n\
///      jointly  0.800 ± 0.100       900\n\
///      mean ± standard deviation over seeds 0, 1, 2; 12.5 s in all\n"
/// );
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    rows: Named<Named<Stat>>,
    columns: Vec<String>,
    seconds: f64,
    seeds: Vec<u64>,
}

impl Table {
    /// A table without rows, of an experiment that took `seconds` and was repeated with these `seeds`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for seconds that are not a finite number ≥ 0.
    pub fn new(seconds: f64, seeds: &[u64]) -> Result<Self> {
        if !(seconds.is_finite() && seconds >= 0.0) {
            return Err(Error::parameter("seconds", "a finite number ≥ 0", seconds));
        }
        Ok(Self { rows: Named::default(), columns: Vec::new(), seconds, seeds: seeds.to_vec() })
    }

    /// Appends a method with its statistics by metric.
    ///
    /// # Errors
    /// [`Error::Name`] for a method that is empty or has a row already and for a metric called `method` (that key
    /// of the summary is taken), [`Error::NonFinite`] for a NaN or an infinity. The table is unchanged then.
    pub fn row(&mut self, method: impl Into<String>, metrics: Named<Stat>) -> Result<()> {
        let method = method.into();
        if metrics.contains("method") {
            return Err(Error::Name { name: "method".into() });
        }
        if let Some((metric, _)) = metrics.iter().find(|(_, stat)| !stat.is_finite()) {
            return Err(Error::non_finite(format!("{metric} in the table"), method));
        }
        let new: Vec<String> = metrics
            .names()
            .filter(|name| !self.columns.iter().any(|c| c == name))
            .map(String::from)
            .collect();
        self.rows.insert(method, metrics)?;
        self.columns.extend(new);
        Ok(())
    }

    /// Appends a method with its measurements by metric, one per seed, or one for what no seed changes.
    ///
    /// # Errors
    /// Those of [`Table::row`], and [`Error::Parameter`] for a metric without measurements.
    pub fn samples(&mut self, method: impl Into<String>, metrics: &Named<Vec<f64>>) -> Result<()> {
        let method = method.into();
        let stats = metrics.try_map(|metric, samples| match Stat::of(samples) {
            Err(Error::NonFinite { .. }) => Err(Error::non_finite(format!("{metric} in the table"), &method)),
            Err(_) => Err(Error::parameter(format!("{metric} of {method}"), "at least one sample", 0)),
            stat => stat,
        })?;
        self.row(method, stats)
    }

    /// The table as it is saved.
    pub fn summary(&self) -> Summary<'_> {
        Summary::new(&self.rows, self.seconds, &self.seeds)
    }

    /// Writes the summary as JSON, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] where `path` cannot be written.
    pub fn write_summary(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(&self.summary())
            .map_err(|e| Error::state("the summary", "JSON values", e))?;
        text.push(b'\n');
        atomic::write(path.as_ref(), &text)
    }

    /// Plain text with aligned columns, one line per row, and a last line that says what the numbers are.
    pub fn to_text(&self) -> String {
        let grid = self.grid();
        let widths: Vec<usize> = (0..=self.columns.len())
            .map(|column| grid.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &grid {
            text += &format!("{:<width$}", row[0], width = widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                text += &format!("  {cell:>width$}");
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text + &self.caption() + "\n"
    }

    /// A Markdown table, and a paragraph that says what the numbers are.
    pub fn to_markdown(&self) -> String {
        let line = |row: &[String]| {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let grid = self.grid();
        let rule = format!("| --- |{}\n", " ---: |".repeat(self.columns.len()));
        let body: String = grid[1..].iter().map(|row| line(row)).collect();
        format!("{}{rule}{body}\n{}\n", line(&grid[0]), self.caption())
    }

    /// What the numbers are.
    pub(super) fn caption(&self) -> String {
        let seeds = self.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        let over = match self.seeds.len() {
            0 => String::new(),
            1 => format!("seed {seeds}; "),
            _ => format!("mean ± standard deviation over seeds {seeds}; "),
        };
        format!("{over}{:.1} s in all", self.seconds)
    }

    /// The header and the rows as they are shown.
    pub(super) fn grid(&self) -> Vec<Vec<String>> {
        let decimals: Vec<usize> = self.columns.iter().map(|column| self.decimals(column)).collect();
        let header = ["method".to_string()].into_iter().chain(self.columns.iter().cloned()).collect();
        let rows = self.rows.iter().map(|(method, metrics)| {
            let cells = self.columns.iter().zip(&decimals);
            let cells = cells.map(|(column, &decimals)| show(metrics.get(column), decimals));
            [method.to_string()].into_iter().chain(cells).collect()
        });
        [header].into_iter().chain(rows).collect()
    }

    fn decimals(&self, column: &str) -> usize {
        let stats = || self.rows.values().filter_map(|row| row.get(column));
        let largest = stats().map(|stat| stat.mean.abs()).fold(0.0, f64::max);
        if stats().all(|stat| stat.n <= 1 && stat.mean.fract() == 0.0) {
            return 0;
        }
        let whole_digits = if largest > 0.0 { largest.log10().floor() as i32 + 1 } else { 0 };
        (3 - whole_digits).clamp(0, 6) as usize
    }
}

fn show(stat: Option<&Stat>, decimals: usize) -> String {
    match stat {
        None => "–".to_string(),
        Some(Stat { mean, n: 0..=1, .. }) => format!("{mean:.decimals$}"),
        Some(Stat { mean, std, .. }) => format!("{mean:.decimals$} ± {std:.decimals$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(83.25, &[0, 1]).unwrap();
        let metrics = [("accuracy", vec![0.8, 0.9]), ("parameters", vec![54_321.0])];
        table.samples("class | alone", &Named::new(metrics).unwrap()).unwrap();
        let metrics = [("Δm %", vec![4.0, 6.0]), ("accuracy", vec![0.9, 0.9])];
        table.samples("jointly", &Named::new(metrics).unwrap()).unwrap();
        table
    }

    #[test]
    fn columns_come_in_the_order_of_first_mention_and_gaps_are_dashes() {
        assert_eq!(
            table().to_text(),
            "method              accuracy  parameters         Δm %\n\
             class | alone  0.850 ± 0.071       54321            –\n\
             jointly        0.900 ± 0.000           –  5.00 ± 1.41\n\
             mean ± standard deviation over seeds 0, 1; 83.2 s in all\n"
        );
    }

    #[test]
    fn a_bar_in_a_name_does_not_break_the_markdown() {
        let text = table().to_markdown();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("| method | accuracy | parameters | Δm % |"));
        assert_eq!(lines.next(), Some("| --- | ---: | ---: | ---: |"));
        assert_eq!(lines.next(), Some("| class \\| alone | 0.850 ± 0.071 | 54321 | – |"));
    }

    #[test]
    fn the_summary_is_the_table_with_keys_in_order_and_no_entry_for_a_gap() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        let mut table = Table::new(2.0, &[7]).unwrap();
        table.samples("a", &Named::new([("z", vec![1.5]), ("b", vec![2.0])]).unwrap()).unwrap();
        table.samples("c", &Named::new([("b", vec![0.1])]).unwrap()).unwrap();
        table.write_summary(&path).unwrap();
        let text: String = std::fs::read_to_string(&path).unwrap().split_whitespace().collect();
        assert_eq!(
            text,
            r#"{"rows":[{"method":"a","z":{"mean":1.5,"std":0.0},"b":{"mean":2.0,"std":0.0}},"#.to_string()
                + r#"{"method":"c","b":{"mean":0.1,"std":0.0}}],"seconds":2.0,"seeds":[7]}"#
        );
    }

    #[test]
    fn bad_rows_are_refused_and_leave_the_table_as_it_was() {
        let mut table = table();
        let before = table.clone();
        let stat = |mean, std| Named::new([("new metric", Stat { mean, std, n: 2 })]).unwrap();
        assert!(matches!(table.row("x", stat(f64::NAN, 0.0)), Err(Error::NonFinite { .. })));
        assert!(matches!(table.row("x", stat(0.0, f64::INFINITY)), Err(Error::NonFinite { .. })));
        assert!(matches!(table.row("jointly", stat(0.0, 0.0)), Err(Error::Name { .. })));
        let error = table.samples("x", &Named::new([("loss", vec![f64::NAN])]).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "loss in the table of `x` is not finite");
        let empty = table.samples("x", &Named::new([("loss", vec![])]).unwrap());
        assert!(matches!(empty, Err(Error::Parameter { .. })));
        let taken = table.samples("x", &Named::new([("method", vec![1.0])]).unwrap());
        assert!(matches!(taken, Err(Error::Name { .. })));
        assert_eq!(table, before);
        assert!(matches!(Table::new(f64::NAN, &[]), Err(Error::Parameter { .. })));
    }

    #[test]
    fn a_table_without_rows_still_reads() {
        assert_eq!(Table::new(0.0, &[]).unwrap().to_text(), "method\n0.0 s in all\n");
    }
}
