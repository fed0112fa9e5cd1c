//! A rule applied to a set of parameters.

use std::collections::HashSet;

use candle_core::{Tensor, Var};

use super::reduce::require_finite;
use super::{Group, IntoGradient, Now, OptimizerConfig, Rule, pass, range};
use crate::autograd::Gradient;
use crate::ops::host::storage_of;
use crate::{Error, Named, Param, Result, State};

/// Applies a rule to parameters, and owns what the rule remembers about each of them.
///
/// Parameters change in place, so that every clone of one sees the change: take [`Tensor::copy`] of a value that
/// has to stay. Buffers among the parameters are left out: they are never trained. A step counts for a
/// parameter only where it has a gradient.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use taskweave_kernels::optim::{Optimizer, OptimizerConfig, Sgd};
/// use taskweave_kernels::{Kind, Named, Owner, Param};
/// let weight = Param::new(Var::new(&[1f64, 2.0], &Device::Cpu)?, Kind::Weight, Owner::Shared);
/// let rule = OptimizerConfig::Sgd(Sgd { lr: 0.1, ..Sgd::default() });
/// let mut optimizer = Optimizer::new(rule, Named::new([("weight", weight.clone())])?)?;
/// optimizer.step(&Named::new([("weight", Tensor::new(&[1f64, -1.0], &Device::Cpu)?)])?)?;
/// assert_eq!(weight.var.to_vec1::<f64>()?, [0.9, 2.1]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct Optimizer {
    rule: Box<dyn Update>,
    pub(super) identity: Identity,
    pub(super) rate: f64,
    pub(super) entries: Named<Entry>,
    /// Where the parameters' numbers are, to recognize a gradient that is a view of one of them.
    storages: HashSet<usize>,
}

/// What of a rule must be equal for a saved state to fit.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: &'static str,
    pub(super) config: serde_json::Value,
    pub(super) slots: &'static [&'static str],
}

/// One parameter and what the rule remembers about it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) var: Var,
    pub(super) group: Group,
    pub(super) steps: u64,
    pub(super) slots: Vec<Tensor>,
}

impl Optimizer {
    /// A rule on parameters in their default groups: weight decay on weights and embeddings only.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter of the rule outside its range or for two parameters that are one
    /// tensor, and [`Error::DType`] for a parameter that is not floating point.
    pub fn new(config: OptimizerConfig, params: Named<Param>) -> Result<Self> {
        Self::with_groups(config, params, Group::of)
    }

    /// A rule on parameters whose groups are chosen by name and kind.
    ///
    /// # Errors
    /// As [`Optimizer::new`], and [`Error::Parameter`] for a factor that is negative or not finite.
    pub fn with_groups(
        config: OptimizerConfig,
        params: Named<Param>,
        group: impl Fn(&str, &Param) -> Group,
    ) -> Result<Self> {
        match config {
            OptimizerConfig::Sgd(rule) => Self::with_rule(rule, params, group),
            OptimizerConfig::Adam(rule) => Self::with_rule(rule, params, group),
            OptimizerConfig::AdamW(rule) => Self::with_rule(rule, params, group),
            OptimizerConfig::RmsProp(rule) => Self::with_rule(rule, params, group),
            OptimizerConfig::Adagrad(rule) => Self::with_rule(rule, params, group),
        }
    }

    /// A rule of one's own; see [`Rule`].
    ///
    /// # Errors
    /// As [`Optimizer::with_groups`].
    pub fn with_rule<R: Rule + 'static>(
        rule: R,
        params: Named<Param>,
        group: impl Fn(&str, &Param) -> Group,
    ) -> Result<Self> {
        rule.check()?;
        let identity = Identity { name: R::NAME, config: State::of(&rule)?.values, slots: rule.slots() };
        let (mut entries, mut storages) = (Named::default(), HashSet::new());
        for (name, param) in params.into_iter().filter(|(_, param)| param.kind.is_trained()) {
            if !storages.insert(storage_of(&param.var)) {
                let what = format!("parameter `{name}`");
                return Err(Error::parameter(what, "a tensor of its own", "the tensor of another parameter"));
            }
            let entry = Entry::new(&name, &param, group(&name, &param), identity.slots.len())?;
            entries.insert(name, entry)?;
        }
        Ok(Self { rate: rule.rate(), rule: Box::new(rule), identity, entries, storages })
    }

    /// Changes the parameters that have a gradient; the others keep their values and their state. A gradient by
    /// rows has the effect of the dense one, to the last bit: where the state moves, so do all rows.
    ///
    /// # Shapes
    /// Each gradient has the shape, the dtype and the device of its parameter; it need not be contiguous.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a gradient without a parameter (a buffer has none here), [`Error::Shape`],
    /// [`Error::DType`], and [`Error::NonFinite`] for a gradient with a NaN or an infinity. Nothing has changed
    /// then.
    pub fn step<G: IntoGradient>(&mut self, gradients: &Named<G>) -> Result<()> {
        let gradients = gradients.try_map(|name, gradient| self.accepted(name, gradient.clone().into()))?;
        require_finite(&gradients)?;
        for (name, gradient) in gradients.iter() {
            let entry = self.entries.require_mut("parameter", name)?;
            entry.steps += 1;
            let Group { rate, decay } = entry.group;
            let now = Now { rate: self.rate * rate, decay, step: entry.steps };
            self.rule.update(now, entry, gradient)?;
        }
        Ok(())
    }

    /// The learning rate, before the factors of the groups.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Sets the learning rate of the steps to come.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a rate that is negative or not finite; the rate is unchanged then.
    pub fn set_rate(&mut self, rate: f64) -> Result<()> {
        range::not_negative("learning rate", rate)?;
        self.rate = rate;
        Ok(())
    }

    /// A gradient that fits its parameter: contiguous, and not a view of any parameter's own numbers.
    fn accepted(&self, name: &str, gradient: Gradient) -> Result<Gradient> {
        let var = &self.entries.require("parameter", name)?.var;
        let what = || format!("gradient of `{name}`");
        let (shape, values) = (gradient.shape(), gradient.values());
        if shape.dims() != var.dims() {
            return Err(Error::shape(what(), format!("{:?}", var.dims()), shape.dims()));
        }
        if values.dtype() != var.dtype() {
            return Err(Error::dtype(what(), format!("{:?}", var.dtype()), values.dtype()));
        }
        if !values.device().same_device(var.device()) {
            let (expected, found) = (var.device().location(), values.device().location());
            return Err(Error::parameter(what(), format!("{expected:?}"), format!("{found:?}")));
        }
        let values = values.detach();
        gradient.with_values(match self.storages.contains(&storage_of(&values)) {
            true => values.force_contiguous()?,
            false => values.contiguous()?,
        })
    }
}

impl Entry {
    fn new(name: &str, param: &Param, group: Group, slots: usize) -> Result<Self> {
        if !param.var.dtype().is_float() {
            let what = format!("parameter `{name}`");
            return Err(Error::dtype(what, "a floating-point dtype", param.var.dtype()));
        }
        group.check(name)?;
        let slots = (0..slots).map(|_| param.var.zeros_like()).collect::<candle_core::Result<_>>()?;
        Ok(Self { var: param.var.clone(), group, steps: 0, slots })
    }
}

/// A rule behind a pointer.
trait Update: std::fmt::Debug + Send + Sync {
    fn update(&self, now: Now, entry: &mut Entry, gradient: &Gradient) -> Result<()>;
}

impl<R: Rule> Update for R {
    fn update(&self, now: Now, entry: &mut Entry, gradient: &Gradient) -> Result<()> {
        pass::update(&self.at(now), &entry.var, gradient, &mut entry.slots)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::optim::Sgd;
    use crate::{Kind, Owner};

    fn zeros(dtype: DType) -> Param {
        Param::new(Var::zeros(2, dtype, &Device::Cpu).unwrap(), Kind::Weight, Owner::Shared)
    }

    fn optimizer(params: &[(&str, Param)]) -> Result<Optimizer> {
        Optimizer::new(OptimizerConfig::Sgd(Sgd::default()), Named::new(params.to_vec())?)
    }

    #[test]
    fn one_tensor_under_two_names_is_refused() {
        let shared = zeros(DType::F32);
        let error = optimizer(&[("encoder", shared.clone()), ("decoder", shared)]).unwrap_err();
        let expected =
            "parameter `decoder`: expected a tensor of its own, found the tensor of another parameter";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn whole_numbers_are_not_trained() {
        assert!(matches!(optimizer(&[("index", zeros(DType::U32))]), Err(Error::DType { .. })));
        let buffer = Param { kind: Kind::Buffer, ..zeros(DType::U32) };
        assert!(optimizer(&[("index", buffer)]).is_ok());
    }

    #[test]
    fn bad_rates_and_factors_change_nothing() {
        let mut optimizer = optimizer(&[("w", zeros(DType::F32))]).unwrap();
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(optimizer.set_rate(bad), Err(Error::Parameter { .. })));
            for group in [Group { rate: bad, decay: 1.0 }, Group { rate: 1.0, decay: bad }] {
                let params = Named::new([("w", zeros(DType::F32))]).unwrap();
                let made = Optimizer::with_groups(OptimizerConfig::Sgd(Sgd::default()), params, |_, _| group);
                assert!(matches!(made, Err(Error::Parameter { .. })));
            }
        }
        assert_eq!(optimizer.rate(), 1e-3);
    }

    #[test]
    fn optimizers_cross_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Optimizer>();
    }
}
