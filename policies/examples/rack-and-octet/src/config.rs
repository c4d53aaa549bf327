//! The policy's settings.

use serde::Deserialize;
use spiderpool_policy_guide::configuration;
use spiderpool_policy_guide::settings::Problem;

/// Labels end here: 253 bytes of prefix, a slash, 63 bytes of name.
const LABEL_KEY_BYTES: usize = 317;

/// What is written under `settings` of the SpiderPolicy.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Config {
    /// The label, of nodes and of pools, whose value names a rack.
    pub(crate) rack_label: String,
    /// Refuse pools of other racks instead of trying them last.
    #[serde(default)]
    pub(crate) strict: bool,
}

impl Config {
    /// # Errors
    /// Each thing that is wrong, by field.
    pub(crate) fn read(settings: &str) -> Result<Self, Vec<Problem>> {
        let config: Self = configuration::parse(settings)?;
        if is_label_key(&config.rack_label) {
            return Ok(config);
        }
        let message = "this is not the key of a label; write for example `topology.example.com/rack`";
        Err(vec![configuration::problem_of("rackLabel", message)])
    }
}

/// An optional prefix with a slash, then a name, of the characters that Kubernetes takes.
fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').unwrap_or(("prefix", key));
    let part = |text: &str| {
        let ends = [text.chars().next(), text.chars().next_back()];
        ends.iter().all(|end| end.is_some_and(|end| end.is_ascii_alphanumeric()))
            && text.chars().all(|inner| inner.is_ascii_alphanumeric() || matches!(inner, '-' | '_' | '.'))
    };
    key.len() <= LABEL_KEY_BYTES && part(prefix) && part(name)
}
