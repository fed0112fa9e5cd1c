//! The samples of a job, divided.

use std::path::Path;
use std::sync::Arc;

use taskweave::data::dataset::class_labels;
use taskweave::data::{Cache, Cifar10, ImageFolder, Mnist, Part, SelectTasks, Subset, WithMask, stratified};
use taskweave::prelude::*;

use super::{JobConfig, Source};

/// Samples to learn from, to look at while learning, and to be judged by.
pub struct Samples {
    pub train: Arc<dyn Dataset>,
    pub valid: Arc<dyn Dataset>,
    pub test: Arc<dyn Dataset>,
    pub classes: Vec<String>,
    pub size: [usize; 3],
}

impl Samples {
    /// Reads or draws what the job asks for.
    pub fn load(config: &JobConfig) -> Result<Self> {
        let [train, valid, test] = config.samples;
        let (learn, judge): (Arc<dyn Dataset>, Arc<dyn Dataset>) = match &config.source {
            Source::Shapes(shapes) => {
                let all = ShapesConfig { len: train + valid + test, ..shapes.clone() };
                let all = Arc::new(Shapes::new(all)?);
                let last = (train + valid..train + valid + test).collect();
                let first = Subset::new(all.clone(), (0..train + valid).collect())?;
                (Arc::new(first), Arc::new(Subset::new(all, last)?))
            }
            Source::Mnist(root) => {
                let part = |part| Ok::<_, Error>(Arc::new(WithMask::new(Mnist::open(root, part)?)?));
                (part(Part::Train)?, part(Part::Test)?)
            }
            Source::Cifar10(root) if root.join("train").is_dir() => {
                (folder(&root.join("train"))?, folder(&root.join("test"))?)
            }
            Source::Cifar10(root) => {
                let part = |part| Ok::<_, Error>(Arc::new(WithMask::new(Cifar10::open(root, part)?)?));
                (part(Part::Train)?, part(Part::Test)?)
            }
        };
        let [train, valid] = parts(learn, [train, valid])?.try_into().map_err(few)?;
        let [test] = parts(judge, [test])?.try_into().map_err(few)?;
        let spec = train.spec();
        let classes = spec.targets.require("task", "class")?.classes()?.to_vec();
        let judged = test.spec().targets.require("task", "class")?.classes()?;
        if judged != classes {
            let expected = format!("those of the training images, {classes:?}");
            return Err(Error::parameter("classes of the test images", expected, format!("{judged:?}")));
        }
        let size = spec.inputs.require("view", "image")?.clone();
        let size = size
            .try_into()
            .map_err(|size: Vec<_>| Error::shape("image", "[channels, height, width]", &size))?;
        Ok(Self { train, valid, test, classes, size })
    }
}

fn folder(root: &Path) -> Result<Arc<dyn Dataset>> {
    Ok(Arc::new(WithMask::new(ImageFolder::open(root)?)?))
}

/// Disjoint parts of these sizes with the proportions of the classes, kept in memory.
fn parts<const N: usize>(dataset: Arc<dyn Dataset>, sizes: [usize; N]) -> Result<Vec<Arc<dyn Dataset>>> {
    let all = dataset.len();
    let wanted: usize = sizes.iter().sum();
    if wanted > all {
        return Err(Error::parameter("samples", format!("at most the {all} of the data set"), wanted));
    }
    let share = |size: usize| size as f64 / all as f64;
    let [first, second] = [sizes[0], sizes.get(1).copied().unwrap_or(0)];
    let fractions = [share(first), share(second), 1.0 - share(first + second)];
    let labels = class_labels(&dataset, "class")?;
    let split = stratified(&labels, fractions, &mut Rng::new(0).fork("split"))?;
    let kept =
        |indices| Ok(Arc::new(Cache::new(&Subset::new(dataset.clone(), indices)?)?) as Arc<dyn Dataset>);
    [split.train, split.valid].into_iter().take(N).map(kept).collect()
}

fn few(_: Vec<Arc<dyn Dataset>>) -> Error {
    Error::parameter("samples", "three counts", "fewer")
}

/// Only the tasks of a network.
pub fn select(dataset: &Arc<dyn Dataset>, tasks: &[&str]) -> Result<Arc<dyn Dataset>> {
    Ok(Arc::new(SelectTasks::new(dataset.clone(), tasks)?))
}
