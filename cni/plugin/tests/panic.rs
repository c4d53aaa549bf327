//! A plugin with a bug must not look like one that succeeded. This test starts itself as such a plugin.

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};
use std::thread;

use spiderpool_cni_plugin::{AddResult, CniError, Network, Plugin, PreviousResult, Sandbox, serve};
use spiderpool_wire::upkeep::Attachment;

/// ADD panics on the main thread, DEL on another.
struct Buggy;

impl Plugin for Buggy {
    fn add(&self, _: &Network, _: &Sandbox, _: &Path) -> Result<AddResult, CniError> {
        panic!("a bug on \"this\" thread")
    }

    fn del(&self, _: &Network, _: &Sandbox, _: Option<&Path>) -> Result<(), CniError> {
        // Whoever starts the thread may well forget to look how it ended.
        drop(thread::spawn(|| panic!("a bug elsewhere")).join());
        Ok(())
    }

    fn check(&self, _: &Network, _: &Sandbox, _: &Path, _: &PreviousResult) -> Result<(), CniError> {
        Ok(())
    }

    fn status(&self, _: &Network) -> Result<(), CniError> {
        Ok(())
    }

    fn gc(&self, _: &Network, _: Vec<Attachment>) -> Result<(), CniError> {
        Ok(())
    }
}

fn call(verb: &str) -> Output {
    let variables = [("CNI_COMMAND", verb), ("CNI_CONTAINERID", "abc"), ("CNI_NETNS", "/none"), ("CNI_IFNAME", "eth0")];
    let mut child = Command::new(env::current_exe().expect("this test has a file"))
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(br#"{"cniVersion": "0.4.0", "name": "underlay"}"#).expect("it is read");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn main() -> ExitCode {
    if env::var_os("CNI_COMMAND").is_some() {
        return serve(&Buggy);
    }
    for (verb, message) in [("ADD", r#"a bug on "this" thread"#), ("DEL", "a bug elsewhere")] {
        let output = call(verb);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let error: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one error object");
        assert_eq!((&error["cniVersion"], &error["code"]), (&"0.4.0".into(), &100.into()), "{error}");
        let msg = error["msg"].as_str().expect("a message");
        assert!(msg.starts_with("the plugin failed by a bug of its own at ") && msg.ends_with(message), "{msg}");
    }
    ExitCode::SUCCESS
}
