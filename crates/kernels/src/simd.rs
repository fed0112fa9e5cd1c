//! Loops in the widest vectors that the processor has.
//!
//! Programs are compiled for the oldest processor of an architecture; which vectors the one at hand has is asked
//! once, while the program runs. The arithmetic is the same for all of them: the compiler neither reorders sums
//! nor fuses products into them on its own, so that results do not depend on the width.

/// Runs `f`, compiled for the widest vectors at hand.
///
/// What `f` calls takes part only where it is inlined: mark it `#[inline(always)]`.
#[inline(always)]
#[allow(clippy::redundant_closure, reason = "what is handed over has to be inlined, and `f` need not be")]
pub(crate) fn wide<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || f(),
    )
}

#[cfg(test)]
mod tests {
    use super::wide;

    #[test]
    fn the_result_is_that_of_the_plain_loop() {
        let x: Vec<f32> = (0..1000).map(|i| (i as f32).sin()).collect();
        let plain: Vec<f32> = x.iter().map(|v| v * 1.5 + 0.25).collect();
        assert_eq!(wide(|| x.iter().map(|v| v * 1.5 + 0.25).collect::<Vec<f32>>()), plain);
    }
}
