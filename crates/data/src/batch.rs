//! Several samples, stacked.

use candle_core::{DType, Device, Tensor};
use taskweave_kernels::{Error, Named, Result, Target};

use crate::{Label, Sample};

/// Samples of one training step, stacked along a new first dimension.
///
/// # Shapes
/// `inputs` and the values of `targets` are `[batch, …]`, the weights of `targets` are `[batch]`.
///
/// # Example
/// A task that a sample lacks has weight 0 there; a task that no sample has is absent.
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_data::{Batch, Label, Sample};
/// use taskweave_kernels::Named;
/// let input = || Named::new([("x", Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap())]);
/// let labeled = Sample { inputs: input()?, targets: Named::new([("class", Label::class(4)?)])? };
/// let unlabeled = Sample { inputs: input()?, targets: Named::default() };
/// let batch = Batch::collate(&[(8, labeled), (3, unlabeled)])?;
/// assert_eq!(batch.inputs["x"].dims(), [2, 2]);
/// assert_eq!(batch.targets["class"].weight().to_vec1::<f32>()?, [1.0, 0.0]);
/// assert_eq!(batch.indices, [8, 3]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Batch {
    /// The inputs by view.
    pub inputs: Named<Tensor>,
    /// The labels by task, in the order in which the samples first name them.
    pub targets: Named<Target>,
    /// The index that each sample has in its data set.
    pub indices: Vec<usize>,
}

impl Batch {
    /// Stacks samples, each given with its index in the data set.
    ///
    /// # Errors
    /// - [`Error::Parameter`] for no samples at all, or samples with differing views;
    /// - [`Error::Shape`], [`Error::DType`] for a sample whose input or label differs from the first one's,
    ///   naming the sample and the view or task.
    pub fn collate(samples: &[(usize, Sample)]) -> Result<Self> {
        let Some((_, first)) = samples.first() else {
            return Err(Error::parameter("batch", "at least one sample", "none"));
        };
        for (index, sample) in samples {
            check_views(first, *index, sample)?;
        }
        let inputs = first.inputs.try_map(|view, _| {
            let parts = samples.iter().map(|(index, s)| (*index, &s.inputs[view]));
            stack(&format!("input `{view}`"), parts.collect())
        })?;
        let mut targets = Named::default();
        for task in tasks(samples) {
            targets.insert(task, target(task, samples)?)?;
        }
        Ok(Self { inputs, targets, indices: samples.iter().map(|(index, _)| *index).collect() })
    }

    /// How many samples it holds.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The same batch on `device`; free where it is there already.
    ///
    /// # Errors
    /// Only those of candle.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let inputs = self.inputs.try_map(|_, input| input.to_device(device))?;
        let targets = self.targets.try_map(|_, target| {
            Target::weighted(target.value().to_device(device)?, target.weight().to_device(device)?)
        })?;
        Ok(Self { inputs, targets, indices: self.indices.clone() })
    }
}

fn check_views(first: &Sample, index: usize, sample: &Sample) -> Result<()> {
    let same = sample.inputs.len() == first.inputs.len()
        && sample.inputs.names().all(|view| first.inputs.contains(view));
    if same {
        return Ok(());
    }
    let list = |s: &Sample| format!("{:?}", s.inputs.names().collect::<Vec<_>>());
    Err(Error::parameter(
        format!("inputs of sample {index}"),
        format!("{}, as in the first sample of the batch", list(first)),
        list(sample),
    ))
}

/// The tasks that some sample has a label for, in order of first mention.
fn tasks(samples: &[(usize, Sample)]) -> Vec<&str> {
    let mut tasks = Vec::new();
    for (task, label) in samples.iter().flat_map(|(_, sample)| sample.targets.iter()) {
        if label.weight() > 0.0 && !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    tasks
}

fn target(task: &str, samples: &[(usize, Sample)]) -> Result<Target> {
    let labels = || samples.iter().filter_map(|(index, s)| Some((*index, s.targets.get(task)?)));
    let mut values: Vec<_> = labels().map(|(index, label)| (index, label.value())).collect();
    let blank = match values.first() {
        Some((index, value)) if values.len() < samples.len() => Some((*index, value.zeros_like()?)),
        _ => None,
    };
    values.extend(blank.iter().map(|(index, value)| (*index, value)));
    let mut value = stack(&format!("label `{task}`"), values)?;
    if blank.is_some() {
        // The blank is stacked once, however many samples have no label: with many tasks nearly none has one.
        let (last, mut next) = (labels().count() as u32, 0..);
        let row = |(_, s): &(_, Sample)| if s.targets.contains(task) { next.next() } else { Some(last) };
        let rows: Vec<u32> = samples.iter().filter_map(row).collect();
        value = value.index_select(&Tensor::new(rows, value.device())?, 0)?;
    }
    let weights = samples.iter().map(|(_, s)| s.targets.get(task).map_or(0.0, Label::weight)).collect();
    let dtype = if value.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
    let weight = Tensor::from_vec::<_, f32>(weights, samples.len(), value.device())?.to_dtype(dtype)?;
    Target::weighted(value, weight)
}

fn stack(what: &str, parts: Vec<(usize, &Tensor)>) -> Result<Tensor> {
    let Some((_, first)) = parts.first() else {
        return Err(Error::parameter(what, "at least one sample", "none"));
    };
    for (index, part) in &parts {
        if part.dims() != first.dims() {
            let expected = format!("{:?}, as in the first sample of the batch", first.dims());
            return Err(Error::shape(format!("{what} of sample {index}"), expected, part.dims()));
        }
        if part.dtype() != first.dtype() {
            let expected = format!("{:?}, as in the first sample of the batch", first.dtype());
            return Err(Error::dtype(format!("{what} of sample {index}"), expected, part.dtype()));
        }
    }
    let tensors: Vec<&Tensor> = parts.iter().map(|(_, tensor)| *tensor).collect();
    Ok(Tensor::stack(&tensors, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(size: usize, targets: Vec<(&str, Label)>) -> Sample {
        let x = Tensor::ones((1, size, size), DType::F32, &Device::Cpu).unwrap();
        Sample { inputs: Named::new([("image", x)]).unwrap(), targets: Named::new(targets).unwrap() }
    }

    fn class(class: u32) -> (&'static str, Label) {
        ("class", Label::class(class).unwrap())
    }

    fn number(value: f64) -> (&'static str, Label) {
        ("value", Label::new(Tensor::new(value, &Device::Cpu).unwrap()))
    }

    #[test]
    fn missing_labels_weigh_nothing_and_missing_tasks_are_absent() {
        let silent = Label::weighted(Tensor::new(9u32, &Device::Cpu).unwrap(), 0.0).unwrap();
        let samples = [
            (5, sample(2, vec![number(0.5), ("other", silent)])),
            (1, sample(2, vec![class(7), number(2.0)])),
        ];
        let batch = Batch::collate(&samples).unwrap();
        assert_eq!(batch.targets.names().collect::<Vec<_>>(), ["value", "class"]);
        assert_eq!(batch.targets["class"].value().to_vec1::<u32>().unwrap(), [0, 7]);
        assert_eq!(batch.targets["class"].weight().to_vec1::<f32>().unwrap(), [0.0, 1.0]);
        assert_eq!(batch.targets["value"].weight().to_vec1::<f64>().unwrap(), [1.0, 1.0]);
        assert_eq!((batch.indices.as_slice(), batch.len()), ([5, 1].as_slice(), 2));
    }

    #[test]
    fn labels_stay_with_their_samples_between_those_that_have_none() {
        let samples: Vec<(usize, Sample)> = (0..7)
            .map(|i| {
                (
                    i,
                    sample(
                        2,
                        if i % 3 == 1 { vec![class(i as u32)] } else { vec![number(f64::from(i as u32))] },
                    ),
                )
            })
            .collect();
        let batch = Batch::collate(&samples).unwrap();
        let (class, value) = (&batch.targets["class"], &batch.targets["value"]);
        assert_eq!(class.value().to_vec1::<u32>().unwrap(), [0, 1, 0, 0, 4, 0, 0]);
        assert_eq!(class.weight().to_vec1::<f32>().unwrap(), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(value.value().to_vec1::<f64>().unwrap(), [0.0, 0.0, 2.0, 3.0, 0.0, 5.0, 6.0]);
        assert_eq!(value.weight().to_vec1::<f64>().unwrap(), [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn unequal_image_sizes_name_the_sample() {
        let error = Batch::collate(&[(0, sample(2, vec![])), (9, sample(3, vec![]))]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "input `image` of sample 9: expected shape [1, 2, 2], as in the first sample of the batch, \
             found [1, 3, 3]"
        );
    }

    #[test]
    fn differing_dtypes_and_views_are_refused() {
        let float = ("class", Label::new(Tensor::new(1f32, &Device::Cpu).unwrap()));
        let error =
            Batch::collate(&[(0, sample(2, vec![class(1)])), (4, sample(2, vec![float]))]).unwrap_err();
        assert!(
            matches!(&error, Error::DType { what, .. } if what == "label `class` of sample 4"),
            "{error}"
        );
        let blind = Sample { inputs: Named::default(), targets: Named::default() };
        let error = Batch::collate(&[(0, sample(2, vec![])), (6, blind)]).unwrap_err();
        assert!(matches!(&error, Error::Parameter { name, .. } if name == "inputs of sample 6"), "{error}");
        assert!(matches!(Batch::collate(&[]), Err(Error::Parameter { .. })));
    }

    #[test]
    fn moving_to_a_device_keeps_values_and_weights() {
        let batch = Batch::collate(&[(0, sample(2, vec![class(3)]))]).unwrap();
        let moved = batch.to_device(&Device::Cpu).unwrap();
        assert_eq!(moved.targets["class"].value().to_vec1::<u32>().unwrap(), [3]);
        assert_eq!(moved.inputs["image"].dims(), [1, 1, 2, 2]);
    }
}
