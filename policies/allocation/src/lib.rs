//! The built-in allocation policy: the most specific place that names pools decides, and pools are tried by rank, then
//! in the order in which they were written.
//!
//! ```text
//! candidates ─ the first of: pod annotation ippools → ippool → namespace annotations
//!              → CNI configuration → the cluster's default pools; never merged
//! arrange    ─ the addresses that the pod asks for; else rank by rank, exhausted pools passed over
//! ```
//!
//! Policies that want the same candidates and another order, or the same order and another way to pick, link this crate
//! without its feature `component` and call [`candidates`] and [`arrange`].

mod addresses;
mod annotations;
mod arrange;
mod candidates;
mod pattern;
mod pools;
mod refusals;

use spiderpool_policy_guide::allocation::{Demand, Judged, Pick, Refusal, Request, Step};
use spiderpool_policy_guide::configuration::{self, NoSettings};
use spiderpool_policy_guide::settings::Problem;
use spiderpool_policy_guide::{Allocation, Settings};

pub use self::addresses::KEY as IP_ADDRESSES;
pub use self::arrange::arrange;
pub use self::candidates::candidates;

/// The policy. It has no settings.
pub struct BuiltinAllocation;

impl Settings for BuiltinAllocation {
    fn check(settings: String) -> Result<(), Vec<Problem>> {
        configuration::parse::<NoSettings>(&settings).map(|NoSettings {}| ())
    }
}

impl Allocation for BuiltinAllocation {
    fn candidates(_settings: String, request: Request) -> Result<Vec<Demand>, Refusal> {
        candidates(&request)
    }

    fn arrange(_settings: String, request: Request, judged: Vec<Judged>) -> Result<Vec<Step>, Refusal> {
        arrange(&request, &judged, |_, _| Pick::Lowest)
    }
}

#[cfg(feature = "component")]
spiderpool_policy_guide::export_allocation_policy!(BuiltinAllocation);

#[cfg(test)]
mod tests;
