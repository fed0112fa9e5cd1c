//! Parts that remember nothing.

/// Implements [`Stateful`](taskweave_kernels::Stateful) for parts that always do the same with the same: an empty state.
macro_rules! stateless {
    ($part:ty) => {
        impl taskweave_kernels::Stateful for $part {
            fn save(&self) -> taskweave_kernels::Result<taskweave_kernels::State> {
                taskweave_kernels::State::of(&())
            }

            fn restore(&mut self, state: &taskweave_kernels::State) -> taskweave_kernels::Result<()> {
                state.read(stringify!($part))
            }
        }
    };
}

pub(crate) use stateless;
