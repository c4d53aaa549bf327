use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::arguments::{EXAMPLE, truth};
use crate::{CniError, Code, PodArgs, Version};

/// What the container runtime wants, from the `CNI_*` variables (specification 1.1.0, "Parameters").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `ADD`: attach a container to the network.
    Add {
        /// Whom.
        sandbox: Sandbox,
        /// The path of its network namespace.
        netns: PathBuf,
    },
    /// `DEL`: undo that.
    Del {
        /// Whom.
        sandbox: Sandbox,
        /// The path of its network namespace; `None` when it is gone.
        netns: Option<PathBuf>,
    },
    /// `CHECK`: is everything still as the result of ADD said?
    Check {
        /// Whose.
        sandbox: Sandbox,
        /// The path of its network namespace.
        netns: PathBuf,
    },
    /// `STATUS`: could an ADD succeed now?
    Status,
    /// `GC`: undo all but the attachments that are still valid.
    Gc,
    /// `VERSION`: which versions are spoken?
    Version,
}

/// One interface of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_IFNAME`: the interface's name in the container.
    pub interface: String,
    /// The pod that the container is of.
    pub pod: PodArgs,
}

/// `IFNAMSIZ` without the closing zero.
const LONGEST_INTERFACE_NAME: usize = 15;

impl Command {
    /// Reads the variables; `variable` looks one up.
    ///
    /// # Errors
    /// [`Code::InvalidEnvironment`] with everything that is missing, or the first that is wrong.
    pub(crate) fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, CniError> {
        let get = |name: &str| -> Result<String, CniError> {
            let value = variable(name).unwrap_or_default();
            value.into_string().map_err(|value| wrong(format!("{name}={} is not UTF-8", value.display()), name))
        };
        let verb = get("CNI_COMMAND")?;
        let required: &[&str] = match verb.as_str() {
            "VERSION" => return Ok(Self::Version),
            "STATUS" => return Ok(Self::Status),
            "GC" => return Ok(Self::Gc),
            "ADD" | "CHECK" => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
            "DEL" => &["CNI_CONTAINERID", "CNI_IFNAME"],
            "" => return Err(not_by_hand()),
            other => return Err(wrong(format!("CNI_COMMAND={other} is not a CNI verb"), "CNI_COMMAND")),
        };
        let missing: Vec<&str> =
            required.iter().copied().filter(|name| variable(name).is_none_or(|value| value.is_empty())).collect();
        if !missing.is_empty() {
            let msg = format!("{verb} needs {} in the environment", missing.join(" and "));
            let examples: Vec<_> = missing.iter().map(|name| example(name)).collect();
            return Err(CniError::new(Code::InvalidEnvironment, msg)
                .details(format!("set what is missing, for example {}", examples.join(" "))));
        }
        let sandbox = Sandbox {
            container_id: container_id(get("CNI_CONTAINERID")?)?,
            interface: interface(get("CNI_IFNAME")?)?,
            pod: PodArgs::parse(&get("CNI_ARGS")?)?,
        };
        let netns = PathBuf::from(variable("CNI_NETNS").unwrap_or_default());
        if verb == "DEL" {
            let netns = (!netns.as_os_str().is_empty()).then_some(netns);
            return Ok(Self::Del { sandbox, netns });
        }
        if !truth(&get("CNI_NETNS_OVERRIDE")?).unwrap_or(false) {
            refuse_own(&netns)?;
        }
        Ok(if verb == "ADD" { Self::Add { sandbox, netns } } else { Self::Check { sandbox, netns } })
    }

    /// The verb, and the version that brought it.
    pub(crate) fn verb(&self) -> (&'static str, Version) {
        match self {
            Self::Add { .. } => ("ADD", Version::V0_3_0),
            Self::Del { .. } => ("DEL", Version::V0_3_0),
            Self::Check { .. } => ("CHECK", Version::V0_4_0),
            Self::Status => ("STATUS", Version::V1_1_0),
            Self::Gc => ("GC", Version::V1_1_0),
            Self::Version => ("VERSION", Version::V0_3_0),
        }
    }
}

fn container_id(id: String) -> Result<String, CniError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if id.starts_with(|c: char| c.is_ascii_alphanumeric()) && id.chars().all(allowed) {
        return Ok(id);
    }
    Err(wrong(
        format!(
            "CNI_CONTAINERID={id} is not a container ID: a letter or digit, then letters, digits, '_', '.' and '-'"
        ),
        "CNI_CONTAINERID",
    ))
}

fn interface(name: String) -> Result<String, CniError> {
    let forbidden = |c: char| c == '/' || c == ':' || c.is_whitespace();
    if name.len() <= LONGEST_INTERFACE_NAME && name != "." && name != ".." && !name.contains(forbidden) {
        return Ok(name);
    }
    let rule = "at most 15 bytes, without '/', ':' and blanks";
    Err(wrong(format!("CNI_IFNAME={name} is not an interface name: {rule}"), "CNI_IFNAME"))
}

/// A pod with the host's own namespace would have the host's interfaces changed.
fn refuse_own(netns: &Path) -> Result<(), CniError> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let own = identity(Path::new("/proc/self/ns/net"));
    if own.is_none() || identity(netns) != own {
        return Ok(());
    }
    let msg = format!("CNI_NETNS={} is the network namespace that this plugin runs in", netns.display());
    Err(CniError::new(Code::InvalidEnvironment, msg)
        .details("pass the namespace of the container; if you mean it, set CNI_NETNS_OVERRIDE=1"))
}

fn not_by_hand() -> CniError {
    CniError::new(Code::InvalidEnvironment, "CNI_COMMAND is not in the environment").details(format!(
        "this is a CNI plugin, which container runtimes start; by hand: CNI_COMMAND=VERSION {}; it speaks CNI {}",
        std::env::args().next().unwrap_or_else(|| "spiderpool".into()),
        Version::list()
    ))
}

fn wrong(msg: String, variable: &str) -> CniError {
    CniError::new(Code::InvalidEnvironment, msg).details(format!("example: {}", example(variable)))
}

fn example(variable: &str) -> &'static str {
    match variable {
        "CNI_COMMAND" => "CNI_COMMAND=ADD (or DEL, CHECK, STATUS, GC, VERSION)",
        "CNI_CONTAINERID" => "CNI_CONTAINERID=1f2a9c77",
        "CNI_NETNS" => "CNI_NETNS=/var/run/netns/NAME",
        "CNI_IFNAME" => "CNI_IFNAME=eth0",
        "CNI_NETNS_OVERRIDE" => "CNI_NETNS_OVERRIDE=1",
        _ => EXAMPLE,
    }
}

#[cfg(test)]
mod tests;
