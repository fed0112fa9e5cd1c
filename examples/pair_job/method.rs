//! The methods that are compared, each read from a text.

use serde_json::{Value, json};
use taskweave::loss::AggregatorConfig;
use taskweave::prelude::*;

/// A telling choice.
pub const SOME: &[&str] = &[
    "losses sum",
    "losses log_loss",
    "losses uncertainty",
    "losses dwa",
    "losses famo",
    "gradients mgda",
    "gradients pcgrad",
    "gradients cagrad",
    "gradients nash_mtl",
    "gradients upgrad",
    "gradients graddrop",
    "features upgrad",
];

/// Every method of the crate that has a meaning for two tasks of equal importance. Krum needs three tasks, the trimmed mean
/// leaves out nothing with fewer, and the constant and the mean weighting are the sum here.
pub const EVERY: &[&str] = &[
    "losses sum",
    "losses mean",
    "losses log_loss",
    "losses geometric_mean",
    "losses uncertainty",
    "losses uncertainty_softmax",
    "losses imtl_l",
    "losses dwa",
    "losses random",
    r#"losses {"name": "stch", "mu": 0.5}"#,
    "losses famo",
    r#"losses {"name": "cosmos", "preference": [0.5, 0.5], "lambda": 1.0}"#,
    r#"losses {"name": "pbi", "preference": [0.5, 0.5], "theta": 1.0}"#,
    "losses go4align",
    "losses ldc",
    "gradients random",
    "gradients norm_balance",
    "gradients mgda",
    "gradients dualproj",
    "gradients upgrad",
    "gradients pcgrad",
    "gradients gradvac",
    "gradients imtl_g",
    "gradients cagrad",
    "gradients conic_grad",
    "gradients nash_mtl",
    "gradients fairgrad",
    "gradients aligned_mtl",
    "gradients config",
    "gradients pcd",
    r#"gradients {"name": "ema", "of": {"name": "mgda"}}"#,
    r#"gradients {"name": "every", "steps": 10, "of": {"name": "nash_mtl"}}"#,
    r#"gradients {"name": "per_group", "of": {"name": "upgrad"}}"#,
    "gradients graddrop",
    "gradients moco",
    "gradients excess_mtl",
    "gradients sam_gs",
    "gradients gradnorm",
    "gradients db_mtl",
    r#"gradients {"name": "epo", "preference": [0.5, 0.5]}"#,
    r#"gradients {"name": "ferero", "preference": [0.5, 0.5]}"#,
    "features mgda",
    "features upgrad",
    "features graddrop",
];

/// What makes one objective of two tasks.
#[derive(Debug, Clone)]
pub enum Way {
    Losses(Box<ScalarizerConfig>),
    Gradients(AggregatorConfig),
    Features(AggregatorConfig),
}

impl Way {
    /// As a step takes it.
    pub fn balance(&self) -> Result<Balance> {
        Ok(match self {
            Self::Losses(config) => Balance::losses(config.build()),
            Self::Gradients(config) => Balance::parameters(config.build()?),
            Self::Features(config) => Balance::representation(config.build()?),
        })
    }
}

/// A network of the comparison: which tasks it has, and how they are balanced.
#[derive(Debug, Clone)]
pub struct Method {
    pub name: String,
    pub tasks: Vec<&'static str>,
    pub way: Way,
}

impl Method {
    /// The network of one task.
    pub fn alone(task: &'static str) -> Self {
        let sum = Box::new(ScalarizerConfig::Sum(taskweave::loss::scalarizer::Sum));
        Self { name: format!("{task} alone"), tasks: vec![task], way: Way::Losses(sum) }
    }

    /// The method of a text: `losses NAME`, `gradients NAME` or `features NAME`, where NAME may be an object with parameters.
    pub fn read(text: &str) -> Result<Self> {
        let wrong =
            |found: &dyn std::fmt::Display| Error::parameter(format!("method `{text}`"), "a method", found);
        let (kind, rest) =
            text.split_once(' ').ok_or_else(|| wrong(&"no `losses`, `gradients` or `features` before it"))?;
        let config: Value = match rest.starts_with('{') {
            true => serde_json::from_str(rest).map_err(|e| wrong(&e))?,
            false => json!({ "name": rest }),
        };
        let name = format!("{kind} {}", title(&config));
        let way = match kind {
            "losses" => serde_json::from_value(config).map(Way::Losses),
            "gradients" => serde_json::from_value(config).map(Way::Gradients),
            "features" => serde_json::from_value(config).map(Way::Features),
            other => return Err(wrong(&format!("`{other}` instead of `losses`, `gradients` or `features`"))),
        };
        Ok(Self { name, tasks: vec!["left", "right"], way: way.map_err(|e| wrong(&e))? })
    }

    /// The name of its training under a seed, for files.
    pub fn training(&self, seed: u64) -> String {
        let plain = self.name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "-");
        format!("{plain}-{seed}")
    }
}

/// The name of a method with its numbers, and with the method inside.
fn title(config: &Value) -> String {
    let name = config["name"].as_str().unwrap_or_default().to_string();
    let fields = config.as_object().into_iter().flatten().filter(|(key, _)| *key != "name");
    fields.fold(name, |text, (key, value)| match value {
        Value::Object(_) => format!("{text} {key} {}", title(value)),
        Value::Number(number) => format!("{text} {key} {number}"),
        _ => text,
    })
}
