//! Co-training through its public API.

mod methods;
mod problem;
mod provenance;
mod sessions;
