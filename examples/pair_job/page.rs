//! The report of a run.

use taskweave::cotrain::report::{Picture, Report, Tone};
use taskweave::cotrain::{Comparison, Outcome};
use taskweave::prelude::*;

use super::{JobConfig, SOME, Samples, method::Method};
use crate::image_job::page::{curves, rgb, spread};

/// Pictures in the gallery.
const PICTURES: usize = 24;

/// Writes `report.html`. Curves are those of the first seed and of the methods of the short list, so that they can be told apart.
pub fn write(run: &Run, job: &JobConfig, samples: &Samples, comparison: &Comparison) -> Result<()> {
    let short = SOME.iter().map(|text| Ok(Method::read(text)?.name)).collect::<Result<Vec<_>>>()?;
    let listed = |outcome: &&Outcome| {
        let few = job.methods.len() <= SOME.len();
        outcome.seed == job.seeds[0] && (few || outcome.scores.len() == 1 || short.contains(&outcome.method))
    };
    let seen: Vec<&Outcome> = comparison.outcomes().iter().filter(listed).collect();
    let accuracy = |task: &'static str| {
        curves(&format!("Validation accuracy, {task}"), &seen, move |e| e.valid.get(task)?.value().ok())
    };
    let [train, valid, test] = job.samples;
    Report::new("Two digits on one image")
        .lead(
            "One network that reads the left and the right digit, by every way of balancing the two losses or the two gradients, \
             beside one network of the same size per digit. Δm is the mean relative change of the accuracies against those: below \
             0, sharing has helped.",
        )
        .table(&comparison.table()?)
        .facts([
            ("training, validation and test images", format!("{train}, {valid}, {test}")),
            ("epochs", job.epochs.to_string()),
            ("batch size", job.batch_size.to_string()),
            ("largest learning rate, of all methods", job.rate.to_string()),
            ("curves", format!("seed {}", job.seeds[0])),
        ])
        .curves(accuracy("left"))
        .curves(accuracy("right"))
        .curves(curves("Training loss, left", &seen, |e| e.train.get("left").copied()))
        .curves(curves("Training loss, right", &seen, |e| e.train.get("right").copied()))
        .curves(curves("Cosine between the gradients of left and right", &seen, |e| {
            Some(*e.cosines.as_ref()?.get("left")?.get("right")?)
        }))
        .gallery("Test images, left and right digit", pictures(samples)?)
        .write(run.path("report.html"))
}

fn pictures(samples: &Samples) -> Result<Vec<Picture>> {
    let picture = |index: usize| {
        let sample = samples.test.get(index)?;
        let image = sample.inputs.require("view", "image")?;
        let digit = |task| Ok::<_, Error>(sample.targets.require("task", task)?.value().to_scalar::<u32>()?);
        let caption = format!("{} and {}", digit("left")?, digit("right")?);
        Picture::new(caption, Tone::Plain).panel("image", image.dim(2)?, &rgb(image)?)
    };
    spread(samples.test.len(), PICTURES).into_iter().map(picture).collect()
}
