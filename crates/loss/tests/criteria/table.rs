//! Every criterion with what it accepts.

use candle_core::{DType, Device, Tensor, Var};
use taskweave_kernels::Target;
use taskweave_loss::{Criterion, CriterionConfig};

/// A criterion with a batch of three samples that it accepts.
pub struct Row {
    pub config: &'static str,
    pub prediction: Tensor,
    pub target: Tensor,
}

impl Row {
    pub fn criterion(&self) -> Box<dyn Criterion> {
        serde_json::from_str::<CriterionConfig>(self.config).unwrap().build()
    }

    pub fn prediction(&self) -> Vec<f64> {
        numbers(&self.prediction)
    }

    pub fn reshaped(&self, values: &[f64]) -> Tensor {
        Tensor::from_slice(values, self.prediction.shape(), &Device::Cpu).unwrap()
    }

    pub fn total(&self, values: &[f64], weight: &Tensor) -> f64 {
        let target = Target::weighted(self.target.clone(), weight.clone()).unwrap();
        numbers(&self.criterion().losses(&self.reshaped(values), &target).unwrap()).iter().sum()
    }

    pub fn gradient(&self, prediction: &Tensor, weight: &Tensor) -> Tensor {
        let prediction = Var::from_tensor(prediction).unwrap();
        let target = Target::weighted(self.target.clone(), weight.clone()).unwrap();
        let losses = self.criterion().losses(&prediction, &target).unwrap();
        losses.sum_all().unwrap().backward().unwrap().get(&prediction).unwrap().clone()
    }
}

/// The table: a new criterion is tested by a new row.
pub fn rows() -> Vec<Row> {
    let logits = wave(&[3, 4]);
    let dense = wave(&[3, 2, 2, 3]);
    let labels = whole(&[1, 0, 3], &[3]);
    let dense_labels = whole(&[0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 1], &[3, 2, 3]);
    let soft =
        Tensor::new(&[[0.1f64, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.5, 0.0]], &Device::Cpu)
            .unwrap();
    let dense_soft = unit(&dense);
    // Two networks of two classes each, and three of two at two positions; there are no labels.
    let two = wave(&[3, 2, 2]);
    let three = wave(&[3, 3, 2, 2]);
    let none = whole(&[0; 3], &[3]);
    let row = |config, prediction: &Tensor, target: &Tensor| Row {
        config,
        prediction: prediction.clone(),
        target: target.clone(),
    };
    vec![
        row(r#"{"name": "cross_entropy"}"#, &logits, &labels),
        row(
            r#"{"name": "cross_entropy", "class_weights": [0.5, 2, 1, 3], "label_smoothing": 0.2}"#,
            &logits,
            &labels,
        ),
        row(
            r#"{"name": "cross_entropy", "label_smoothing": 1.0, "ignore_index": 255}"#,
            &dense,
            &dense_labels,
        ),
        row(r#"{"name": "soft_cross_entropy"}"#, &logits, &soft),
        row(r#"{"name": "soft_cross_entropy"}"#, &dense, &dense_soft),
        row(r#"{"name": "kl_divergence"}"#, &logits, &soft),
        row(r#"{"name": "bce_with_logits"}"#, &logits, &soft),
        row(r#"{"name": "bce_with_logits", "pos_weight": 3.0}"#, &dense, &dense_soft),
        row(r#"{"name": "log_loss", "epsilon": 1e-6}"#, &unit(&logits), &soft),
        row(r#"{"name": "sigmoid_focal"}"#, &logits, &soft),
        row(r#"{"name": "sigmoid_focal", "alpha": 0.6, "gamma": 0.5}"#, &logits, &soft),
        row(r#"{"name": "mse"}"#, &logits, &soft),
        row(r#"{"name": "l1"}"#, &logits, &soft),
        row(r#"{"name": "huber", "delta": 0.7}"#, &logits, &soft),
        row(r#"{"name": "smooth_l1", "beta": 0.5}"#, &logits, &soft),
        row(r#"{"name": "log_cosh"}"#, &logits, &soft),
        row(r#"{"name": "poisson_nll"}"#, &logits, &soft),
        row(r#"{"name": "probability_mse"}"#, &logits, &soft),
        row(r#"{"name": "jensen_shannon"}"#, &two, &none),
        row(r#"{"name": "jensen_shannon"}"#, &three, &none),
        row(r#"{"name": "pairwise_kl"}"#, &two, &none),
        row(r#"{"name": "pairwise_kl", "teachers": "trained"}"#, &three, &none),
        row(r#"{"name": "cross_pseudo"}"#, &two, &none),
        row(r#"{"name": "cross_pseudo"}"#, &three, &none),
        row(r#"{"name": "nt_xent"}"#, &wave(&[3, 2, 5]), &none),
        row(r#"{"name": "clip", "temperature": 1.5}"#, &wave(&[3, 2, 5]), &none),
        row(r#"{"name": "dice"}"#, &dense, &dense_labels),
        row(r#"{"name": "dice", "smooth": 0.3}"#, &dense, &dense_soft),
    ]
}

pub fn wave(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|i| 2.5 * (1.7 * i as f64 + 0.3).sin()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

pub fn unit(x: &Tensor) -> Tensor {
    (x.cos().unwrap() * 0.4).unwrap().affine(1.0, 0.5).unwrap()
}

pub fn whole(values: &[u32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

pub fn numbers(x: &Tensor) -> Vec<f64> {
    x.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}
