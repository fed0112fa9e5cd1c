//! Broken files: every attack ends in an error that names the file, the expectation and the finding.

use std::io::Write;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use flate2::{Compression, write::GzEncoder};
use taskweave_data::{Cifar10, Dataset, Mnist, Part, School};
use taskweave_kernels::{Error, Result};
use tempfile::TempDir;

/// The text of an error, with the folder of the test taken out.
pub fn refusal<T>(root: &TempDir, result: Result<T>) -> String {
    let error = result.err().expect("it was accepted");
    assert!(matches!(error, Error::Data { .. } | Error::Io { .. }), "{error}");
    error.to_string().replace(&format!("{}", root.path().display()), "")
}

pub fn write(root: &Path, name: &str, content: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

// ---------------------------------------------------------------------------------------------- MNIST

fn idx(magic: u32, sizes: &[u32], elements: &[u8]) -> Vec<u8> {
    let header = std::iter::once(&magic).chain(sizes).flat_map(|word| word.to_be_bytes());
    header.chain(elements.iter().copied()).collect()
}

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Two images of 1 × 2 pixels; one of the two files is given by the test.
fn mnist(images: Option<&[u8]>, labels: Option<&[u8]>) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let whole = idx(0x803, &[2, 1, 2], &[0, 1, 2, 3]);
    write(root.path(), "train-images-idx3-ubyte", images.unwrap_or(&whole));
    write(root.path(), "train-labels-idx1-ubyte", labels.unwrap_or(&idx(0x801, &[2], &[7, 9])));
    root
}

fn refused_images(content: &[u8]) -> String {
    let root = mnist(Some(content), None);
    refusal(&root, Mnist::open(root.path(), Part::Train))
}

fn refused_labels(content: &[u8]) -> String {
    let root = mnist(None, Some(content));
    refusal(&root, Mnist::open(root.path(), Part::Train))
}

#[test]
fn whole_idx_files_are_read() {
    let root = mnist(None, None);
    assert_eq!(Mnist::open(root.path(), Part::Train).unwrap().len(), 2);
}

#[test]
fn idx_that_is_missing() {
    let root = mnist(None, None);
    assert_eq!(
        refusal(&root, Mnist::open(root.path(), Part::Test)),
        "/t10k-images-idx3-ubyte: neither it nor its .gz is there"
    );
}

#[test]
fn idx_of_another_magic() {
    assert_eq!(
        refused_images(&idx(0x801, &[2, 1, 2], &[0; 4])),
        "/train-images-idx3-ubyte: expected idx magic 0x00000803, found 0x00000801"
    );
}

#[test]
fn idx_with_a_header_cut_off() {
    assert_eq!(
        refused_images(&idx(0x803, &[2], &[])),
        "/train-images-idx3-ubyte: expected an idx header of 16 bytes, found 8 bytes"
    );
}

#[test]
fn idx_with_elements_cut_off() {
    assert_eq!(
        refused_images(&idx(0x803, &[2, 1, 2], &[0; 3])),
        "/train-images-idx3-ubyte: expected 20 bytes, as the sizes [2, 1, 2] promise, found 19"
    );
}

#[test]
fn idx_with_too_many_elements() {
    assert!(refused_images(&idx(0x803, &[2, 1, 2], &[0; 50])).ends_with("[2, 1, 2] promise, found more"));
}

#[test]
fn idx_that_promises_more_than_there_is_memory() {
    let sizes = [u32::MAX; 3];
    assert!(refused_images(&idx(0x803, &sizes, &[0; 4])).contains("promise, found 20"));
}

#[test]
fn idx_without_images() {
    assert!(refused_images(&idx(0x803, &[0, 28, 28], &[])).ends_with("found sizes [0, 28, 28]"));
    assert!(refused_images(&idx(0x803, &[2, 0, 28], &[])).ends_with("found sizes [2, 0, 28]"));
}

#[test]
fn idx_with_another_number_of_labels() {
    assert_eq!(
        refused_labels(&idx(0x801, &[3], &[1, 2, 3])),
        "/train-labels-idx1-ubyte: expected 2 labels, one per image, found 3"
    );
}

#[test]
fn idx_with_a_label_out_of_range() {
    assert_eq!(
        refused_labels(&idx(0x801, &[2], &[1, 10])),
        "/train-labels-idx1-ubyte: expected labels from 0 to 9, found 10 at 1"
    );
}

fn compressed(content: &[u8]) -> TempDir {
    let root = mnist(None, None);
    std::fs::remove_file(root.path().join("train-images-idx3-ubyte")).unwrap();
    write(root.path(), "train-images-idx3-ubyte.gz", content);
    root
}

#[test]
fn compressed_idx_is_read_and_cut_off_refused() {
    let whole = gzip(&idx(0x803, &[2, 1, 2], &[0, 255, 2, 3]));
    let root = compressed(&whole);
    let sample = Mnist::open(root.path(), Part::Train).unwrap().get(0).unwrap();
    assert_eq!(sample.inputs["image"].flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.0, 1.0]);
    let root = compressed(&whole[..whole.len() - 9]);
    let text = refusal(&root, Mnist::open(root.path(), Part::Train));
    assert!(text.starts_with("/train-images-idx3-ubyte.gz: expected a whole gzip file, found"), "{text}");
}

#[test]
fn compressed_idx_that_is_no_gzip() {
    let root = compressed(b"this is no gzip");
    let text = refusal(&root, Mnist::open(root.path(), Part::Train));
    assert!(text.starts_with("/train-images-idx3-ubyte.gz: expected a whole gzip file, found"), "{text}");
}

#[test]
fn compressed_idx_that_inflates_beyond_its_sizes() {
    let mut content = idx(0x803, &[2, 1, 2], &[]);
    content.resize(64 << 20, 0);
    let root = compressed(&gzip(&content));
    assert!(refusal(&root, Mnist::open(root.path(), Part::Train)).ends_with("found more"));
}

// ------------------------------------------------------------------------------------------- CIFAR-10

fn refused_cifar(content: &[u8]) -> String {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "data_batch_1.bin", &[1; 3073]);
    write(root.path(), "data_batch_2.bin", content);
    refusal(&root, Cifar10::open(root.path(), Part::Train))
}

#[test]
fn cifar_batches_are_read_in_order_plain_or_compressed() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "data_batch_2.bin", &[[2; 3073], [4; 3073]].concat());
    write(root.path(), "data_batch_1.bin.gz", &gzip(&[1; 3073]));
    let cifar = Cifar10::open(root.path(), Part::Train).unwrap();
    let classes = taskweave_data::dataset::class_labels(&cifar, "class").unwrap();
    assert_eq!(classes, [1, 2, 4]);
}

#[test]
fn cifar_batch_that_is_no_whole_number_of_records() {
    assert_eq!(
        refused_cifar(&[0; 3072]),
        "/data_batch_2.bin: expected records of 3073 bytes, found 3072 bytes"
    );
}

#[test]
fn cifar_batch_that_is_empty() {
    assert!(refused_cifar(&[]).ends_with("expected records of 3073 bytes, found 0 bytes"));
}

#[test]
fn cifar_batch_with_a_class_out_of_range() {
    let content = [[9; 3073], [10; 3073]].concat();
    assert_eq!(refused_cifar(&content), "/data_batch_2.bin: expected classes from 0 to 9, found 10 at 1");
}

#[test]
fn cifar_folder_without_batches() {
    let root = tempfile::tempdir().unwrap();
    let text = refusal(&root, Cifar10::open(root.path(), Part::Test));
    assert_eq!(text, ": expected test_batch.bin, found none");
}

// --------------------------------------------------------------------------------------------- school

/// A file of two pupils, in which the tensors of the test take the places of the whole ones.
fn school(changed: &[(&str, Tensor)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let whole = [
        ("x", Tensor::ones((2, 28), DType::U8, &Device::Cpu).unwrap()),
        ("y", Tensor::new(&[9f32, 30.0], &Device::Cpu).unwrap()),
        ("task", Tensor::new(&[0u8, 138], &Device::Cpu).unwrap()),
    ];
    let tensors = whole.into_iter().chain(changed.iter().cloned()).collect();
    candle_core::safetensors::save(&tensors, root.path().join("school.safetensors")).unwrap();
    root
}

fn refused_school(name: &str, tensor: Tensor) -> String {
    let root = school(&[(name, tensor)]);
    let text = refusal(&root, School::open(root.path()));
    text.strip_prefix("/school.safetensors: ").unwrap().to_string()
}

#[test]
fn school_files_are_read_plain_or_compressed() {
    let root = school(&[]);
    let read = School::open(root.path()).unwrap();
    assert_eq!((read.len(), read.schools()), (2, vec![0, 138]));
    let path = root.path().join("school.safetensors");
    let content = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    write(root.path(), "school.safetensors.gz", &gzip(&content));
    assert_eq!(School::open(root.path()).unwrap().len(), 2);
}

#[test]
fn school_file_that_is_missing_or_something_else() {
    let root = tempfile::tempdir().unwrap();
    let text = refusal(&root, School::open(root.path()));
    assert_eq!(text, "/school.safetensors: neither it nor its .gz is there");
    write(root.path(), "school.safetensors", b"these are words");
    let text = refusal(&root, School::open(root.path()));
    assert!(text.starts_with("/school.safetensors: expected tensors in the safetensors format"), "{text}");
}

#[test]
fn school_file_that_is_cut_off() {
    let root = school(&[]);
    let path = root.path().join("school.safetensors");
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 7, 40, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let text = refusal(&root, School::open(root.path()));
        assert!(text.starts_with("/school.safetensors: expected tensors"), "{length} bytes: {text}");
    }
}

#[test]
fn school_file_without_one_of_its_tensors() {
    let root = tempfile::tempdir().unwrap();
    let x = Tensor::ones((2, 28), DType::U8, &Device::Cpu).unwrap();
    candle_core::safetensors::save(&[("x", x)].into(), root.path().join("school.safetensors")).unwrap();
    let text = refusal(&root, School::open(root.path()));
    assert_eq!(text, "/school.safetensors: expected a tensor `y`, found none");
}

#[test]
fn school_tensors_of_another_shape() {
    let ones = |shape: &[usize], dtype| Tensor::ones(shape, dtype, &Device::Cpu).unwrap();
    let pupils = "expected `x` of shape [pupils, 28], at least one pupil, found";
    assert_eq!(refused_school("x", ones(&[2, 27], DType::U8)), format!("{pupils} [2, 27]"));
    assert_eq!(refused_school("x", ones(&[0, 28], DType::U8)), format!("{pupils} [0, 28]"));
    assert_eq!(refused_school("y", ones(&[3], DType::F32)), "expected `y` of shape [2], found [3]");
    assert_eq!(
        refused_school("task", ones(&[2, 1], DType::U8)),
        "expected `task` of shape [2], found [2, 1]"
    );
}

#[test]
fn school_tensors_of_another_dtype() {
    let ones = |shape: &[usize], dtype| Tensor::ones(shape, dtype, &Device::Cpu).unwrap();
    assert_eq!(refused_school("x", ones(&[2, 28], DType::F32)), "expected `x` of U8, found F32");
    assert_eq!(refused_school("y", ones(&[2], DType::F64)), "expected `y` of F32, found F64");
    assert_eq!(refused_school("task", ones(&[2], DType::U32)), "expected `task` of U8, found U32");
}

#[test]
fn school_numbers_out_of_range() {
    let task = Tensor::new(&[0u8, 139], &Device::Cpu).unwrap();
    assert_eq!(refused_school("task", task), "expected schools below 139 in `task`, found 139 at 1");
    let y = Tensor::new(&[f32::NAN, 1.0], &Device::Cpu).unwrap();
    assert_eq!(refused_school("y", y), "expected finite scores in `y`, found NaN at 0");
}
