//! Which network an interface belongs to, as multus would attach it.
//!
//! The pod's first interface belongs to the network of [`DEFAULT_NETWORK`], else to the cluster's default network; every
//! other interface is one of the entries of [`NETWORKS`].

use std::fmt;

use spiderpool_policy_guide::affinity::{Reason, ReasonKind, Subject};
use spiderpool_policy_guide::metadata::annotation;
use spiderpool_policy_guide::networks::{self, Element, FIRST_INTERFACE, NETWORKS};
use spiderpool_policy_guide::phrase;

use crate::rules::reason;

/// Pod annotation: the network of the first interface.
const DEFAULT_NETWORK: &str = "v1.multus-cni.io/default-network";

/// A network attachment definition, and how it is known.
#[derive(Debug, PartialEq)]
pub(crate) struct Network {
    namespace: String,
    name: String,
    /// Where this is written, for people.
    pub(crate) origin: &'static str,
}

impl Network {
    /// Whether `entry`, which is `name` or `namespace/name`, means this network; names alone are of `home`.
    pub(crate) fn is_called(&self, entry: &str, home: &str) -> bool {
        let (namespace, name) = entry.split_once('/').unwrap_or((home, entry));
        self.namespace == namespace && self.name == name
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.namespace)?;
        f.write_str("/")?;
        f.write_str(&self.name)
    }
}

/// The network of the subject's interface.
pub(crate) fn of(subject: &Subject) -> Result<Network, Reason> {
    match subject.nic.name.as_str() {
        FIRST_INTERFACE => first_interface(subject),
        name => further_interface(subject, name),
    }
}

fn first_interface(subject: &Subject) -> Result<Network, Reason> {
    let context = &subject.context;
    let home = &context.cluster.install_namespace;
    let (text, key, origin) = match (
        annotation(&context.pod.annotations, DEFAULT_NETWORK),
        &context.cluster.default_network,
    ) {
        (Some(text), _) => (text, DEFAULT_NETWORK, "pod annotation v1.multus-cni.io/default-network"),
        (None, Some(text)) => (text.as_str(), "the cluster's default network", "the cluster's default network"),
        (None, None) => {
            let message = [
                "the pool serves only interfaces of certain networks (spec.multusName), and the network of ",
                &subject.nic.name,
                " is not known: the pod has no annotation ",
                DEFAULT_NETWORK,
                " and the cluster has no default network; add the annotation, set MULTUS_CLUSTER_NETWORK of the agent, \
                 or name a pool without multusName",
            ];
            return Err(reason(ReasonKind::Network, message.concat()));
        }
    };
    let first =
        networks::parse(text).map(|elements| elements.into_iter().next()).map_err(|e| malformed(key, text, &e))?;
    let Element { namespace, name, .. } = first.ok_or_else(|| malformed(key, text, "it names no network"))?;
    Ok(Network { namespace: namespace.unwrap_or_else(|| home.clone()), name, origin })
}

fn further_interface(subject: &Subject, nic: &str) -> Result<Network, Reason> {
    let pod = &subject.context.pod;
    let text = annotation(&pod.annotations, NETWORKS).unwrap_or_default();
    let elements = networks::parse(text).map_err(|error| malformed(NETWORKS, text, &error))?;
    let found = elements.into_iter().zip(1..).find(|(element, position)| element.interface_name(*position) == nic);
    let Some((Element { namespace, name, .. }, _)) = found else {
        let message = [
            "the pool serves only interfaces of certain networks (spec.multusName), and the pod annotation ",
            NETWORKS,
            " has no entry for the interface ",
            nic,
            ": it is `",
            &phrase::excerpt(text),
            "`; add one, for example `namespace/network@",
            nic,
            "`",
        ];
        return Err(reason(ReasonKind::Network, message.concat()));
    };
    let namespace = namespace.unwrap_or_else(|| pod.namespace.clone());
    Ok(Network { namespace, name, origin: "pod annotation k8s.v1.cni.cncf.io/networks" })
}

fn malformed(place: &str, text: &str, error: &str) -> Reason {
    let message = [
        "the pool serves only interfaces of certain networks (spec.multusName), and ",
        place,
        " cannot be read: ",
        error,
        "; it is `",
        &phrase::excerpt(text),
        "`; write for example `namespace/network@net1` or \
         `[{\"namespace\": \"namespace\", \"name\": \"network\", \"interface\": \"net1\"}]`",
    ];
    reason(ReasonKind::Malformed, message.concat())
}
