//! Convolution with 3 × 3 kernels at stride 1 by Winograd's minimal filtering: a quarter of the products.
//!
//! Four outputs of a row are a product of polynomials in disguise, which is known from its values at six points.
//! In two dimensions, tiles of 6 × 6 inputs and kernels of 3 × 3 become 36 values each; the values at each point
//! are multiplied as matrices over the channels, and every result becomes a tile of 4 × 4 outputs:
//!
//! ```text
//! Y = Aᵀ [ (G g Gᵀ) ∘ (Bᵀ d B) ] A        one-dimensional maps: Bᵀ 6 × 6, G 6 × 3, Aᵀ 4 × 6
//! ```
//!
//! The gradient of the input is the same convolution with the kernel turned by 180° and the channels exchanged.
//! The gradient of the kernel is the same product with a tile of 4 × 4 in the place of the kernel and 3 × 3
//! outputs, on the same six points, so that input tiles are transformed in one way only.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `points` | the one-dimensional maps and the choice of points |
//! | `tiles` | planes cut into tiles, sixteen of them side by side, and back |
//! | `transform` | tiles into transformed form and back |
//! | `kernels` | the transformed kernels, and the way back for their gradient |
//! | `path` | the convolution, forward or as the gradient of its input |
//! | `gradient` | the gradient of the kernels |
//! | `layer` | the three of them for one geometry |
//!
//! Reference: A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016,
//! <https://arxiv.org/abs/1509.09308>. On points and accuracy: B. Barabasz, A. Anderson, K. M. Soodhalter,
//! D. Gregg, "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks",
//! ACM TOMS 2020, <https://arxiv.org/abs/1803.10986>.

#[cfg(test)]
mod conformance;
mod gradient;
mod kernels;
mod layer;
mod path;
mod points;
mod tiles;
mod transform;

pub(super) use layer::Layer;
