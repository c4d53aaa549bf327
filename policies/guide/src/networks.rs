//! Multus' annotations, as far as interfaces and networks are named in them.

use serde::Deserialize;

use crate::phrase;

/// Pod annotation: the networks of the interfaces after the first, in their order.
pub const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// What kubelets call a pod's first interface.
pub const FIRST_INTERFACE: &str = "eth0";

/// The longest interface name that the kernel takes (`IFNAMSIZ` less the closing zero).
const INTERFACE_NAME_BYTES: usize = 15;

/// What decides about the network; multus itself judges the rest of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Element {
    /// The network's namespace; the pod's own, or the installation's, where none is written.
    pub namespace: Option<String>,
    /// The network's name.
    pub name: String,
    /// The interface's name, where one is written.
    pub interface: Option<String>,
}

impl Element {
    /// The interface's name: the one that is written, else `net1`, `net2` and so on by `position`, counted from 1.
    #[must_use]
    pub fn interface_name(&self, position: usize) -> String {
        self.interface.clone().unwrap_or_else(|| interface_at(position))
    }
}

/// What multus calls the interface at `position` of the pod, counted from 0, where nobody names it.
#[must_use]
pub fn interface_at(position: usize) -> String {
    match position {
        0 => FIRST_INTERFACE.to_owned(),
        position => ["net", &position.to_string()].concat(),
    }
}

/// Both forms of the annotations: a JSON array of objects, or `namespace/name@interface` with commas between.
///
/// # Errors
/// What is wrong, with the part of the text that is.
pub fn parse(text: &str) -> Result<Vec<Element>, String> {
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
