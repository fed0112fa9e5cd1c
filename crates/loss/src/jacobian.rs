//! The gradients of every task, block by block.
//!
//! J has one row per task and one block per parameter. The blocks are never concatenated: a network of n
//! parameters and K tasks costs K·n numbers and not one more, and an aggregate is formed block by block.
//! The Gramian is G = Σ_blocks J_b J_bᵀ, summed in f64 in one pass over each block that keeps a piece of all rows
//! in cache.

use candle_core::{CpuStorage, DType, Device, Storage, Tensor, WithDType};
use taskweave_kernels::{Error, Named, Param, Result};

use crate::Gramian;

/// Numbers of one row that are multiplied at a time: 8 rows of f64 fit the cache of one core.
const PIECE: usize = 4096;

/// The gradient of every task with respect to every parameter.
///
/// Rows are tasks in the order of the losses, blocks are parameters in name order.
///
/// # Example
/// ```
/// use candle_core::{Device, Var};
/// use taskweave_kernels::{Kind, Named, Owner, Param};
/// use taskweave_loss::Jacobian;
/// let x = Var::new(&[1f64, 2.0], &Device::Cpu)?;
/// let losses = Named::new([("sum", x.sum_all()?), ("squares", x.sqr()?.sum_all()?)])?;
/// let params = Named::new([("x", Param::new(x, Kind::Weight, Owner::Shared))])?;
/// let jacobian = Jacobian::of(&losses, &params)?;
/// assert_eq!(jacobian.rows()["squares"]["x"].to_vec1::<f64>()?, [2.0, 4.0]);
/// assert_eq!(jacobian.gramian()?.values(), [2.0, 6.0, 6.0, 20.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Jacobian {
    rows: Named<Named<Tensor>>,
}

impl Jacobian {
    /// Differentiates every loss with respect to every trained parameter: one backward pass per task.
    ///
    /// A parameter that a task does not reach has a zero block. Buffers are left out.
    ///
    /// # Errors
    /// [`Error::Shape`] for a loss that is not a scalar.
    pub fn of(losses: &Named<Tensor>, params: &Named<Param>) -> Result<Self> {
        let mut trained = Named::default();
        for (name, param) in params.iter().filter(|(_, param)| param.kind.is_trained()) {
            trained.insert(name, param)?;
        }
        let trained = trained.sorted();
        let rows = losses.try_map(|task, loss| {
            if loss.rank() != 0 {
                return Err(Error::shape(format!("loss of `{task}`"), "[] (a scalar)", loss.dims()));
            }
            let gradients = loss.backward()?;
            trained.try_map(|_, param| match gradients.get(&param.var) {
                Some(gradient) => Ok(gradient.clone()),
                None => Ok(param.var.zeros_like()?),
            })
        })?;
        Ok(Self { rows })
    }

    /// A Jacobian from rows of named blocks.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a row that lacks a block of the first, [`Error::Shape`] for a row with more blocks
    /// or a block of another shape.
    pub fn new(rows: Named<Named<Tensor>>) -> Result<Self> {
        let rows = rows.map(|_, row| row.clone().sorted());
        if let Some(first) = rows.values().next() {
            rows.iter().try_for_each(|(task, row)| matching(task, first, row))?;
        }
        Ok(Self { rows })
    }

    /// The gradient of each task, by parameter.
    pub fn rows(&self) -> &Named<Named<Tensor>> {
        &self.rows
    }

    /// G = J Jᵀ.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the task whose gradient holds a NaN or an infinity.
    pub fn gramian(&self) -> Result<Gramian> {
        let size = self.rows.len();
        let mut sums = vec![0.0; size * size];
        let blocks = self.rows.values().next().map_or(0, Named::len);
        for block in 0..blocks {
            let rows: Vec<_> = self.rows.values().filter_map(|row| row.values().nth(block)).collect();
            add_products(&rows, &mut sums)?;
        }
        for i in 0..size {
            for j in 0..i {
                sums[i * size + j] = sums[j * size + i];
            }
        }
        for (i, task) in self.rows.names().enumerate() {
            if !sums[i * size + i].is_finite() {
                return Err(Error::non_finite("gradient", task));
            }
        }
        Gramian::new(self.rows.names(), &sums.chunks(size.max(1)).collect::<Vec<_>>())
    }
}

fn matching(task: &str, first: &Named<Tensor>, row: &Named<Tensor>) -> Result<()> {
    if row.len() != first.len() {
        return Err(Error::shape(
            format!("row of `{task}`"),
            format!("{} blocks", first.len()),
            &[row.len()],
        ));
    }
    for (name, block) in first.iter() {
        let found = row.require("block", name)?.dims();
        if found != block.dims() {
            return Err(Error::shape(
                format!("block `{name}` of `{task}`"),
                format!("{:?}", block.dims()),
                found,
            ));
        }
    }
    Ok(())
}

/// Adds the inner products of the rows of one block to the upper triangle of `sums`.
fn add_products(rows: &[&Tensor], sums: &mut [f64]) -> Result<()> {
    let same = rows.iter().all(|row| row.dtype() == DType::F32);
    let dtype = if same { DType::F32 } else { DType::F64 };
    let on_host = |row: &&Tensor| row.to_device(&Device::Cpu)?.to_dtype(dtype)?.contiguous();
    let host = rows.iter().map(on_host).collect::<candle_core::Result<Vec<_>>>()?;
    match dtype {
        DType::F32 => add_products_of::<f32>(&host, sums),
        _ => add_products_of::<f64>(&host, sums),
    }
}

fn add_products_of<T: WithDType + Into<f64>>(rows: &[Tensor], sums: &mut [f64]) -> Result<()> {
    let guards: Vec<_> = rows.iter().map(Tensor::storage_and_layout).collect();
    let mut slices: Vec<&[T]> = Vec::with_capacity(rows.len());
    for ((storage, layout), row) in guards.iter().zip(rows) {
        if let Storage::Cpu(storage) = &**storage {
            slices.push(&numbers::<T>(storage)?[layout.start_offset()..][..row.elem_count()]);
        }
    }
    let size = slices.len();
    let length = slices.first().map_or(0, |row| row.len());
    for start in (0..length).step_by(PIECE) {
        let piece = start..length.min(start + PIECE);
        for i in 0..size {
            for j in i..size {
                sums[i * size + j] += dot(&slices[i][piece.clone()], &slices[j][piece.clone()]);
            }
        }
    }
    Ok(())
}

fn numbers<T: WithDType>(storage: &CpuStorage) -> Result<&[T]> {
    Ok(storage.as_slice::<T>()?)
}

/// Σ aᵢbᵢ in f64, in eight interleaved sums that the compiler turns into vector instructions.
fn dot<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_lanes, b_lanes) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a_lanes.remainder().iter().zip(b_lanes.remainder());
    let rest: f64 = rest.map(|(x, y)| (*x).into() * (*y).into()).sum();
    for (x, y) in a_lanes.zip(b_lanes) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += (*x).into() * (*y).into();
        }
    }
    rest + sums.iter().sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;
    use taskweave_kernels::{Kind, Owner};

    fn param(values: &[f64], kind: Kind) -> Param {
        Param::new(Var::new(values, &Device::Cpu).unwrap(), kind, Owner::Shared)
    }

    #[test]
    fn an_unreached_parameter_is_a_zero_block_and_a_buffer_is_none() {
        let (z, a) = (param(&[1.0, 2.0], Kind::Weight), param(&[3.0], Kind::Bias));
        let losses =
            Named::new([("z", z.var.sum_all().unwrap()), ("a", a.var.sqr().unwrap().sum_all().unwrap())])
                .unwrap();
        let params = Named::new([("z", z), ("seen", param(&[0.0], Kind::Buffer)), ("a", a)]).unwrap();
        let jacobian = Jacobian::of(&losses, &params).unwrap();
        assert_eq!(jacobian.rows()["z"].names().collect::<Vec<_>>(), ["a", "z"]);
        assert_eq!(jacobian.rows()["z"]["a"].to_vec1::<f64>().unwrap(), [0.0]);
        assert_eq!(jacobian.gramian().unwrap().values(), [2.0, 0.0, 0.0, 36.0]);
    }

    #[test]
    fn a_gradient_that_is_not_finite_names_its_task() {
        let x = param(&[0.0], Kind::Weight);
        let losses = Named::new([
            ("good", x.var.sum_all().unwrap()),
            ("bad", x.var.log().unwrap().sum_all().unwrap()),
        ])
        .unwrap();
        let params = Named::new([("x", x)]).unwrap();
        let error = Jacobian::of(&losses, &params).unwrap().gramian().unwrap_err();
        assert_eq!(error.to_string(), "gradient of `bad` is not finite");
    }

    #[test]
    fn long_transposed_and_mixed_blocks_are_summed_in_f64() {
        let n = 2 * PIECE + 13;
        let ramp = Tensor::arange(0u32, n as u32, &Device::Cpu).unwrap();
        let wide = |dtype| ramp.to_dtype(dtype).unwrap().reshape((1, n)).unwrap();
        let rows = [("f32", wide(DType::F32)), ("f64", wide(DType::F64))];
        let exact = (0..n).map(|i| (i * i) as f64).sum::<f64>();
        let gramian = |rows: &[(&str, Tensor)]| {
            let rows = rows.iter().map(|(task, block)| (*task, Named::new([("x", block.clone())]).unwrap()));
            Jacobian::new(Named::new(rows).unwrap()).unwrap().gramian().unwrap()
        };
        assert_eq!(gramian(&rows).values(), [exact; 4]);
        assert_eq!(gramian(&rows[..1]).values(), [exact]);
        let square = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
        let turned = [("a", square.clone()), ("b", square.t().unwrap())];
        assert_eq!(gramian(&turned)[(0, 1)], 1.0 + 6.0 + 6.0 + 16.0);
    }

    #[test]
    fn rows_of_different_blocks_are_refused() {
        let block = |n: usize| Tensor::zeros(n, DType::F32, &Device::Cpu).unwrap();
        let row = |name: &str, n: usize| Named::new([(name, block(n))]).unwrap();
        let build = |second| Jacobian::new(Named::new([("a", row("x", 2)), ("b", second)]).unwrap());
        assert!(build(row("x", 2)).is_ok());
        assert!(matches!(build(row("y", 2)), Err(Error::Unknown { .. })));
        assert!(matches!(build(row("x", 3)), Err(Error::Shape { .. })));
        assert!(matches!(build(Named::default()), Err(Error::Shape { .. })));
    }
}
