//! Embeddings: gradients against central differences, by rows on a tape, values against the definition.

mod gradcheck;

use candle_core::{DType, Device, Tensor, Var};
use gradcheck::{Row, check_all, flat, row};
use taskweave_kernels::autograd::{Gradient, record};
use taskweave_kernels::{Error, ops};

/// Ids below `rows` in which many come more than once.
fn ids(shape: &[usize], rows: u32) -> Tensor {
    let id = |i: u32| (i.wrapping_mul(2_654_435_761) >> 7) % rows;
    let ids: Vec<u32> = (0..shape.iter().product::<usize>() as u32).map(id).collect();
    Tensor::from_vec(ids, shape, &Device::Cpu).unwrap()
}

fn table() -> Vec<Row> {
    let lookup = |name, table: [usize; 2], shape: &'static [usize]| {
        row(name, &[&table], move |a| ops::embedding(&a[0], &ids(shape, table[0] as u32)))
    };
    vec![
        lookup("embedding", [5, 3], &[7]),
        lookup("embedding, a sentence", [11, 4], &[3, 5]),
        lookup("embedding, one row", [1, 3], &[4]),
        lookup("embedding, one number", [3, 1], &[1]),
        lookup("embedding, without ids", [3, 2], &[0]),
        lookup("embedding, a scalar", [3, 2], &[]),
        lookup("embedding, many rows", [70, 17], &[40]),
        row("embedding, transposed", &[&[3, 5]], |a| ops::embedding(&a[0].t()?, &ids(&[2, 3], 5))),
        row("embedding, padded", &[&[4, 3]], |a| {
            // The padded row has no gradient, and here no slope either.
            let counts = ids(&[9], 4).ne(2u32)?.to_dtype(a[0].dtype())?.unsqueeze(1)?;
            Ok(ops::embedding_padded(&a[0], &ids(&[9], 4), 2)?.broadcast_mul(&counts)?)
        }),
        row("embedding used twice", &[&[5, 2]], |a| {
            let y = ops::embedding(&a[0], &ids(&[6], 5))?;
            Ok(((&y * &y)? + ops::embedding(&a[0], &ids(&[2, 3], 4))?.reshape((6, 2))?)?)
        }),
    ]
}

#[test]
fn gradients_are_right() {
    check_all(&table());
}

#[test]
fn a_tape_gives_the_sums_over_equal_ids() {
    let (height, width) = (3000usize, 5usize);
    let ids = ids(&[4000], height as u32);
    let numbers: Vec<f32> = (0..4000 * width).map(|i| (i as f32 * 0.37).sin()).collect();
    let mut expected = vec![0f32; height * width];
    for (place, id) in ids.to_vec1::<u32>().unwrap().into_iter().enumerate() {
        for column in 0..width {
            expected[id as usize * width + column] += numbers[place * width + column];
        }
    }
    let table = Var::zeros((height, width), DType::F32, &Device::Cpu).unwrap();
    let (y, tape) = record(|| ops::embedding(&table, &ids)).unwrap();
    let cotangent = Tensor::from_vec(numbers, (4000, width), &Device::Cpu).unwrap();
    let gradients = tape.backward(&[(&y, Some(cotangent))], &[&table]).unwrap();
    assert!(matches!(gradients.get(&table), Some(Gradient::Rows(_))));
    let found: Vec<f32> = gradients.dense(&table).unwrap().unwrap().flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(found, expected);
}

#[test]
fn other_dtypes_take_the_composition() {
    // Turned, so that its rows do not lie side by side.
    let table = Tensor::new(&[[1f32, 3.0], [2.0, 4.0]], &Device::Cpu).unwrap().to_dtype(DType::F16).unwrap();
    let table = table.t().unwrap();
    let ids = Tensor::new(&[[1u32], [0]], &Device::Cpu).unwrap();
    let y = ops::embedding(&table, &ids).unwrap();
    assert_eq!((y.dims(), flat(&y)), (&[2, 1, 2][..], vec![3.0, 4.0, 1.0, 2.0]));
}

#[test]
fn misfits_are_typed_errors() {
    let table = Tensor::zeros((3, 2), DType::F32, &Device::Cpu).unwrap();
    for dtype in [DType::F32, DType::F16] {
        let outside = Tensor::new(&[0u32, 3, 9], &Device::Cpu).unwrap();
        let error = ops::embedding(&table.to_dtype(dtype).unwrap(), &outside).unwrap_err();
        assert_eq!(error.to_string(), "id of an embedding: expected a row of 3, found 3");
    }
    let long = Tensor::zeros(2, DType::I64, &Device::Cpu).unwrap();
    assert!(matches!(ops::embedding(&table, &long), Err(Error::DType { .. })));
    let cube = Tensor::zeros((1, 2, 3), DType::F32, &Device::Cpu).unwrap();
    assert!(matches!(ops::embedding(&cube, &ids(&[2], 1)), Err(Error::Shape { .. })));
    let empty = Tensor::zeros((0, 2), DType::F32, &Device::Cpu).unwrap();
    assert!(matches!(ops::embedding(&empty, &ids(&[1], 1)), Err(Error::Parameter { .. })));
    let flat_table = Tensor::zeros((3, 0), DType::F32, &Device::Cpu).unwrap();
    assert_eq!(ops::embedding(&flat_table, &ids(&[4], 3)).unwrap().dims(), [4, 0]);
}
