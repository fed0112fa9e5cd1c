//! What a run leaves for people to read: the table of results and a page with its figures.
//!
//! | block | what it shows |
//! | --- | --- |
//! | [`Table`] | methods × metrics, each cell a [`Stat`] over seeds; as text, Markdown, JSON and HTML |
//! | [`Figure`] | curves over steps or epochs, marks, level lines of a [`Surface`] |
//! | [`HeatMap`] | a matrix with named rows and columns: a confusion matrix, the cosines between gradients |
//! | [`Picture`] | images side by side: input, true mask, predicted mask |
//! | [`Report`] | one self-contained HTML page of these blocks |
//!
//! A report is one file. It asks the network for nothing (its own content policy forbids it), holds its
//! pictures and figures inline, follows the reader's light or dark setting and reads on a phone.

mod axis;
mod figure;
mod gallery;
mod heat_map;
mod level_lines;
mod page;
mod palette;
mod plot;
mod stat;
mod summary;
mod table;
mod thin;

pub use figure::Figure;
pub use gallery::{Picture, Tone};
pub use heat_map::HeatMap;
pub use level_lines::Surface;
pub use page::Report;
pub use stat::Stat;
pub use summary::Summary;
pub use table::Table;
