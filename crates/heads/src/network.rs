//! A network as a configuration, for files.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};

use crate::{CnnConfig, HardSharing, HeadConfig, Network, Params};

/// A convolutional network with hard sharing, as a value that can be saved and rebuilt.
///
/// | name | default | meaning |
/// | --- | --- | --- |
/// | `view` | – | the input that the trunk sees |
/// | `backbone` | – | the shared trunk |
/// | `heads` | – | one head per task, at least one |
///
/// # Example
/// ```
/// use candle_core::{DType, Device};
/// use taskweave_heads::{Model, NetworkConfig, Params};
/// use taskweave_kernels::Rng;
/// let config: NetworkConfig = serde_json::from_str(r#"{
///     "view": "image",
///     "backbone": {"channels": 3, "widths": [8, 16]},
///     "heads": [["class", {"kind": "classification", "classes": 10}], ["mask", {"kind": "dense", "classes": 2}]]
/// }"#).unwrap();
/// let model = config.build(&Params::new(&Rng::new(0), DType::F32, &Device::Cpu))?;
/// assert_eq!(model.tasks(), ["class", "mask"]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// The input that the trunk sees.
    pub view: String,
    /// The shared trunk.
    pub backbone: CnnConfig,
    /// One head per task.
    pub heads: Named<HeadConfig>,
}

impl NetworkConfig {
    /// Builds the network, its parameters in `params`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no head at all, and those of the trunk and the heads.
    pub fn build(&self, params: &Params) -> Result<Network> {
        if self.heads.is_empty() {
            return Err(Error::parameter("heads", "at least one", 0));
        }
        let trunk = self.backbone.build(&params.shared())?;
        let heads = self.heads.try_map(|task, head| head.build(&params.task(task), trunk.features()))?;
        Ok(Network::new(Box::new(HardSharing::new(&self.view, trunk)), heads))
    }
}
