//! The Gramian of the task gradients: how long they are and how they meet.

use taskweave_kernels::{Error, Named, Result};

/// G = J Jᵀ, the inner products of the task gradients: symmetric and finite by construction, host f64.
///
/// Rows are tasks in the order of the Jacobian. With the losses of the tasks, where it carries them, it is all that a
/// weighting gets to see.
///
/// # Example
/// ```
/// use taskweave_loss::Gramian;
/// // g₁ = (3, 0), g₂ = (−4, 3)
/// let gramian = Gramian::new(["class", "mask"], &[[9.0, -12.0], [-12.0, 25.0]])?;
/// assert_eq!(gramian.norms(), [3.0, 5.0]);
/// assert_eq!(gramian.cosine(0, 1), -0.8);
/// assert_eq!(gramian.conflict_rate(), 1.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Gramian {
    tasks: Vec<String>,
    values: Vec<f64>,
    losses: Option<Vec<f64>>,
}

impl Gramian {
    /// A Gramian from its rows.
    ///
    /// Entries (i, j) and (j, i) may differ by rounding, up to 1e-9 of the product of the norms; the mean is kept.
    ///
    /// # Errors
    /// [`Error::Name`] for a task name that is empty or comes twice, [`Error::Shape`] for a matrix that is not
    /// tasks × tasks, [`Error::NonFinite`] with the task whose row holds a NaN or an infinity, and
    /// [`Error::Parameter`] for a negative diagonal entry or a matrix that is not symmetric.
    pub fn new<N: Into<String>>(
        tasks: impl IntoIterator<Item = N>,
        rows: &[impl AsRef<[f64]>],
    ) -> Result<Self> {
        let tasks = Named::new(tasks.into_iter().map(|task| (task, ())))?;
        let size = tasks.len();
        if rows.len() != size || rows.iter().any(|row| row.as_ref().len() != size) {
            let columns = rows.iter().map(|row| row.as_ref().len()).find(|n| *n != size).unwrap_or(size);
            return Err(Error::shape("Gramian", format!("[{size}, {size}]"), &[rows.len(), columns]));
        }
        let mut gramian = Self {
            tasks: tasks.names().map(String::from).collect(),
            values: rows.iter().flat_map(|row| row.as_ref().iter().copied()).collect(),
            losses: None,
        };
        gramian.check_entries()?;
        gramian.make_symmetric()?;
        Ok(gramian)
    }

    /// A Gramian from the inner products of gradients, row by row.
    ///
    /// # Errors
    /// As for [`Gramian::new`]; [`Error::NonFinite`] names the task whose gradient holds a NaN or an infinity, or is too long for
    /// its square.
    ///
    /// # Example
    /// ```
    /// use taskweave_loss::Gramian;
    /// let gramian = Gramian::of_products(["class", "mask"], &[9.0, -12.0, -12.0, 25.0])?;
    /// assert_eq!(gramian[(1, 0)], -12.0);
    /// assert!(Gramian::of_products(["class", "mask"], &[9.0, f64::NAN, f64::NAN, f64::NAN]).is_err());
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn of_products<N: Into<String>>(
        tasks: impl IntoIterator<Item = N>,
        products: &[f64],
    ) -> Result<Self> {
        let tasks: Vec<String> = tasks.into_iter().map(Into::into).collect();
        let rows: Vec<&[f64]> = products.chunks(tasks.len().max(1)).collect();
        let square = |(i, row): (usize, &&[f64])| row.get(i).is_some_and(|square| !square.is_finite());
        if let Some((task, _)) = tasks.iter().zip(rows.iter().enumerate()).find(|(_, row)| square(*row)) {
            return Err(Error::non_finite("gradient", task));
        }
        Self::new(tasks, &rows)
    }

    /// The same with the loss of each task in row order, for methods that weigh by losses too.
    ///
    /// # Errors
    /// [`Error::Shape`] for losses of another number than that of the tasks, [`Error::NonFinite`] with the task whose
    /// loss is a NaN or an infinity.
    ///
    /// # Example
    /// ```
    /// use taskweave_loss::Gramian;
    /// let gramian = Gramian::new(["class", "mask"], &[[1.0, 0.0], [0.0, 1.0]])?;
    /// assert_eq!(gramian.losses(), None);
    /// assert_eq!(gramian.with_losses(vec![0.5, 2.0])?.losses(), Some(&[0.5, 2.0][..]));
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn with_losses(self, losses: Vec<f64>) -> Result<Self> {
        if losses.len() != self.len() {
            let expected = format!("[{}], one per task", self.len());
            return Err(Error::shape("losses", expected, &[losses.len()]));
        }
        if let Some((task, _)) = self.tasks.iter().zip(&losses).find(|(_, loss)| !loss.is_finite()) {
            return Err(Error::non_finite("loss", task));
        }
        Ok(Self { losses: Some(losses), ..self })
    }

    /// The loss of each task in row order, where they are known.
    pub fn losses(&self) -> Option<&[f64]> {
        self.losses.as_deref()
    }

    /// The losses for a method that cannot do without.
    pub(crate) fn required_losses(&self, method: &str) -> Result<&[f64]> {
        self.losses().ok_or_else(|| Error::parameter(format!("losses for {method}"), "one per task", "none"))
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The tasks in row order.
    pub fn tasks(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tasks.iter().map(String::as_str)
    }

    /// The entries, row by row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks(self.len().max(1))
    }

    /// The norm of each gradient.
    pub fn norms(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self[(i, i)].sqrt()).collect()
    }

    /// The cosine of the angle between two gradients; 0 where one of them is zero, since it then pulls nowhere.
    ///
    /// # Panics
    /// For a row that does not exist, as for any index.
    pub fn cosine(&self, i: usize, j: usize) -> f64 {
        // Each root by itself: the product of two squared norms can overflow.
        let scale = self[(i, i)].sqrt() * self[(j, j)].sqrt();
        if scale > 0.0 { (self[(i, j)] / scale).clamp(-1.0, 1.0) } else { 0.0 }
    }

    /// All pairwise cosines, row by row.
    pub fn cosines(&self) -> Vec<Vec<f64>> {
        (0..self.len()).map(|i| (0..self.len()).map(|j| self.cosine(i, j)).collect()).collect()
    }

    /// The share of task pairs whose gradients have a negative inner product; 0 for less than two tasks.
    pub fn conflict_rate(&self) -> f64 {
        let pairs = self.len() * self.len().saturating_sub(1) / 2;
        let conflicts = self.pairs().filter(|(i, j)| self[(*i, *j)] < 0.0).count();
        conflicts as f64 / pairs.max(1) as f64
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let size = self.len();
        (0..size).flat_map(move |i| (i + 1..size).map(move |j| (i, j)))
    }

    fn check_entries(&self) -> Result<()> {
        for (i, row) in self.rows().enumerate() {
            if row.iter().any(|value| !value.is_finite()) {
                return Err(Error::non_finite("row of the Gramian", &self.tasks[i]));
            }
            if row[i] < 0.0 {
                let name = format!("squared gradient norm of `{}`", self.tasks[i]);
                return Err(Error::parameter(name, "a number ≥ 0", row[i]));
            }
        }
        Ok(())
    }

    fn make_symmetric(&mut self) -> Result<()> {
        let size = self.len();
        for (i, j) in self.pairs() {
            let (upper, lower) = (self[(i, j)], self[(j, i)]);
            let scale = self[(i, i)].sqrt() * self[(j, j)].sqrt();
            if (upper - lower).abs() > 1e-9 * scale {
                let name = format!("Gramian entry of `{}` and `{}`", self.tasks[i], self.tasks[j]);
                return Err(Error::parameter(name, format!("a symmetric matrix, {lower}"), upper));
            }
            let mean = 0.5 * upper + 0.5 * lower;
            self.values[i * size + j] = mean;
            self.values[j * size + i] = mean;
        }
        Ok(())
    }
}

impl std::ops::Index<(usize, usize)> for Gramian {
    type Output = f64;

    /// # Panics
    /// For a row or column that does not exist, as for any index.
    fn index(&self, (row, column): (usize, usize)) -> &f64 {
        &self.values[row * self.len() + column]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_gradient_conflicts_with_nobody() {
        let gramian = Gramian::new(["a", "b", "c"], &[[0.0; 3], [0.0, 4.0, -2.0], [0.0, -2.0, 1.0]]).unwrap();
        assert_eq!((gramian.cosine(0, 1), gramian.cosine(0, 0), gramian.cosine(1, 2)), (0.0, 0.0, -1.0));
        assert_eq!(gramian.conflict_rate(), 1.0 / 3.0);
        assert_eq!(gramian.cosines()[1], [0.0, 1.0, -1.0]);
    }

    #[test]
    fn huge_and_tiny_gradients_keep_their_angle() {
        let gramian = Gramian::new(["a", "b"], &[[1e300, 5e149], [5e149, 1.0]]).unwrap();
        assert!((gramian.cosine(0, 1) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn what_is_no_gramian_is_refused() {
        let new = |rows: &[[f64; 2]]| Gramian::new(["a", "b"], rows).unwrap_err().to_string();
        assert_eq!(new(&[[1.0, 0.0]]), "Gramian: expected shape [2, 2], found [1, 2]");
        assert_eq!(new(&[[1.0, 0.0], [f64::NAN, 1.0]]), "row of the Gramian of `b` is not finite");
        assert_eq!(
            new(&[[1.0, 0.0], [0.0, -1.0]]),
            "squared gradient norm of `b`: expected a number ≥ 0, found -1"
        );
        assert!(new(&[[1.0, 0.5], [0.4, 1.0]]).contains("a symmetric matrix"));
        assert!(Gramian::new(["a", "a"], &[[1.0, 0.0], [0.0, 1.0]]).is_err());
    }

    #[test]
    fn losses_fit_the_tasks_and_are_missed_by_name() {
        let gramian = Gramian::new(["a", "b"], &[[1.0, 0.0], [0.0, 1.0]]).unwrap();
        let error = gramian.required_losses("gradnorm").unwrap_err().to_string();
        assert_eq!(error, "losses for gradnorm: expected one per task, found none");
        let error = gramian.clone().with_losses(vec![1.0]).unwrap_err().to_string();
        assert_eq!(error, "losses: expected shape [2], one per task, found [1]");
        let error = gramian.with_losses(vec![1.0, f64::INFINITY]).unwrap_err().to_string();
        assert_eq!(error, "loss of `b` is not finite");
    }

    #[test]
    fn no_task_and_one_task_have_no_conflict() {
        let none: [[f64; 0]; 0] = [];
        assert_eq!(Gramian::new::<&str>([], &none).unwrap().conflict_rate(), 0.0);
        assert_eq!(Gramian::new(["a"], &[[2.0]]).unwrap().conflict_rate(), 0.0);
    }
}
