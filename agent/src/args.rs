//! The command line.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use spiderpool_cli::{LogArgs, Shell};

use crate::environment;

/// Where Spiderpool's chart puts `conf.yml`.
const CONFIG: &str = "/tmp/spiderpool/config-map/conf.yml";

/// Gives pods of this node their IP addresses.
#[derive(Debug, Parser)]
#[command(name = "spiderpool-agent", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What it logs.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// What the agent can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run on a node of a Kubernetes cluster: resources and addresses in its API server.
    #[command(after_help = environment::HELP)]
    Daemon(DaemonArgs),
    /// Run on one machine without Kubernetes: resources from a folder of YAML manifests, addresses in a local store.
    Standalone(StandaloneArgs),
    /// Ask the agent of this node to stop, and wait until it has: requests that have begun are answered first.
    Shutdown(ShutdownArgs),
    /// Print the metrics of the agent of this node.
    Metric(MetricArgs),
    /// A completion script for a shell.
    #[command(after_help = "\
Example:
  spiderpool-agent completion bash > /etc/bash_completion.d/spiderpool-agent")]
    Completion {
        /// The shell.
        #[arg(value_parser = clap::builder::EnumValueParser::<Shell>::new())]
        shell: Shell,
    },
}

/// What the daemon reads beside its environment.
#[derive(Clone, Debug, clap::Args)]
pub struct DaemonArgs {
    /// spiderpool's conf.yml, from the ConfigMap spiderpool-conf. Read once, at the start.
    #[arg(long, value_name = "FILE", default_value = CONFIG, conflicts_with = "config_dir")]
    pub config_path: PathBuf,
    /// The folder of conf.yml, as earlier releases named it.
    #[arg(long, value_name = "DIR")]
    pub config_dir: Option<PathBuf>,
    /// Of earlier releases; has no effect.
    #[arg(long, value_name = "DIR", hide = true)]
    pub ipam_config_dir: Option<PathBuf>,
    /// Folder of the components that SpiderPolicy objects name by `source.file`. Watched. [default: ../policies-node
    /// beside this program's folder]
    #[arg(long, value_name = "DIR", env = "SPIDERPOOL_POLICIES")]
    pub policies: Option<PathBuf>,
    /// Folder for compiled policies. Made if missing; only the agent's user may write it.
    #[arg(long, value_name = "DIR", env = "SPIDERPOOL_POLICY_CACHE", default_value = "/var/cache/spiderpool/policies")]
    pub policy_cache: PathBuf,
    /// The built-in policies.
    #[command(flatten)]
    pub builtin: BuiltinArgs,
}

impl DaemonArgs {
    /// The path of `conf.yml`.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.config_dir.as_ref().map_or_else(|| self.config_path.clone(), |folder| folder.join("conf.yml"))
    }

    /// The folder of the node's policies.
    #[must_use]
    pub fn policies(&self) -> PathBuf {
        self.policies.clone().unwrap_or_else(|| beside_program("../policies-node"))
    }
}

/// Which agent is to stop.
#[derive(Clone, Debug, clap::Args)]
pub struct ShutdownArgs {
    /// The agent's socket. [default: ipamUnixSocketPath of conf.yml]
    #[arg(long, value_name = "PATH", env = "SPIDERPOOL_SOCKET")]
    pub socket: Option<PathBuf>,
    /// spiderpool's conf.yml; where it does not exist, the socket is at its usual place.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    pub config_path: PathBuf,
    /// How many seconds to wait for its end.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub timeout: Duration,
}

/// Which agent is asked for its metrics.
#[derive(Clone, Debug, clap::Args)]
pub struct MetricArgs {
    /// The agent's port of metrics.
    #[arg(long, env = "SPIDERPOOL_METRIC_HTTP_PORT", default_value = "5711")]
    pub port: u16,
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}

/// Where the built-in policies are.
#[derive(Clone, Debug, clap::Args)]
pub struct BuiltinArgs {
    /// Folder of the built-in policies. [default: ../policies beside this program's folder]
    #[arg(long, value_name = "DIR", env = "SPIDERPOOL_BUILTIN_POLICIES")]
    pub builtin_policies: Option<PathBuf>,
    /// The program that compiles policies. [default: spiderpool-policy-compiler beside this program]
    #[arg(long, value_name = "PATH", env = "SPIDERPOOL_POLICY_COMPILER")]
    pub policy_compiler: Option<PathBuf>,
}

impl BuiltinArgs {
    /// The folder of the built-in policies.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.builtin_policies.clone().unwrap_or_else(|| beside_program("../policies"))
    }

    /// The compiler of policies.
    #[must_use]
    pub fn compiler(&self) -> PathBuf {
        self.policy_compiler.clone().unwrap_or_else(|| beside_program("spiderpool-policy-compiler"))
    }
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
    /// The built-in policies.
    #[command(flatten)]
    pub builtin: BuiltinArgs,
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
    /// Whether a pod loses an address that somebody else on the network uses, and gets another one.
    #[arg(long, value_name = "BOOL", env = environment::RELEASE_CONFLICT_IPS, default_value = "true",
        value_parser = environment::boolean, action = clap::ArgAction::Set)]
    pub release_conflict_ips: bool,
    /// Where to answer /v1/runtime/startup, readiness and liveness over TCP.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5710")]
    pub health_address: SocketAddr,
    /// Where to answer /metrics over TCP.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5711")]
    pub metrics_address: SocketAddr,
}

impl StandaloneArgs {
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn daemon(arguments: &[&str]) -> Result<DaemonArgs, clap::Error> {
        let all = ["spiderpool-agent", "daemon"].iter().chain(arguments);
        match Args::try_parse_from(all)?.command {
            Command::Daemon(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn conf_yml_is_where_the_chart_puts_it_unless_a_file_or_a_folder_is_named() {
        assert_eq!(daemon(&[]).unwrap().config_path(), PathBuf::from(CONFIG));
        assert_eq!(daemon(&["--config-path", "/etc/a.yml"]).unwrap().config_path(), PathBuf::from("/etc/a.yml"));
        assert_eq!(daemon(&["--config-dir", "/etc/a"]).unwrap().config_path(), PathBuf::from("/etc/a/conf.yml"));
        assert!(daemon(&["--config-path", "a", "--config-dir", "b"]).is_err());
    }
}
