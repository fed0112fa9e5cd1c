//! What is formed of the gradients of all tasks: inner products, lengths, weighted sums.

use rayon::prelude::*;
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Error, Named, Result, inner_products, weighted_sum};

use super::{Jacobian, matching};
use crate::Gramian;

impl Jacobian {
    /// G = J Jᵀ, with the losses where they are known.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the task whose gradient holds a NaN or an infinity.
    pub fn gramian(&self) -> Result<Gramian> {
        let size = self.rows.len();
        let mut sums = vec![0.0; size * size];
        for block in self.blocks() {
            let products = inner_products(&block)?;
            sums.iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
        }
        let gramian = Gramian::of_products(self.rows.names(), &sums)?;
        match &self.losses {
            Some(losses) => gramian.with_losses(losses.clone()),
            None => Ok(gramian),
        }
    }

    /// The 2-norm of the gradient of each task, in row order; in one pass over the rows.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the task whose gradient holds a NaN or an infinity.
    ///
    /// # Example
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use taskweave_kernels::Named;
    /// use taskweave_loss::Jacobian;
    /// let row = |x: [f64; 2]| Named::new([("x", Tensor::new(&x, &Device::Cpu)?.into())]);
    /// let jacobian = Jacobian::new(Named::new([("a", row([3.0, 4.0])?), ("b", row([0.0, 1.0])?)])?)?;
    /// assert_eq!(jacobian.norms()?, [5.0, 1.0]);
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn norms(&self) -> Result<Vec<f64>> {
        let norm = |(task, row): (&str, &Named<Gradient>)| {
            let squares = row.values().map(|block| Ok(inner_products(std::slice::from_ref(block))?[0]));
            match squares.sum::<Result<f64>>()? {
                square if square.is_finite() => Ok(square.sqrt()),
                _ => Err(Error::non_finite("gradient", task)),
            }
        };
        // Tasks side by side, and the first error of the first task.
        let rows: Vec<(&str, &Named<Gradient>)> = self.rows.iter().collect();
        let norms: Vec<Result<f64>> = rows.into_par_iter().map(norm).collect();
        norms.into_iter().collect()
    }

    /// J Kᵀ: the inner products of the gradients of these tasks (rows) with those of another Jacobian's (columns), in f64.
    ///
    /// With the Jacobians of two independent batches its expectation is the Gramian of the expected gradients, while that
    /// of the Gramian of one batch is larger by their variance.
    ///
    /// # Errors
    /// [`Error::Unknown`] and [`Error::Shape`] where the blocks differ, [`Error::NonFinite`] with the task whose row of
    /// products holds a NaN or an infinity.
    ///
    /// # Example
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use taskweave_kernels::Named;
    /// use taskweave_loss::Jacobian;
    /// let row = |x: f64| Named::new([("x", Tensor::new(x, &Device::Cpu)?.into())]);
    /// let first = Jacobian::new(Named::new([("a", row(1.0)?), ("b", row(3.0)?)])?)?;
    /// let second = Jacobian::new(Named::new([("a", row(2.0)?)])?)?;
    /// assert_eq!(first.products(&second)?, [[2.0], [6.0]]);
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn products(&self, other: &Self) -> Result<Vec<Vec<f64>>> {
        let (size, columns) = (self.rows.len() + other.rows.len(), other.rows.len());
        let mut sums = vec![vec![0.0; columns]; self.rows.len()];
        let (Some(own), Some((task, row))) = (self.rows.values().next(), other.rows.iter().next()) else {
            return Ok(sums);
        };
        matching(task, own, row)?;
        for (own, others) in self.blocks().zip(other.blocks()) {
            let products = inner_products(&[own, others].concat())?;
            for (sums, products) in sums.iter_mut().zip(products.chunks(size)) {
                let of_other = products.iter().skip(size - columns);
                sums.iter_mut().zip(of_other).for_each(|(sum, product)| *sum += product);
            }
        }
        for (task, sums) in self.rows.names().zip(&sums) {
            if sums.iter().any(|sum| !sum.is_finite()) {
                return Err(Error::non_finite("products of the gradient", task));
            }
        }
        Ok(sums)
    }

    /// Jᵀ w: the weighted sum of the gradients of all tasks, block by block.
    ///
    /// # Errors
    /// [`Error::Shape`] for weights of another number than that of the tasks, [`Error::NonFinite`] with the task whose weight
    /// is a NaN or an infinity.
    ///
    /// # Example
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use taskweave_kernels::Named;
    /// use taskweave_loss::Jacobian;
    /// let row = |x: f64| Named::new([("x", Tensor::new(x, &Device::Cpu)?.into())]);
    /// let jacobian = Jacobian::new(Named::new([("a", row(1.0)?), ("b", row(3.0)?)])?)?;
    /// let gradient = jacobian.combined(&[2.0, 0.5])?["x"].clone().into_dense()?;
    /// assert_eq!(gradient.to_scalar::<f64>()?, 3.5);
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn combined(&self, weights: &[f64]) -> Result<Named<Gradient>> {
        if let Some((task, _)) = self.rows.names().zip(weights).find(|(_, weight)| !weight.is_finite()) {
            return Err(Error::non_finite("weight", task));
        }
        let names = self.rows.values().next().into_iter().flat_map(Named::names);
        // The last blocks first: where inner products were formed before, these are in the cache still.
        let blocks: Vec<_> = names.zip(self.blocks()).collect();
        let sums = blocks.into_iter().rev().map(|(name, block)| Ok((name, weighted_sum(&block, weights)?)));
        let sums = sums.collect::<Result<Vec<_>>>()?;
        Named::new(sums.into_iter().rev())
    }

    /// The gradients of all tasks with respect to one parameter, for every parameter.
    fn blocks(&self) -> impl Iterator<Item = Vec<Gradient>> {
        let count = self.rows.values().next().map_or(0, Named::len);
        (0..count)
            .map(|block| self.rows.values().filter_map(|row| row.values().nth(block)).cloned().collect())
    }
}
