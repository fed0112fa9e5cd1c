//! The checks that every differentiable function passes: central differences in f64, f32 against f64, and one
//! and two threads.
#![allow(dead_code)]

use candle_core::{DType, Device, Tensor, Var};
use taskweave_kernels::autograd::record;
use taskweave_kernels::{Result, Rng};

pub type Function = Box<dyn Fn(&[Tensor]) -> Result<Tensor> + Send + Sync>;

/// One row of the table: a function, and the shapes of its arguments.
pub struct Row {
    pub name: &'static str,
    pub shapes: Vec<Vec<usize>>,
    pub f: Function,
}

pub fn row(
    name: &'static str,
    shapes: &[&[usize]],
    f: impl Fn(&[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
) -> Row {
    Row { name, shapes: shapes.iter().map(|s| s.to_vec()).collect(), f: Box::new(f) }
}

/// Every check on every row.
pub fn check_all(table: &[Row]) {
    gradients_equal_central_differences(table);
    single_precision_follows_double_precision(table);
    the_number_of_threads_changes_no_bit(table);
    a_tape_gives_the_same_bits(table);
    one_gradient_alone_is_the_same(table);
    strided_arguments_give_the_same(table);
    broadcast_arguments_have_the_sum_of_the_gradients(table);
    a_result_that_is_used_twice_has_the_sum_of_both(table);
}

fn gradients_equal_central_differences(table: &[Row]) {
    for row in table {
        for (i, gradient) in gradients(row, DType::F64).iter().enumerate() {
            let name = format!("{}, argument {i}", row.name);
            assert_close(&name, gradient, &central_differences(row, i), 1e-7);
        }
    }
}

fn single_precision_follows_double_precision(table: &[Row]) {
    for row in table {
        for (single, double) in gradients(row, DType::F32).iter().zip(gradients(row, DType::F64)) {
            assert_close(row.name, single, &double, 2e-5);
        }
    }
}

/// The compositions that run in other dtypes have gradients of their own.
pub fn half_precision_follows_double_precision(table: &[Row]) {
    for row in table {
        for (half, double) in gradients(row, DType::F16).iter().zip(gradients(row, DType::F64)) {
            assert_close(row.name, half, &double, 2e-2);
        }
    }
}

fn the_number_of_threads_changes_no_bit(table: &[Row]) {
    let all = |threads: usize| -> Vec<Vec<Vec<f64>>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| table.iter().map(|row| gradients(row, DType::F32)).collect())
    };
    assert_eq!(all(1), all(2));
}

fn a_tape_gives_the_same_bits(table: &[Row]) {
    for row in table {
        let vars = arguments(row, DType::F64);
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let (loss, tape) = record(|| Ok(objective(row, &tensors))).unwrap();
        let targets: Vec<&Tensor> = tensors.iter().collect();
        let taped = tape.backward(&[(&loss, None)], &targets).unwrap();
        for (i, (var, expected)) in tensors.iter().zip(gradients(row, DType::F64)).enumerate() {
            let found = flat(&taped.dense(var).unwrap().unwrap());
            assert_close(&format!("{}, argument {i} on a tape", row.name), &found, &expected, 1e-14);
        }
    }
}

fn one_gradient_alone_is_the_same(table: &[Row]) {
    for row in table {
        let vars = arguments(row, DType::F64);
        for (i, expected) in gradients(row, DType::F64).iter().enumerate() {
            let mut tensors: Vec<Tensor> = vars.iter().map(|v| v.as_detached_tensor()).collect();
            tensors[i] = vars[i].as_tensor().clone();
            let alone = objective(row, &tensors).backward().unwrap();
            let name = format!("{}, argument {i} alone", row.name);
            assert_close(&name, &flat(alone.get(&vars[i]).unwrap()), expected, 1e-14);
        }
    }
}

/// Every second number of each row of a longer tensor.
fn strided_arguments_give_the_same(table: &[Row]) {
    for row in table {
        let apart = |v: &Var| {
            Var::from_tensor(&Tensor::stack(&[v.as_tensor(), &v.neg().unwrap()], v.rank()).unwrap())
        };
        let bases: Vec<Var> = arguments(row, DType::F64).iter().map(|v| apart(v).unwrap()).collect();
        let views: Vec<Tensor> = bases
            .iter()
            .map(|b| b.narrow(b.rank() - 1, 0, 1).unwrap().squeeze(b.rank() - 1).unwrap())
            .collect();
        let grads = objective(row, &views).backward().unwrap();
        for (i, (base, expected)) in bases.iter().zip(gradients(row, DType::F64)).enumerate() {
            let name = format!("{}, argument {i} strided", row.name);
            let found = flat(grads.get(base).unwrap());
            assert_close(&name, &found.iter().copied().step_by(2).collect::<Vec<_>>(), &expected, 1e-14);
            assert!(found.iter().skip(1).step_by(2).all(|v| *v == 0.0), "{name}");
        }
    }
}

/// One number in every place.
fn broadcast_arguments_have_the_sum_of_the_gradients(table: &[Row]) {
    for row in table {
        let starts: Vec<Var> =
            (0..row.shapes.len()).map(|i| Var::new(0.3 + 0.2 * i as f64, &Device::Cpu).unwrap()).collect();
        let views: Vec<Tensor> = starts
            .iter()
            .zip(&row.shapes)
            .map(|(v, shape)| v.broadcast_as(shape.as_slice()).unwrap())
            .collect();
        let dense: Vec<Var> = views
            .iter()
            .map(|v| Var::from_tensor(&v.detach().force_contiguous().unwrap()).unwrap())
            .collect();
        let tensors: Vec<Tensor> = dense.iter().map(|v| v.as_tensor().clone()).collect();
        let (found, expected) =
            (objective(row, &views).backward().unwrap(), objective(row, &tensors).backward().unwrap());
        for (i, (start, dense)) in starts.iter().zip(&dense).enumerate() {
            let values = flat(expected.get(dense).unwrap());
            let scale: f64 = values.iter().map(|v| v.abs()).sum::<f64>().max(1.0);
            let found = flat(found.get(start).unwrap())[0];
            let sum: f64 = values.iter().sum();
            assert!(
                (found - sum).abs() <= 1e-12 * scale,
                "{}, argument {i} broadcast: {found}, {sum}",
                row.name
            );
        }
    }
}

/// The result and its square, whose gradient is that of one use with the weights w + 2 y.
fn a_result_that_is_used_twice_has_the_sum_of_both(table: &[Row]) {
    for row in table {
        let vars = arguments(row, DType::F64);
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let twice = |y: &Tensor| {
            let both = ((y * counts(y)).unwrap() + y.sqr().unwrap()).unwrap();
            both.sum_all().unwrap()
        };
        let once = |y: &Tensor| {
            let weights = (counts(y) + (y.detach() * 2.0).unwrap()).unwrap();
            (y * weights).unwrap().sum_all().unwrap()
        };
        let expected = once(&(row.f)(&tensors).unwrap()).backward().unwrap();
        let found = twice(&(row.f)(&tensors).unwrap()).backward().unwrap();
        let (loss, tape) = record(|| Ok(twice(&(row.f)(&tensors)?))).unwrap();
        let taped = tape.backward(&[(&loss, None)], &tensors.iter().collect::<Vec<_>>()).unwrap();
        for (i, var) in vars.iter().enumerate() {
            let name = format!("{}, argument {i} of a result used twice", row.name);
            let expected = flat(expected.get(var).unwrap());
            assert_close(&name, &flat(found.get(var).unwrap()), &expected, 1e-12);
            assert_close(&name, &flat(&taped.dense(var).unwrap().unwrap()), &expected, 1e-12);
        }
    }
}

pub fn arguments(row: &Row, dtype: DType) -> Vec<Var> {
    let mut rng = Rng::new(11).fork(row.name);
    let argument = |shape: &Vec<usize>| {
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
        let tensor = Tensor::from_vec(values, shape.as_slice(), &Device::Cpu).unwrap();
        Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap()
    };
    row.shapes.iter().map(argument).collect()
}

/// A scalar of the result in which every element counts differently.
pub fn objective(row: &Row, arguments: &[Tensor]) -> Tensor {
    let y = (row.f)(arguments).unwrap();
    let weights = counts(&y);
    (y * weights).unwrap().sum_all().unwrap()
}

/// How much each element counts.
fn counts(y: &Tensor) -> Tensor {
    let mut rng = Rng::new(12);
    let weights: Vec<f64> = (0..y.elem_count()).map(|_| rng.normal()).collect();
    Tensor::from_vec(weights, y.shape(), &Device::Cpu).unwrap().to_dtype(y.dtype()).unwrap()
}

pub fn gradients(row: &Row, dtype: DType) -> Vec<Vec<f64>> {
    let vars = arguments(row, dtype);
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let grads = objective(row, &tensors).backward().unwrap();
    vars.iter().map(|v| flat(grads.get(v).unwrap())).collect()
}

pub fn flat(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

pub fn central_differences(row: &Row, argument: usize) -> Vec<f64> {
    let tensors: Vec<Tensor> = arguments(row, DType::F64).iter().map(|v| v.as_tensor().clone()).collect();
    let values = flat(&tensors[argument]);
    let h = 1e-5;
    let moved = |i: usize, by: f64| {
        let mut values = values.clone();
        values[i] += by;
        let mut all = tensors.clone();
        all[argument] = Tensor::from_vec(values, tensors[argument].shape(), &Device::Cpu).unwrap();
        objective(row, &all).to_scalar::<f64>().unwrap()
    };
    (0..values.len()).map(|i| (moved(i, h) - moved(i, -h)) / (2.0 * h)).collect()
}

pub fn assert_close(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "{name}, element {i}: {a} instead of {b}");
    }
}
