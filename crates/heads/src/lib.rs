//! Backbones, sharing architectures and task heads of taskweave.
//!
//! A model is two stages: **sharing** turns the inputs into features per task, **heads** turn the features into
//! predictions. The seam between them is where a training step can ask for the gradient of the features of
//! each task, and where a held block is cut off from the rest.
//!
//! Everything below is made of one small trait, [`Stage`]: a tensor in, a tensor out. Every candle `Module`
//! and every closure `Fn(&Tensor) -> candle_core::Result<Tensor>` is a stage, so a trunk of your own is a list
//! of whatever you have:
//!
//! ```
//! use candle_core::{DType, Device, Module, Tensor};
//! use taskweave_heads::{Backbone, Classification, Features, HardSharing, Mode, Model, Network, Params, Stage};
//! use taskweave_kernels::{Named, Rng};
//!
//! // A trunk of stock candle layers. `Params` makes their initial values repeatable.
//! let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
//! let shared = params.shared();
//! let first = candle_nn::linear(4, 8, shared.pp("first"))?;
//! let trunk = Backbone::new(
//!     vec![Box::new(first), Box::new(|x: &Tensor| x.relu())],
//!     Features::Vector { width: 8 },
//! );
//!
//! let head = Classification::new(&params.task("class"), trunk.features(), 3)?;
//! let heads = Named::new([("class", Box::new(head) as Box<dyn Stage>)])?;
//! let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
//!
//! let inputs = Named::new([("x", Tensor::zeros((2, 4), DType::F32, &Device::Cpu)?)])?;
//! let predictions = model.forward(&inputs, Mode::Eval)?;
//! assert_eq!(predictions["class"].dims(), [2, 3]);
//! assert_eq!(params.count(), 4 * 8 + 8 + 8 * 3 + 3);
//! # Ok::<(), taskweave_kernels::Error>(())
//! ```
//!
//! # What this crate is not
//!
//! It knows no losses and no data: it sees `Named<Tensor>` and returns `Named<Tensor>`.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backbone;
mod head;
mod mode;
mod model;
mod network;
mod params;
mod seeded;
mod sharing;
mod stage;

pub use backbone::{Backbone, CnnConfig, Features, MlpConfig, TransformerConfig};
pub use head::{Classification, Dense, HeadConfig, Regression};
pub use mode::Mode;
pub use model::{Model, Network};
pub use network::NetworkConfig;
pub use params::Params;
pub use sharing::{HardSharing, Mmoe, Sharing};
pub use stage::{
    BatchNorm, Conv, Dropout, Embedding, EncoderLayer, Gru, LayerNorm, Linear, MaxPool, Normalization, Relu,
    Stage,
};
