//! Initial values from candle's hints and a random stream of ours.

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::Init;
use candle_nn::init::NormalOrUniform;
use taskweave_kernels::Rng;

/// The tensor that `init` describes, drawn from `rng`. Values are drawn in f64 and rounded to `dtype`.
pub(crate) fn draw(init: Init, shape: &Shape, dtype: DType, rng: &mut Rng) -> Result<Tensor> {
    let values: Vec<f64> = (0..shape.elem_count()).map(|_| value(init, shape, rng)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)
}

fn value(init: Init, shape: &Shape, rng: &mut Rng) -> f64 {
    match init {
        Init::Const(value) => value,
        Init::Randn { mean, stdev } => mean + stdev * rng.normal(),
        Init::Uniform { lo, up } => rng.range(lo, up),
        Init::Kaiming { dist, fan, non_linearity } => {
            let std = non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt();
            match dist {
                NormalOrUniform::Uniform => rng.range(-std * 3f64.sqrt(), std * 3f64.sqrt()),
                NormalOrUniform::Normal => std * rng.normal(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kaiming_has_its_stated_deviation() {
        let shape = Shape::from((64, 50));
        for init in [candle_nn::init::DEFAULT_KAIMING_NORMAL, candle_nn::init::DEFAULT_KAIMING_UNIFORM] {
            let x = draw(init, &shape, DType::F64, &mut Rng::new(1)).unwrap();
            let var = x.sqr().unwrap().mean_all().unwrap().to_scalar::<f64>().unwrap();
            assert!((var - 2.0 / 50.0).abs() < 0.004, "{init:?}: {var}");
        }
    }
}
