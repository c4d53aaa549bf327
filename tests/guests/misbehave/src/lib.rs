//! A policy that breaks the contract in the way that its settings ask for: `{"behave": "spin"}`.
//!
//! It behaves in the trial that a host makes at load, whose pod is called `trial`, so that it comes into force and fails
//! in earnest; with `"atTrial": true` it does not behave there either. [`Behave`] lists the ways. The first four break
//! every function, the others those where they apply; whatever is not broken answers as [`Behave::Well`] does.

mod answers;
mod breakdown;

use serde::Deserialize;
use spiderpool_policy_guide::affinity::{Subject, Verdict};
use spiderpool_policy_guide::allocation::{Demand, Judged, Refusal, Request, Step};
use spiderpool_policy_guide::settings::Problem;
use spiderpool_policy_guide::types::{Context, Pool};
use spiderpool_policy_guide::{Affinity, Allocation, Settings, configuration};

/// The name of the pod in the host's trial.
const TRIAL: &str = "trial";

/// What a settings text asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    behave: Behave,
    /// Not to behave in the host's trial either.
    #[serde(default)]
    at_trial: bool,
}

/// The ways to behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behave {
    /// Every function runs for ever.
    Spin,
    /// Every function takes memory without end.
    Hog,
    /// Every function calls itself without end.
    Recurse,
    /// Every function panics.
    Panic,
    /// Every function reads memory that it does not have.
    OutOfBounds,
    /// Every function answers with an empty list.
    Empty,
    /// `arrange` names a pool that nobody asked about.
    UnknownPool,
    /// `arrange` picks an address outside the pool.
    OutsidePool,
    /// `judge` gives a million verdicts.
    MillionVerdicts,
    /// `judge` gives one verdict less than there are pools.
    TooFewVerdicts,
    /// `judge` gives a rank above the highest.
    RankOutOfRange,
    /// `judge` refuses with a message of 8 MiB.
    HugeAnswer,
    /// `check` refuses.
    BadSettings,
    /// `check` runs for ever.
    SpinInCheck,
    /// Admits every pool with rank 0, draws from the default pools, takes the lowest address.
    Well,
}

/// The policy.
pub struct Misbehave;

impl Settings for Misbehave {
    fn check(settings: String) -> Result<(), Vec<Problem>> {
        match configuration::parse::<Config>(&settings)?.behave {
            Behave::BadSettings => {
                Err(vec![configuration::problem_of("behave", "asked to refuse; write another way to behave")])
            }
            Behave::SpinInCheck => breakdown::spin(),
            _ => Ok(()),
        }
    }
}

impl Affinity for Misbehave {
    fn judge(settings: String, subject: Subject, pools: Vec<Pool>) -> Vec<Verdict> {
        let behave = enter(&settings, &subject.context);
        answers::verdicts(behave, pools.len())
    }
}

impl Allocation for Misbehave {
    fn candidates(settings: String, request: Request) -> Result<Vec<Demand>, Refusal> {
        let behave = enter(&settings, &request.context);
        Ok(answers::demands(behave, &request))
    }

    fn arrange(settings: String, request: Request, judged: Vec<Judged>) -> Result<Vec<Step>, Refusal> {
        let behave = enter(&settings, &request.context);
        Ok(judged.iter().filter_map(|judged| answers::step(behave, judged)).collect())
    }
}

/// How to answer about this pod; does not come back where the settings ask for a breakdown.
fn enter(settings: &str, context: &Context) -> Behave {
    let behave = behave(settings, &context.pod.name);
    match behave {
        Behave::Spin => breakdown::spin(),
        Behave::Hog => breakdown::hog(),
        Behave::Recurse => breakdown::recurse(),
        Behave::Panic => breakdown::panic(),
        Behave::OutOfBounds => breakdown::read_out_of_bounds(),
        answers => answers,
    }
}

/// What the settings ask for when the pod has this name.
fn behave(settings: &str, pod: &str) -> Behave {
    match configuration::parse::<Config>(settings) {
        Ok(Config { at_trial: false, .. }) if pod == TRIAL => Behave::Well,
        Ok(Config { behave, .. }) => behave,
        // `check` has refused these settings: a host that asks all the same gets an answer that it cannot use.
        Err(_) => Behave::Empty,
    }
}

spiderpool_policy_guide::export_placement_policy!(Misbehave);

#[cfg(test)]
mod tests;
