//! The lines on which a surface has a given height.
//!
//! Marching squares: the surface is known at the corners of a grid. A line crosses a side of a cell where the heights of its
//! ends lie on both sides of the wanted one, at the place that a straight side gives. A cell with crossings on all four
//! sides is a saddle; the mean of its corners says which crossings belong together. Pieces are joined at the sides that they
//! share. A cell with a corner that is not finite has no line.
//! Reference: Lorensen and Cline, "Marching Cubes", SIGGRAPH 1987 (in two dimensions).

use std::collections::HashMap;

use taskweave_kernels::{Error, Result};

/// Points `(x, y)` in the order in which a line runs through them.
pub(super) type Curve = Vec<(f64, f64)>;

/// Heights over a grid.
///
/// # Example
/// ```
/// use taskweave_cotrain::report::{Figure, Report, Surface};
/// let bowl = Surface::sampled([-2.0, 2.0], [-2.0, 2.0], 21, |x, y| x * x + y * y)?;
/// let figure = Figure::new("Bowl").level_lines(&bowl, &[1.0, 2.0]).series("path", [(2.0, 2.0), (0.0, 0.0)]);
/// assert!(Report::new("A run").curves(figure).to_html()?.contains("polyline"));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Surface {
    xs: Vec<f64>,
    ys: Vec<f64>,
    heights: Vec<f64>,
}

/// A side of a cell: from corner (column, row) to the right, or up.
type Side = (usize, usize, Way);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    Right,
    Up,
}

impl Surface {
    /// The heights of a function at `count × count` evenly spread places.
    ///
    /// # Errors
    /// [`Error::Parameter`] for fewer than two places a side, or a range that is not finite or empty.
    pub fn sampled(x: [f64; 2], y: [f64; 2], count: usize, height: impl Fn(f64, f64) -> f64) -> Result<Self> {
        if count < 2 {
            return Err(Error::parameter("places of a surface", "at least 2 a side", count));
        }
        for [low, high] in [x, y] {
            if !((high - low).is_finite() && high > low) {
                let found = format!("{low} to {high}");
                return Err(Error::parameter("range of a surface", "finite and not empty", found));
            }
        }
        let places = |[low, high]: [f64; 2]| -> Vec<f64> {
            (0..count).map(|i| low + (high - low) * (i as f64 / (count - 1) as f64)).collect()
        };
        let (xs, ys) = (places(x), places(y));
        let heights = ys.iter().flat_map(|y| xs.iter().map(|x| height(*x, *y)).collect::<Vec<_>>());
        Ok(Self { heights: heights.collect(), xs, ys })
    }

    /// The lines at a height.
    pub(super) fn lines(&self, height: f64) -> Vec<Curve> {
        let mut neighbors: HashMap<Side, Vec<Side>> = HashMap::new();
        let mut order = Vec::new();
        for row in 0..self.ys.len() - 1 {
            for column in 0..self.xs.len() - 1 {
                for [a, b] in self.pieces(column, row, height) {
                    neighbors.entry(a).or_default().push(b);
                    neighbors.entry(b).or_default().push(a);
                    order.extend([a, b]);
                }
            }
        }
        // Lines with ends first, so that a walk never starts inside one; then the closed ones.
        let ends = order.iter().filter(|side| neighbors[side].len() == 1).copied().collect::<Vec<_>>();
        let mut curves = Vec::new();
        for start in ends.into_iter().chain(order) {
            let sides = walk(start, &mut neighbors);
            if sides.len() > 1 {
                curves.push(sides.into_iter().map(|side| self.crossing(side, height)).collect());
            }
        }
        curves
    }

    /// The pieces of a line within a cell, each from one of its sides to another.
    fn pieces(&self, column: usize, row: usize, height: f64) -> Vec<[Side; 2]> {
        let corners = [(0, 0), (1, 0), (1, 1), (0, 1)].map(|(i, j)| self.at(column + i, row + j));
        if corners.iter().any(|corner| !corner.is_finite()) {
            return Vec::new();
        }
        // Around the cell: bottom, right, top, left.
        let sides = [
            (column, row, Way::Right),
            (column + 1, row, Way::Up),
            (column, row + 1, Way::Right),
            (column, row, Way::Up),
        ];
        let above = corners.map(|corner| corner > height);
        let crossed: Vec<Side> =
            (0..4).filter(|&i| above[i] != above[(i + 1) % 4]).map(|i| sides[i]).collect();
        match crossed[..] {
            [a, b] => vec![[a, b]],
            [bottom, right, top, left] => {
                // The corners on the side of the middle are connected; the line cuts off the other two.
                let middle = corners.iter().sum::<f64>() / 4.0 > height;
                match middle == above[0] {
                    true => vec![[bottom, right], [top, left]],
                    false => vec![[bottom, left], [right, top]],
                }
            }
            _ => Vec::new(),
        }
    }

    fn at(&self, column: usize, row: usize) -> f64 {
        self.heights[row * self.xs.len() + column]
    }

    /// Where a side has the height.
    fn crossing(&self, (column, row, way): Side, height: f64) -> (f64, f64) {
        let (right, up) = if way == Way::Right { (1, 0) } else { (0, 1) };
        let (from, to) = (self.at(column, row), self.at(column + right, row + up));
        let between = |a: f64, b: f64| a + (b - a) * ((height - from) / (to - from));
        let (x, y) = (self.xs[column], self.ys[row]);
        (between(x, self.xs[column + right]), between(y, self.ys[row + up]))
    }
}

/// Follows a line from one side to the next, and takes what it has followed away.
fn walk(start: Side, neighbors: &mut HashMap<Side, Vec<Side>>) -> Vec<Side> {
    let (mut sides, mut at) = (vec![start], start);
    while let Some(next) = neighbors.get_mut(&at).and_then(Vec::pop) {
        if let Some(back) = neighbors.get_mut(&next)
            && let Some(place) = back.iter().position(|side| *side == at)
        {
            back.swap_remove(place);
        }
        sides.push(next);
        at = next;
    }
    sides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_one_closed_line_of_its_radius() {
        let bowl = Surface::sampled([-2.0, 2.0], [-2.0, 2.0], 41, |x, y| x * x + y * y).unwrap();
        let lines = bowl.lines(1.5);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].first(), lines[0].last());
        assert!(lines[0].iter().all(|(x, y)| (x.hypot(*y) - 1.5f64.sqrt()).abs() < 2e-3));
        // As long as the circle, so that no piece is missing and none comes twice.
        let length: f64 = lines[0].windows(2).map(|p| (p[0].0 - p[1].0).hypot(p[0].1 - p[1].1)).sum();
        assert!((length / (2.0 * std::f64::consts::PI * 1.5f64.sqrt()) - 1.0).abs() < 2e-3, "{length}");
        assert!(bowl.lines(9.0).is_empty());
    }

    #[test]
    fn a_plane_has_one_open_line_and_a_saddle_two() {
        let plane = Surface::sampled([0.0, 1.0], [0.0, 1.0], 5, |x, _| x).unwrap();
        let line = &plane.lines(0.3)[0];
        assert_eq!((plane.lines(0.3).len(), line.len()), (1, 5));
        assert!(line.iter().all(|(x, _)| (x - 0.3).abs() < 1e-12));
        let saddle = Surface::sampled([-1.0, 1.0], [-1.0, 1.0], 2, |x, y| x * y).unwrap();
        assert_eq!(saddle.lines(0.5).len(), 2);
        assert_eq!(saddle.lines(-0.5).len(), 2);
    }

    #[test]
    fn holes_have_no_lines_and_bad_grids_are_refused() {
        let hole =
            Surface::sampled([0.0, 1.0], [0.0, 1.0], 5, |x, _| if x > 0.6 { f64::NAN } else { x }).unwrap();
        assert!(hole.lines(0.9).is_empty());
        assert!(Surface::sampled([0.0, 1.0], [0.0, 1.0], 1, |x, _| x).is_err());
        assert!(Surface::sampled([0.0, 0.0], [0.0, 1.0], 5, |x, _| x).is_err());
        assert!(Surface::sampled([0.0, f64::NAN], [0.0, 1.0], 5, |x, _| x).is_err());
    }
}
