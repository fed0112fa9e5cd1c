//! Two views, few labels.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use taskweave::cotrain::learner::{Answers, GaussianNb, Learner, Matrix, MultiView, MultinomialNb};
use taskweave::cotrain::pool::Pool;
use taskweave::data::dataset::class_labels;
use taskweave::data::{Mfeat, TwoMoons, TwoMoonsConfig, WebkbCourse};
use taskweave::prelude::*;

/// What a problem consists of, before it is split.
pub struct Problem {
    pub name: String,
    /// The names of the two views.
    pub views: [&'static str; 2],
    /// The mean test error, in %, that co-training has to stay below.
    pub bound: f64,
    /// Whether co-training may be worse than its start in one split only.
    pub rarely_worse: bool,
    matrices: [Matrix; 2],
    /// The class of every sample.
    pub classes: Vec<usize>,
    /// How many labels of each class are given.
    labels: [usize; 2],
    kind: Kind,
}

enum Kind {
    Counts,
    Numbers,
}

/// A problem with some labels given and some samples to be judged by.
pub struct Split {
    /// The two views, and `both` side by side.
    pub views: Arc<MultiView>,
    pub pool: Pool,
    pub test: Vec<usize>,
}

/// Two moons, drawn twice: 600 samples, 3 labels of each class.
pub fn two_moons() -> Result<Problem> {
    let data = TwoMoons::new(TwoMoonsConfig::default())?;
    let classes = class_labels(&data, "class")?.into_iter().map(|class| class as usize).collect();
    let views = ["left", "right"];
    let matrices = matrices(&data, views)?;
    let (name, kind) = ("two moons".into(), Kind::Numbers);
    Ok(Problem {
        name,
        views,
        bound: f64::INFINITY,
        rarely_worse: false,
        matrices,
        classes,
        labels: [3, 3],
        kind,
    })
}

/// WebKB course pages: 3 labeled courses and 9 others, as Blum and Mitchell have it.
pub fn webkb(root: &Path) -> Result<Problem> {
    let data = WebkbCourse::open(root)?;
    let classes = class_labels(&data, "class")?.into_iter().map(|class| class as usize).collect();
    let views = ["page", "links"];
    let matrices = matrices(&data, views)?;
    let (name, kind) = ("webkb".into(), Kind::Counts);
    Ok(Problem { name, views, bound: 7.0, rarely_worse: true, matrices, classes, labels: [9, 3], kind })
}

/// Four pairs of views and digits, 2 labels of each. The bounds are those of another library's co-training, where that
/// gained, and what supervised learning reached with it, where it lost.
pub fn mfeat(root: &Path) -> Result<Vec<Problem>> {
    let pairs = [
        (["fou", "fac"], [0, 1], 100.0 - 92.8),
        (["fou", "kar"], [3, 5], 100.0 - 70.2),
        (["pix", "zer"], [4, 9], 100.0 - 97.7),
        (["kar", "fac"], [3, 8], 100.0 - 65.0),
    ];
    pairs.into_iter().map(|(views, digits, bound)| pair(root, views, (digits, bound))).collect()
}

fn pair(root: &Path, views: [&'static str; 2], (digits, bound): ([u32; 2], f64)) -> Result<Problem> {
    let data = Mfeat::open(root, &views)?;
    let all = class_labels(&data, "digit")?;
    let chosen: Vec<usize> = (0..all.len()).filter(|&sample| digits.contains(&all[sample])).collect();
    let classes = chosen.iter().map(|&sample| usize::from(all[sample] == digits[1])).collect();
    let [a, b] = matrices(&data, views)?;
    let rows = |view: &Matrix| -> Result<Matrix> {
        let rows = chosen.iter().map(|&sample| Ok(view.row(sample)?.to_vec())).collect::<Result<Vec<_>>>()?;
        Matrix::of_rows(&rows)
    };
    let name = format!("{}/{} {}-{}", views[0], views[1], digits[0], digits[1]);
    let matrices = [rows(&a)?, rows(&b)?];
    Ok(Problem {
        name,
        views,
        bound,
        rarely_worse: false,
        matrices,
        classes,
        labels: [2, 2],
        kind: Kind::Numbers,
    })
}

fn matrices(data: &dyn Dataset, views: [&str; 2]) -> Result<[Matrix; 2]> {
    let all = MultiView::of_dataset(data)?;
    Ok([all.require(views[0])?.clone(), all.require(views[1])?.clone()])
}

impl Problem {
    /// A quarter of each class to be judged by, the first few of the rest with labels, all others without.
    pub fn split(&self, seed: u64) -> Result<Split> {
        let mut rng = Rng::new(seed).fork("split");
        let (mut labeled, mut unlabeled, mut test) = (Vec::new(), Vec::new(), Vec::new());
        for (class, labels) in self.labels.into_iter().enumerate() {
            let mut samples: Vec<usize> =
                (0..self.classes.len()).filter(|&s| self.classes[s] == class).collect();
            rng.shuffle(&mut samples);
            let rest = samples.split_off((samples.len() as f64 / 4.0).round() as usize);
            test.extend(samples);
            labeled.extend(rest[..labels].iter().map(|&sample| (sample, class as f64)));
            unlabeled.extend(&rest[labels..]);
        }
        let train: Vec<usize> =
            labeled.iter().map(|(sample, _)| *sample).chain(unlabeled.iter().copied()).collect();
        let scaled = |view: &Matrix| match self.kind {
            Kind::Counts => Ok(view.clone()),
            Kind::Numbers => view.standardized(&train),
        };
        let [a, b] = [scaled(&self.matrices[0])?, scaled(&self.matrices[1])?];
        let both = Matrix::beside(&[&a, &b])?;
        let views = Arc::new(MultiView::new([(self.views[0], a), (self.views[1], b), ("both", both)])?);
        Ok(Split { views, pool: Pool::new(Answers::Classes(2), labeled, unlabeled)?, test })
    }

    /// A view of a split as a network reads it: counts by their logarithms, each sample at length 1.
    pub fn features(&self, view: &Matrix) -> Result<Tensor> {
        let scaled = |row: &[f64]| -> Vec<f64> {
            let logs: Vec<f64> = row.iter().map(|count| count.ln_1p()).collect();
            let length = logs.iter().map(|log| log * log).sum::<f64>().sqrt();
            logs.into_iter().map(|log| log / length.max(1.0)).collect()
        };
        let view = match self.kind {
            Kind::Counts => Matrix::of_rows(&view.iter().map(scaled).collect::<Vec<_>>())?,
            Kind::Numbers => view.clone(),
        };
        Ok(view.to_tensor()?.to_dtype(DType::F32)?)
    }

    /// A learner of this problem's kind of numbers.
    pub fn learner(&self) -> Result<Box<dyn Learner>> {
        Ok(match self.kind {
            Kind::Counts => Box::new(MultinomialNb::new(0.2)?),
            Kind::Numbers => Box::new(GaussianNb::new(1.0)?),
        })
    }
}
