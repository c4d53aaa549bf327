//! The settings.

use serde::Deserialize;
use spiderpool_policy_guide::configuration::{self, problem_of};
use spiderpool_policy_guide::settings::Problem;
use spiderpool_policy_guide::types::Owner;

/// Whose pods keep their addresses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Config {
    /// Pods of StatefulSets; true when left out.
    pub stateful_sets: bool,
    /// Virtual machines of KubeVirt; true when left out.
    pub kubevirt: bool,
    /// Pods of further controllers, for as long as these exist.
    pub stateful: Vec<Kind>,
}

/// A kind of controller.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Kind {
    /// For instance `apps.kruise.io/v1beta1`.
    pub api_version: String,
    /// For instance `StatefulSet`.
    pub kind: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { stateful_sets: true, kubevirt: true, stateful: Vec::new() }
    }
}

impl Config {
    pub(crate) fn parse(settings: &str) -> Result<Self, Vec<Problem>> {
        let config: Self = configuration::parse(settings)?;
        let problems = config.stateful.iter().enumerate().flat_map(|(index, Kind { api_version, kind })| {
            let fields = [("apiVersion", api_version), ("kind", kind)];
            let empty = fields.into_iter().filter(|(_, value)| value.is_empty());
            empty.map(move |(field, _)| {
                let field = format!("stateful[{index}].{field}");
                problem_of(&field, "is empty; write it as in the controller's manifest, or remove the entry")
            })
        });
        let problems: Vec<Problem> = problems.collect();
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    pub(crate) fn lists(&self, owner: &Owner) -> bool {
        self.stateful.iter().any(|listed| listed.api_version == owner.api_version && listed.kind == owner.kind)
    }
}
