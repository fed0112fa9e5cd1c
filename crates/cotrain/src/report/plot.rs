//! Draws a figure as SVG that scales with what holds it.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use taskweave_kernels::{Error, Result};

use super::axis::{Axis, Spacing};
use super::figure::{Figure, Look};
use super::level_lines::Curve;
use super::palette::{GRID, INK, LEVEL, SERIES};
use super::thin::thin;

/// Twice the width of a phone: the library's coordinates are whole numbers, and half pixels make smooth lines.
const SIZE: (u32, u32) = (840, 520);
/// Of labels; on a phone this becomes the size of a footnote.
const FONT: i32 = 36;
const LINE: u32 = 5;
/// The radius of a mark.
const MARK: u32 = 8;
/// A curve of many points wiggles; a finer line keeps its wiggles apart.
const FINE: (usize, u32) = (200, 3);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// The figure as an SVG element; nothing where it has no point to draw.
///
/// # Errors
/// [`Error::Parameter`] where the drawing library refuses the figure.
pub(super) fn svg(figure: &Figure) -> Result<Option<String>> {
    let place = |&(x, y): &(f64, f64)| (Spacing::Linear.place(x), figure.spacing.place(y));
    let curves: Vec<Curve> =
        figure.series.iter().map(|s| thin(&s.points.iter().map(place).collect::<Curve>())).collect();
    let ground = figure.ground.iter().map(|curve| curve.iter().map(place).collect::<Curve>());
    let curves: (Vec<Curve>, Vec<Curve>) = (ground.collect(), curves);
    let all = || curves.0.iter().chain(&curves.1).flatten();
    let points = || all().filter(|(x, y)| x.is_finite() && y.is_finite());
    let x = Axis::around(Spacing::Linear, points().map(|p| p.0), 6);
    let y = Axis::around(figure.spacing, points().map(|p| p.1), 5);
    let (Some(x), Some(y)) = (x, y) else { return Ok(None) };

    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    draw(&area, figure, (x.padded(0.02), y.padded(0.04)), &curves)
        .map_err(|e| Error::parameter(format!("figure `{}`", figure.title), "one that can be drawn", e))?;
    drop(area);
    Ok(Some(text))
}

fn draw(
    area: &Area<'_>,
    figure: &Figure,
    (x, y): (Axis, Axis),
    (ground, curves): &(Vec<Curve>, Vec<Curve>),
) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin_top(16)
        .margin_right(20)
        .x_label_area_size(92)
        .y_label_area_size(130)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.light.stroke_width(2))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.light.stroke_width(2))
        .label_style(("sans-serif", FONT, &INK.light))
        .x_desc(&figure.x)
        .y_desc(&figure.y)
        .draw()?;
    for curve in ground {
        chart.draw_series([PathElement::new(curve.clone(), LEVEL.light.stroke_width(2))])?;
    }
    // Marks lie on top of the lines.
    for look in [Look::Line, Look::Marks] {
        let series = curves.iter().zip(&figure.series).enumerate();
        for (index, (curve, _)) in series.filter(|(_, (_, series))| series.look == look) {
            for run in curve.split(|(x, y)| !(x.is_finite() && y.is_finite())) {
                match look {
                    Look::Line => line(&mut chart, index, run)?,
                    Look::Marks => marks(&mut chart, index, run)?,
                }
            }
        }
    }
    area.present()
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (from, to): (i32, i32)) -> i32 {
        from + ((place - self.low) / (self.high - self.low) * f64::from(to - from)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.marks.iter().map(|(place, _)| *place).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, place: &f64) -> String {
        self.text(*place)
    }
}

/// One unbroken piece of a curve.
fn line(chart: &mut Chart<'_>, index: usize, points: &[(f64, f64)]) -> Drawn {
    let color = SERIES[index % SERIES.len()].light;
    let style = color.stroke_width(if points.len() > FINE.0 { FINE.1 } else { LINE });
    match points {
        [] => {}
        [alone] => drop(chart.draw_series([Circle::new(*alone, 2 * LINE, color.filled())])?),
        _ if index < SERIES.len() => drop(chart.draw_series([PathElement::new(points.to_vec(), style)])?),
        _ => {
            let dashed = DashedPathElement::new(points.to_vec(), 4 * LINE, 2 * LINE, style);
            chart.draw_series([dashed])?;
        }
    }
    Ok(())
}

/// Points of their own; the second time around the colors they are hollow.
fn marks(chart: &mut Chart<'_>, index: usize, points: &[(f64, f64)]) -> Drawn {
    let color = SERIES[index % SERIES.len()].light;
    let style = if index < SERIES.len() { color.filled() } else { color.stroke_width(3) };
    chart.draw_series(points.iter().map(|point| Circle::new(*point, MARK, style)))?;
    Ok(())
}
