//! All our CNI plugins in one binary, which answers to its name: container runtimes start a plugin by the name of its
//! file, per pod and per call, and one small file that is in memory anyway starts fastest.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;
use spiderpool_cni_ipam::Ipam;
use spiderpool_cni_plugin::{CniError, Code, refuse, serve};

/// Asks the kernel for memory in large pieces: a process that lives for a millisecond should not ask thirty times.
#[global_allocator]
static MEMORY: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    let path = env::args_os().next().unwrap_or_default();
    match Path::new(&path).file_name().and_then(|name| name.to_str()) {
        Some("spiderpool") => serve(&Ipam),
        _ => refuse(&unknown(&path.to_string_lossy())),
    }
}

fn unknown(path: &str) -> CniError {
    CniError::new(Code::InvalidConfig, format!("{path:?} is not the name of a plugin that is in this binary"))
        .details("name the file, or a link to it, spiderpool; and write that in ipam.type of the network configuration")
}
