//! Real files, where `TASKWEAVE_DATA` says where they are.

use std::path::PathBuf;
use std::sync::Arc;

use taskweave_data::{
    Dataset, ImageFolder, Mfeat, Mnist, MultiMnist, MultiMnistConfig, Part, School, WebkbCourse, WithMask,
    dataset::class_labels,
};

/// The folder, or nothing and a message where the variable is unset.
fn real(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TASKWEAVE_DATA");
    if root.is_none() {
        println!("skipped: TASKWEAVE_DATA is unset, so there is no {folder}");
    }
    root.map(|root| PathBuf::from(root).join(folder))
}

fn foreground(data: &dyn Dataset, index: usize) -> (Vec<f32>, Vec<u32>) {
    let sample = data.get(index).unwrap();
    let image = sample.inputs["image"].mean(0).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    (image, sample.targets["mask"].value().flatten_all().unwrap().to_vec1().unwrap())
}

#[test]
fn mnist_is_complete_and_its_masks_are_the_strokes() {
    let Some(root) = real("mnist") else { return };
    let train = Mnist::open(&root, Part::Train).unwrap();
    let labels = class_labels(&train, "class").unwrap();
    assert_eq!((labels.len(), &labels[..5]), (60_000, [5, 0, 4, 1, 9].as_slice()));
    assert_eq!(train.spec().inputs["image"], [1, 28, 28]);
    let test = WithMask::new(Mnist::open(&root, Part::Test).unwrap()).unwrap();
    assert_eq!(test.len(), 10_000);
    for index in 0..500 {
        let (image, mask) = foreground(&test, index);
        let dark = image.iter().zip(&mask).all(|(&light, &region)| region == 1 || light < 0.7);
        let share = mask.iter().sum::<u32>() as f32 / 784.0;
        assert!(dark && (0.02..0.5).contains(&share), "{index}: {share}");
    }
}

#[test]
fn cifar10_photographs_have_classes_and_two_regions() {
    let Some(root) = real("cifar10_jpg") else { return };
    let data = WithMask::new(ImageFolder::open(root.join("test")).unwrap()).unwrap();
    assert_eq!((data.len(), data.spec().inputs["image"].as_slice()), (3000, [3, 32, 32].as_slice()));
    assert_eq!(data.spec().targets["class"].classes().unwrap()[9], "truck");
    for index in (0..3000).step_by(10) {
        let (_, mask) = foreground(&data, index);
        let front = mask.iter().sum::<u32>();
        assert!(0 < front && front < 1024, "{index}: {front} pixels");
    }
}

#[test]
fn pairs_of_mnist_show_both_digits_and_keep_their_labels() {
    let Some(root) = real("mnist") else { return };
    let test = Arc::new(Mnist::open(&root, Part::Test).unwrap());
    let pairs =
        MultiMnist::new(test.clone(), MultiMnistConfig { len: 200, ..MultiMnistConfig::default() }).unwrap();
    let pixels = |sample: &taskweave_data::Sample| {
        sample.inputs["image"].squeeze(0).unwrap().to_vec2::<f32>().unwrap()
    };
    for index in 0..200 {
        let (both, digits) =
            (pairs.get(index).unwrap(), pairs.pair(index).unwrap().map(|i| test.get(i).unwrap()));
        let (canvas, [left, right]) = (pixels(&both), [pixels(&digits[0]), pixels(&digits[1])]);
        assert_eq!((canvas.len(), canvas[0].len()), (36, 36));
        for (y, row) in canvas.iter().enumerate() {
            for (x, &light) in row.iter().enumerate() {
                let inside = |digit: &[Vec<f32>], y: Option<usize>, x: Option<usize>| {
                    y.zip(x).and_then(|(y, x)| digit.get(y)?.get(x).copied()).unwrap_or(0.0)
                };
                let lower = inside(&right, y.checked_sub(8), x.checked_sub(8));
                assert_eq!(light, inside(&left, Some(y), Some(x)).max(lower));
            }
        }
        for (task, digit) in ["left", "right"].into_iter().zip(&digits) {
            let class = |label: &taskweave_data::Label| label.value().to_scalar::<u32>().unwrap();
            assert_eq!(class(&both.targets[task]), class(&digit.targets["class"]));
        }
    }
}

#[test]
fn school_has_139_schools_and_the_columns_that_its_page_says() {
    let Some(root) = real("school") else { return };
    let school = School::open(root).unwrap();
    assert_eq!((school.len(), school.spec().targets.len()), (15_362, 139));
    let sizes = school.schools().iter().fold(vec![0; 139], |mut sizes, s| {
        sizes[*s as usize] += 1;
        sizes
    });
    assert_eq!((sizes.iter().min(), sizes.iter().max()), (Some(&22), Some(&251)));
    let mut total = 0.0;
    for index in 0..school.len() {
        let sample = school.get(index).unwrap();
        let pupil = sample.inputs["pupil"].to_vec1::<f32>().unwrap();
        let sum = |from: usize, to: usize| pupil[from..to].iter().sum::<f32>();
        for (from, to) in [(0, 3), (5, 7), (10, 21), (21, 24), (24, 27), (27, 28)] {
            assert_eq!(sum(from, to), 1.0, "columns {from} to {to} of pupil {index}");
        }
        assert!(sum(7, 10) <= 1.0);
        total += sample.targets.values().next().unwrap().value().to_vec1::<f32>().unwrap()[0];
    }
    assert!((total / 15_362.0 - 20.597).abs() < 0.01, "{total}");
}

#[test]
fn webkb_course_pages_are_complete() {
    let Some(root) = real("webkb_course") else { return };
    let data = WebkbCourse::open(root).unwrap();
    assert_eq!((data.spec().inputs["page"][0], data.spec().inputs["links"][0]), (2949, 334));
    let classes = class_labels(&data, "class").unwrap();
    assert_eq!((classes.len(), classes.iter().sum::<u32>()), (1051, 230));
}

#[test]
fn mfeat_views_are_aligned() {
    let Some(root) = real("mfeat") else { return };
    let views = ["fou", "fac", "kar", "pix", "zer", "mor"];
    let data = Mfeat::open(root, &views).unwrap();
    assert_eq!(views.map(|view| data.spec().inputs[view][0]), [76, 216, 64, 240, 47, 6]);
    let digits = class_labels(&data, "digit").unwrap();
    assert!((0..10).all(|digit| digits.iter().filter(|&&d| d == digit).count() == 200));
}
