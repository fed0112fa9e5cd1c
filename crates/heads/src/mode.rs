//! Whether a model is being trained.

use taskweave_kernels::Rng;

/// Whether a model is being trained, and if so, from which random stream.
///
/// The stream is that of one step. A layer that draws forks it by its own name, so a layer has no random state
/// of its own: the same step gives the same masks, also after a resume.
///
/// # Example
/// ```
/// use taskweave_heads::Mode;
/// use taskweave_kernels::Rng;
/// let step = Rng::new(0).fork_at(3);
/// assert!(Mode::Train(&step).is_train() && !Mode::Eval.is_train());
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Mode<'a> {
    /// Dropout drops, normalisation takes the statistics of the batch and updates the running ones.
    Train(&'a Rng),
    /// Nothing is random and nothing changes.
    Eval,
}

impl Mode<'_> {
    /// Whether this is [`Mode::Train`].
    pub fn is_train(self) -> bool {
        matches!(self, Self::Train(_))
    }
}
