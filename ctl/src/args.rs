//! What can be typed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use spiderpool_cli::Shell;
use spiderpool_wire::DEFAULT_SOCKET;

use crate::agent_commands::{self, IpFilter};
use crate::client::Agent;
use crate::output::{self, Format};
use crate::{Outcome, harness, inspect};

const EXAMPLES: &str = "\
Examples:
  spiderpoolctl pool list                          how full the pools are
  spiderpoolctl ip list --namespace shop           who holds which address
  spiderpoolctl explain shop/web-0                 which pools serve this pod, and why not the others
  spiderpoolctl policy test cases --policy my.wasm try a policy without agent or cluster
  spiderpoolctl pool list -o json | jq .           the same for programs

Exit codes: 0 done, 1 failed or refused, 2 wrong usage.";

/// Look at Spiderpool's addresses, have its decisions explained, inspect and test its policies.
#[derive(Parser)]
#[command(name = "spiderpoolctl", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The agent's socket.
    #[arg(long, global = true, env = "SPIDERPOOL_SOCKET", default_value = DEFAULT_SOCKET, value_name = "PATH")]
    socket: PathBuf,
    /// How to print the answer.
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Addresses and who holds them.
    #[command(subcommand)]
    Ip(IpCommand),
    /// Pools and how full they are.
    #[command(subcommand)]
    Pool(PoolCommand),
    /// How the decision about a pod's addresses comes about. Nothing is allocated.
    #[command(after_help = "\
Examples:
  spiderpoolctl explain shop/web-0
  spiderpoolctl explain shop/web-0 --interface net1 -o json

Pools that only the CNI configuration names (default_ipv4_ippool, default_ipv6_ippool) are not known here.
Exit code 1 when the pod would get no address.")]
    Explain {
        /// The pod, as NAMESPACE/NAME.
        #[arg(value_name = "NAMESPACE/POD", value_parser = pod_name)]
        pod: (String, String),
        /// The interface that would ask.
        #[arg(long, default_value = "eth0", value_name = "NAME")]
        interface: String,
    },
    /// The components that decide.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// A completion script for a shell.
    #[command(after_help = "\
Examples:
  spiderpoolctl completion bash > /etc/bash_completion.d/spiderpoolctl
  spiderpoolctl completion zsh > \"${fpath[1]}/_spiderpoolctl\"")]
    Completion {
        /// The shell.
        #[arg(value_parser = clap::builder::EnumValueParser::<Shell>::new())]
        shell: Shell,
    },
}

#[derive(Subcommand)]
enum IpCommand {
    /// Every address that is held.
    #[command(visible_alias = "ls")]
    List(IpFilter),
}

#[derive(Subcommand)]
enum PoolCommand {
    /// Every pool.
    #[command(visible_alias = "ls")]
    List,
}

#[derive(Subcommand)]
enum PolicyCommand {
    /// The policies that the agent knows, and whether they are in force.
    #[command(visible_alias = "ls")]
    List,
    /// What a component exports and imports, and whether it could be a policy.
    Inspect(inspect::Args),
    /// Run case files against a policy, without agent or cluster.
    Test(harness::Args),
}

fn pod_name(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("write the namespace and the name, for instance shop/web-0".to_owned()),
    }
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            output::complain(&format!("spiderpoolctl: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(Args { socket, output, command }: Args) -> anyhow::Result<Outcome> {
    let agent = Agent::at(socket);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Ip(IpCommand::List(filter)) => agent_commands::ip_list(&agent, &filter, output).await,
            Command::Pool(PoolCommand::List) => agent_commands::pool_list(&agent, output).await,
            Command::Explain { pod: (namespace, name), interface } => {
                agent_commands::explain(&agent, namespace, name, interface, output).await
            }
            Command::Policy(PolicyCommand::List) => agent_commands::policy_list(&agent, output).await,
            Command::Policy(PolicyCommand::Inspect(args)) => inspect::run(&args, output),
            Command::Policy(PolicyCommand::Test(args)) => harness::run(&args, output).await,
            Command::Completion { shell } => spiderpool_cli::print_completion::<Args>(shell).map(|()| Outcome::Done),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_pod_is_named_with_its_namespace() {
        assert_eq!(pod_name("shop/web-0"), Ok(("shop".to_owned(), "web-0".to_owned())));
        for wrong in ["web-0", "shop/", "/web-0", "a/b/c"] {
            assert!(pod_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn options_stand_before_or_after_the_command() {
        for line in
            ["spiderpoolctl -o json --socket /s ip list --pool p", "spiderpoolctl ip list --pool p -o json --socket /s"]
        {
            let args = Args::try_parse_from(line.split(' ')).unwrap();
            assert_eq!((args.output, args.socket), (Format::Json, PathBuf::from("/s")));
        }
    }
}
