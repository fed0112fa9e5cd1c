//! PerGroup: a weighting of its own for every layer, or for every group of blocks.
//!
//! Tasks that agree on early layers may be in conflict on late ones. Every group has its own Gramian and its own instance of
//! the weighting, with a state of its own. Cost: as that of one weighting on all blocks, plus one solution per group.
//! Guarantees: those of the weighting within each group; non-conflict in each group is non-conflict of the whole.

use serde::{Deserialize, Serialize};
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{Aggregated, Aggregator};
use crate::{
    Jacobian, Weighting, WeightingConfig, attempt::attempt, known_tasks::KnownTasks, weighting::checked,
};

/// A weighting per group of blocks.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `of` | required | a weighting | the method |
/// | `groups` | layers | beginnings of names | a block belongs to the first group that its name begins with |
///
/// Without groups, blocks belong together that have the same name up to the last dot: those of one layer.
///
/// # Errors
/// Those of the method, and those of [`checked`] for its weights; [`Error::Unknown`] for a block that belongs to no group. A
/// call that is refused leaves the state as it was, in all groups.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Aggregator, AggregatorConfig, Jacobian};
/// let config: AggregatorConfig =
///     serde_json::from_str(r#"{"name": "per_group", "of": {"name": "mgda"}}"#).unwrap();
/// let block = |x: f64| Ok::<_, taskweave_kernels::Error>(Tensor::new(x, &Device::Cpu)?.into());
/// let row = |conv: f64, fc: f64| Named::new([("conv.weight", block(conv)?), ("fc.weight", block(fc)?)]);
/// let jacobian = Jacobian::new(Named::new([("a", row(1.0, 3.0)?), ("b", row(2.0, 1.0)?)])?)?;
/// let found = config.build()?.aggregate(&jacobian)?.gradient;
/// let number = |name: &str| found[name].clone().into_dense()?.to_scalar::<f64>();
/// assert_eq!((number("conv.weight")?, number("fc.weight")?), (1.0, 1.0)); // the shorter one of each layer
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct PerGroup {
    of: WeightingConfig,
    groups: Vec<String>,
    weightings: Named<Box<dyn Weighting>>,
    /// What the weightings of groups that are yet to come are to be told.
    preference: Option<Named<f64>>,
    tasks: KnownTasks,
}

/// The parameters of [`PerGroup`] in a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerGroupConfig {
    /// The method.
    pub of: WeightingConfig,
    /// What the names of the blocks of each group begin with; empty for layers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

impl PerGroupConfig {
    /// The aggregator in its initial state.
    ///
    /// # Errors
    /// Those of [`PerGroup::new`].
    pub fn build(&self) -> Result<PerGroup> {
        PerGroup::new(self.of.clone(), self.groups.clone())
    }
}

/// What is saved of one group.
#[derive(Serialize, Deserialize)]
struct Saved {
    group: String,
    values: serde_json::Value,
}

impl PerGroup {
    /// A weighting for each of these groups, or for each layer where there are none.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a wrapper inside with a parameter out of range, [`Error::Name`] for a group that comes twice.
    pub fn new(of: WeightingConfig, groups: Vec<String>) -> Result<Self> {
        of.build()?;
        Named::new(groups.iter().map(|group| (group.as_str(), ())))?;
        Ok(Self { of, groups, weightings: Named::default(), preference: None, tasks: KnownTasks::default() })
    }

    /// A weighting for a group without one.
    fn fresh(&self) -> Result<Box<dyn Weighting>> {
        let mut weighting = self.of.build()?;
        if let Some(preference) = &self.preference {
            weighting.prefer(preference)?;
        }
        if self.tasks.len() > 0 {
            weighting.prepare(self.tasks.names())?;
        }
        Ok(weighting)
    }

    fn group_of<'a>(&'a self, block: &'a str) -> Result<&'a str> {
        if self.groups.is_empty() {
            return Ok(block.rsplit_once('.').map_or(block, |(layer, _)| layer));
        }
        let found = self.groups.iter().find(|group| block.starts_with(group.as_str()));
        found.map(String::as_str).ok_or_else(|| Error::Unknown {
            what: "group of block".into(),
            name: block.into(),
            known: self.groups.clone(),
        })
    }

    /// The names of the blocks of every group, in the order in which they come.
    fn grouped(&self, jacobian: &Jacobian) -> Result<Named<Vec<String>>> {
        let mut groups: Named<Vec<String>> = Named::default();
        for block in jacobian.rows().values().next().into_iter().flat_map(Named::names) {
            let group = self.group_of(block)?;
            if !groups.contains(group) {
                groups.insert(group, Vec::new())?;
            }
            groups.require_mut("group", group)?.push(block.into());
        }
        Ok(groups)
    }

    fn sums(&mut self, jacobian: &Jacobian) -> Result<Named<Gradient>> {
        let mut gradient = Named::default();
        for (group, blocks) in self.grouped(jacobian)?.iter() {
            if !self.weightings.contains(group) {
                self.weightings.insert(group, self.fresh()?)?;
            }
            let part = jacobian.blocks_where(|block| blocks.iter().any(|name| name == block))?;
            let gramian = part.gramian()?;
            let weights = self.weightings.require_mut("group", group)?.weights(&gramian)?;
            for (block, values) in part.combined(&checked(gramian.tasks(), weights)?)? {
                gradient.insert(block, values)?;
            }
        }
        Ok(gradient.sorted())
    }
}

impl Aggregator for PerGroup {
    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        Ok(Aggregated { gradient: attempt(self, |groups| groups.sums(jacobian))?, weights: None })
    }

    fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        let mut known = self.tasks.clone();
        known.name(tasks)?;
        self.weightings.values_mut().try_for_each(|weighting| weighting.prepare(tasks))?;
        self.tasks = known;
        Ok(())
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        // A weighting that refuses it does so before any other has changed.
        self.of.build()?.prefer(preference)?;
        self.weightings.values_mut().try_for_each(|weighting| weighting.prefer(preference))?;
        self.preference = Some(preference.clone());
        Ok(())
    }
}

impl Stateful for PerGroup {
    fn save(&self) -> Result<State> {
        let (mut saved, mut tensors) = (Vec::new(), Named::default());
        for (i, (group, weighting)) in self.weightings.iter().enumerate() {
            let state = weighting.save()?;
            saved.push(Saved { group: group.into(), values: state.values });
            for (name, tensor) in state.tensors {
                tensors.insert(format!("{i}.{name}"), tensor)?;
            }
        }
        Ok(State { tensors, ..State::of(&saved)? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let mut weightings: Named<Box<dyn Weighting>> = Named::default();
        for (i, Saved { group, values }) in state.read::<Vec<Saved>>("per_group")?.into_iter().enumerate() {
            let own = |name: &str| name.strip_prefix(&format!("{i}.")).map(String::from);
            let tensors =
                state.tensors.iter().filter_map(|(name, tensor)| Some((own(name)?, tensor.clone())));
            let mut weighting = self.fresh()?;
            weighting.restore(&State { values, tensors: Named::new(tensors)? })?;
            weightings.insert(group, weighting)?;
        }
        self.weightings = weightings;
        Ok(())
    }
}
