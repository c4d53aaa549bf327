//! `spiderpool-policy-compiler`: turns one WebAssembly component into native code.
//!
//! A process of its own, because compiling takes memory and time that the author of a component chooses. It bounds
//! itself before it reads the first byte; the host waits, and ends it when it takes too long.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use nix::sys::resource::{Resource, setrlimit};
use wasmtime::Engine;

/// Compiles a policy for spiderpool's host.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The component.
    input: PathBuf,
    /// Where native code goes.
    output: PathBuf,
    /// Processor time, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    max_cpu: u64,
    /// Memory, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    max_memory: u64,
    /// Size of the native code, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    max_output: u64,
}

fn main() -> Result<()> {
    let Args { input, output, max_cpu, max_memory, max_output } = Args::parse();
    for (resource, limit) in [
        (Resource::RLIMIT_CPU, max_cpu),
        (Resource::RLIMIT_AS, max_memory << 20),
        (Resource::RLIMIT_FSIZE, max_output << 20),
        (Resource::RLIMIT_CORE, 0),
    ] {
        setrlimit(resource, limit, limit).with_context(|| format!("cannot bound {resource:?}"))?;
    }
    let component = fs::read(&input).with_context(|| format!("cannot read {}", input.display()))?;
    let engine = Engine::new(&spiderpool_engine::config())?;
    let code = engine.precompile_component(&component)?;
    fs::write(&output, code).with_context(|| format!("cannot write {}", output.display()))
}
