//! One self-contained HTML page.

use std::fmt::Display;
use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use taskweave_kernels::Result;

use super::{Figure, HeatMap, Picture, Table, gallery, palette};
use crate::atomic;

const STYLE: &str = include_str!("report.css");

/// What the page may load: its own styles and inline images, nothing else.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// A page of tables, curves, matrices and pictures, in the order in which they are added.
///
/// # Example
/// ```
/// use taskweave_cotrain::report::{Figure, Report};
/// let page = Report::new("Class and mask")
///     .lead("One network, two tasks.")
///     .facts([("seed", "0"), ("device", "cpu")])
///     .curves(Figure::new("Loss").axes("epoch", "loss").series("class", [(0.0, 2.0), (1.0, 1.0)]))
///     .to_html()?;
/// assert!(page.starts_with("<!DOCTYPE html>"));
/// assert_eq!(page.matches("<dt>").count(), 2);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Report {
    title: String,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone)]
enum Block {
    Ready(Markup),
    Curves(Figure),
}

impl Report {
    /// A page with a title and nothing below it.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), blocks: Vec::new() }
    }

    /// Adds a paragraph.
    pub fn lead(self, text: impl AsRef<str>) -> Self {
        self.with(html! { p.lead { (text.as_ref()) } })
    }

    /// Adds a table of results.
    pub fn table(self, table: &Table) -> Self {
        self.titled_table("Results", table)
    }

    /// Adds a table under a title of its own.
    pub fn titled_table(self, title: impl AsRef<str>, table: &Table) -> Self {
        let title = title.as_ref();
        let grid = table.grid();
        let (header, rows) = grid.split_first().map_or((&[][..], &[][..]), |(header, rows)| (header, rows));
        self.with(html! {
            section.results {
                h2 { (title) }
                div.scroll tabindex="0" role="group" aria-label=(title) {
                    table {
                        thead { tr { @for name in header { th scope="col" { (name) } } } }
                        tbody {
                            @for row in rows {
                                tr {
                                    @for name in &row[..1] { th scope="row" { (name) } }
                                    @for cell in &row[1..] { td { (cell) } }
                                }
                            }
                        }
                    }
                }
                p.axes { (table.caption()) }
            }
        })
    }

    /// Adds a list of names and values: the setting of a run.
    pub fn facts<N: Display, V: Display>(self, facts: impl IntoIterator<Item = (N, V)>) -> Self {
        self.with(html! {
            section.facts {
                h2 { "Facts" }
                dl {
                    @for (name, value) in facts {
                        div { dt { (name.to_string()) } dd { (value.to_string()) } }
                    }
                }
            }
        })
    }

    /// Adds a figure of curves.
    pub fn curves(mut self, figure: Figure) -> Self {
        self.blocks.push(Block::Curves(figure));
        self
    }

    /// Adds a matrix.
    pub fn heat_map(self, map: HeatMap) -> Self {
        self.with(map.render())
    }

    /// Adds a section of pictures.
    pub fn gallery(self, title: impl AsRef<str>, pictures: Vec<Picture>) -> Self {
        self.with(gallery::render(title.as_ref(), &pictures))
    }

    /// The page.
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) for a figure that cannot be drawn.
    pub fn to_html(&self) -> Result<String> {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    link rel="icon" href="data:,";
                    style { (PreEscaped(STYLE)) (PreEscaped(palette::dark_rules())) }
                }
                body {
                    main {
                        h1 { (self.title) }
                        @for block in &self.blocks { (block.render()?) }
                    }
                }
            }
        };
        Ok(page.into_string())
    }

    /// Writes the page, whole or not at all. The folder must exist.
    ///
    /// # Errors
    /// Those of [`Report::to_html`], and [`Error::Io`](taskweave_kernels::Error::Io) where `path` cannot be
    /// written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        atomic::write(path.as_ref(), self.to_html()?.as_bytes())
    }

    fn with(mut self, block: Markup) -> Self {
        self.blocks.push(Block::Ready(block));
        self
    }
}

impl Block {
    fn render(&self) -> Result<Markup> {
        match self {
            Self::Ready(markup) => Ok(markup.clone()),
            Self::Curves(figure) => figure.render(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Tone;
    use taskweave_kernels::{Error, Named};

    fn full() -> Report {
        let mut table = Table::new(3.0, &[0]).unwrap();
        table.samples("<jointly>", &Named::new([("accuracy", vec![0.5])]).unwrap()).unwrap();
        Report::new("A & B")
            .lead("text")
            .table(&table)
            .facts([("seed", 0)])
            .curves(Figure::new("Loss").series("class", [(0.0, 1.0), (1.0, 0.5)]))
            .heat_map(HeatMap::new("Confusion", &["a"], &["b"], vec![1.0]).unwrap())
            .gallery("Pictures", vec![Picture::new("c", Tone::Plain).panel("image", 1, &[1, 2, 3]).unwrap()])
    }

    #[test]
    fn nothing_on_the_page_points_to_the_network() {
        let page = full().to_html().unwrap();
        assert!(!page.contains("<script") && !page.contains("@import") && !page.contains("url("));
        let namespaces = page.matches("http://www.w3.org/2000/svg").count();
        assert_eq!(page.matches("http").count() - page.matches("http-equiv").count(), namespaces);
    }

    #[test]
    fn text_is_escaped_and_every_image_has_an_alternative() {
        let page = full().to_html().unwrap();
        assert!(page.contains("<title>A &amp; B</title>") && page.contains("&lt;jointly&gt;"));
        assert_eq!(page.matches("<img ").count(), page.matches(" alt=\"").count());
    }

    #[test]
    fn blocks_stand_in_the_order_in_which_they_were_added() {
        let page = full().to_html().unwrap();
        let heads: Vec<usize> = ["Results", "Facts", "Loss", "Confusion", "Pictures"]
            .iter()
            .map(|title| page.find(&format!("<h2>{title}</h2>")).unwrap())
            .collect();
        assert!(heads.is_sorted(), "{heads:?}");
    }

    #[test]
    fn a_page_is_written_whole_or_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        full().write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), full().to_html().unwrap());
        let missing = folder.path().join("none").join("report.html");
        let error = full().write(&missing).unwrap_err();
        assert!(matches!(error, Error::Io { path, .. } if path == missing));
    }
}
