//! Weightings that remember nothing.

/// Implements [`Stateful`](taskweave_kernels::Stateful) for types without state.
macro_rules! stateless {
    ($($type:ty),+) => {$(
        impl taskweave_kernels::Stateful for $type {
            fn save(&self) -> taskweave_kernels::Result<taskweave_kernels::State> {
                taskweave_kernels::State::of(&())
            }

            fn restore(&mut self, state: &taskweave_kernels::State) -> taskweave_kernels::Result<()> {
                state.read(stringify!($type))
            }
        }
    )+};
}

pub(super) use stateless;
