use std::process::Command;

use super::{Host, HostOptions};

/// The node's name where tests give it none.
const NODE: &str = "node1";

/// Where a machine's objects and addresses are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// In files of its own: the agent is `standalone`.
    #[default]
    Local,
    /// In an API server: the agent is the `daemon` of its only node.
    Kube,
}

impl Engine {
    /// How the agent is started.
    pub(super) fn arguments(self, host: &Host, command: &mut Command) {
        match self {
            Self::Local => {
                command.args(["standalone", "--health-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0"]);
                command.args(["--node-name", host.options.node()]);
                command.arg("--manifests").arg(host.path("manifests"));
                command.arg("--data").arg(host.data()).arg("--socket").arg(host.socket());
            }
            Self::Kube => {
                let objects = host.objects.as_ref().expect("an API server");
                command.arg("daemon").arg("--policies").arg(host.policies());
                command.arg("--policy-cache").arg(host.cache());
                command.env("KUBECONFIG", objects.kubeconfig()).env("SPIDERPOOL_NODE_NAME", host.options.node());
                command.env("SPIDERPOOL_POD_NAMESPACE", "kube-system").env("SPIDERPOOL_POD_NAME", "agent");
                command.env("SPIDERPOOL_ENABLED_METRIC", "true");
                command.env("SPIDERPOOL_METRIC_HTTP_PORT", "0").env("SPIDERPOOL_HEALTH_PORT", "0");
            }
        }
    }
}

impl HostOptions {
    /// The node's name.
    pub(super) fn node(&self) -> &str {
        if self.node.is_empty() { NODE } else { &self.node }
    }
}
