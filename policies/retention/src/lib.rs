//! The built-in retention policy: pods that come back under their own name keep their addresses, others give them back,
//! at once or after the time that they or a controller above them ask for.
//!
//! ```text
//! keep ─ the pod lives on                      keep
//!      ├ stateful: a controller wants the pod  keep
//!      ├ conflict                              release
//!      ├ retain: pod or controller annotated    release-after
//!      └ otherwise                             release
//! ```

mod config;
mod duration;
mod retain;
mod stateful;

use spiderpool_policy_guide::configuration;
use spiderpool_policy_guide::phrase;
use spiderpool_policy_guide::retention::{Decision, Event, Fate, Holder, PodState};
use spiderpool_policy_guide::settings::Problem;
use spiderpool_policy_guide::types::Owner;
use spiderpool_policy_guide::{Retention, Settings};

use self::stateful::Claim;

pub use self::config::{Config, Kind};

/// The policy. Its settings are a [`Config`].
pub struct BuiltinRetention;

impl Settings for BuiltinRetention {
    fn check(settings: String) -> Result<(), Vec<Problem>> {
        Config::parse(&settings).map(drop)
    }
}

impl Retention for BuiltinRetention {
    fn keep(settings: String, holder: Holder, event: Event) -> Decision {
        match Config::parse(&settings) {
            Ok(config) => keep(&config, &holder, &event),
            Err(problems) => decision(Fate::Keep, configuration::sentence(&problems)),
        }
    }
}

/// What becomes of the addresses of one pod.
#[must_use]
pub fn keep(config: &Config, holder: &Holder, event: &Event) -> Decision {
    match event {
        Event::Removed(nic) if holder.state == PodState::Alive => {
            return decision(Fate::Keep, format!("the pod lives on, and {nic} is made anew"));
        }
        Event::Other(word) => {
            return decision(Fate::Keep, format!("`{}` is no event that this policy knows", phrase::excerpt(word)));
        }
        Event::Removed(_) | Event::Gone | Event::Returned(_) | Event::Conflict(_) => {}
    }
    let released = match stateful::claim(config, holder) {
        Some(Claim::Holds(why)) => return decision(Fate::Keep, shared(why, holder)),
        Some(Claim::Lost(why)) => why,
        None => "no controller of the pod keeps addresses for it".to_owned(),
    };
    if matches!(event, Event::Conflict(_)) {
        return decision(Fate::Release, format!("another host answers for the address, and {released}"));
    }
    // Of a pod that is gone little is known; the one that comes in its place is made of the same template.
    let annotations = match event {
        Event::Returned(next) => &next.annotations,
        _ => &holder.context.pod.annotations,
    };
    match retain::time(annotations, &holder.owners) {
        Some(Ok((milliseconds, why))) => decision(Fate::ReleaseAfter(milliseconds), why),
        Some(Err(problem)) => decision(Fate::Release, format!("{released}; {problem}")),
        None => decision(Fate::Release, released),
    }
}

fn decision(fate: Fate, message: String) -> Decision {
    Decision { fate, message: phrase::bounded(message) }
}

/// That two pods may have the addresses now is worth a word: it looks like a conflict and is none.
fn shared(why: String, holder: &Holder) -> String {
    match &holder.migration {
        Some(name) => format!("{why}; while the live migration `{name}` goes on, two pods have the addresses"),
        None => why,
    }
}

/// An owner, for people.
fn named(owner: &Owner) -> String {
    format!("{} `{}`", owner.kind, owner.name)
}

#[cfg(feature = "component")]
spiderpool_policy_guide::export_retention_policy!(BuiltinRetention);

#[cfg(test)]
mod tests;
