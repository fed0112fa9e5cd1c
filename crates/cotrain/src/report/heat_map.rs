//! A matrix with named rows and columns, in colors and numbers.

use maud::{Markup, html};
use taskweave_kernels::{Error, Result};

/// A matrix as a colored table: a confusion matrix, the cosines between the gradients of tasks.
///
/// Without negative values, color runs from white at 0 to blue at the largest value; with them, from orange at
/// minus the largest size over white at 0 to blue. The numbers are in the cells, so that nothing rests on color
/// alone. A NaN or an infinity shows as "–" without a color.
///
/// # Example
/// ```
/// use taskweave_cotrain::report::{HeatMap, Report};
/// let names = ["cat", "dog"];
/// let confusion = HeatMap::new("Confusion", &names, &names, vec![9.0, 1.0, 3.0, 7.0])?.axes("true", "predicted");
/// let page = Report::new("A run").heat_map(confusion).to_html()?;
/// assert!(page.contains("true ↓ predicted →"));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    title: String,
    rows: Vec<String>,
    columns: Vec<String>,
    axes: Option<(String, String)>,
    values: Vec<f64>,
    full: Option<f64>,
}

impl HeatMap {
    /// A matrix of `rows.len() × columns.len()` values, row after row.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of values, or none.
    pub fn new(
        title: impl Into<String>,
        rows: &[impl AsRef<str>],
        columns: &[impl AsRef<str>],
        values: Vec<f64>,
    ) -> Result<Self> {
        let title = title.into();
        if values.is_empty() || values.len() != rows.len() * columns.len() {
            let expected = format!("[{} rows × {} columns], not empty", rows.len(), columns.len());
            return Err(Error::shape(format!("heat map `{title}`"), expected, &[values.len()]));
        }
        let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let rows: Vec<&str> = rows.iter().map(AsRef::as_ref).collect();
        let columns: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
        Ok(Self { title, rows: owned(&rows), columns: owned(&columns), axes: None, values, full: None })
    }

    /// Says what the rows and the columns are.
    pub fn axes(mut self, rows: impl Into<String>, columns: impl Into<String>) -> Self {
        self.axes = Some((rows.into(), columns.into()));
        self
    }

    /// Says which size has the full color, instead of the largest one: matrices of one kind compare by it. Larger values have
    /// the full color too; a size that is not a finite number > 0 changes nothing.
    pub fn full_at(mut self, size: f64) -> Self {
        self.full = Some(size).filter(|size| size.is_finite() && *size > 0.0);
        self
    }

    pub(super) fn render(&self) -> Markup {
        let corner = self.axes.as_ref().map(|(rows, columns)| format!("{rows} ↓ {columns} →"));
        html! {
            figure.heat {
                h2 { (self.title) }
                @if let Some(corner) = &corner { p.axes { (corner) } }
                div.scroll tabindex="0" role="group" aria-label=(self.title) {
                    table {
                        thead { tr { td {} @for column in &self.columns { th scope="col" { span { (column) } } } } }
                        tbody {
                            @for (row, values) in self.rows.iter().zip(self.values.chunks(self.columns.len())) {
                                tr { th scope="row" { (row) } @for &value in values { (self.cell(value)) } }
                            }
                        }
                    }
                }
            }
        }
    }

    fn cell(&self, value: f64) -> Markup {
        if !value.is_finite() {
            return html! { td { "–" } };
        }
        let finite = || self.values.iter().filter(|v| v.is_finite());
        let largest = || finite().fold(0.0f64, |largest, v| largest.max(v.abs()));
        let full = self.full.unwrap_or_else(largest);
        let share = if full > 0.0 { value / full } else { 0.0 };
        let text = match finite().all(|v| v.fract() == 0.0) {
            true => format!("{value:.0}"),
            // What rounds to 0 has no sign.
            false => format!("{:.2}", if value.abs() < 0.005 { 0.0 } else { value }).replace('-', "−"),
        };
        // White on the dark half, black on the light one: a contrast of at least 4.5 everywhere.
        let ink = if share > 0.77 { "#fff" } else { "#000" };
        html! { td style={ "background:" (color(share)) ";color:" (ink) } { (text) } }
    }
}

/// From orange (−1) over white (0) to blue (1).
fn color(share: f64) -> String {
    const BLUE: [f64; 3] = [0.0, 82.0, 148.0];
    const ORANGE: [f64; 3] = [230.0, 120.0, 20.0];
    let end = if share < 0.0 { ORANGE } else { BLUE };
    let [r, g, b] = end.map(|e| (255.0 + (e - 255.0) * share.abs().min(1.0)).round() as u8);
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_white_and_the_largest_size_is_full() {
        assert_eq!(
            (color(0.0).as_str(), color(1.0).as_str(), color(-1.0).as_str()),
            ("#ffffff", "#005294", "#e67814")
        );
        let map = HeatMap::new("m", &["a"], &["b", "c", "d"], vec![-0.5, f64::NAN, 0.25]).unwrap();
        let page = map.render().into_string();
        assert!(page.contains("background:#e67814;color:#000\">−0.50"));
        assert!(page.contains("<td>–</td>"));
        assert!(page.contains("background:#80a9ca;color:#000\">0.25"));
    }

    #[test]
    fn a_given_size_has_the_full_color() {
        let map = HeatMap::new("m", &["a"], &["b", "c"], vec![0.5, 2.0]).unwrap().full_at(1.0);
        let page = map.clone().render().into_string();
        assert!(page.contains("background:#80a9ca") && page.contains("background:#005294"), "{page}");
        assert_eq!(map.full_at(f64::NAN).full, None);
    }

    #[test]
    fn counts_are_whole_numbers() {
        let page = HeatMap::new("m", &["a"], &["b", "c"], vec![0.0, 12.0]).unwrap().render().into_string();
        assert!(page.contains(">0</td>") && page.contains("color:#fff\">12</td>"));
    }

    #[test]
    fn a_matrix_of_another_size_is_refused() {
        let error = HeatMap::new("m", &["a", "b"], &["c"], vec![1.0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "heat map `m`: expected shape [2 rows × 1 columns], not empty, found [1]"
        );
        assert!(HeatMap::new("m", &[] as &[&str], &["c"], vec![]).is_err());
    }

    #[test]
    fn every_cell_has_a_contrast_of_4_5() {
        let luminance = |rgb: [u8; 3]| {
            let [r, g, b] = rgb.map(|c| {
                let c = f64::from(c) / 255.0;
                if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
            });
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        for step in -100..=100 {
            let map = HeatMap::new("m", &["a"], &["b", "c"], vec![f64::from(step) / 100.0, 1.0]).unwrap();
            let page = map.render().into_string();
            let style = page.split("background:#").nth(1).unwrap();
            let part = |i: usize| u8::from_str_radix(&style[2 * i..2 * i + 2], 16).unwrap();
            let back = luminance([part(0), part(1), part(2)]);
            let ink: f64 = if style[6..].starts_with(";color:#fff") { 1.0 } else { 0.0 };
            let contrast = (ink.max(back) + 0.05) / (ink.min(back) + 0.05);
            assert!(contrast >= 4.5, "{step}: {contrast}");
        }
    }
}
