//! What can be wrong with a policy: at load, and in a call.

use std::path::PathBuf;

use thiserror::Error;

use crate::bindings::Problem;

/// Why a call of a policy has no answer. The policy is at fault; the next call is not touched.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallFailure {
    /// It computed for too long by the clock.
    #[error("it did not answer within {milliseconds} ms; make it do less, or raise limits.deadlineMilliseconds")]
    Deadline {
        /// The limit.
        milliseconds: u32,
    },
    /// It computed too much.
    #[error("it used up its {fuel} units of fuel; make it do less, or raise limits.fuel")]
    Fuel {
        /// The limit.
        fuel: u64,
    },
    /// It wanted too much memory.
    #[error("it asked for more than {mebibytes} MiB of memory; make it keep less, or raise limits.memoryMiB")]
    Memory {
        /// The limit.
        mebibytes: u32,
    },
    /// It recursed too deep.
    #[error("it used up its stack of {} KiB; make it recurse less", spiderpool_engine::STACK >> 10)]
    Stack,
    /// It panicked, or did what no program may.
    #[error("it trapped: {0}")]
    Trap(String),
    /// It answered more than it may.
    #[error("its answer is larger than {kibibytes} KiB; make it answer less")]
    TooLarge {
        /// The limit.
        kibibytes: usize,
    },
    /// It answered something that cannot be.
    #[error("its answer is wrong: {0}")]
    Wrong(String),
    /// It was refused when it was loaded, and says that this means no.
    #[error("it is not in force: {0}")]
    NotLoaded(String),
    /// Too many calls are under way.
    #[error("{0} calls of policies are under way already; try again")]
    Busy(usize),
    /// Something of the host's own.
    #[error("the host failed: {0}")]
    Host(String),
}

impl CallFailure {
    /// One word for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Deadline { .. } => "deadline",
            Self::Fuel { .. } => "fuel",
            Self::Memory { .. } => "memory",
            Self::Stack => "stack",
            Self::Trap(_) => "trap",
            Self::TooLarge { .. } => "too-large",
            Self::Wrong(_) => "wrong-answer",
            Self::NotLoaded(_) => "not-loaded",
            Self::Busy(_) => "busy",
            Self::Host(_) => "host",
        }
    }
}

/// Why a component is not accepted as a policy.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: {cause}; check the path and that the agent may read it", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// The file is larger than any policy needs to be.
    #[error("the file has {bytes} bytes; at most {limit} are served")]
    Size {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The component is not the one that was asked for.
    #[error(
        "its digest is {found}, but the SpiderPolicy asks for {wanted}; install the other file, or correct spec.digest"
    )]
    Digest {
        /// What the file has.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// Not WebAssembly.
    #[error("it is not WebAssembly; build a component, for instance with `cargo xtask guests`")]
    NotWasm,
    /// WebAssembly, but not a component.
    #[error("it is a core WebAssembly module, not a component; make it one with `wasm-tools component new`")]
    CoreModule,
    /// A component that is broken.
    #[error("it is not a valid component: {0}")]
    Invalid(String),
    /// It wants something from outside.
    #[error("it imports {0}; policies get everything as arguments and import nothing but types: build it without WASI")]
    Import(String),
    /// Nothing that is known is exported.
    #[error(
        "it exports no interface of spiderpool:policy (found: {found}); export affinity, allocation, validation or retention"
    )]
    NoExport {
        /// What it exports.
        found: String,
    },
    /// Made for another version of the contract.
    #[error("it exports {found}; this host serves {served}: build it against that version of the contract")]
    Version {
        /// What it exports.
        found: String,
        /// What is served.
        served: &'static str,
    },
    /// The right names, but other shapes.
    #[error(
        "its {interface}.{function} has another shape than the contract's: {cause}; build it against wit/policy of this version"
    )]
    Shape {
        /// The interface.
        interface: &'static str,
        /// The function.
        function: &'static str,
        /// The first difference.
        cause: String,
    },
    /// An extension point is asked for that the component does not have.
    #[error("it does not export {0}, which spec.extensionPoints names; remove it there, or export it")]
    Missing(&'static str),
    /// It rejects its configuration.
    #[error("it rejects its settings: {}", problems(.0))]
    Settings(Vec<Problem>),
    /// A limit beyond what the host allows.
    #[error("limits.{field} is {value}; at most {ceiling} is allowed")]
    Limit {
        /// The field.
        field: &'static str,
        /// What was asked for.
        value: u64,
        /// The ceiling.
        ceiling: u64,
    },
    /// It fails already when tried.
    #[error("it fails when it is tried: {function}: {failure}")]
    Trial {
        /// The function.
        function: &'static str,
        /// How.
        failure: CallFailure,
    },
    /// It cannot be compiled.
    #[error("it cannot be compiled: {0}")]
    Compile(String),
    /// Another policy has its name.
    #[error("the name is taken by {0}; give it another")]
    Name(&'static str),
    /// Where it comes from is not served.
    #[error("source.{0} is not served here; use source.file")]
    Source(&'static str),
}

fn problems(problems: &[Problem]) -> String {
    let lines = problems.iter().map(|Problem { field, message }| match field.as_str() {
        "" => message.clone(),
        field => format!("{field}: {message}"),
    });
    lines.collect::<Vec<_>>().join("; ")
}

/// Why the host cannot start.
#[derive(Debug, Error)]
pub enum HostError {
    /// A folder cannot be used.
    #[error("{what} {}: {cause}; {remedy}", .path.display())]
    Folder {
        /// Which.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        cause: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The engine refuses its settings.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    /// A built-in policy cannot be used.
    #[error("built-in policy {}: {cause}; {}", .path.display(), built_in_remedy(.cause))]
    BuiltIn {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        cause: LoadError,
    },
}

fn built_in_remedy(cause: &LoadError) -> &'static str {
    match cause {
        LoadError::Settings(_) => "correct them in the agent's configuration",
        _ => "install spiderpool's policies/ folder, or name it with --builtin-policies",
    }
}
