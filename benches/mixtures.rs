//! Tables, mixtures of experts and binary cross-entropy beside candle's, f32, at the sizes of a small network.

mod pairs;

use candle_core::{D, Device, Result, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use pairs::{Pair, image};
use taskweave::kernels::ops::{self, Activation};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rows of a table.
const ROWS: u32 = 10_000;

const PAIRS: [Pair; 4] = [
    Pair {
        name: "embedding",
        shapes: |(_, to, _)| vec![vec![ROWS as usize, to]],
        ours: |a| ops::embedding(&a[0], &ids()?),
        candles: |a| a[0].index_select(&ids()?, 0),
    },
    Pair {
        name: "expert_linear",
        shapes: |(from, to, side)| vec![vec![side * side, 4, from], vec![4, to, from], vec![4, to]],
        ours: |a| ops::expert_linear(&a[0], &a[1], Some(&a[2]), Activation::Relu),
        candles: |a| {
            let x = a[0].transpose(0, 1)?.contiguous()?;
            let y = x.matmul(&a[1].transpose(1, 2)?.contiguous()?)?;
            y.broadcast_add(&a[2].unsqueeze(1)?)?.relu()?.transpose(0, 1)?.contiguous()
        },
    },
    Pair {
        name: "mix",
        shapes: |(_, to, side)| vec![vec![side * side, 3, 4], vec![side * side, 4, to]],
        ours: |a| ops::mix(&a[0], &a[1]),
        candles: |a| candle_nn::ops::softmax(&a[0], D::Minus1)?.matmul(&a[1]),
    },
    Pair {
        name: "bce_with_logits",
        shapes: image,
        ours: |a| ops::bce_with_logits(&a[0], &a[0].zeros_like()?, 1.0),
        // Without the care for large logits.
        candles: |a| (a[0].exp()? + 1.0)?.log(),
    },
];

/// Rows of a table that are looked up.
fn ids() -> Result<Tensor> {
    let ids: Vec<u32> = (0..2048u32).map(|i| i.wrapping_mul(2_654_435_761) % ROWS).collect();
    Tensor::from_vec(ids, 2048, &Device::Cpu)
}

fn mixtures(criterion: &mut Criterion) {
    pairs::at_all_stages(criterion, &PAIRS);
}

criterion_group! {
    name = benches;
    config = pairs::short();
    targets = mixtures
}
criterion_main!(benches);
