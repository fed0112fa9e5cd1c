//! Schedules that remember nothing.

/// Implements [`Stateful`](taskweave_kernels::Stateful) for schedules that follow the time alone: an empty state.
macro_rules! stateless {
    ($schedule:ty) => {
        impl taskweave_kernels::Stateful for $schedule {
            fn save(&self) -> taskweave_kernels::Result<taskweave_kernels::State> {
                taskweave_kernels::State::of(&())
            }

            fn restore(&mut self, state: &taskweave_kernels::State) -> taskweave_kernels::Result<()> {
                state.read(stringify!($schedule))
            }
        }
    };
}

pub(super) use stateless;
