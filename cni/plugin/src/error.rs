use std::fmt;

use serde::Serialize;

use crate::Version;

/// What kind of error it is, for the container runtime.
///
/// Up to 99 the numbers are those of the CNI specification 1.1.0 ("Error", "STATUS"); from 100 on they are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Code {
    /// The network configuration asks for a version, or a verb for a newer version, than the other side speaks.
    IncompatibleVersion = 1,
    /// The network configuration has a field that is not supported.
    UnsupportedField = 2,
    /// There is no such container; DEL is not needed.
    UnknownContainer = 3,
    /// An environment variable is missing or wrong.
    InvalidEnvironment = 4,
    /// Reading or writing failed.
    Io = 5,
    /// What came in on stdin is not JSON.
    Undecodable = 6,
    /// The network configuration lacks something or says something wrong.
    InvalidConfig = 7,
    /// Nothing is wrong with the request; the agent is not there or did not answer in time.
    TryAgainLater = 11,
    /// STATUS: an ADD would not succeed.
    NotAvailable = 50,
    /// STATUS: an ADD would not succeed, and existing containers may be cut off as well.
    LimitedConnectivity = 51,
    /// Something broke in the plugin or the agent.
    Internal = 100,
    /// The agent finds the request itself wrong, as an annotation that is no JSON.
    BadRequest = 101,
    /// The agent knows nothing of what is asked for, as a pool that is named but does not exist.
    NotFound = 102,
    /// A policy or a rule says no.
    Refused = 103,
    /// Every pool that may serve is full.
    Exhausted = 104,
    /// The pod got addresses, but none for this interface.
    NoAddressForInterface = 105,
    /// Somebody else on the network has the address.
    AddressConflict = 106,
    /// The gateway does not answer.
    GatewayUnreachable = 107,
    /// The pod's network namespace or interface cannot be worked with.
    PodNetwork = 108,
    /// CHECK: what the result promised is not so any more.
    NotAsPromised = 109,
}

impl Code {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }
}

/// An error as the container runtime gets it: what is wrong, and at more length what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CniError {
    /// What kind.
    pub code: Code,
    /// What is wrong, with what, in a short sentence.
    pub msg: String,
    /// What to do, or what more is known; may be empty.
    pub details: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    cni_version: &'static str,
    code: u32,
    msg: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    details: &'a str,
}

impl CniError {
    /// An error without details.
    pub fn new(code: Code, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: String::new() }
    }

    /// Says what to do, or more.
    #[must_use]
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    /// The object that goes to stdout (specification 1.1.0, "Error").
    pub(crate) fn to_json(&self, version: Version) -> String {
        let written =
            Written { cni_version: version.as_str(), code: self.code.number(), msg: &self.msg, details: &self.details };
        serde_json::to_string(&written).unwrap_or_else(|error| {
            // Texts and numbers always serialise; should they not, the code still gets through.
            format!(
                r#"{{"cniVersion":"{version}","code":{},"msg":"an error that cannot be shown: {error}"}}"#,
                written.code
            )
        })
    }
}

impl fmt::Display for CniError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.msg)?;
        if !self.details.is_empty() {
            write!(f, "; {}", self.details)?;
        }
        Ok(())
    }
}
