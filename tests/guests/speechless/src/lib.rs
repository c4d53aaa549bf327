//! A retention policy that panics instead of answering, but in the trial that a host makes at load.

use spiderpool_policy_guide::retention::{Decision, Event, Fate, Holder};
use spiderpool_policy_guide::settings::Problem;
use spiderpool_policy_guide::{Retention, Settings};

/// The name of the pod in the host's trial.
const TRIAL: &str = "trial";

/// The policy. It has no settings.
pub struct Speechless;

impl Settings for Speechless {
    fn check(_settings: String) -> Result<(), Vec<Problem>> {
        Ok(())
    }
}

impl Retention for Speechless {
    fn keep(_settings: String, holder: Holder, _event: Event) -> Decision {
        assert_eq!(holder.context.pod.name, TRIAL, "nothing to say");
        Decision { fate: Fate::Release, message: "the trial".to_owned() }
    }
}

spiderpool_policy_guide::export_retention_policy!(Speechless);
