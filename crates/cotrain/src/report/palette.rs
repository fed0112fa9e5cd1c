//! The colors of a report.
//!
//! Series take the eight colors of Okabe and Ito, which stay apart for every common kind of color blindness;
//! the order puts the ones that stand out most first. Yellow is left out: it vanishes on white.
//! A figure is drawn in the light colors, and a style sheet turns them into the dark ones where the reader's
//! system is dark.
//! Reference: Okabe, Ito, "Color Universal Design", 2008, <https://jfly.uni-koeln.de/color/>.

use std::fmt::Write;

use plotters::style::RGBColor;

/// One color in its light and dark variant.
pub(super) struct Shade {
    pub(super) light: RGBColor,
    dark: RGBColor,
}

const fn shade(light: [u8; 3], dark: [u8; 3]) -> Shade {
    Shade { light: RGBColor(light[0], light[1], light[2]), dark: RGBColor(dark[0], dark[1], dark[2]) }
}

/// The colors of the series, by their number.
pub(super) const SERIES: [Shade; 7] = [
    shade([0, 114, 178], [77, 166, 220]),    // blue
    shade([213, 94, 0], [255, 133, 51]),     // vermilion
    shade([0, 158, 115], [30, 190, 145]),    // bluish green
    shade([204, 121, 167], [225, 150, 192]), // reddish purple
    shade([230, 159, 0], [240, 180, 50]),    // orange
    shade([86, 180, 233], [140, 205, 245]),  // sky blue
    shade([90, 90, 90], [170, 170, 170]),    // gray
];

/// Text and axes.
pub(super) const INK: Shade = shade([51, 51, 52], [214, 216, 220]);

/// Grid lines.
pub(super) const GRID: Shade = shade([225, 226, 229], [62, 66, 73]);

/// Level lines.
pub(super) const LEVEL: Shade = shade([200, 203, 209], [80, 85, 93]);

/// Style rules that turn every light color of a figure into its dark one.
pub(super) fn dark_rules() -> String {
    let mut rules = String::from("@media (prefers-color-scheme: dark) {\n");
    for Shade { light, dark } in SERIES.iter().chain([&INK, &GRID, &LEVEL]) {
        let (light, dark) = (hex(*light), hex(*dark));
        // Writing into a string cannot fail.
        let _ = writeln!(
            rules,
            ".plot [fill=\"{light}\"] {{ fill: {dark} }} .plot [stroke=\"{light}\"] {{ stroke: {dark} }}"
        );
    }
    rules + "}\n"
}

/// `#RRGGBB`, as the drawing library writes it.
pub(super) fn hex(RGBColor(r, g, b): RGBColor) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}
