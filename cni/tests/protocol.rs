//! What the binary says to a container runtime when there is no agent to be asked, or none that makes sense.

mod peer;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use peer::{Node, Pod, Reply, call, end, start, variables};
use serde_json::{Value, json};

fn text<T: ToString>((code, msg, details): (u64, T, T)) -> (u64, String, String) {
    (code, msg.to_string(), details.to_string())
}

#[test]
fn version_is_told_whatever_comes_in() {
    let all = json!(["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]);
    for (stdin, version) in
        [(r#"{"cniVersion": "0.4.0"}"#, "0.4.0"), ("", "1.1.0"), ("{", "1.1.0"), (r#"{"cniVersion": "9"}"#, "1.1.0")]
    {
        let versions = call(&[("CNI_COMMAND", "VERSION")], stdin).well();
        assert_eq!(versions, json!({"cniVersion": version, "supportedVersions": all}), "{stdin}");
    }
}

#[test]
fn what_is_wrong_with_the_request_is_said() {
    let example = r#"example: {"cniVersion":"1.0.0","name":"underlay","type":"macvlan","ipam":{"type":"spiderpool"}}"#;
    let add = variables("ADD", "/var/run/netns/none");
    let node = Node::new();
    let cases = [
        (
            call(&add, r#"{"cniVersion": "1.0.0", "#),
            (
                6,
                "the network configuration on stdin is not a JSON object: EOF while parsing a value at line 1 column 24",
                example,
            ),
        ),
        (
            call(&add, r#"{"cniVersion": "2.0.0", "name": "a"}"#),
            (
                1,
                r#"CNI version "2.0.0" is not supported"#,
                "set cniVersion of the network configuration to one of 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0",
            ),
        ),
        (
            call(&variables("ADD", ""), &node.network("1.0.0", json!({}))),
            (
                4,
                "ADD needs CNI_NETNS in the environment",
                "set what is missing, for example CNI_NETNS=/var/run/netns/NAME",
            ),
        ),
        (
            call(&[&add[..4], &[("CNI_ARGS", "K8S_POD_NAMESPACE=shop")]].concat(), &node.network("1.0.0", json!({}))),
            (
                4,
                "CNI_ARGS lacks K8S_POD_NAME: whose addresses are they?",
                "example: CNI_ARGS='IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_UID=…'",
            ),
        ),
        (
            call(&add, &node.network("1.0.0", json!({}))),
            (
                4,
                "CNI_NETNS is of no use: cannot open the network namespace /var/run/netns/none: No such file or directory (os error 2); is the pod gone already?",
                "",
            ),
        ),
        (
            call(&add, &node.network("1.0.0", json!({"ipam": {"type": "spiderpool", "log_level": "loud"}}))),
            (
                7,
                r#"ipam.log_level of network "underlay": unknown log level "loud"; use debug, info, warn or error"#,
                "",
            ),
        ),
        (
            call(&[&[("CNI_COMMAND", "LIST")], &add[1..]].concat(), ""),
            (4, "CNI_COMMAND=LIST is not a CNI verb", "example: CNI_COMMAND=ADD (or DEL, CHECK, STATUS, GC, VERSION)"),
        ),
    ];
    for (ended, expected) in cases {
        assert_eq!(ended.error(), text(expected));
    }
}

#[test]
fn verbs_are_refused_to_versions_that_do_not_have_them() {
    let node = Node::new();
    for (verb, has, lacks) in [("CHECK", "0.4.0", "0.3.1"), ("STATUS", "1.1.0", "1.0.0"), ("GC", "1.1.0", "1.0.0")] {
        let variables = variables(verb, "/var/run/netns/none");
        let (code, msg, details) = call(&variables, &node.network(lacks, json!({}))).error();
        assert_eq!((code, msg), (1, format!("CNI version {lacks} has no {verb}")));
        assert_eq!(details, format!(r#"set cniVersion of network "underlay" to {has} or newer"#));
        assert_ne!(call(&variables, &node.network(has, json!({}))).error().0, 1);
    }
}

#[test]
fn errors_speak_the_version_of_the_request() {
    let node = Node::new();
    let ended = call(&variables("DEL", ""), &node.network("0.3.1", json!({})));
    let error: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(error["cniVersion"], "0.3.1");
}

#[test]
fn an_agent_that_is_not_running_is_named() {
    let (node, pod) = (Node::new(), Pod::new());
    let netns = pod.netns();
    for (verb, code) in [("ADD", 11), ("DEL", 11), ("STATUS", 50), ("GC", 11)] {
        let start = Instant::now();
        let network = node.network("1.1.0", json!({"cni.dev/valid-attachments": []}));
        let (number, msg, details) = call(&variables(verb, &netns), &network).error();
        let socket = node.path("agent.sock").display().to_string();
        assert_eq!(number, code, "{verb}: {msg}");
        assert_eq!(msg, format!("cannot reach spiderpool-agent at {socket}: No such file or directory (os error 2)"));
        assert!(details.contains("is spiderpool-agent running on this node") && details.contains(&socket), "{details}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    assert!(node.log().contains("cannot reach spiderpool-agent"), "{}", node.log());
}

#[test]
fn an_agent_that_hangs_up_is_asked_again_and_then_given_up() {
    let (node, pod) = (Node::new(), Pod::new());
    let asked = node.agent(|_| Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"ips\":[{"));
    let (code, msg, details) = call(&variables("ADD", &pod.netns()), &node.network("1.0.0", json!({}))).error();
    assert_eq!(code, 11);
    assert!(msg.ends_with("hung up 7 times before it answered POST /v1/ipam/ip"), "{msg}");
    assert_eq!(details, "is it being restarted again and again? look at its log");
    assert_eq!(asked.try_iter().count(), 7);
}

#[test]
fn garbage_is_not_taken_for_an_answer() {
    let (node, pod) = (Node::new(), Pod::new());
    let _asked = node.agent(|_| Reply::Well(json!({"ips": [{"version": 4, "address": "10.6.0.5", "nic": "eth0"}]})));
    let (code, msg, _) = call(&variables("ADD", &pod.netns()), &node.network("1.0.0", json!({}))).error();
    assert_eq!(code, 100);
    assert!(msg.contains(r#""10.6.0.5" is not a CIDR"#), "{msg}");
}

#[test]
fn a_log_that_cannot_be_written_fails_nothing() {
    let node = Node::new();
    let _asked = node.agent(|_| Reply::Done);
    fs::create_dir(node.path("cni.log")).unwrap();
    let ended = call(&variables("DEL", ""), &node.network("1.0.0", json!({})));
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), ""));
    assert!(ended.stderr.contains("cni.log cannot be written"), "{}", ended.stderr);
}

#[test]
fn a_result_that_does_not_get_out_is_undone() {
    let (node, pod) = (Node::new(), Pod::new());
    let asked = node.agent(|n| match n {
        0 => Reply::Well(json!({"ips": [{"version": 4, "address": "10.6.0.5/16", "nic": "eth0"}]})),
        _ => Reply::Done,
    });
    let full = Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let program = Path::new(env!("CARGO_BIN_EXE_spiderpool"));
    let ended = end(start(program, &variables("ADD", &pod.netns()), full), &node.network("1.0.0", json!({})));
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("cannot write the result to stdout: No space left on device"), "{}", ended.stderr);
    let targets: Vec<_> = asked.try_iter().map(|(target, _)| target).collect();
    assert_eq!(targets, ["POST /v1/ipam/ip", "DELETE /v1/ipam/ip"]);
}

#[test]
fn the_binary_answers_to_its_name_only() {
    let node = Node::new();
    let program = node.path("coordinator");
    symlink(env!("CARGO_BIN_EXE_spiderpool"), &program).unwrap();
    let (code, msg, details) = end(start(&program, &[("CNI_COMMAND", "VERSION")], Stdio::piped()), "").error();
    assert_eq!(code, 7);
    assert_eq!(msg, format!("{program:?} is not the name of a plugin that is in this binary"));
    assert!(details.starts_with("name the file, or a link to it, spiderpool"), "{details}");
}
