//! What a configuration asks for and does not get, in sentences.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::Config;

/// Every key that Spiderpool's chart or documents know, and ours.
const KEYS: [&str; 20] = [
    "agent",
    "clusterSubnetAutoPoolDefaultRedundantIPNumber",
    "clusterSubnetDefaultFlexibleIPNumber",
    "conflictQuarantineSeconds",
    "detectOptions",
    "enableAutoPoolForApplication",
    "enableCleanOutdatedEndpoint",
    "enableGatewayDetection",
    "enableIPConflictDetection",
    "enableIPv4",
    "enableIPv6",
    "enableKubevirtStaticIP",
    "enableSpiderSubnet",
    "enableStatefulSet",
    "enableValidatingResourcesDeletedWebhook",
    "iaasNetworkProvider",
    "ipamUnixSocketPath",
    "podResourceInject",
    "statefulControllers",
    "tuneSysctlConfig",
];

impl Config {
    /// What is switched on and not served.
    pub(super) fn unserved(&self) -> Vec<String> {
        let asked = [
            (
                self.enable_auto_pool_for_application,
                "enableAutoPoolForApplication: true is not served yet: no pools are made for applications",
            ),
            (
                !self.iaas_network_provider.server_url.is_empty(),
                "iaasNetworkProvider.serverUrl is not served: the provider is not asked for addresses",
            ),
            (
                self.agent.network_resource_plugin.enabled,
                "agent.networkResourcePlugin.enabled: true is not served: network devices are no resources of the node",
            ),
        ];
        asked.into_iter().filter(|(on, _)| *on).map(|(_, sentence)| sentence.to_owned()).collect()
    }
}

/// Keys that nobody acts on, as Spiderpool ignores them.
pub(super) fn unknown_keys(text: &str) -> Vec<String> {
    let keys: Option<BTreeMap<String, IgnoredAny>> = serde_saphyr::from_str(text).unwrap_or_default();
    let unknown = keys.into_iter().flatten().map(|(key, _)| key).filter(|key| !KEYS.contains(&&**key));
    unknown.map(|key| format!("{key} is no key of conf.yml and has no effect; look at its spelling")).collect()
}
