//! The built-in validation policy: what is filled into a SpiderIPPool or a SpiderReservedIP, and what they must be.
//!
//! Defaults first, then rules over the object with its defaults, and last the order of its lists. Everything that is
//! wrong is told at once, except what cannot be judged before something else is repaired. Other kinds are allowed as
//! they are.
//!
//! ```text
//! review ─ SpiderIPPool     ─ pool::{defaults → lifecycle → subnet → space, gateway, routes, affinity}
//!        └ SpiderReservedIP ─ reserved
//! ```

mod addresses;
mod cause;
mod document;
mod family;
mod label;
mod pool;
mod reserved;

use spiderpool_policy_guide::configuration::{self, NoSettings};
use spiderpool_policy_guide::settings::Problem;
use spiderpool_policy_guide::validation::{Facts, Outcome, Proposal};
use spiderpool_policy_guide::{Settings, Validation, leave};

/// The policy. It has no settings.
pub struct BuiltinValidation;

impl Settings for BuiltinValidation {
    fn check(settings: String) -> Result<(), Vec<Problem>> {
        configuration::parse::<NoSettings>(&settings).map(|NoSettings {}| ())
    }
}

impl Validation for BuiltinValidation {
    fn review(_settings: String, proposal: Proposal, facts: Facts) -> Outcome {
        let outcome = review(&proposal, &facts);
        leave((proposal, facts));
        outcome
    }
}

/// Whether the object may be, with which changes; or everything that is wrong with it.
#[must_use]
pub fn review(proposal: &Proposal, facts: &Facts) -> Outcome {
    let reviewed = match proposal.kind.as_str() {
        "SpiderIPPool" => pool::review(proposal, facts),
        "SpiderReservedIP" => reserved::review(proposal, facts),
        _ => Ok(Vec::new()),
    };
    reviewed.map_or_else(|causes| Outcome::Deny(cause::bounded(causes)), Outcome::Allow)
}

#[cfg(feature = "component")]
spiderpool_policy_guide::export_validation_policy!(BuiltinValidation);

#[cfg(test)]
mod tests;
