//! Parts that remember one thing.

/// Implements [`Stateful`](taskweave_kernels::Stateful) for parts of which one field is all that changes.
macro_rules! remembers {
    ($part:ty, $field:ident) => {
        impl taskweave_kernels::Stateful for $part {
            fn save(&self) -> taskweave_kernels::Result<taskweave_kernels::State> {
                taskweave_kernels::State::of(&self.$field)
            }

            fn restore(&mut self, state: &taskweave_kernels::State) -> taskweave_kernels::Result<()> {
                self.$field = state.read(stringify!($part))?;
                Ok(())
            }
        }
    };
}

pub(crate) use remembers;
