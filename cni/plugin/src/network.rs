use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use spiderpool_ip::Cidr;
use spiderpool_wire::upkeep::Attachment;

use crate::{CniError, Code, Version};

/// A network configuration that is right, for messages.
const EXAMPLE: &str = r#"{"cniVersion":"1.0.0","name":"underlay","type":"macvlan","ipam":{"type":"spiderpool"}}"#;

/// The network configuration that came in on stdin (specification 1.1.0, "Execution configuration format").
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The version to speak.
    pub version: Version,
    /// The network's name.
    pub name: String,
    document: Map<String, Value>,
}

/// The result of the ADD that a CHECK is about, of all plugins of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PreviousResult {
    #[serde(default)]
    ips: Option<Vec<PreviousIp>>,
    #[serde(default)]
    interfaces: Option<Vec<PreviousInterface>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct PreviousIp {
    address: Cidr,
    #[serde(default)]
    interface: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct PreviousInterface {
    #[serde(default)]
    name: String,
}

/// The specification writes `ifname` where everything else has `ifName`.
#[derive(Deserialize)]
struct WrittenAttachment {
    #[serde(rename = "containerID")]
    container_id: String,
    #[serde(rename = "ifname")]
    interface: String,
}

impl Network {
    /// Reads what came in on stdin.
    ///
    /// # Errors
    /// [`Code::Undecodable`], [`Code::IncompatibleVersion`] or [`Code::InvalidConfig`].
    pub fn parse(stdin: &[u8]) -> Result<Self, CniError> {
        let document = document(stdin)?;
        let version = match document.get("cniVersion") {
            Some(Value::String(version)) => Version::parse(version)?,
            Some(other) => {
                return Err(wrong(format!("cniVersion of the network configuration is {other}, not a text")));
            }
            // Configurations without a version are of 0.2.0 or older.
            None => {
                return Err(CniError::new(Code::IncompatibleVersion, "the network configuration has no cniVersion")
                    .details(format!("set it to one of {}", Version::list())));
            }
        };
        let name = match document.get("name") {
            Some(Value::String(name)) if is_network_name(name) => name.clone(),
            Some(name) => {
                let rule = "a letter or digit, then letters, digits, '_', '.' and '-'";
                return Err(wrong(format!("the network configuration's name is {name}; it must be {rule}")));
            }
            None => return Err(wrong("the network configuration has no name".into())),
        };
        Ok(Self { version, name, document })
    }

    /// The version that a configuration asks for, where it can be told; for answering VERSION.
    pub(crate) fn version_of(stdin: &[u8]) -> Option<Version> {
        Version::parse(document(stdin).ok()?.get("cniVersion")?.as_str()?).ok()
    }

    /// A part of the configuration, such as `ipam`; `None` when it is missing or null.
    ///
    /// # Errors
    /// [`Code::InvalidConfig`] with what is wrong in it.
    pub fn section<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CniError> {
        match self.document.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value)
                .map(Some)
                .map_err(|error| wrong(format!("{key} of the network configuration {:?}: {error}", self.name))),
        }
    }

    /// `prevResult`, which CHECK cannot do without.
    pub(crate) fn previous_result(&self) -> Result<PreviousResult, CniError> {
        self.section("prevResult")?.ok_or_else(|| {
            wrong("the network configuration has no prevResult".into())
                .details("CHECK compares with the result of ADD: pass it as prevResult")
        })
    }

    /// `cni.dev/valid-attachments`, which GC cannot do without: taking a missing list for an empty one would release
    /// everything.
    pub(crate) fn valid_attachments(&self) -> Result<Vec<Attachment>, CniError> {
        // The key was cni.dev/attachments in a draft; runtimes write both.
        let key = ["cni.dev/valid-attachments", "cni.dev/attachments"]
            .into_iter()
            .find(|key| self.document.contains_key(*key))
            .ok_or_else(|| {
                wrong("the network configuration has no cni.dev/valid-attachments".into()).details(
                    r#"GC releases all others; an empty list means all: "cni.dev/valid-attachments": [{"containerID": "1f2a9c77", "ifname": "eth0"}]"#,
                )
            })?;
        let written: Vec<WrittenAttachment> = self.section(key)?.unwrap_or_default();
        let attachments =
            written.into_iter().map(|one| Attachment { container_id: one.container_id, if_name: one.interface });
        Ok(attachments.collect())
    }
}

impl PreviousResult {
    /// The addresses of one interface, by its name in the container. An address without an interface counts: IPAM
    /// results of old versions do not say it.
    #[must_use]
    pub fn addresses_of(&self, interface: &str) -> Vec<Cidr> {
        let interfaces = self.interfaces.as_deref().unwrap_or_default();
        let is_of = |ip: &&PreviousIp| match ip.interface {
            None => true,
            Some(index) => {
                let found = usize::try_from(index).ok().and_then(|index| interfaces.get(index));
                found.is_some_and(|found| found.name == interface)
            }
        };
        self.ips.as_deref().unwrap_or_default().iter().filter(is_of).map(|ip| ip.address).collect()
    }
}

fn document(stdin: &[u8]) -> Result<Map<String, Value>, CniError> {
    if stdin.trim_ascii().is_empty() {
        return Err(CniError::new(Code::Undecodable, "there is no network configuration on stdin")
            .details(format!("example: {EXAMPLE}")));
    }
    serde_json::from_slice(stdin).map_err(|error| {
        CniError::new(Code::Undecodable, format!("the network configuration on stdin is not a JSON object: {error}"))
            .details(format!("example: {EXAMPLE}"))
    })
}

fn is_network_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn wrong(msg: String) -> CniError {
    CniError::new(Code::InvalidConfig, msg).details(format!("example: {EXAMPLE}"))
}

#[cfg(test)]
mod tests;
