//! The trajectories on the level lines of the two losses' sum.

use taskweave::cotrain::report::{Figure, Report, Surface, Table};
use taskweave::prelude::*;

use super::{Path, STARTS, losses};

/// One figure per method and scale, below the table.
pub fn report(table: &Table, found: &[(String, Vec<Path>)]) -> Result<Report> {
    let surface = Surface::sampled([-11.0, 11.0], [-11.0, 11.0], 111, |x, y| {
        let [first, second] = losses([x, y], 1.0);
        first.value + second.value
    })?;
    // Close together where the losses are low and flat, wide apart on the slopes.
    let heights = [-35.0, -30.0, -25.0, -20.0, -15.0, -10.0, -6.0, -3.0, 0.0, 3.0, 6.0, 9.0, 12.0];
    let report = Report::new("Two losses whose gradients conflict")
        .lead(
            "Adam follows the update of each method from five starts, with the first loss at a tenth of its size and at its \
             size. Thin lines: equal sums of both losses. Gray: the best trade-offs. A circle is where a descent ends; one \
             that ends above the gray line is stuck in the valley.",
        )
        .table(table);
    Ok(found.iter().fold(report, |report, (name, paths)| {
        let figure = Figure::new(name).axes("x₁", "x₂").level_lines(&surface, &heights);
        let figure = STARTS.iter().zip(paths).fold(figure, |figure, (start, path)| {
            let name = format!("from ({}, {})", start[0], start[1]).replace('-', "−");
            figure.series(name, path.points.iter().map(|x| (x[0], x[1])))
        });
        let ends: Vec<(f64, f64)> = paths.iter().map(|path| path.end()).map(|x| (x[0], x[1])).collect();
        let figure = figure.marks("ends", ends).series("best trade-offs", [(-7.0, -8.36), (7.0, -8.36)]);
        report.curves(figure)
    }))
}
