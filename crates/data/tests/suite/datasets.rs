//! The conformance table of data sets: a new reader is tested by a new row.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use image::{Rgb, RgbImage};
use safetensors::{Dtype, tensor::TensorView};
use taskweave_data::{
    Cifar10, Dataset, ImageFolder, Images, Labels, Memory, Mfeat, Mnist, MultiMnist, MultiMnistConfig, Part,
    School, Shapes, ShapesConfig, Subset, TwoMoons, TwoMoonsConfig, WebkbCourse, WithMask,
};
use taskweave_kernels::{Error, Named, Target};

fn table(root: &Path) -> Vec<(&'static str, Box<dyn Dataset>)> {
    let shapes = || Shapes::new(ShapesConfig { len: 12, size: 20, ..ShapesConfig::default() }).unwrap();
    vec![
        ("shapes", Box::new(shapes())),
        ("images", Box::new(images())),
        ("memory", Box::new(memory())),
        ("subset", Box::new(Subset::new(shapes(), vec![3, 3, 0]).unwrap())),
        ("with mask", Box::new(WithMask::new(images()).unwrap())),
        ("folder", Box::new(folder(root))),
        ("cifar10", Box::new(cifar(root))),
        ("mnist", Box::new(mnist(root))),
        (
            "multi_mnist",
            Box::new(MultiMnist::new(gray(), MultiMnistConfig { len: 7, ..Default::default() }).unwrap()),
        ),
        ("school", Box::new(school(root))),
        (
            "two moons",
            Box::new(TwoMoons::new(TwoMoonsConfig { len: 9, ..TwoMoonsConfig::default() }).unwrap()),
        ),
        ("webkb course", Box::new(webkb(root))),
        ("mfeat", Box::new(mfeat(root))),
        ("shared", Box::new(std::sync::Arc::new(shapes()))),
    ]
}

fn images() -> Images {
    Images::new([3, 4, 5], (0..120).collect(), vec![1, 0], vec!["a".into(), "b".into()]).unwrap()
}

fn webkb(root: &Path) -> WebkbCourse {
    let view = |shape: &[usize], bytes| TensorView::new(Dtype::U8, shape.to_vec(), bytes).unwrap();
    let tensors = [
        ("page_words", view(&[2, 3], &[1, 0, 2, 0, 5, 0])),
        ("inlink_words", view(&[2, 1], &[0, 4])),
        ("is_course", view(&[2], &[1, 0])),
    ];
    safetensors::serialize_to_file(tensors, None, &root.join("webkb_course.safetensors")).unwrap();
    WebkbCourse::open(root).unwrap()
}

fn mfeat(root: &Path) -> Mfeat {
    std::fs::write(root.join("mfeat-fou.csv"), "0,1,2\n0.5,1.5,3\n2.0,0.1,7\n").unwrap();
    Mfeat::open(root, &["fou"]).unwrap()
}

fn memory() -> Memory {
    let ones = |shape: &[usize], dtype| Tensor::ones(shape, dtype, &Device::Cpu).unwrap();
    let target = |shape: &[usize], dtype| Target::new(ones(shape, dtype)).unwrap();
    let names = vec!["a".to_string(), "b".to_string()];
    let targets = [
        ("class", (Labels::Class(names.clone()), target(&[4], DType::U32))),
        ("mask", (Labels::Mask(names), target(&[4, 2, 3], DType::U32))),
        ("value", (Labels::Value(vec![5]), target(&[4, 5], DType::F64))),
    ];
    let inputs = [("left", ones(&[4, 3, 2, 3], DType::F32)), ("right", ones(&[4, 7], DType::F32))];
    Memory::new(Named::new(inputs).unwrap(), Named::new(targets).unwrap()).unwrap()
}

fn folder(root: &Path) -> ImageFolder {
    for class in ["a", "b"] {
        let folder = root.join("folder").join(class);
        std::fs::create_dir_all(&folder).unwrap();
        RgbImage::from_pixel(6, 4, Rgb([1, 2, 3])).save(folder.join("0.jpg")).unwrap();
    }
    ImageFolder::open(root.join("folder")).unwrap()
}

fn cifar(root: &Path) -> Cifar10 {
    std::fs::write(root.join("test_batch.bin"), [[3; 3073], [9; 3073]].concat()).unwrap();
    Cifar10::open(root, Part::Test).unwrap()
}

fn mnist(root: &Path) -> Mnist {
    let images = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 255, 0];
    std::fs::write(root.join("t10k-images-idx3-ubyte"), images).unwrap();
    std::fs::write(root.join("t10k-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 1, 3]).unwrap();
    Mnist::open(root, Part::Test).unwrap()
}

fn gray() -> Images {
    Images::new([1, 4, 3], (0..36).collect(), vec![1, 0, 1], vec!["a".into(), "b".into()]).unwrap()
}

fn school(root: &Path) -> School {
    let tensors = [
        ("x", Tensor::ones((3, 28), DType::U8, &Device::Cpu).unwrap()),
        ("y", Tensor::new(&[9f32, 30.0, 7.0], &Device::Cpu).unwrap()),
        ("task", Tensor::new(&[138u8, 0, 138], &Device::Cpu).unwrap()),
    ];
    candle_core::safetensors::save(&tensors.into(), root.join("school.safetensors")).unwrap();
    School::open(root).unwrap()
}

#[test]
fn samples_are_what_the_spec_says() {
    let root = tempfile::tempdir().unwrap();
    for (name, data) in table(root.path()) {
        assert!(!data.is_empty(), "{name}");
        for index in 0..data.len() {
            let sample = data.get(index).unwrap();
            let spec = data.spec();
            let shapes = sample.inputs.map(|_, input| input.dims().to_vec());
            assert_eq!(shapes, spec.inputs, "{name}");
            // A pupil has a score at one school; everything else is labeled in full.
            if name == "school" {
                assert_eq!(sample.targets.len(), 1);
            } else {
                assert!(sample.targets.names().eq(spec.targets.names()), "{name}");
            }
            for (task, label) in sample.targets.iter() {
                check_label(&format!("{name} {task}"), label.value(), &spec.targets[task]);
            }
        }
    }
}

fn check_label(what: &str, value: &Tensor, labels: &Labels) {
    let (rank, classes) = match labels {
        Labels::Value(shape) => return assert_eq!(value.dims(), shape, "{what}"),
        Labels::Class(names) => (0, names.len()),
        Labels::Mask(names) => (2, names.len()),
    };
    assert_eq!((value.rank(), value.dtype()), (rank, DType::U32), "{what}");
    let values = value.flatten_all().unwrap().to_vec1::<u32>().unwrap();
    assert!(values.iter().all(|&class| (class as usize) < classes), "{what}");
}

#[test]
fn equal_indices_give_equal_samples() {
    let root = tempfile::tempdir().unwrap();
    for (name, data) in table(root.path()) {
        let text = || {
            let sample = data.get(data.len() - 1).unwrap();
            let bits = |tensor: &Tensor| {
                let tensor = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
                tensor.to_vec1::<f64>().unwrap()
            };
            (sample.inputs.map(|_, input| bits(input)), sample.targets.map(|_, label| bits(label.value())))
        };
        assert_eq!(text(), text(), "{name}");
    }
}

#[test]
fn an_index_out_of_range_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    for (name, data) in table(root.path()) {
        assert!(matches!(data.get(data.len()), Err(Error::Parameter { .. })), "{name}");
        assert!(matches!(data.get(usize::MAX), Err(Error::Parameter { .. })), "{name}");
    }
}

#[test]
fn a_subset_counts_its_own_indices() {
    let subset = Subset::new(images(), vec![1, 0, 1]).unwrap();
    let classes = taskweave_data::dataset::class_labels(&subset, "class").unwrap();
    assert_eq!(classes, [0, 1, 0]);
    assert!(Subset::new(images(), vec![2]).is_err());
}
