//! Cross-entropy as one function on the CPU.
//!
//! Composed from candle's operations, the loss of `[64, 2, 32, 32]` logits costs a dozen activation-sized nodes
//! and strided copies. Here it is one pass forward and one backward, parallel over the samples, class after class
//! so that the memory is read in order. Exponentials and sums are in f64. Elements that do not count are left
//! out, so that nothing in them can reach the value or the gradient.

use candle_core::{DType, Result as CandleResult, Storage, Tensor, WithDType, bail};
use rayon::prelude::*;
use taskweave_kernels::Result;
use taskweave_kernels::autograd::{Call, Function, Gradient, apply};

use crate::labels::Labels;

/// Labels, and the target distribution that each of them stands for.
#[derive(Debug)]
pub(super) struct SmoothedLabels {
    pub(super) labels: Labels,
    /// One per class.
    pub(super) class_weights: Vec<f64>,
    pub(super) smoothing: f64,
}

impl SmoothedLabels {
    /// (1 − ε)·w_y
    pub(super) fn label_factor(&self, label: u32) -> f64 {
        (1.0 - self.smoothing) * self.class_weights[label as usize]
    }

    /// ε·w_c/C of every class.
    pub(super) fn even_factors(&self) -> Vec<f64> {
        let scale = self.smoothing / self.class_weights.len() as f64;
        self.class_weights.iter().map(|w| w * scale).collect()
    }

    /// The loss of a sample with logits `[classes, elements]`.
    fn loss<T: WithDType>(&self, logits: &[T], sample: usize) -> f64 {
        let n = self.labels.per_sample();
        let peaks = Peaks::of(logits, n);
        let mut others = vec![0.0; n];
        for (c, row) in logits.chunks(n).enumerate() {
            for (e, x) in row.iter().enumerate() {
                // The largest term is 1; log1p of the others keeps the digits of a confident prediction.
                if peaks.class[e] != c {
                    others[e] += (x.to_f64() - peaks.logit[e]).exp();
                }
            }
        }
        let surprise = |c: usize, e: usize| peaks.logit[e] - logits[c * n + e].to_f64() + others[e].ln_1p();
        let even = if self.smoothing > 0.0 { self.even_factors() } else { Vec::new() };
        let element_loss = |label: u32, e: usize| {
            let spread: f64 = even.iter().enumerate().map(|(c, even)| even * surprise(c, e)).sum();
            self.label_factor(label) * surprise(label as usize, e) + spread
        };
        self.labels.shares_of(sample).map(|(e, label, share)| share * element_loss(label, e)).sum()
    }

    /// Writes the gradient of `upstream` times the loss of a sample.
    fn write_gradient<T: WithDType>(
        &self,
        gradient: &mut [T],
        logits: &[T],
        (sample, upstream): (usize, f64),
    ) {
        let n = self.labels.per_sample();
        let peaks = Peaks::of(logits, n);
        let mut sum = vec![0.0; n];
        for (row, to) in logits.chunks(n).zip(gradient.chunks_mut(n)) {
            for e in 0..n {
                let power = (row[e].to_f64() - peaks.logit[e]).exp();
                sum[e] += power;
                to[e] = T::from_f64(power);
            }
        }
        let even = self.even_factors();
        let even_mass: f64 = even.iter().sum();
        // Per element: factors of its power, of the even part and of the label; all 0 where it does not count.
        let mut parts = vec![Parts::default(); n];
        for (e, label, share) in self.labels.shares_of(sample) {
            let (share, factor) = (share * upstream, self.label_factor(label));
            let power = share * (factor + even_mass) / sum[e];
            parts[e] = Parts { power, even: share, label: label as usize, hit: share * factor };
        }
        for (c, (row, even)) in gradient.chunks_mut(n).zip(even).enumerate() {
            for (to, parts) in row.iter_mut().zip(&parts) {
                *to = T::from_f64(parts.slope(c, to.to_f64(), even));
            }
        }
    }
}

/// What the slopes of one element are made of.
#[derive(Clone, Copy, Default)]
struct Parts {
    power: f64,
    even: f64,
    label: usize,
    hit: f64,
}

impl Parts {
    fn slope(&self, class: usize, power: f64, even: f64) -> f64 {
        // An element that does not count may hold NaN, which times 0 is NaN.
        if self.even == 0.0 {
            return 0.0;
        }
        let hit = if self.label == class { self.hit } else { 0.0 };
        self.power * power - self.even * even - hit
    }
}

/// The largest logit of every element and its class.
struct Peaks {
    logit: Vec<f64>,
    class: Vec<usize>,
}

impl Peaks {
    fn of<T: WithDType>(logits: &[T], n: usize) -> Self {
        let logit = logits[..n].iter().map(|x| x.to_f64()).collect();
        let mut peaks = Self { logit, class: vec![0; n] };
        for (c, row) in logits.chunks(n).enumerate().skip(1) {
            for ((x, logit), class) in row.iter().zip(&mut peaks.logit).zip(&mut peaks.class) {
                if x.to_f64() > *logit {
                    (*logit, *class) = (x.to_f64(), c);
                }
            }
        }
        peaks
    }
}

/// Logits `[batch, classes, …]` → losses `[batch]`.
#[derive(Debug)]
pub(super) struct FusedCrossEntropy(SmoothedLabels);

impl FusedCrossEntropy {
    /// Losses `[batch]` of logits `[batch, classes, …]` on the CPU, in f32 or f64.
    pub(super) fn apply(target: SmoothedLabels, logits: &Tensor) -> Result<Tensor> {
        let batch = logits.dims()[0];
        if logits.elem_count() == 0 {
            return Ok(Tensor::zeros(batch, logits.dtype(), logits.device())?);
        }
        let (fused, numbers) = (Self(target), logits.contiguous()?);
        match logits.dtype() {
            DType::F64 => {
                let losses = fused.losses::<f64>(&numbers, batch)?;
                apply(fused, &[logits], losses, batch)
            }
            _ => {
                let losses = fused.losses::<f32>(&numbers, batch)?;
                apply(fused, &[logits], losses, batch)
            }
        }
    }

    fn losses<T: WithDType>(&self, logits: &Tensor, batch: usize) -> CandleResult<Vec<T>> {
        with_numbers(logits, |logits: &[T]| {
            let samples = logits.par_chunks(logits.len() / batch).enumerate();
            samples.map(|(sample, logits)| T::from_f64(self.0.loss(logits, sample))).collect()
        })
    }

    /// The gradient of the logits, given that of the losses.
    fn gradient<T: WithDType>(&self, logits: &Tensor, upstream: &[T]) -> CandleResult<Tensor> {
        let gradient = with_numbers(logits, |logits: &[T]| {
            let mut gradient = vec![T::zero(); logits.len()];
            let per_sample = logits.len() / upstream.len();
            let samples = gradient.par_chunks_mut(per_sample).zip(logits.par_chunks(per_sample));
            samples.enumerate().for_each(|(sample, (gradient, logits))| {
                self.0.write_gradient(gradient, logits, (sample, upstream[sample].to_f64()));
            });
            gradient
        })?;
        Tensor::from_vec(gradient, logits.shape(), logits.device())
    }
}

impl Function for FusedCrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let logits = call.inputs[0].contiguous()?;
        let gradient = match logits.dtype() {
            DType::F64 => self.gradient::<f64>(&logits, &cotangent.to_vec1()?)?,
            _ => self.gradient::<f32>(&logits, &cotangent.to_vec1()?)?,
        };
        Ok(vec![Some(gradient.into())])
    }
}

/// What `f` makes of the numbers of a contiguous tensor on the CPU.
fn with_numbers<T: WithDType, R>(x: &Tensor, f: impl FnOnce(&[T]) -> R) -> CandleResult<R> {
    let (storage, layout) = x.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(storage), Some((start, end))) => Ok(f(&storage.as_slice::<T>()?[start..end])),
        _ => bail!("cross_entropy: expected contiguous numbers on the CPU"),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor, Var};
    use taskweave_kernels::{Target, autograd};

    use crate::criterion::{BceWithLogits, Criterion, CrossEntropy};

    #[test]
    fn a_tape_gives_the_gradients_of_candles_graph() {
        let x = Var::new(&[[[0.3f64, -1.0], [2.0, 0.5]], [[1.5, 0.1], [-0.7, 0.2]]], &Device::Cpu).unwrap();
        let labels = Target::new(Tensor::new(&[[1u32, 0], [1, 1]], &Device::Cpu).unwrap()).unwrap();
        let soft = Target::new((x.detach().cos().unwrap().sqr().unwrap() * 0.9).unwrap()).unwrap();
        let rows: [(Box<dyn Criterion>, Target); 2] =
            [(Box::new(CrossEntropy::default()), labels), (Box::new(BceWithLogits::default()), soft)];
        for (criterion, target) in rows {
            let graph = criterion.losses(&x, &target).unwrap().sum_all().unwrap().backward().unwrap();
            let (losses, tape) = autograd::record(|| criterion.losses(&x, &target)).unwrap();
            let taped = tape.backward(&[(&losses, None)], &[&x]).unwrap().dense(&x).unwrap().unwrap();
            let difference = (taped - graph.get(&x).unwrap()).unwrap().abs().unwrap().sum_all().unwrap();
            assert!(difference.to_scalar::<f64>().unwrap() < 1e-15);
        }
    }
}
