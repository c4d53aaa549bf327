//! Which network an interface belongs to, as multus would attach it.
//!
//! The pod's first interface belongs to the network of [`DEFAULT_NETWORK`], else to the cluster's default network; every
//! other interface is one of the entries of [`NETWORKS`].

use std::fmt;

use serde::Deserialize;
use spiderpool_policy_guide::affinity::{Reason, ReasonKind, Subject};
use spiderpool_policy_guide::phrase;
use spiderpool_policy_guide::selector::value;

use crate::rules::reason;

/// Pod annotation: the network of the first interface.
const DEFAULT_NETWORK: &str = "v1.multus-cni.io/default-network";

/// Pod annotation: the networks of the further interfaces, in their order.
const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// The longest interface name that the kernel takes (`IFNAMSIZ` less the closing zero).
const INTERFACE_NAME_BYTES: usize = 15;

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
        "eth0" | "0" => first_interface(subject),
        name => further_interface(subject, name),
    }
}

fn first_interface(subject: &Subject) -> Result<Network, Reason> {
    let context = &subject.context;
    let home = &context.cluster.install_namespace;
    let (text, key, origin) = match (value(&context.pod.annotations, DEFAULT_NETWORK), &context.cluster.default_network)
    {
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
    let first = elements(text).map(|elements| elements.into_iter().next()).map_err(|e| malformed(key, text, &e))?;
    let Element { namespace, name, .. } = first.ok_or_else(|| malformed(key, text, "it names no network"))?;
    Ok(Network { namespace: namespace.unwrap_or_else(|| home.clone()), name, origin })
}

/// `nic` is the interface's name or its position; without a name of its own an entry is called `net1`, `net2` and so on.
fn further_interface(subject: &Subject, nic: &str) -> Result<Network, Reason> {
    let pod = &subject.context.pod;
    let text = value(&pod.annotations, NETWORKS).unwrap_or_default();
    let elements = elements(text).map_err(|error| malformed(NETWORKS, text, &error))?;
    let found = elements.into_iter().zip(1_u32..).find(|(element, position)| {
        let position = position.to_string();
        let called = match &element.interface {
            Some(interface) => interface == nic,
            None => nic.strip_prefix("net") == Some(&position),
        };
        called || position == nic
    });
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

/// What decides about the network; multus itself judges the rest of an entry.
#[derive(Debug, Deserialize)]
struct Element {
    namespace: Option<String>,
    name: String,
    interface: Option<String>,
}

/// Both forms of the annotations: a JSON array of objects, or `namespace/name@interface` with commas between.
fn elements(text: &str) -> Result<Vec<Element>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let elements = if text.contains(['[', '{', '"']) {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        text.split(',').map(short_form).collect::<Result<Vec<_>, _>>()?
    };
    elements.into_iter().map(checked).collect()
}

fn short_form(text: &str) -> Result<Element, String> {
    let (network, interface) = match text.trim().split_once('@') {
        Some((network, interface)) => (network, Some(interface.trim().to_owned())),
        None => (text.trim(), None),
    };
    let (namespace, name) = match network.split_once('/') {
        Some((namespace, name)) => (Some(namespace.trim().to_owned()), name),
        None => (None, network),
    };
    Ok(Element { namespace, name: name.trim().to_owned(), interface })
}

/// An entry whose names are names; parts that are empty count as left out.
fn checked(Element { namespace, name, interface }: Element) -> Result<Element, String> {
    let namespace = namespace.filter(|namespace| !namespace.is_empty());
    let interface = interface.filter(|interface| !interface.is_empty());
    for part in namespace.iter().chain([&name]) {
        if !is_object_name(part) {
            return Err(["`", &phrase::excerpt(part), "` is not a name of lower-case letters, digits and `-`"].concat());
        }
    }
    if let Some(wrong) = interface.as_ref().filter(|interface| !is_interface_name(interface)) {
        return Err([
            "`",
            &phrase::excerpt(wrong),
            "` is not an interface name of at most 15 characters without blanks and `/`",
        ]
        .concat());
    }
    Ok(Element { namespace, name, interface })
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
fn is_object_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_interface_name(text: &str) -> bool {
    text.len() <= INTERFACE_NAME_BYTES && !text.contains(|c: char| c.is_ascii_whitespace() || c == '\u{b}' || c == '/')
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
