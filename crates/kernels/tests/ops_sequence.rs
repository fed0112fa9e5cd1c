//! Functions over sequences against central differences, against plain loops, in f32, and with one and two threads.

mod gradcheck;

use candle_core::{DType, Device, Tensor, Var};
use gradcheck::{Row, assert_close, check_all, flat, row};
use taskweave_kernels::ops::{self, RecurrentWeights};
use taskweave_kernels::{Error, Result, Rng};

fn draw(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = Rng::new(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn weights(a: &[Tensor]) -> RecurrentWeights<'_> {
    RecurrentWeights { input: &a[1], hidden: &a[2], bias_input: &a[3], bias_hidden: &a[4] }
}

fn gru(a: &[Tensor], lengths: Option<&[usize]>) -> Result<Tensor> {
    ops::gru(&a[0], weights(a), a.get(5), lengths)
}

fn lstm(a: &[Tensor], lengths: Option<&[usize]>) -> Result<Tensor> {
    let start = a.get(6).map(|c| [&a[5], c]);
    ops::lstm(&a[0], weights(a), start, lengths)
}

/// Shapes of input, weights and biases, and of `states` initial states.
fn recurrent(gates: usize, [batch, time, input, hidden]: [usize; 4], states: usize) -> Vec<Vec<usize>> {
    let rows = gates * hidden;
    let mut shapes =
        vec![vec![batch, time, input], vec![rows, input], vec![rows, hidden], vec![rows], vec![rows]];
    shapes.extend(vec![vec![batch, hidden]; states]);
    shapes
}

fn recurrent_row(
    name: &'static str,
    shapes: Vec<Vec<usize>>,
    f: impl Fn(&[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
) -> Row {
    row(name, &shapes.iter().map(Vec::as_slice).collect::<Vec<_>>(), f)
}

fn recurrent_table() -> Vec<Row> {
    vec![
        recurrent_row("gru", recurrent(3, [2, 4, 3, 5], 0), |a| gru(a, None)),
        recurrent_row("gru from a state", recurrent(3, [3, 3, 2, 3], 1), |a| gru(a, None)),
        recurrent_row("gru, one step", recurrent(3, [1, 1, 1, 1], 1), |a| gru(a, None)),
        recurrent_row("gru, two blocks", recurrent(3, [17, 2, 1, 2], 1), |a| gru(a, None)),
        recurrent_row("gru, lengths", recurrent(3, [4, 3, 2, 3], 1), |a| gru(a, Some(&[2, 0, 3, 1]))),
        recurrent_row("gru, time first", recurrent(3, [3, 2, 2, 3], 0), |a| {
            let a = [&[a[0].transpose(0, 1)?.contiguous()?.transpose(0, 1)?], &a[1..]].concat();
            gru(&a, None)
        }),
        recurrent_row("gru used twice", recurrent(3, [2, 3, 4, 4], 0), |a| {
            let once = gru(a, None)?;
            let twice = gru(&[std::slice::from_ref(&once), &a[1..]].concat(), None)?;
            Ok((once + twice)?)
        }),
        recurrent_row("lstm", recurrent(4, [2, 4, 3, 5], 0), |a| lstm(a, None)),
        recurrent_row("lstm from a state", recurrent(4, [3, 3, 2, 3], 2), |a| lstm(a, None)),
        recurrent_row("lstm, one step", recurrent(4, [1, 1, 1, 1], 2), |a| lstm(a, None)),
        recurrent_row("lstm, two blocks", recurrent(4, [17, 2, 1, 2], 2), |a| lstm(a, None)),
        recurrent_row("lstm, lengths", recurrent(4, [4, 3, 2, 3], 2), |a| lstm(a, Some(&[2, 0, 3, 1]))),
    ]
}

#[test]
fn gradients_of_recurrent_networks_are_right() {
    check_all(&recurrent_table());
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The formula, number by number.
fn plain_gru(a: &[Tensor], lengths: &[usize]) -> Vec<f64> {
    let (batch, time, input) = a[0].dims3().unwrap();
    let units = a[2].dims()[1];
    let [x, wi, wh, bi, bh, h0] = [0, 1, 2, 3, 4, 5].map(|i| flat(&a[i]));
    let mut out = vec![0.0; batch * time * units];
    for b in 0..batch {
        let mut h = h0[b * units..(b + 1) * units].to_vec();
        for t in 0..lengths[b] {
            let x = &x[(b * time + t) * input..][..input];
            let from_x = |row: usize| bi[row] + (0..input).map(|i| wi[row * input + i] * x[i]).sum::<f64>();
            let from_h = |row: usize| bh[row] + (0..units).map(|i| wh[row * units + i] * h[i]).sum::<f64>();
            let next = |j: usize| {
                let r = sigmoid(from_x(j) + from_h(j));
                let z = sigmoid(from_x(units + j) + from_h(units + j));
                let n = (from_x(2 * units + j) + r * from_h(2 * units + j)).tanh();
                (1.0 - z) * n + z * h[j]
            };
            h = (0..units).map(next).collect();
            out[(b * time + t) * units..][..units].copy_from_slice(&h);
        }
    }
    out
}

fn plain_lstm(a: &[Tensor], lengths: &[usize]) -> Vec<f64> {
    let (batch, time, input) = a[0].dims3().unwrap();
    let units = a[2].dims()[1];
    let [x, wi, wh, bi, bh, h0, c0] = [0, 1, 2, 3, 4, 5, 6].map(|i| flat(&a[i]));
    let mut out = vec![0.0; batch * time * units];
    for b in 0..batch {
        let [mut h, mut c] = [&h0, &c0].map(|s| s[b * units..(b + 1) * units].to_vec());
        for t in 0..lengths[b] {
            let x = &x[(b * time + t) * input..][..input];
            let gate = |gate: usize, j: usize| {
                let row = gate * units + j;
                let from_x = (0..input).map(|i| wi[row * input + i] * x[i]).sum::<f64>();
                bi[row] + bh[row] + from_x + (0..units).map(|i| wh[row * units + i] * h[i]).sum::<f64>()
            };
            let next = |j: usize| sigmoid(gate(1, j)) * c[j] + sigmoid(gate(0, j)) * gate(2, j).tanh();
            c = (0..units).map(next).collect();
            h = (0..units).map(|j| sigmoid(gate(3, j)) * c[j].tanh()).collect();
            out[(b * time + t) * units..][..units].copy_from_slice(&h);
        }
    }
    out
}

fn arguments(shapes: &[Vec<usize>]) -> Vec<Tensor> {
    shapes.iter().enumerate().map(|(i, shape)| draw(shape, i as u64)).collect()
}

#[test]
fn states_are_those_of_the_formulas() {
    for sizes in [[1, 1, 1, 1], [3, 5, 2, 4], [33, 3, 7, 19]] {
        let lengths: Vec<usize> = (0..sizes[0]).map(|b| b % (sizes[1] + 1)).collect();
        let full = vec![sizes[1]; sizes[0]];
        for (given, lengths) in [(None, &full), (Some(lengths.as_slice()), &lengths)] {
            let a = arguments(&recurrent(3, sizes, 1));
            assert_close("gru", &flat(&gru(&a, given).unwrap()), &plain_gru(&a, lengths), 1e-13);
            let a = arguments(&recurrent(4, sizes, 2));
            assert_close("lstm", &flat(&lstm(&a, given).unwrap()), &plain_lstm(&a, lengths), 1e-13);
        }
    }
}

fn in_half(a: &[Tensor]) -> Vec<Tensor> {
    a.iter().map(|a| (a * 0.5).unwrap().to_dtype(DType::F16).unwrap()).collect()
}

fn back(a: &[Tensor]) -> Vec<Tensor> {
    a.iter().map(|a| a.to_dtype(DType::F64).unwrap()).collect()
}

#[test]
fn other_dtypes_take_the_composition_of_recurrent_networks() {
    for lengths in [None, Some(&[2usize, 4, 0][..])] {
        let half = in_half(&arguments(&recurrent(3, [3, 4, 2, 3], 1)));
        let (ours, other) = (gru(&back(&half), lengths).unwrap(), gru(&half, lengths).unwrap());
        assert_eq!(other.dtype(), DType::F16);
        assert_close("gru in f16", &flat(&other), &flat(&ours), 5e-3);
        let half = in_half(&arguments(&recurrent(4, [3, 4, 2, 3], 2)));
        let (ours, other) = (lstm(&back(&half), lengths).unwrap(), lstm(&half, lengths).unwrap());
        assert_close("lstm in f16", &flat(&other), &flat(&ours), 5e-3);
    }
}

type Recurrent = fn(&[Tensor], Option<&[usize]>) -> Result<Tensor>;

#[test]
fn empty_sequences_have_empty_states_and_zero_gradients() {
    for sizes in [[0, 3, 2, 4], [2, 0, 2, 4], [2, 3, 0, 4]] {
        for (f, gates, states) in [(gru as Recurrent, 3, 1), (lstm, 4, 2)] {
            let shapes = recurrent(gates, sizes, states);
            let vars: Vec<Var> =
                shapes.iter().map(|s| Var::zeros(s.as_slice(), DType::F32, &Device::Cpu).unwrap()).collect();
            let a: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
            let y = f(&a, None).unwrap();
            assert_eq!(y.dims(), [sizes[0], sizes[1], 4]);
            let grads = y.sum_all().unwrap().backward().unwrap();
            for var in &vars {
                assert_eq!(grads.get(var).unwrap().dims(), var.dims());
                assert!(flat(grads.get(var).unwrap()).iter().all(|v| v.is_finite()));
            }
        }
    }
}

#[test]
fn misfits_of_recurrent_networks_are_typed_errors() {
    let shapes = recurrent(3, [2, 4, 3, 5], 1);
    for i in 0..shapes.len() {
        let mut wrong = shapes.clone();
        *wrong[i].last_mut().unwrap() += 1;
        assert!(matches!(gru(&arguments(&wrong), None), Err(Error::Shape { .. })), "{i}");
        let mut a = arguments(&shapes);
        a[i] = a[i].to_dtype(DType::F32).unwrap();
        assert!(matches!(gru(&a, None), Err(Error::DType { .. })), "{i}");
    }
    assert!(matches!(lstm(&arguments(&shapes), None), Err(Error::Shape { .. })));
    let a = arguments(&shapes);
    for lengths in [&[1usize][..], &[1, 5]] {
        assert!(matches!(gru(&a, Some(lengths)), Err(Error::Parameter { .. })));
    }
}

/// At sizes whose products are shared among threads, and with many blocks of samples.
#[test]
fn threads_change_no_bit_of_large_sequences() {
    for (f, gates) in [(gru as Recurrent, 3), (lstm, 4)] {
        let large = recurrent_row("large", recurrent(gates, [40, 30, 24, 128], 0), move |a| f(a, None));
        let [one, two] = [1, 2].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| gradcheck::gradients(&large, DType::F32))
        });
        assert_eq!(one, two);
    }
}
