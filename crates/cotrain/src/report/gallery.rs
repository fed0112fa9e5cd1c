//! Images side by side, with a caption that says whether the network was right.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use maud::{Markup, html};
use taskweave_kernels::{Error, Result};

/// What a caption says about its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// The prediction is right.
    Right,
    /// The prediction is wrong.
    Wrong,
}

/// A few images of one sample side by side, such as input, true mask and predicted mask, under one caption.
///
/// Small images are shown enlarged with their pixels as squares.
///
/// # Shapes
/// Every image is `height × width × 3` bytes of red, green and blue, row after row from the top.
///
/// # Example
/// ```
/// use taskweave_cotrain::report::{Picture, Report, Tone};
/// let black = [0u8; 2 * 2 * 3];
/// let picture = Picture::new("circle, taken for a ring", Tone::Wrong)
///     .panel("image", 2, &black)?
///     .panel("true mask", 2, &black)?;
/// let page = Report::new("A run").gallery("Predictions", vec![picture]).to_html()?;
/// assert!(page.contains("alt=\"true mask: circle, taken for a ring\""));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Picture {
    caption: String,
    tone: Tone,
    panels: Vec<Panel>,
}

#[derive(Debug, Clone)]
struct Panel {
    label: String,
    size: (u32, u32),
    png: String,
}

impl Picture {
    /// A picture without images.
    pub fn new(caption: impl Into<String>, tone: Tone) -> Self {
        Self { caption: caption.into(), tone, panels: Vec::new() }
    }

    /// Puts an image of this width at the right end; its height follows from the number of bytes.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rgb` is empty or not a whole number of rows.
    pub fn panel(mut self, label: impl Into<String>, width: usize, rgb: &[u8]) -> Result<Self> {
        let label = label.into();
        let wrong = || Error::shape(format!("panel `{label}`"), "[height, width, 3] bytes", &[rgb.len()]);
        if width == 0 || rgb.is_empty() || !rgb.len().is_multiple_of(3 * width) {
            return Err(wrong());
        }
        let height = rgb.len() / (3 * width);
        let size = (u32::try_from(width).map_err(|_| wrong())?, u32::try_from(height).map_err(|_| wrong())?);
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(rgb, size.0, size.1, ExtendedColorType::Rgb8)
            .map_err(|e| Error::parameter(format!("panel `{label}`"), "an image that PNG can hold", e))?;
        self.panels.push(Panel { label, size, png: STANDARD.encode(png) });
        Ok(self)
    }

    fn render(&self) -> Markup {
        let (class, mark) = match self.tone {
            Tone::Plain => (None, ""),
            Tone::Right => (Some("right"), "✓ "),
            Tone::Wrong => (Some("wrong"), "✗ "),
        };
        html! {
            figure.picture {
                div.panels {
                    @for Panel { label, size, png } in &self.panels {
                        img src={ "data:image/png;base64," (png) } width=(size.0) height=(size.1)
                            alt={ (label) ": " (self.caption) } title=(label);
                    }
                }
                figcaption class=[class] { (mark) (self.caption) }
            }
        }
    }
}

/// A section of pictures; the labels of the images are said once, at the top.
pub(super) fn render(title: &str, pictures: &[Picture]) -> Markup {
    let mut orders: Vec<String> = Vec::new();
    for picture in pictures {
        let labels: Vec<&str> = picture.panels.iter().map(|panel| panel.label.as_str()).collect();
        let order = labels.join(" | ");
        if !order.is_empty() && !orders.contains(&order) {
            orders.push(order);
        }
    }
    html! {
        section.gallery {
            h2 { (title) }
            @for order in &orders { p.axes { (order) } }
            @if pictures.is_empty() { p.none { "There are no pictures." } }
            div.pictures { @for picture in pictures { (picture.render()) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_the_very_pixels() {
        let rgb: Vec<u8> = (0..2 * 3 * 3).map(|i| i * 7).collect();
        let page = Picture::new("c", Tone::Right).panel("image", 3, &rgb).unwrap().render().into_string();
        let data = page.split("base64,").nth(1).unwrap().split('"').next().unwrap();
        let image = image::load_from_memory(&STANDARD.decode(data).unwrap()).unwrap().into_rgb8();
        assert_eq!((image.dimensions(), image.into_raw()), ((3, 2), rgb));
        assert!(page.contains("width=\"3\" height=\"2\" alt=\"image: c\"") && page.contains("✓ c"));
    }

    #[test]
    fn images_of_part_of_a_row_are_refused() {
        for (width, bytes) in [(0, 12), (2, 0), (2, 11), (2, 9)] {
            let picture = Picture::new("c", Tone::Plain).panel("image", width, &vec![0; bytes]);
            assert!(matches!(picture, Err(Error::Shape { .. })), "{width} {bytes}");
        }
    }

    #[test]
    fn every_order_of_panels_is_said_once() {
        let picture = |labels: &[&str]| {
            labels.iter().fold(Picture::new("c", Tone::Plain), |p, l| p.panel(*l, 1, &[0; 3]).unwrap())
        };
        let page = render("g", &[picture(&["a", "b"]), picture(&["a", "b"]), picture(&["a"])]).into_string();
        assert_eq!((page.matches(">a | b<").count(), page.matches(">a<").count()), (1, 1));
    }
}
