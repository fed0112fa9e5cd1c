//! Curves over steps or epochs.

use maud::{Markup, PreEscaped, html};
use taskweave_kernels::Result;

use super::axis::Spacing;
use super::level_lines::{Curve, Surface};
use super::palette::{SERIES, hex};
use super::plot;

/// A figure of several named curves with one pair of axes.
///
/// A NaN or an infinity is a gap in its curve, and so is a value ≤ 0 on a logarithmic axis. Long curves are
/// thinned to the extremes of neighboring points. From the eighth series on colors repeat with broken lines.
///
/// # Example
/// ```
/// use taskweave_cotrain::report::{Figure, Report};
/// let loss = Figure::new("Loss")
///     .axes("epoch", "loss")
///     .log_y()
///     .series("class", [(0.0, 2.3), (1.0, 0.9), (2.0, f64::NAN), (3.0, 0.4)])
///     .series("mask", [(0.0, 0.7), (1.0, 0.3)]);
/// let page = Report::new("A run").curves(loss).to_html()?;
/// assert!(page.contains("class goes from 2.3000 at 0 to 0.4000 at 3."));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Figure {
    pub(super) title: String,
    pub(super) x: String,
    pub(super) y: String,
    pub(super) spacing: Spacing,
    pub(super) series: Vec<Series>,
    pub(super) ground: Vec<Curve>,
}

/// One curve, or one set of marks.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) look: Look,
}

/// How the points of a series are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// As a line through them.
    Line,
    /// Each by itself.
    Marks,
}

impl Figure {
    /// A figure without curves.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            x: String::new(),
            y: String::new(),
            spacing: Spacing::Linear,
            series: Vec::new(),
            ground: Vec::new(),
        }
    }

    /// Names the axes.
    pub fn axes(mut self, x: impl Into<String>, y: impl Into<String>) -> Self {
        (self.x, self.y) = (x.into(), y.into());
        self
    }

    /// Makes the vertical axis logarithmic.
    pub fn log_y(mut self) -> Self {
        self.spacing = Spacing::Log;
        self
    }

    /// Adds a curve of points `(x, y)`, in the order in which the line runs through them.
    pub fn series(self, name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.with(name, points, Look::Line)
    }

    /// Adds points `(x, y)` without a line through them; from the eighth series on they are hollow.
    ///
    /// # Example
    /// ```
    /// use taskweave_cotrain::report::{Figure, Report};
    /// let front = Figure::new("Front").marks("trade-offs", [(0.0, 1.0), (1.0, 0.0)]);
    /// assert_eq!(Report::new("A run").curves(front).to_html()?.matches("r=\"8\"").count(), 2);
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn marks(self, name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.with(name, points, Look::Marks)
    }

    /// Draws the lines below everything else on which a surface has these heights, such as a loss over two parameters.
    pub fn level_lines(mut self, surface: &Surface, heights: &[f64]) -> Self {
        self.ground.extend(heights.iter().flat_map(|height| surface.lines(*height)));
        self
    }

    fn with(
        mut self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
        look: Look,
    ) -> Self {
        self.series.push(Series { name: name.into(), points: points.into_iter().collect(), look });
        self
    }

    pub(super) fn render(&self) -> Result<Markup> {
        Ok(html! {
            figure.plot {
                h2 { (self.title) }
                @match plot::svg(self)? {
                    Some(svg) => div role="img" aria-label=(self.alternative()) { (PreEscaped(svg)) },
                    None => p.none { "There is nothing to draw." },
                }
                figcaption { (self.legend()) }
            }
        })
    }

    fn legend(&self) -> Markup {
        html! {
            ul.legend {
                @for (index, series) in self.series.iter().enumerate() {
                    li { (sample(index, series.look)) (series.name) @if !self.draws(series) { " (no values)" } }
                }
            }
        }
    }

    /// What the figure shows, for those who cannot see it: where every curve starts and ends.
    fn alternative(&self) -> String {
        let scale = if self.spacing == Spacing::Log { ", logarithmic" } else { "" };
        let mut text = format!("{}: {}{scale} over {}.", self.title, self.y, self.x);
        for series in self.series.iter().filter(|series| series.look == Look::Line) {
            let mut finite = series.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
            if let Some(first @ (x, y)) = finite.next() {
                let (last_x, last_y) = finite.next_back().unwrap_or(first);
                text += &format!(" {} goes from {y:.4} at {x} to {last_y:.4} at {last_x}.", series.name);
            }
        }
        for series in self.series.iter().filter(|series| series.look == Look::Marks) {
            let count = series.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()).count();
            text += &format!(" {} has {count} marks.", series.name);
        }
        text
    }

    fn draws(&self, series: &Series) -> bool {
        series.points.iter().any(|(x, y)| x.is_finite() && self.spacing.place(*y).is_finite())
    }
}

/// A short piece of the line, or a mark, that stands for series `index`.
fn sample(index: usize, look: Look) -> Markup {
    let stroke = hex(SERIES[index % SERIES.len()].light);
    let (first, dashes) = (index < SERIES.len(), (index >= SERIES.len()).then_some("5 3"));
    html! {
        svg viewBox="0 0 24 8" aria-hidden="true" {
            @match look {
                Look::Line => line x1="1" x2="23" y1="4" y2="4" stroke=(stroke) stroke-width="3" stroke-dasharray=[dashes] {},
                Look::Marks => circle cx="12" cy="4" r="3" stroke=(stroke) stroke-width="1" fill=(if first { &stroke } else { "none" }) {},
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(figure: &Figure) -> String {
        figure.render().unwrap().into_string()
    }

    #[test]
    fn a_gap_splits_its_line_and_a_lone_point_is_a_dot() {
        let nan = f64::NAN;
        let line = Figure::new("f").series("a", [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 2.0), (4.0, 1.0)]);
        let split =
            Figure::new("f").series("a", [(0.0, 1.0), (1.0, 2.0), (2.0, nan), (3.0, 2.0), (4.0, 1.0)]);
        let lone = Figure::new("f").series("a", [(0.0, 1.0), (1.0, nan), (2.0, 3.0), (3.0, nan), (4.0, 1.0)]);
        let count = |figure: &Figure, part: &str| page(figure).matches(part).count();
        let blue = "stroke=\"#0072B2\"";
        assert_eq!(count(&split, blue) - count(&line, blue), 1);
        assert_eq!((count(&line, "<circle"), count(&lone, "<circle")), (0, 3));
    }

    #[test]
    fn nothing_to_draw_is_said_and_not_drawn() {
        let page = page(&Figure::new("Loss").log_y().series("a", []).series("b", [(0.0, -1.0)]));
        assert!(page.contains("There is nothing to draw.") && !page.contains("role=\"img\""));
        assert_eq!(page.matches("(no values)").count(), 2);
    }

    #[test]
    fn names_cannot_break_the_page() {
        let figure = Figure::new("<i>").axes("<x>", "a & b").series("<b>", [(0.0, 1.0), (1.0, 2.0)]);
        let page = page(&figure);
        assert!(!page.contains("<i>") && !page.contains("<b>") && !page.contains("<x>"));
        assert!(page.contains("a &amp; b"));
    }

    #[test]
    fn the_alternative_text_tells_where_a_curve_starts_and_ends() {
        let figure = Figure::new("Loss").axes("epoch", "loss").log_y();
        let figure = figure.series("class", [(0.0, 2.0), (1.0, f64::NAN), (2.0, 0.5)]);
        assert_eq!(
            figure.alternative(),
            "Loss: loss, logarithmic over epoch. class goes from 2.0000 at 0 to 0.5000 at 2."
        );
    }

    #[test]
    fn extreme_values_are_drawn_or_left_out_but_never_stop_a_report() {
        for y in [1e300, -1e300, f64::MIN_POSITIVE, 1e38, f64::INFINITY] {
            let figure = Figure::new("f").series("a", [(0.0, 1.0), (1.0, y), (2.0, -y)]);
            assert!(page(&figure).contains("<svg"));
            assert!(page(&figure.log_y()).contains("<svg"));
        }
    }
}
