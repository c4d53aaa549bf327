//! The command line.

use std::net::IpAddr;

use clap::{Parser, Subcommand};
use spiderpool_cli::{LogArgs, Shell};

/// Keeps the status and the finalizers of IP pools current.
#[derive(Debug, Parser)]
#[command(name = "spiderpool-controller", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What it logs.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// What the controller can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run until SIGTERM or SIGINT: watch pools and blocks, and write what has changed.
    ///
    /// The API server is found by the file that KUBECONFIG names, by ~/.kube/config, or by the service account of the pod,
    /// in this order. Several may run at once, with the same --max-allocated-ips.
    #[command(after_help = "\
Examples:
  spiderpool-controller daemon
  KUBECONFIG=admin.kubeconfig spiderpool-controller daemon --bind-address 127.0.0.1 --log-format text")]
    Daemon(DaemonArgs),
    /// A completion script for a shell.
    #[command(after_help = "\
Examples:
  spiderpool-controller completion bash > /etc/bash_completion.d/spiderpool-controller
  spiderpool-controller completion zsh > \"${fpath[1]}/_spiderpool-controller\"")]
    Completion {
        /// The shell.
        #[arg(value_parser = clap::builder::EnumValueParser::<Shell>::new())]
        shell: Shell,
    },
}

/// How the daemon runs.
#[derive(Clone, Debug, clap::Args)]
pub struct DaemonArgs {
    /// Where to answer over TCP. [default: all addresses of both families]
    #[arg(long, value_name = "IP", env = "SPIDERPOOL_BIND_ADDRESS")]
    pub bind_address: Option<IpAddr>,
    /// The port of /v1/runtime/startup, readiness and liveness; 0 for any that is free.
    #[arg(long, value_name = "PORT", env = "SPIDERPOOL_HEALTH_PORT", default_value_t = 5720)]
    pub health_port: u16,
    /// The port of /metrics; 0 for any that is free.
    #[arg(long, value_name = "PORT", env = "SPIDERPOOL_METRIC_HTTP_PORT", default_value_t = 5721)]
    pub metric_port: u16,
    /// How many holders of a pool are listed in status.allocatedIPs. Where there are more, only counts are kept there; who
    /// holds what is in the SpiderIPBlocks.
    #[arg(long, value_name = "NUMBER", env = "SPIDERPOOL_IPPOOL_MAX_ALLOCATED_IPS", default_value_t = 5000)]
    pub max_allocated_ips: u32,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }
}
