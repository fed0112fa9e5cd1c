//! Co-training through its public API.

mod co_em;
mod likelihood;
mod methods;
mod problem;
mod provenance;
mod sessions;
