//! FERERO: down, and towards the trade-off of a preference at the same time.
//!
//! With a preference v, the losses L are to become proportional to v: B L = 0 for the rows of B perpendicular to v. With
//! the step p = −Jᵀw, returns the w of
//!     minimize  maxᵢ gᵢ·p + ½ ‖p‖²   over p with   B J p = −c B L,
//! which is argmin ½ wᵀG w − c yᵀL over w = λ + y with λ ≥ 0, Σ λ = 1, v·y = 0. It has a closed form: y_h is the shortest y for
//! which the step turns L as wanted, u the shortest combination of gradients with weights of v·w = 1, along which all
//! losses fall in proportion to v and B L stays; how far to go along u is a problem of one unknown. Cost: one
//! symmetric eigendecomposition. Guarantees: B L shrinks by the factor 1 − c η to first order, for the learning rate η, where
//! gradients are independent; once B L = 0 every loss falls as long as a common descent along v exists.
//! Variants: the paper allows any cone for "better" and any linear constraints, and has a single-loop form that takes one
//! gradient step on (λ, y) per update; here better means smaller in every loss, the constraint is the ray of v, and the
//! problem is solved. Where gradients depend on each other and no step turns L as wanted, it is turned as far as they can
//! (least squares). A gradient of 0 takes no part and gets the weight 0.
//! Reference: Chen, Saif, Shen and Chen, "FERERO: A Flexible Framework for Preference-Guided Multi-Objective Learning",
//! NeurIPS 2024, <https://arxiv.org/abs/2412.01773>.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};

use super::{
    Weighting,
    scaled::{Scaled, uniform},
    stateless::stateless,
};
use crate::{Gramian, parameter, scalarizer::PerTask};

/// How large an eigenvalue is, relative to the largest, that is not rounding.
const RANK: f64 = 1e-12;

/// The trade-off of a preference, on the way down.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `preference` | required | > 0, one per task | v: at the end the losses are proportional to it |
/// | `rate` | 1 | ≥ 0 | c, how fast the losses turn to it |
///
/// # Errors
/// [`Error::Parameter`] where losses are missing.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{Ferero, Weighting}};
/// let gramian = |losses: [f64; 2]| {
///     Gramian::new(["class", "mask"], &[[1.0, 0.0], [0.0, 1.0]])?.with_losses(losses.to_vec())
/// };
/// let mut ferero = Ferero::new(vec![1.0, 1.0], 1.0)?;
/// // On the ray: both fall alike, along the shortest combination.
/// let weights = ferero.weights(&gramian([2.0, 2.0])?)?;
/// assert!((weights[0] - 0.5).abs() < 1e-12 && (weights[1] - 0.5).abs() < 1e-12);
/// // Beside it: w₁ − w₂ = L₁ − L₂ turns the losses, (½, ½) brings them down.
/// let weights = ferero.weights(&gramian([3.0, 2.0])?)?;
/// assert!((weights[0] - 1.0).abs() < 1e-12 && weights[1].abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Ferero {
    preference: PerTask,
    rate: f64,
}

impl Ferero {
    /// Losses in the proportion of a preference, which they turn to at a `rate`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a preference that is not a finite number > 0 or a rate that is negative or not finite.
    pub fn new(preference: impl Into<PerTask>, rate: f64) -> Result<Self> {
        Ok(Self {
            preference: preference.into().checked("preference", parameter::positive)?,
            rate: parameter::non_negative("rate", rate)?,
        })
    }
}

impl Weighting for Ferero {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        let losses = gramian.required_losses("ferero")?;
        let tasks = Named::new(gramian.tasks().map(|task| (task, ())))?;
        let v = self.preference.of("preference", &tasks)?;
        // Only the proportions count, and squares of large numbers would be infinite.
        let most = v.values().fold(0.0, |most: f64, v| most.max(*v));
        let v: Vec<f64> = v.values().map(|v| v / most).collect();
        if scaled.len() == 0 {
            return Ok(uniform(size));
        }
        // In weights of unit gradients, what is per gradient is divided by its norm.
        let on_units = |x: &[f64]| {
            let parts = scaled.rows.iter().zip(&scaled.norms).map(|(row, norm)| x[*row] / norm);
            DVector::from_iterator(scaled.len(), parts)
        };
        let c = DMatrix::from_fn(scaled.len(), scaled.len(), |i, j| scaled.cosines[i][j]);
        let x = Turn::new(c, on_units(&v), scaled.norms.clone()).weights(&(on_units(losses) * self.rate));
        Ok(scaled.weights(x.as_slice(), size, 0.0))
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        *self = Self::new(preference.clone(), self.rate)?;
        Ok(())
    }
}

/// The problem in weights of unit gradients: C, and the v that y is perpendicular to.
struct Turn {
    c: DMatrix<f64>,
    v: DVector<f64>,
    norms: Vec<f64>,
    /// (P C P)⁺ with the projection P along v.
    inverse: DMatrix<f64>,
}

impl Turn {
    fn new(c: DMatrix<f64>, v: DVector<f64>, norms: Vec<f64>) -> Self {
        let size = v.len();
        let p = DMatrix::identity(size, size) - &v * v.transpose() / v.norm_squared();
        let eigen = SymmetricEigen::new(&p * &c * &p);
        let least = RANK * eigen.eigenvalues.max().max(RANK);
        let inverted = eigen.eigenvalues.map(|value| if value > least { 1.0 / value } else { 0.0 });
        let vectors = &p * eigen.eigenvectors;
        let inverse = &vectors * DMatrix::from_diagonal(&inverted) * vectors.transpose();
        Self { c, v, norms, inverse }
    }

    /// y_h + s u for wanted changes of the losses.
    fn weights(&self, wanted: &DVector<f64>) -> DVector<f64> {
        let turning = &self.inverse * wanted;
        let along = &self.v / self.v.norm_squared();
        let down = &along - &self.inverse * (&self.c * &along);
        let curve = down.dot(&(&self.c * &down)).max(0.0);
        let rising = -(&self.c * &turning);
        &turning + down * self.far(&rising, curve)
    }

    /// argmin over s of maxᵢ (bᵢ − s κ vᵢ) + ½ κ s², the derivative of which is κ (s − v of the largest): by bisection. b and
    /// v are per unit gradient.
    fn far(&self, b: &DVector<f64>, curve: f64) -> f64 {
        let aim = |i: usize| self.v[i] * self.norms[i];
        let aims = || (0..b.len()).map(aim);
        let (mut low, mut high) =
            (aims().fold(f64::INFINITY, f64::min), aims().fold(f64::NEG_INFINITY, f64::max));
        for _ in 0..200 {
            let s = 0.5 * (low + high);
            let change = |i: usize| b[i] * self.norms[i] - s * curve * aim(i);
            let largest = (0..b.len()).max_by(|i, j| change(*i).total_cmp(&change(*j))).unwrap_or(0);
            *(if s > aim(largest) { &mut high } else { &mut low }) = s;
        }
        0.5 * (low + high)
    }
}

stateless!(Ferero);

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    preference: PerTask,
    #[serde(default = "Fields::rate")]
    rate: f64,
}

impl Fields {
    fn rate() -> f64 {
        1.0
    }
}

impl TryFrom<Fields> for Ferero {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.preference, fields.rate)
    }
}

impl From<Ferero> for Fields {
    fn from(method: Ferero) -> Self {
        Self { preference: method.preference, rate: method.rate }
    }
}
