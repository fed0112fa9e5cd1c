//! Which tasks to train together: a search over groups by task affinity.
//!
//! Given the affinities Z and a budget of B groups (networks), choose at most B sets of tasks that cover all, such that
//!     Σ_j max over groups G with j of s(j, G),   s(j, G) = mean over i in G, i ≠ j, of Z_ij,   s(j, {j}) = 0,
//! is largest. A task may be in several groups; it is served by the best of them, and helps in the others.
//!
//! | file | search | tasks | optimal |
//! | --- | --- | --- | --- |
//! | `exact` | dynamic program over subsets, O(B·3^K) | ≤ 12 | yes |
//! | `greedy` | groups one by one, then flips of single memberships while one of them helps | any | no flip of one membership helps |
//!
//! Variants: TAG searches among all group lists by branch and bound; the program over subsets gives the same optimum. What
//! a task gains alone is 0 here by definition, since nobody helps it.
//! Reference: Fifty et al., "Efficiently Identifying Task Groupings for Multi-Task Learning" (TAG), NeurIPS 2021, section 3.2,
//! <https://arxiv.org/abs/2109.04617>.

mod exact;
mod greedy;
mod search;

pub use search::{Group, Grouping};
