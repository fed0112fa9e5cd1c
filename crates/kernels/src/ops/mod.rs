//! Differentiable functions.
