//! The report of a run, and some of its test images as files.

use std::fs;

use candle_core::Tensor;
use taskweave::cotrain::diagnostics::panels;
use taskweave::cotrain::report::{Figure, HeatMap, Picture, Report, Tone};
use taskweave::cotrain::{Comparison, EpochRecord, JsonLines, Outcome};
use taskweave::prelude::*;

use super::{Predictor, Samples, Saved};

/// Pictures in the gallery, and images written as files.
const PICTURES: usize = 24;
const FILES: usize = 8;

/// Writes `report.html`.
pub fn write(
    run: &Run,
    saved: &Saved,
    samples: &Samples,
    (comparison, predictor): (&Comparison, &Predictor),
) -> Result<()> {
    let first = saved.job.seeds[0];
    let seen: Vec<&Outcome> = comparison.outcomes().iter().filter(|o| o.seed == first).collect();
    let [train, valid, test] = saved.job.samples;
    let report = Report::new("Class and mask of images")
        .lead(
            "One network that learns both tasks, jointly or with one block held at a time, beside one network per \
             task. The two single-task networks together have as many parameters as the multi-task network. Δm is \
             the mean relative change against them: below 0, sharing has helped.",
        )
        .table(&comparison.table()?)
        .facts([
            ("training, validation and test images", format!("{train}, {valid}, {test}")),
            ("epochs", saved.job.epochs.to_string()),
            ("batch size", saved.job.batch_size.to_string()),
            ("parameters of the multi-task network", seen[seen.len() - 1].parameters.to_string()),
            ("curves and pictures", format!("seed {first}")),
        ])
        .curves(curves("Training loss, class", &seen, |e| e.train.get("class").copied()))
        .curves(curves("Training loss, mask", &seen, |e| e.train.get("mask").copied()))
        .curves(curves("Validation accuracy, class", &seen, |e| primary(e, "class")))
        .curves(curves("Validation mean IoU, mask", &seen, |e| primary(e, "mask")))
        .curves(weights(&seen))
        .curves(curves("Cosine between the gradients of class and mask", &seen, |e| Some(*e.cosines.as_ref()?.get("class")?.get("mask")?)));
    let report = match comparison.transfer_table()? {
        Some(transfer) => report.titled_table("What learning together did to each task", &transfer),
        None => report,
    };
    // A run of an earlier version has none.
    let gradients = run.path(&format!("gradients/joint-{first}.jsonl"));
    let report = if gradients.exists() { panels(report, &JsonLines::read(&gradients)?)? } else { report };
    let (pictures, confusion) = pictures(saved, samples, predictor)?;
    report
        .gallery("Test images: image, true mask, predicted mask", pictures)
        .heat_map(confusion)
        .write(run.path("report.html"))
}

/// Writes some test images as PNG, for `predict` to be tried on.
pub fn write_images(run: &Run, samples: &Samples) -> Result<()> {
    let folder = run.path("images");
    fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
    for index in spread(samples.test.len(), FILES) {
        let sample = samples.test.get(index)?;
        let class = sample.targets.require("task", "class")?.value().to_scalar::<u32>()? as usize;
        let path = folder.join(format!("{index}-{}.png", samples.classes[class]));
        let [_, height, width] = samples.size.map(|n| n as u32);
        let pixels = rgb(sample.inputs.require("view", "image")?)?;
        image::save_buffer(&path, &pixels, width, height, image::ColorType::Rgb8)
            .map_err(|e| Error::data(&path, "a file that can be written", e))?;
    }
    Ok(())
}

/// So many places, evenly over a list of `len`: files often come sorted by class.
pub fn spread(len: usize, count: usize) -> Vec<usize> {
    let count = count.min(len);
    (0..count).map(|i| (2 * i + 1) * len / (2 * count)).collect()
}

/// A curve per outcome, by epoch.
pub fn curves(title: &str, outcomes: &[&Outcome], value: impl Fn(&EpochRecord) -> Option<f64>) -> Figure {
    outcomes.iter().fold(Figure::new(title).axes("epoch", ""), |figure, outcome| {
        let points: Vec<_> =
            outcome.history.epochs.iter().filter_map(|e| Some((e.epoch as f64 + 1.0, value(e)?))).collect();
        if points.is_empty() { figure } else { figure.series(&outcome.method, points) }
    })
}

fn primary(epoch: &EpochRecord, task: &str) -> Option<f64> {
    epoch.valid.get(task)?.value().ok()
}

fn weights(outcomes: &[&Outcome]) -> Figure {
    let mut figure = Figure::new("Weights of the tasks").axes("epoch", "∂ objective / ∂ loss");
    for outcome in outcomes.iter().filter(|outcome| outcome.scores.len() > 1) {
        for task in outcome.scores.names() {
            let points = outcome
                .history
                .epochs
                .iter()
                .filter_map(|e| Some((e.epoch as f64 + 1.0, *e.weights.get(task)?)));
            figure = figure.series(format!("{}, {task}", outcome.method), points);
        }
    }
    figure
}

/// The gallery, and the confusion matrix over all test images.
fn pictures(saved: &Saved, samples: &Samples, predictor: &Predictor) -> Result<(Vec<Picture>, HeatMap)> {
    let (names, width) = (&saved.classes, saved.size[2]);
    let mut counts = vec![0.0; names.len() * names.len()];
    let (mut pictures, shown) = (Vec::new(), spread(samples.test.len(), PICTURES));
    for batch in Loader::builder(samples.test.clone()).batch_size(256).build()?.epoch(0) {
        let batch = batch?;
        let images = batch.inputs.require("view", "image")?;
        let truth = batch.targets.require("task", "class")?.value().to_vec1::<u32>()?;
        let masks = batch.targets.require("task", "mask")?.value();
        for (i, prediction) in predictor.predict(images)?.iter().enumerate() {
            let (truth, found) = (truth[i] as usize, prediction.class());
            counts[truth * names.len() + found] += 1.0;
            if shown.contains(&batch.indices[i]) {
                let tone = if truth == found { Tone::Right } else { Tone::Wrong };
                let mask: Vec<u8> =
                    masks.get(i)?.flatten_all()?.to_vec1::<u32>()?.iter().map(|m| *m as u8 * 255).collect();
                let picture = Picture::new(format!("{} → {}", names[truth], names[found]), tone)
                    .panel("image", width, &rgb(&images.get(i)?)?)?
                    .panel("true mask", width, &gray(&mask))?
                    .panel("predicted mask", width, &gray(&prediction.mask()))?;
                pictures.push(picture);
            }
        }
    }
    let confusion = HeatMap::new("Confusion of the classes, joint", names, names, counts)?
        .axes("true class", "predicted class");
    Ok((pictures, confusion))
}

fn gray(values: &[u8]) -> Vec<u8> {
    values.iter().flat_map(|v| [*v; 3]).collect()
}

/// The bytes of an image `[1 or 3, height, width]` in `[0, 1]`, pixel by pixel.
pub fn rgb(image: &Tensor) -> Result<Vec<u8>> {
    let (channels, ..) = image.dims3()?;
    let image = if channels == 3 { image.clone() } else { image.narrow(0, 0, 1)?.repeat((3, 1, 1))? };
    let values = image.permute((1, 2, 0))?.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.iter().map(|v| (v * 255.0).round() as u8).collect())
}
