//! Co-training through its public API.

mod likelihood;
mod methods;
mod problem;
mod provenance;
mod sessions;
