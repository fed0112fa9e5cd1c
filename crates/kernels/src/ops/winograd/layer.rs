//! A layer of 3 × 3 kernels: its convolution and both gradients.

use super::gradient;
use super::kernels::{Direction, Kernels};
use super::path::Path;
use super::tiles::Grid;
use crate::ops::algorithm::Algorithm;
use crate::ops::host::Real;

/// One convolution with 3 × 3 kernels at stride 1, undilated and ungrouped.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Layer {
    /// Channels in and out.
    pub(in crate::ops) channels: [usize; 2],
    /// Height and width of an input plane.
    pub(in crate::ops) inputs: [usize; 2],
    /// Height and width of an output plane.
    pub(in crate::ops) outputs: [usize; 2],
    /// Zeros around the input.
    pub(in crate::ops) padding: usize,
}

impl<T: Real> Algorithm<T> for Layer {
    fn forward(&self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let path = Path { channels: self.channels, from: self.input_grid(), to: self.output_grid() };
        path.run(x, &Kernels::new(weight, path.channels, Direction::Forward), bias)
    }

    fn input_gradient(&self, dy: &[T], weight: &[T]) -> Vec<T> {
        let [inputs, outputs] = self.channels;
        let path = Path {
            channels: [outputs, inputs],
            from: Grid::new(self.outputs, self.inputs, 2 - self.padding as isize),
            to: Grid::new(self.inputs, self.inputs, 0),
        };
        let bias = vec![T::zero(); inputs];
        path.run(dy, &Kernels::new(weight, path.channels, Direction::Backward), &bias)
    }

    fn weight_gradient(&self, x: &[T], dy: &[T]) -> Vec<T> {
        gradient::of_weight(&[self.input_grid(), self.output_grid()], self.channels, [x, dy])
    }
}

impl Layer {
    fn input_grid(&self) -> Grid {
        Grid::new(self.inputs, self.outputs, self.padding as isize)
    }

    fn output_grid(&self) -> Grid {
        Grid::new(self.outputs, self.outputs, 0)
    }
}
