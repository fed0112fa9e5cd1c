//! Methods that remember nothing.

/// Implements [`Stateful`](taskweave_kernels::Stateful) for methods that depend on the step and the networks alone.
macro_rules! stateless {
    ($method:ty) => {
        impl taskweave_kernels::Stateful for $method {
            fn save(&self) -> taskweave_kernels::Result<taskweave_kernels::State> {
                taskweave_kernels::State::of(&())
            }

            fn restore(&mut self, state: &taskweave_kernels::State) -> taskweave_kernels::Result<()> {
                state.read(stringify!($method))
            }
        }
    };
}

pub(super) use stateless;
