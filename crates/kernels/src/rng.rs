//! A seedable, serialisable random stream that forks by label.

use rand::seq::SliceRandom;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A random stream, equal on every machine for an equal seed.
///
/// [`Rng::fork`] derives an independent stream from the *seed* of this one and a label, whatever has been drawn
/// so far. A new consumer takes a new label and shifts nobody else's numbers, and work that is split over
/// threads draws from one fork per item, so that the split does not matter.
///
/// The generator is ChaCha with 8 rounds; a fork is keyed by SHA-256 of the parent's key and the label.
/// Serialised, it is its key and its position.
///
/// # Example
/// ```
/// use taskweave_kernels::Rng;
/// let mut root = Rng::new(7);
/// let early = root.fork("dropout").uniform();
/// root.uniform();
/// assert_eq!(root.fork("dropout").uniform(), early);
/// assert_ne!(root.fork("shuffle").uniform(), early);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Position", into = "Position")]
pub struct Rng {
    stream: ChaCha8Rng,
}

impl Rng {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { stream: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// An independent stream for `label`; what was drawn from this one before makes no difference.
    pub fn fork(&self, label: &str) -> Self {
        let key: [u8; 32] =
            Sha256::new().chain_update(self.stream.get_seed()).chain_update(label).finalize().into();
        Self { stream: ChaCha8Rng::from_seed(key) }
    }

    /// An independent stream for a number: an epoch, a step, a sample.
    pub fn fork_at(&self, index: u64) -> Self {
        self.fork(&format!("#{index}"))
    }

    /// The next number, uniform in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        rand::Rng::random(&mut self.stream)
    }

    /// The next number, uniform in `[low, high)`; `low` where the range is empty.
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low).max(0.0) * self.uniform()
    }

    /// The next whole number, uniform in `0..bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { rand::Rng::random_range(&mut self.stream, 0..bound) }
    }

    /// The next number of the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.stream)
    }

    /// `true` with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Puts `items` in random order, every order equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.stream);
    }
}

impl RngCore for Rng {
    fn next_u32(&mut self) -> u32 {
        self.stream.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.stream.next_u64()
    }

    fn fill_bytes(&mut self, dst: &mut [u8]) {
        self.stream.fill_bytes(dst);
    }
}

/// What of a stream is saved. The position counts 32-bit words and has 68 bits, hence the two halves.
#[derive(Serialize, Deserialize)]
struct Position {
    key: [u8; 32],
    high: u64,
    low: u64,
}

impl From<Rng> for Position {
    fn from(rng: Rng) -> Self {
        let words = rng.stream.get_word_pos();
        Self { key: rng.stream.get_seed(), high: (words >> 64) as u64, low: words as u64 }
    }
}

impl From<Position> for Rng {
    fn from(saved: Position) -> Self {
        let mut stream = ChaCha8Rng::from_seed(saved.key);
        stream.set_word_pos((u128::from(saved.high) << 64) | u128::from(saved.low));
        Self { stream }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_stream_goes_on_where_it_was() {
        let mut rng = Rng::new(3).fork("noise");
        for _ in 0..5 {
            rng.normal();
            rng.next_u32();
        }
        let mut back: Rng = serde_json::from_str(&serde_json::to_string(&rng).unwrap()).unwrap();
        assert_eq!(
            (0..9).map(|_| rng.normal()).collect::<Vec<_>>(),
            (0..9).map(|_| back.normal()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn forks_are_independent_of_each_other() {
        let root = Rng::new(0);
        let n = 4000;
        let (mut a, mut b) = (root.fork("a"), root.fork_at(1));
        let product: f64 = (0..n).map(|_| a.normal() * b.normal()).sum::<f64>() / n as f64;
        assert!(product.abs() < 4.0 / (n as f64).sqrt(), "correlation {product}");
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<_> = (0..100).collect();
        Rng::new(1).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_uniform_number_stays_below_its_bound() {
        let mut rng = Rng::new(2);
        assert!((0..1000).all(|_| rng.below(3) < 3 && (-1.0..1.0).contains(&rng.range(-1.0, 1.0))));
        assert_eq!((rng.below(0), rng.range(2.0, 1.0)), (0, 2.0));
    }
}
