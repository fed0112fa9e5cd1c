//! Co-training through its public API.

mod co_em;
mod every;
mod gates;
mod likelihood;
mod methods;
mod networks;
mod pools;
mod problem;
mod provenance;
mod sessions;
