//! Broken folders of images: every attack ends in an error that names the file, the expectation and the finding.

use image::{ImageFormat, Rgb, RgbImage};
use taskweave_data::{Dataset, ImageFolder};
use tempfile::TempDir;

use crate::hostile::{refusal, write};

fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| Rgb([(7 * x) as u8, (9 * y) as u8, (x * y) as u8]));
    let mut content = std::io::Cursor::new(Vec::new());
    image.write_to(&mut content, format).unwrap();
    content.into_inner()
}

/// A class with a whole image of 16 × 16, and beside it what the test adds.
fn folder(name: &str, content: &[u8]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "cat/0.png", &encoded(16, 16, ImageFormat::Png));
    write(root.path(), name, content);
    root
}

fn refused_file(name: &str, content: &[u8]) -> String {
    let root = folder(name, content);
    refusal(&root, ImageFolder::open(root.path()))
}

#[test]
fn image_folder_that_is_missing() {
    let root = tempfile::tempdir().unwrap();
    let text = refusal(&root, ImageFolder::open(root.path().join("nowhere")));
    assert!(text.starts_with("/nowhere: "), "{text}");
}

#[test]
fn image_folder_without_classes() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "0.png", &encoded(16, 16, ImageFormat::Png));
    assert_eq!(
        refusal(&root, ImageFolder::open(root.path())),
        ": expected a folder per class, found no folder"
    );
}

#[test]
fn class_folder_without_images() {
    assert_eq!(
        refused_file("dog/notes.txt", b"no image"),
        "/dog: expected at least one PNG or JPEG of the class, found none"
    );
}

#[test]
fn folder_inside_a_class_folder() {
    let text = refused_file("cat/more/1.png", &encoded(16, 16, ImageFormat::Png));
    assert_eq!(text, "/cat/more: expected an image of the class, found a folder");
}

#[test]
fn png_that_is_cut_off() {
    let whole = encoded(16, 16, ImageFormat::Png);
    for length in [0, 4, 20, whole.len() / 2, whole.len() - 20] {
        let text = refused_file("cat/1.png", &whole[..length]);
        assert!(text.starts_with("/cat/1.png: expected a PNG or JPEG"), "{length} bytes: {text}");
    }
}

#[test]
fn jpeg_that_is_cut_off() {
    let whole = encoded(16, 16, ImageFormat::Jpeg);
    for length in [0, 4, 20, whole.len() / 2, whole.len() - 20, whole.len() - 1] {
        let text = refused_file("cat/1.jpg", &whole[..length]);
        assert!(text.starts_with("/cat/1.jpg: expected a"), "{length} bytes: {text}");
    }
}

#[test]
fn png_with_a_changed_byte() {
    let mut content = encoded(16, 16, ImageFormat::Png);
    let middle = content.len() / 2;
    content[middle] ^= 0x55;
    assert!(refused_file("cat/1.png", &content).starts_with("/cat/1.png: expected a PNG or JPEG"));
}

#[test]
fn text_that_is_called_an_image() {
    assert!(
        refused_file("dog/1.jpeg", b"these are words").starts_with("/dog/1.jpeg: expected a PNG or JPEG")
    );
}

#[test]
fn image_of_another_format() {
    assert_eq!(refused_file("cat/1.webp", b"RIFF"), "/cat/1.webp: expected a PNG or JPEG, found WebP");
}

#[test]
fn image_of_another_size() {
    let text = refused_file("dog/1.png", &encoded(16, 8, ImageFormat::Png));
    assert_eq!(text, "/dog/1.png: expected 16 × 16 pixels, as in /cat/0.png, found 16 × 8");
}

#[test]
fn png_whose_header_promises_more_than_there_is_memory() {
    let mut content = encoded(16, 16, ImageFormat::Png);
    content[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let mut check = flate2::Crc::new();
    check.update(&content[12..29]);
    content[29..33].copy_from_slice(&check.sum().to_be_bytes());
    // Once as a file that differs from the first, once as the first itself.
    assert!(refused_file("cat/1.png", &content).starts_with("/cat/1.png: expected"));
    assert!(refused_file("ant/0.png", &content).starts_with("/ant/0.png: expected"));
}

#[test]
fn what_is_no_image_by_name_is_passed_over() {
    let root = folder("cat/Thumbs.db", b"?");
    write(root.path(), "cat/.hidden.png", b"?");
    write(root.path(), ".cache/0.png", b"?");
    write(root.path(), "classes.txt", b"cat");
    assert_eq!(ImageFolder::open(root.path()).unwrap().len(), 1);
}

#[test]
fn content_decides_on_the_format_and_gray_becomes_color() {
    let root = folder("cat/1.jpg", &encoded(16, 16, ImageFormat::Png));
    image::GrayImage::from_pixel(16, 16, image::Luma([51])).save(root.path().join("cat/2.PNG")).unwrap();
    let images = ImageFolder::open(root.path()).unwrap();
    let gray = images.get(2).unwrap().inputs["image"].flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(gray, [0.2; 768]);
}
