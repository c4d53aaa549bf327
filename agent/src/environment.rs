//! Environment variables of the daemon, under Spiderpool's names and by its rules: values are trimmed, a default takes the
//! place of a variable that is not set, and one that is set and empty stands for nothing.

use thiserror::Error;

const NODE_NAME: &str = "SPIDERPOOL_NODE_NAME";
const POD_NAMESPACE: &str = "SPIDERPOOL_POD_NAMESPACE";
const POD_NAME: &str = "SPIDERPOOL_POD_NAME";
const HEALTH_PORT: &str = "SPIDERPOOL_HEALTH_PORT";
const METRIC_PORT: &str = "SPIDERPOOL_METRIC_HTTP_PORT";
const ENABLED_METRIC: &str = "SPIDERPOOL_ENABLED_METRIC";
/// Whether addresses that conflict are released.
pub(crate) const RELEASE_CONFLICT_IPS: &str = "SPIDERPOOL_ENABLED_RELEASE_CONFLICT_IPS";
const CLUSTER_NETWORK: &str = "MULTUS_CLUSTER_NETWORK";

/// The variables for people, at the end of `--help`.
pub(crate) const HELP: &str = "\
Environment:
  SPIDERPOOL_NODE_NAME         this node's name (required)
  SPIDERPOOL_POD_NAMESPACE     the namespace of this installation (required)
  SPIDERPOOL_POD_NAME          this agent's pod (required)
  SPIDERPOOL_LOG_LEVEL         how much to log [default: info]
  SPIDERPOOL_HEALTH_PORT       port of /v1/runtime/startup, readiness, liveness; empty: none [default: 5710]
  SPIDERPOOL_ENABLED_METRIC    whether to serve /metrics [default: false]
  SPIDERPOOL_METRIC_HTTP_PORT  port of /metrics; empty: none [default: 5711]
  SPIDERPOOL_ENABLED_RELEASE_CONFLICT_IPS
                               whether a pod loses an address that somebody else uses, and gets another [default: true]
  MULTUS_CLUSTER_NETWORK       network of interfaces for which a pod names none, as NAMESPACE/NAME
  KUBECONFIG                   credentials for the API server [default: those of the agent's service account]
Others of Spiderpool's variables are read and reported as having no effect.";

/// Variables of Spiderpool's that change nothing here, and why.
const UNSERVED: [(&str, &str); 9] = [
    ("SPIDERPOOL_GOPS_LISTEN_PORT", "there is no gops; look at /metrics"),
    ("SPIDERPOOL_PYROSCOPE_PUSH_SERVER_ADDRESS", "profiles are not pushed"),
    ("SPIDERPOOL_ENABLED_RDMA_METRIC", "RDMA devices are not measured"),
    ("SPIDERPOOL_ENABLED_DEBUG_METRIC", "there are no metrics for debugging"),
    ("SPIDERPOOL_IPPOOL_MAX_ALLOCATED_IPS", "pools have no limit but their addresses"),
    ("SPIDERPOOL_WAIT_SUBNET_POOL_TIME_IN_SECOND", "no pools are made for applications yet"),
    ("SPIDERPOOL_WAIT_SUBNET_POOL_MAX_RETRIES", "no pools are made for applications yet"),
    ("SPIDERPOOL_UPDATE_CR_MAX_RETRIES", "writers do not conflict; what fails is repeated until it is done"),
    ("SPIDERPOOL_WORKLOADENDPOINT_MAX_HISTORY_RECORDS", "an endpoint holds what is, not what was"),
];

/// What the daemon learns from its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    /// This node's name.
    pub node: String,
    /// The namespace of the installation.
    pub namespace: String,
    /// The agent's own pod.
    pub pod: String,
    /// Where to answer for the agent's health, if anywhere.
    pub health_port: Option<u16>,
    /// Where to answer for metrics, if anywhere.
    pub metric_port: Option<u16>,
    /// Whether a pod loses an address that somebody else on the network uses.
    pub release_conflicts: bool,
    /// The network of interfaces for which a pod names none.
    pub cluster_network: Option<String>,
    /// Variables that are set and have no effect, a sentence each.
    pub notes: Vec<String>,
}

/// Everything that is wrong with the environment.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("environment: {}", .0.join("; "))]
pub(crate) struct EnvironmentError(Vec<String>);

impl Environment {
    /// Reads the variables; `get` answers with the value of one that is set.
    ///
    /// # Errors
    /// Every variable that is required and missing or empty, or that cannot be read.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let get = |name: &str| get(name).map(|value| value.trim().to_owned());
        let mut reader = Reader { get: &get, problems: Vec::new() };
        let metrics = reader.boolean(ENABLED_METRIC, false);
        let environment = Self {
            node: reader.required(NODE_NAME, "fieldRef spec.nodeName"),
            namespace: reader.required(POD_NAMESPACE, "fieldRef metadata.namespace"),
            pod: reader.required(POD_NAME, "fieldRef metadata.name"),
            health_port: reader.port(HEALTH_PORT, 5710),
            metric_port: reader.port(METRIC_PORT, 5711).filter(|_| metrics),
            release_conflicts: reader.boolean(RELEASE_CONFLICT_IPS, true),
            cluster_network: get(CLUSTER_NETWORK).filter(|value| !value.is_empty()),
            notes: UNSERVED
                .iter()
                .filter(|(name, _)| get(name).is_some_and(|value| !value.is_empty()))
                .map(|(name, why)| format!("{name} has no effect: {why}"))
                .collect(),
        };
        if reader.problems.is_empty() { Ok(environment) } else { Err(EnvironmentError(reader.problems)) }
    }
}

/// As Go's `ParseBool`, and no for an empty text.
///
/// # Errors
/// The text is neither yes nor no.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text.trim() {
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        other => Err(format!("{other:?} is neither true nor false")),
    }
}

/// Reads one variable after the other and goes on after a mistake, so that all are told at once.
struct Reader<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn required(&mut self, name: &str, from: &str) -> String {
        let value = (self.get)(name).unwrap_or_default();
        if value.is_empty() {
            self.problems.push(format!("{name} is not set; set it in the pod's env ({from})"));
        }
        value
    }

    fn boolean(&mut self, name: &str, default: bool) -> bool {
        let Some(text) = (self.get)(name) else { return default };
        boolean(&text).unwrap_or_else(|problem| {
            self.problems.push(format!("{name}={problem}"));
            false
        })
    }

    fn port(&mut self, name: &str, default: u16) -> Option<u16> {
        match (self.get)(name).as_deref() {
            None => Some(default),
            Some("") => None,
            Some(text) => {
                let port = text.parse().ok();
                if port.is_none() {
                    self.problems.push(format!("{name}={text:?} is no port; write a number from 0 to 65535"));
                }
                port
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const REQUIRED: [(&str, &str); 3] = [(NODE_NAME, "n1"), (POD_NAMESPACE, "kube-system"), (POD_NAME, "agent-x")];

    fn read(more: &[(&str, &str)]) -> Result<Environment, EnvironmentError> {
        let set: BTreeMap<&str, &str> = REQUIRED.iter().chain(more).copied().collect();
        Environment::read(|name| set.get(name).map(|&value| value.to_owned()))
    }

    #[test]
    fn defaults_are_for_what_is_not_set() {
        let environment = read(&[]).unwrap();
        assert_eq!((environment.health_port, environment.metric_port), (Some(5710), None));
        assert_eq!((environment.cluster_network, environment.release_conflicts), (None, true));
        assert!(environment.notes.is_empty());
        assert_eq!(read(&[(ENABLED_METRIC, "True")]).unwrap().metric_port, Some(5711));
    }

    #[test]
    fn values_are_trimmed_and_empty_ones_stand_for_nothing() {
        let set = [(HEALTH_PORT, ""), (ENABLED_METRIC, " 1 "), (METRIC_PORT, " 9000\n"), (CLUSTER_NETWORK, "  ")];
        let environment = read(&set).unwrap();
        assert_eq!((environment.health_port, environment.metric_port), (None, Some(9000)));
        assert_eq!(environment.cluster_network, None);
        assert_eq!(read(&[(ENABLED_METRIC, "")]).unwrap().metric_port, None);
        for no in ["", "0", " False"] {
            assert!(!read(&[(RELEASE_CONFLICT_IPS, no)]).unwrap().release_conflicts, "{no:?}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let set = [
            (NODE_NAME, " "),
            (POD_NAME, ""),
            (ENABLED_METRIC, "yes"),
            (RELEASE_CONFLICT_IPS, "no"),
            (HEALTH_PORT, "70000"),
        ];
        let told = read(&set).unwrap_err().to_string();
        for name in [NODE_NAME, POD_NAME, ENABLED_METRIC, RELEASE_CONFLICT_IPS, HEALTH_PORT] {
            assert!(told.contains(name), "{name}: {told}");
        }
        assert!(!told.contains(POD_NAMESPACE), "{told}");
    }

    #[test]
    fn variables_without_effect_are_named() {
        let notes = read(&[("SPIDERPOOL_GOPS_LISTEN_PORT", "5712"), (UNSERVED[1].0, "")]).unwrap().notes;
        assert!(notes.len() == 1 && notes[0].starts_with("SPIDERPOOL_GOPS_LISTEN_PORT"), "{notes:?}");
    }

    #[test]
    fn help_names_every_variable_that_is_read() {
        let read = [NODE_NAME, POD_NAMESPACE, POD_NAME, HEALTH_PORT, METRIC_PORT, ENABLED_METRIC, CLUSTER_NETWORK];
        for name in read.into_iter().chain([RELEASE_CONFLICT_IPS]) {
            assert!(HELP.contains(name), "{name}");
        }
    }
}
