//! How many floating-point operations the matrix products and convolutions of a step are.

use super::Name;

impl Name {
    /// Those of one `ew` step: the forward pass once for the outputs, once for the gradients of the weights and once
    /// for those of the inputs, which the first layer does without where nothing below it learns. Convolutions count
    /// as the sums that define them, whichever algorithm forms them.
    pub fn flop_of_ew(self) -> f64 {
        let (forward, first) = self.multiplications();
        2.0 * (3.0 * forward - first)
    }

    /// The multiplications of a forward pass, and those of a first layer without a gradient for its input.
    fn multiplications(self) -> (f64, f64) {
        let conv = |from: usize, to: usize, side: usize| 9 * from * to * side * side;
        let (rows, each, first) = match self {
            Self::Mlp8 => (256, 512 * 1024 + 2 * 1024 * 1024 + 8 * 1024, 512 * 1024),
            Self::Cnn2 => {
                let trunk = conv(3, 64, 32) + conv(64, 64, 32) + conv(64, 128, 16) + conv(128, 128, 16);
                (64, trunk + conv(128, 256, 8) + 256 * 10 + 256 * 2 * 64, conv(3, 64, 32))
            }
            Self::Transformer3 => {
                let layer = 4 * 256 * 256 + 2 * 256 * 1024 + 2 * 64 * 256;
                (32 * 64, 4 * layer + 256 * 9, 0)
            }
            Self::Mmoe3 => {
                (2048, 8 * (429 * 256 + 256 * 128) + 3 * (429 * 8 + 8 * 128) + 3 * (128 * 64 + 64), 0)
            }
            Self::Gru2 => (64 * 60, 40 * 768 + 256 * 768, 40 * 768),
            Self::Iwrm64 => (64, 512 * 1024 + 1024 * 1024 + 1024 * 10, 512 * 1024),
        };
        ((rows * each) as f64, (rows * first) as f64)
    }
}
