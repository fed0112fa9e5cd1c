//! Broken files of data sets in several views.

use taskweave_data::{Dataset, Mfeat, WebkbCourse};
use taskweave_kernels::{Error, Result};
use tempfile::TempDir;

use crate::hostile::{gzip, refusal, write};

// ------------------------------------------------------------------------------- WebKB course pages

/// A safetensors file by hand: the header's text, and as many bytes.
fn safetensors(header: &str, bytes: &[u8]) -> Vec<u8> {
    let header = header.as_bytes();
    [&(header.len() as u64).to_le_bytes(), header, bytes].concat()
}

/// The header of tensors of one byte per element, laid one after the other.
fn tensors(all: &[(&str, &str, &[usize])]) -> String {
    let mut start = 0;
    let entries = all.iter().map(|(name, dtype, shape)| {
        let size: usize = shape.iter().product();
        let entry = format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{}]}}"#,
            start + size
        );
        start += size;
        entry
    });
    format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
}

fn course(content: &[u8]) -> (TempDir, Result<WebkbCourse>) {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "webkb_course.safetensors", content);
    let data = WebkbCourse::open(root.path());
    (root, data)
}

fn refused_course(all: &[(&str, &str, &[usize])], bytes: &[u8]) -> String {
    let (root, data) = course(&safetensors(&tensors(all), bytes));
    refusal(&root, data)
}

const PAGES: (&str, &str, &[usize]) = ("page_words", "U8", &[2, 3]);
const LINKS: (&str, &str, &[usize]) = ("inlink_words", "U8", &[2, 1]);
const CLASS: (&str, &str, &[usize]) = ("is_course", "U8", &[2]);

#[test]
fn course_pages_are_read_plain_or_compressed() {
    let whole = safetensors(&tensors(&[PAGES, LINKS, CLASS]), &[0, 1, 2, 3, 4, 5, 6, 7, 1, 0]);
    let (_root, data) = course(&whole);
    let data = data.unwrap();
    assert_eq!((data.len(), data.spec().inputs["page"].as_slice()), (2, [3].as_slice()));
    assert_eq!(data.get(1).unwrap().inputs["links"].to_vec1::<f32>().unwrap(), [7.0]);
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "webkb_course.safetensors.gz", &gzip(&whole));
    assert_eq!(WebkbCourse::open(root.path()).unwrap().len(), 2);
}

#[test]
fn course_pages_that_are_missing_or_no_safetensors() {
    let root = tempfile::tempdir().unwrap();
    assert!(refusal(&root, WebkbCourse::open(root.path())).ends_with("neither it nor its .gz is there"));
    let broken: [&[u8]; 4] = [b"", b"short", &[255; 64], &safetensors("{not json", &[0; 10])];
    for content in broken {
        let (root, data) = course(content);
        assert!(refusal(&root, data).contains("expected a safetensors file"), "{content:?}");
    }
    let (root, data) = course(&safetensors(&tensors(&[PAGES, LINKS, CLASS]), &[0; 9]));
    assert!(refusal(&root, data).contains("expected a safetensors file"), "cut off");
}

#[test]
fn course_pages_without_a_tensor_or_with_another_one() {
    let expected = "expected a tensor `is_course` of 1 dimensions of u8";
    assert!(refused_course(&[PAGES, LINKS], &[0; 8]).contains(expected));
    assert!(refused_course(&[PAGES, LINKS, ("is_course", "I8", &[2])], &[0; 10]).contains(expected));
    assert!(refused_course(&[PAGES, LINKS, ("is_course", "U8", &[2, 1])], &[0; 10]).contains(expected));
}

#[test]
fn course_pages_of_other_numbers() {
    let text = refused_course(&[PAGES, LINKS, ("is_course", "U8", &[3])], &[0; 11]);
    assert!(
        text.ends_with("expected 2 rows, as page_words has, found 2 rows of inlink_words, 3 of is_course"),
        "{text}"
    );
    let text = refused_course(&[PAGES, ("inlink_words", "U8", &[1, 2]), CLASS], &[0; 10]);
    assert!(text.contains("found 1 rows of inlink_words"), "{text}");
    let empty: [(&str, &str, &[usize]); 3] =
        [("page_words", "U8", &[0, 3]), ("inlink_words", "U8", &[0, 1]), ("is_course", "U8", &[0])];
    assert!(refused_course(&empty, &[]).contains("expected at least one page with words"));
}

#[test]
fn course_pages_with_a_class_out_of_range() {
    let text = refused_course(&[PAGES, LINKS, CLASS], &[0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
    assert!(text.ends_with("expected classes 0 and 1, found 2"), "{text}");
}

// ------------------------------------------------------------------------------------------- mfeat

fn refused_mfeat(content: &[u8]) -> String {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "mfeat-fou.csv", b"0,1\n0.5,3\n1e3,7\n");
    write(root.path(), "mfeat-mor.csv", content);
    refusal(&root, Mfeat::open(root.path(), &["fou", "mor"]))
}

#[test]
fn mfeat_is_read_plain_or_compressed() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "mfeat-fou.csv", b"0,1\n0.5,3\n1e3,7\n");
    write(root.path(), "mfeat-mor.csv.gz", &gzip(b"0,1,2\r\n1,2,3\r\n3,4,7\r\n"));
    let data = Mfeat::open(root.path(), &["fou", "mor"]).unwrap();
    assert_eq!((data.len(), data.spec().inputs["mor"].as_slice()), (2, [2].as_slice()));
    assert_eq!(data.get(1).unwrap().inputs["mor"].to_vec1::<f32>().unwrap(), [3.0, 4.0]);
}

#[test]
fn mfeat_that_is_missing_or_none() {
    let root = tempfile::tempdir().unwrap();
    assert!(refusal(&root, Mfeat::open(root.path(), &["fou"])).starts_with("/mfeat-fou.csv: neither"));
    assert!(matches!(Mfeat::open(root.path(), &[]), Err(Error::Parameter { .. })));
    assert!(refused_mfeat(&[0xff, 0xfe, b'\n']).contains("expected text"));
    assert!(refused_mfeat(b"").ends_with("expected rows of values and a digit, found none"));
    assert!(refused_mfeat(b"0,1\n").ends_with("expected rows of values and a digit, found none"));
    assert!(refused_mfeat(b"0\n3\n7\n").ends_with("expected rows of values and a digit, found none"));
}

#[test]
fn mfeat_with_rows_that_are_none() {
    assert!(
        refused_mfeat(b"0,1\n1,2,3\n").ends_with("expected 2 columns, as in the header, found 3 in row 0")
    );
    assert!(refused_mfeat(b"0,1\n1,3\n\n").ends_with("found 1 in row 1"));
    for digit in ["10", "-1", "3.5", "x", ""] {
        let text = refused_mfeat(format!("0,1\n1,3\n1,{digit}\n").as_bytes());
        assert!(
            text.ends_with(&format!("expected a digit in the last column, found `{digit}` in row 1")),
            "{text}"
        );
    }
    for value in ["nan", "inf", "1e99", "one", ""] {
        let text = refused_mfeat(format!("0,1\n{value},3\n").as_bytes());
        assert!(text.ends_with(&format!("expected finite numbers, found `{value}` in row 0")), "{text}");
    }
}

#[test]
fn mfeat_of_other_digits_in_another_view() {
    assert!(
        refused_mfeat(b"0,1\n1,3\n1,8\n")
            .ends_with("expected the digits of the view `fou`, found another one at row 1")
    );
    assert!(refused_mfeat(b"0,1\n1,3\n1,7\n1,7\n").ends_with("found another one at row 2"));
}
