use std::env;
use std::io::{self, IsTerminal, Read, Write};
use std::panic::{self, PanicHookInfo};
use std::path::Path;
use std::process::{self, ExitCode};
use std::sync::OnceLock;

use serde::Serialize;
use spiderpool_wire::upkeep::Attachment;

use crate::{AddResult, CniError, Code, Command, Network, PreviousResult, Sandbox, Version};

/// What a plugin does for each verb. The request is complete and checked when it gets here.
pub trait Plugin {
    /// ADD: the answer goes to stdout. Undoes what it did when it fails.
    ///
    /// # Errors
    /// What the container runtime is to be told.
    fn add(&self, network: &Network, sandbox: &Sandbox, netns: &Path) -> Result<AddResult, CniError>;

    /// DEL: succeeds when there is nothing to undo.
    ///
    /// # Errors
    /// What the container runtime is to be told; it will ask again.
    fn del(&self, network: &Network, sandbox: &Sandbox, netns: Option<&Path>) -> Result<(), CniError>;

    /// CHECK: is everything still as `previous` says?
    ///
    /// # Errors
    /// What is not, or why that cannot be told.
    fn check(
        &self,
        network: &Network,
        sandbox: &Sandbox,
        netns: &Path,
        previous: &PreviousResult,
    ) -> Result<(), CniError>;

    /// STATUS: could an ADD succeed now?
    ///
    /// # Errors
    /// Why not.
    fn status(&self, network: &Network) -> Result<(), CniError>;

    /// GC: undoes all attachments of this network but the valid ones.
    ///
    /// # Errors
    /// What could not be undone.
    fn gc(&self, network: &Network, valid: Vec<Attachment>) -> Result<(), CniError>;
}

/// The version in which errors are written: that of the request once it is known.
static SPOKEN: OnceLock<Version> = OnceLock::new();

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    cni_version: &'static str,
    supported_versions: [&'static str; Version::ALL.len()],
}

/// Answers the one request that this process was started for.
///
/// ## Guarantees
/// Status 0 means that the answer is on stdout as a whole; else there is an error object on stdout and the status is 1.
/// Where the answer of an ADD does not get out, the ADD is undone.
#[must_use]
pub fn serve(plugin: &impl Plugin) -> ExitCode {
    panic::set_hook(Box::new(report_panic));
    match answer(plugin) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

/// Ends with an error object instead of an answer.
#[must_use]
pub fn refuse(error: &CniError) -> ExitCode {
    let json = error.to_json(SPOKEN.get().copied().unwrap_or(Version::LATEST));
    if let Err(lost) = print(&json) {
        note(&format!("{error} (and stdout cannot be written: {lost})"));
    }
    ExitCode::FAILURE
}

/// Writes for people, where the protocol has no place for it. There is nothing to do when that fails.
pub(crate) fn note(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

fn answer(plugin: &impl Plugin) -> Result<(), CniError> {
    let command = Command::from_environment(|name| env::var_os(name))?;
    if command == Command::Version {
        return print_versions();
    }
    let network = Network::parse(&read_stdin()?)?;
    // The one place where it is set; a second time would be a second request.
    SPOKEN.get_or_init(|| network.version);
    let (verb, since) = command.verb();
    if network.version < since {
        let msg = format!("CNI version {} has no {verb}", network.version);
        let remedy = format!("set cniVersion of network {:?} to {since} or newer", network.name);
        return Err(CniError::new(Code::IncompatibleVersion, msg).details(remedy));
    }
    match command {
        Command::Add { sandbox, netns } => add(plugin, &network, &sandbox, &netns),
        Command::Del { sandbox, netns } => plugin.del(&network, &sandbox, netns.as_deref()),
        Command::Check { sandbox, netns } => plugin.check(&network, &sandbox, &netns, &network.previous_result()?),
        Command::Status => plugin.status(&network),
        Command::Gc => plugin.gc(&network, network.valid_attachments()?),
        Command::Version => print_versions(),
    }
}

fn add(plugin: &impl Plugin, network: &Network, sandbox: &Sandbox, netns: &Path) -> Result<(), CniError> {
    let result = plugin.add(network, sandbox, netns)?;
    let json = result.to_json(network.version).map_err(io::Error::from);
    json.and_then(|json| print(&json)).map_err(|error| {
        if let Err(left) = plugin.del(network, sandbox, Some(netns)) {
            note(&format!("cannot undo the ADD either: {left}"));
        }
        CniError::new(Code::Io, format!("cannot write the result to stdout: {error}"))
    })
}

fn print_versions() -> Result<(), CniError> {
    // A person's terminal would wait for input that VERSION does not need.
    let stdin = if io::stdin().is_terminal() { Vec::new() } else { read_stdin()? };
    let version = Network::version_of(&stdin).unwrap_or(Version::LATEST);
    let versions = Versions { cni_version: version.as_str(), supported_versions: Version::ALL.map(Version::as_str) };
    let json = serde_json::to_string(&versions).map_err(io::Error::from);
    json.and_then(|json| print(&json))
        .map_err(|error| CniError::new(Code::Io, format!("cannot write the versions to stdout: {error}")))
}

fn read_stdin() -> Result<Vec<u8>, CniError> {
    let mut stdin = Vec::new();
    io::stdin().lock().read_to_end(&mut stdin).map_err(|error| {
        CniError::new(Code::Io, format!("cannot read the network configuration from stdin: {error}"))
    })?;
    Ok(stdin)
}

fn print(json: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(json.as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// A bug must not look like an answer, on whichever thread it shows. What was under way is left to the runtime's DEL,
/// which follows every failed ADD.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let what = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let error = CniError::new(Code::Internal, format!("the plugin failed by a bug of its own{place}: {what}"))
        .details("please report it; what was reserved is freed by the DEL that the container runtime sends now");
    note(&error.to_string());
    let _: ExitCode = refuse(&error);
    process::exit(1);
}
