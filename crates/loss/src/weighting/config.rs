//! A weighting named in a config file.

use super::*;
use crate::family::family;

family! {
    /// Any weighting of this crate by name, with its parameters.
    ///
    /// # Example
    /// ```
    /// use taskweave_loss::{Gramian, weighting::{Weighting, WeightingConfig}};
    /// let text = r#"{"name": "ema", "beta": 0.9, "of": {"name": "cagrad", "c": 0.0}}"#;
    /// let config: WeightingConfig = serde_json::from_str(text).unwrap();
    /// let gramian = Gramian::new(["class", "mask"], &[[4.0, -1.0], [-1.0, 1.0]])?;
    /// assert_eq!(config.build()?.weights(&gramian)?, [0.5, 0.5]);
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    WeightingConfig of Weighting {
        "mean" => Mean,
        "sum" => Sum,
        "constant" => Constant,
        "random" => Random,
        "norm_balance" => NormBalance,
        "gradnorm" => GradNorm,
        "mgda" => Mgda,
        "dualproj" => DualProj,
        "upgrad" => UpGrad,
        "pcgrad" => PcGrad,
        "gradvac" => GradVac,
        "imtl_g" => ImtlG,
        "cagrad" => CaGrad,
        "conic_grad" => ConicGrad,
        "nash_mtl" => NashMtl,
        "fairgrad" => FairGrad,
        "aligned_mtl" => AlignedMtl,
        "config" => ConfigGrad,
        "krum" => Krum,
        "pcd" => Pcd,
        "epo" => Epo,
        "ferero" => Ferero,
    }
    wrappers {
        "ema" => Ema(EmaConfig),
        "every" => Every(EveryConfig),
    }
}
