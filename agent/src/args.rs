//! The command line.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Gives pods of this node their IP addresses.
#[derive(Debug, Parser)]
#[command(name = "spiderpool-agent", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How much to log: error, warn, info, debug, trace, or a filter such as `info,spiderpool_storage=debug`.
    #[arg(long, global = true, env = "SPIDERPOOL_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// How to log.
    #[arg(long, global = true, env = "SPIDERPOOL_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for programs.
    #[default]
    Json,
    /// Plain lines, for people.
    Text,
}

/// What the agent can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run on one machine without Kubernetes: resources from a folder of YAML manifests, addresses in a local store.
    Standalone(StandaloneArgs),
}

/// Where a standalone agent finds and keeps things.
#[derive(Clone, Debug, clap::Args)]
pub struct StandaloneArgs {
    /// Folder of YAML manifests: SpiderIPPool, SpiderReservedIP, and optionally Pod, Namespace and Node. Watched.
    #[arg(long, value_name = "DIR")]
    pub manifests: PathBuf,
    /// Folder for the ledger of addresses and for compiled policies. Made if missing.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Unix socket on which plugins and spiderpoolctl ask.
    #[arg(long, value_name = "PATH", default_value = spiderpool_wire::DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// Folder of policies: `.wasm` files and SpiderPolicy manifests. Watched. [default: MANIFESTS/policies]
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// Folder of the built-in policies. [default: ../policies beside this program's folder]
    #[arg(long, value_name = "DIR", env = "SPIDERPOOL_BUILTIN_POLICIES")]
    pub builtin_policies: Option<PathBuf>,
    /// The program that compiles policies. [default: spiderpool-policy-compiler beside this program]
    #[arg(long, value_name = "PATH", env = "SPIDERPOOL_POLICY_COMPILER")]
    pub policy_compiler: Option<PathBuf>,
    /// spiderpool's conf.yml. [default: both families, no detection]
    #[arg(long, value_name = "FILE")]
    pub config_path: Option<PathBuf>,
    /// This node's name: matched by pools' nodeName, and looked up among Node manifests. [default: the host name]
    #[arg(long, value_name = "NAME", env = "SPIDERPOOL_NODE_NAME")]
    pub node_name: Option<String>,
    /// The namespace to which network names without a namespace belong.
    #[arg(long, value_name = "NAMESPACE", env = "SPIDERPOOL_POD_NAMESPACE", default_value = "kube-system")]
    pub install_namespace: String,
    /// The network of interfaces for which a pod names none, as NAMESPACE/NAME.
    #[arg(long, value_name = "NETWORK", env = "MULTUS_CLUSTER_NETWORK")]
    pub cluster_network: Option<String>,
    /// Where to answer /v1/runtime/startup, readiness and liveness over TCP.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5710")]
    pub health_address: SocketAddr,
    /// Where to answer /metrics over TCP.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5711")]
    pub metrics_address: SocketAddr,
}

impl StandaloneArgs {
    /// The folder of the built-in policies.
    #[must_use]
    pub fn builtin_policies(&self) -> PathBuf {
        self.builtin_policies.clone().unwrap_or_else(|| beside_program("../policies"))
    }

    /// The compiler of policies.
    #[must_use]
    pub fn policy_compiler(&self) -> PathBuf {
        self.policy_compiler.clone().unwrap_or_else(|| beside_program("spiderpool-policy-compiler"))
    }

    /// The folder of the user's policies.
    #[must_use]
    pub fn policies(&self) -> PathBuf {
        self.policies.clone().unwrap_or_else(|| self.manifests.join("policies"))
    }

    /// This node's name.
    #[must_use]
    pub fn node_name(&self) -> String {
        self.node_name.clone().unwrap_or_else(|| {
            nix::unistd::gethostname()
                .ok()
                .and_then(|name| name.into_string().ok())
                .unwrap_or_else(|| "localhost".into())
        })
    }
}

fn beside_program(relative: &str) -> PathBuf {
    let folder = env::current_exe().ok().and_then(|path| path.parent().map(PathBuf::from)).unwrap_or_default();
    folder.join(relative)
}
