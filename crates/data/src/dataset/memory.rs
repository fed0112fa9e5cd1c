//! Tensors in memory, one row per sample.

use candle_core::{DType, Device, Tensor};
use taskweave_kernels::{Error, Named, Result, Target};

use super::check_index;
use crate::{Dataset, Label, Labels, Sample, Spec};

/// Named tensors in memory, one row per sample: any inputs, any tasks, labels with weights.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_data::{Dataset, Labels, Memory};
/// use taskweave_kernels::{Named, Target};
/// let x = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu)?;
/// let y = Target::new(Tensor::new(&[0u32, 1], &Device::Cpu)?)?;
/// let labels = Labels::Class(vec!["no".into(), "yes".into()]);
/// let data = Memory::new(Named::new([("x", x)])?, Named::new([("spam", (labels, y))])?)?;
/// assert_eq!(data.get(1)?.inputs["x"].to_vec1::<f32>()?, [3.0, 4.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Memory {
    spec: Spec,
    len: usize,
    inputs: Named<Tensor>,
    targets: Named<Column>,
}

/// The labels of one task.
#[derive(Debug, Clone)]
struct Column {
    values: Tensor,
    weights: Vec<f32>,
}

impl Memory {
    /// Takes inputs `[samples, …]` and, per task, labels `[samples, …]` with what they are.
    ///
    /// # Errors
    /// - [`Error::Parameter`] for no inputs at all and for a class that has no name;
    /// - [`Error::Shape`] where the numbers of samples differ, where labels do not have the shape that
    ///   [`Labels`] says, or for weights per element;
    /// - [`Error::DType`] for classes that are not u32 and values that are not floating point.
    pub fn new(inputs: Named<Tensor>, targets: Named<(Labels, Target)>) -> Result<Self> {
        let first = inputs.values().next();
        let len = first.and_then(|input| input.dims().first().copied());
        let len = len.ok_or_else(|| Error::parameter("inputs", "at least one of [samples, …]", "none"))?;
        for (view, input) in inputs.iter() {
            check_rows(&format!("input `{view}`"), input, len)?;
        }
        let columns = targets.try_map(|task, (labels, target)| column(task, labels, target, len))?;
        let spec = Spec {
            inputs: inputs.map(|_, input| input.dims().iter().skip(1).copied().collect()),
            targets: targets.map(|_, (labels, _)| labels.clone()),
        };
        let inputs = inputs.try_map(|_, input| input.to_device(&Device::Cpu))?;
        Ok(Self { spec, len, inputs, targets: columns })
    }
}

impl Dataset for Memory {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize) -> Result<Sample> {
        check_index(index, self.len)?;
        Ok(Sample {
            inputs: self.inputs.try_map(|_, input| input.get(index))?,
            targets: self
                .targets
                .try_map(|_, column| Label::weighted(column.values.get(index)?, column.weights[index]))?,
        })
    }
}

fn check_rows(what: &str, tensor: &Tensor, len: usize) -> Result<()> {
    if tensor.dims().first() == Some(&len) {
        return Ok(());
    }
    Err(Error::shape(what, format!("[{len}, …], one row per sample"), tensor.dims()))
}

fn column(task: &str, labels: &Labels, target: &Target, len: usize) -> Result<Column> {
    let what = format!("label `{task}`");
    let values = target.value().to_device(&Device::Cpu)?;
    check_rows(&what, &values, len)?;
    match labels {
        Labels::Class(names) => check_classes(&what, &values, 1, names.len())?,
        Labels::Mask(names) => check_classes(&what, &values, 3, names.len())?,
        Labels::Value(shape) => check_values(&what, &values, shape)?,
    }
    if target.weight().rank() != 1 {
        let what = format!("weight of {what}");
        return Err(Error::shape(what, format!("[{len}], one per sample"), target.weight().dims()));
    }
    let weights = target.weight().to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()?;
    Ok(Column { values, weights })
}

fn check_classes(what: &str, values: &Tensor, rank: usize, classes: usize) -> Result<()> {
    if values.dtype() != DType::U32 {
        return Err(Error::dtype(what, "u32", values.dtype()));
    }
    if values.rank() != rank {
        let expected = if rank == 1 { "[samples]" } else { "[samples, height, width]" };
        return Err(Error::shape(what, expected, values.dims()));
    }
    let largest = values.flatten_all()?.to_vec1::<u32>()?.into_iter().max();
    match largest.filter(|&class| class as usize >= classes) {
        Some(class) => Err(Error::parameter(what, format!("classes below {classes}"), class)),
        None => Ok(()),
    }
}

fn check_values(what: &str, values: &Tensor, shape: &[usize]) -> Result<()> {
    if !values.dtype().is_float() {
        return Err(Error::dtype(what, "a floating-point dtype", values.dtype()));
    }
    if values.dims().get(1..) != Some(shape) {
        return Err(Error::shape(what, format!("[samples] and then {shape:?}"), values.dims()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(labels: Labels, target: Target) -> Result<Memory> {
        let x = Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?;
        Memory::new(Named::new([("x", x)])?, Named::new([("y", (labels, target))])?)
    }

    fn classes(values: &[u32]) -> Target {
        Target::new(Tensor::new(values, &Device::Cpu).unwrap()).unwrap()
    }

    fn two() -> Labels {
        Labels::Class(vec!["a".into(), "b".into()])
    }

    #[test]
    fn weights_reach_the_sample() {
        let value = Tensor::new(&[[1f32], [2.0]], &Device::Cpu).unwrap();
        let weight = Tensor::new(&[0.25f32, 0.0], &Device::Cpu).unwrap();
        let memory = data(Labels::Value(vec![1]), Target::weighted(value, weight).unwrap()).unwrap();
        assert_eq!(memory.get(0).unwrap().targets["y"].weight(), 0.25);
        assert_eq!(memory.spec().inputs["x"], [3]);
    }

    #[test]
    fn labels_that_are_not_what_they_claim_are_refused() {
        assert!(matches!(data(two(), classes(&[0, 2])), Err(Error::Parameter { .. })));
        assert!(matches!(data(two(), classes(&[0, 1, 0])), Err(Error::Shape { .. })));
        assert!(matches!(data(Labels::Value(vec![]), classes(&[0, 1])), Err(Error::DType { .. })));
        assert!(matches!(data(Labels::two_regions(), classes(&[0, 1])), Err(Error::Shape { .. })));
        let float = Target::new(Tensor::new(&[0f32, 1.0], &Device::Cpu).unwrap()).unwrap();
        assert!(matches!(data(two(), float.clone()), Err(Error::DType { .. })));
        assert!(matches!(data(Labels::Value(vec![4]), float), Err(Error::Shape { .. })));
        assert!(matches!(Memory::new(Named::default(), Named::default()), Err(Error::Parameter { .. })));
    }
}
