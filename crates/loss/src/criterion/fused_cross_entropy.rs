//! Cross-entropy as one graph node on the CPU.
//!
//! Composed from candle's operations, the loss of `[64, 2, 32, 32]` logits costs a dozen activation-sized nodes
//! and strided copies. Here it is one pass forward and one backward, in f64 per element. Elements of share 0 are
//! skipped, so that nothing in them can reach the value or the gradient.

use std::sync::Arc;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, Layout, Result as CandleResult, Shape, Tensor, WithDType,
    backend::BackendStorage, bail,
};
use taskweave_kernels::Result;

use crate::labels::Labels;

/// Labels with their shares, and the target distribution that each label stands for.
#[derive(Debug, Clone)]
pub(super) struct FusedCrossEntropy {
    labels: Arc<Labels>,
    class_weights: Arc<Vec<f64>>,
    smoothing: f64,
}

impl FusedCrossEntropy {
    /// `labels.weight` holds the share of each element in its sample.
    pub(super) fn new(labels: Labels, class_weights: Vec<f64>, smoothing: f64) -> Self {
        Self { labels: Arc::new(labels), class_weights: Arc::new(class_weights), smoothing }
    }

    /// Losses `[batch]` of logits `[batch, classes, elements]` in f32 or f64.
    pub(super) fn apply(&self, logits: &Tensor) -> Result<Tensor> {
        Ok(logits.contiguous()?.apply_op1(self.clone())?)
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    /// (1 − ε)·w_y of every element.
    pub(super) fn label_factors(&self) -> Vec<f64> {
        self.labels.class.iter().map(|y| self.label_factor(*y)).collect()
    }

    /// ε·w_c/C of every class.
    pub(super) fn even_factors(&self) -> Vec<f64> {
        let scale = self.smoothing / self.class_weights.len() as f64;
        self.class_weights.iter().map(|w| w * scale).collect()
    }

    fn label_factor(&self, label: u32) -> f64 {
        (1.0 - self.smoothing) * self.class_weights[label as usize]
    }

    fn losses<T: WithDType>(&self, logits: &[T], batch: usize) -> Vec<T> {
        let even = self.even_factors();
        let mut losses = vec![0.0; batch];
        for (at, label) in self.labels.counted() {
            let element = self.element(logits, at);
            let mut loss = self.label_factor(label) * element.surprise(label as usize);
            if self.smoothing > 0.0 {
                loss += (0..even.len()).map(|c| even[c] * element.surprise(c)).sum::<f64>();
            }
            losses[at / self.labels.per_sample] += self.labels.weight[at] * loss;
        }
        losses.into_iter().map(T::from_f64).collect()
    }

    fn gradient<T: WithDType>(&self, logits: &[T], upstream: &[T]) -> Vec<T> {
        let even = self.even_factors();
        let even_mass: f64 = even.iter().sum();
        let mut gradient = vec![T::zero(); logits.len()];
        for (at, label) in self.labels.counted() {
            let element = self.element(logits, at);
            let scale = self.labels.weight[at] * upstream[at / self.labels.per_sample].to_f64();
            let factor = self.label_factor(label);
            for (c, even) in even.iter().enumerate() {
                let hit = if c == label as usize { factor } else { 0.0 };
                let slope = element.probability(c) * (factor + even_mass) - even - hit;
                gradient[element.offset(c)] = T::from_f64(scale * slope);
            }
        }
        gradient
    }

    fn element<'a, T: WithDType>(&self, logits: &'a [T], at: usize) -> Element<'a, T> {
        let (n, classes) = (self.labels.per_sample, self.class_weights.len());
        Element::new(logits, at / n * classes * n + at % n, n, classes)
    }
}

/// The logits of one element, one class every `stride` numbers.
struct Element<'a, T> {
    logits: &'a [T],
    start: usize,
    stride: usize,
    largest: f64,
    /// log Σ e^(x − largest)
    log_sum: f64,
}

impl<'a, T: WithDType> Element<'a, T> {
    fn new(logits: &'a [T], start: usize, stride: usize, classes: usize) -> Self {
        let at = |c: usize| logits[start + c * stride].to_f64();
        let mut top = 0;
        for c in 1..classes {
            if at(c) > at(top) {
                top = c;
            }
        }
        // The largest term is 1; log1p of the others keeps the digits of a confident prediction.
        let largest = at(top);
        let others: f64 = (0..classes).filter(|c| *c != top).map(|c| (at(c) - largest).exp()).sum();
        Self { logits, start, stride, largest, log_sum: others.ln_1p() }
    }

    fn offset(&self, class: usize) -> usize {
        self.start + class * self.stride
    }

    /// −log p of a class.
    fn surprise(&self, class: usize) -> f64 {
        self.largest - self.logits[self.offset(class)].to_f64() + self.log_sum
    }

    fn probability(&self, class: usize) -> f64 {
        (-self.surprise(class)).exp()
    }
}

impl CustomOp1 for FusedCrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        let batch = layout.dims()[0];
        let losses = match storage {
            CpuStorage::F32(_) => CpuStorage::F32(self.losses::<f32>(contiguous(storage, layout)?, batch)),
            CpuStorage::F64(_) => CpuStorage::F64(self.losses::<f64>(contiguous(storage, layout)?, batch)),
            other => bail!("cross_entropy: expected f32 or f64, found {:?}", other.dtype()),
        };
        Ok((losses, batch.into()))
    }

    fn bwd(&self, logits: &Tensor, _losses: &Tensor, upstream: &Tensor) -> CandleResult<Option<Tensor>> {
        logits.apply_op2_no_bwd(&upstream.contiguous()?, &Backward(self.clone())).map(Some)
    }
}

struct Backward(FusedCrossEntropy);

impl CustomOp2 for Backward {
    fn name(&self) -> &'static str {
        "cross_entropy_backward"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        layout: &Layout,
        upstream: &CpuStorage,
        upstream_layout: &Layout,
    ) -> CandleResult<(CpuStorage, Shape)> {
        let gradient = match logits {
            CpuStorage::F32(_) => CpuStorage::F32(
                self.0.gradient::<f32>(contiguous(logits, layout)?, contiguous(upstream, upstream_layout)?),
            ),
            CpuStorage::F64(_) => CpuStorage::F64(
                self.0.gradient::<f64>(contiguous(logits, layout)?, contiguous(upstream, upstream_layout)?),
            ),
            other => bail!("cross_entropy: expected f32 or f64, found {:?}", other.dtype()),
        };
        Ok((gradient, layout.shape().clone()))
    }
}

fn contiguous<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> CandleResult<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<T>()?[start..end]),
        None => bail!("cross_entropy: expected contiguous numbers"),
    }
}
