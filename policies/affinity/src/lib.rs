//! The built-in affinity policy: a pool serves where its owner said it should.
//!
//! A pool names nodes, namespaces, pods and networks; a pod that fits all of what the pool names is admitted. The more a
//! pool names, and the more telling it is, the higher its rank. Pools that are terminating, disabled or of another
//! family never get here: the host leaves them out.
//!
//! ```text
//! judge ─ rules::first_refusal ─ node → namespace → pod or application → network → master subnet
//!       └ rank::of
//! ```

mod application;
mod networks;
mod rank;
mod rules;

use spiderpool_policy_guide::affinity::{Subject, Verdict};
use spiderpool_policy_guide::configuration::{self, NoSettings};
use spiderpool_policy_guide::settings::Problem;
use spiderpool_policy_guide::types::Pool;
use spiderpool_policy_guide::{Affinity, Settings, leave};

/// The policy. It has no settings.
pub struct BuiltinAffinity;

impl Settings for BuiltinAffinity {
    fn check(settings: String) -> Result<(), Vec<Problem>> {
        configuration::parse::<NoSettings>(&settings).map(|NoSettings {}| ())
    }
}

impl Affinity for BuiltinAffinity {
    fn judge(_settings: String, subject: Subject, pools: Vec<Pool>) -> Vec<Verdict> {
        let verdicts = judge(&subject, &pools);
        leave((subject, pools));
        verdicts
    }
}

/// One verdict per pool, in the order of the pools.
#[must_use]
pub fn judge(subject: &Subject, pools: &[Pool]) -> Vec<Verdict> {
    let rules = rules::Rules::new(subject);
    let verdict = |pool| match rules.first_refusal(pool) {
        Some(reason) => Verdict::Refuse(reason),
        None => Verdict::Admit(rank::of(pool)),
    };
    pools.iter().map(verdict).collect()
}

#[cfg(feature = "component")]
spiderpool_policy_guide::export_affinity_policy!(BuiltinAffinity);

#[cfg(test)]
mod tests;
