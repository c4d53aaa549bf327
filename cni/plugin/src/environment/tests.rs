use std::os::unix::ffi::OsStringExt;

use super::*;

/// A whole environment, with `changes` applied: an empty value takes the variable away.
fn read(changes: &[(&str, &str)]) -> Result<Command, CniError> {
    let whole = [
        ("CNI_COMMAND", "ADD"),
        ("CNI_CONTAINERID", "abc"),
        ("CNI_NETNS", "/var/run/netns/none"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_ARGS", "K8S_POD_NAME=web-0"),
    ];
    Command::from_environment(|name| {
        let value = changes.iter().chain(&whole).find(|(key, _)| *key == name).map(|(_, value)| *value);
        value.filter(|value| !value.is_empty()).map(OsString::from)
    })
}

#[track_caller]
fn refused(changes: &[(&str, &str)], msg: &str, details: &str) {
    let error = read(changes).unwrap_err();
    assert_eq!(error.code, Code::InvalidEnvironment);
    assert_eq!((error.msg.as_str(), error.details.as_str()), (msg, details));
}

fn sandbox() -> Sandbox {
    let pod = PodArgs { name: "web-0".into(), ..PodArgs::default() };
    Sandbox { container_id: "abc".into(), interface: "eth0".into(), pod }
}

#[test]
fn each_verb_takes_what_it_needs() {
    let netns = PathBuf::from("/var/run/netns/none");
    let cases = [
        (read(&[]), Command::Add { sandbox: sandbox(), netns: netns.clone() }),
        (read(&[("CNI_COMMAND", "CHECK")]), Command::Check { sandbox: sandbox(), netns: netns.clone() }),
        (read(&[("CNI_COMMAND", "DEL")]), Command::Del { sandbox: sandbox(), netns: Some(netns) }),
        (read(&[("CNI_COMMAND", "DEL"), ("CNI_NETNS", "")]), Command::Del { sandbox: sandbox(), netns: None }),
        (read(&[("CNI_COMMAND", "STATUS"), ("CNI_CONTAINERID", "")]), Command::Status),
        (read(&[("CNI_COMMAND", "GC"), ("CNI_IFNAME", "")]), Command::Gc),
        (read(&[("CNI_COMMAND", "VERSION"), ("CNI_ARGS", "bad")]), Command::Version),
    ];
    for (read, expected) in cases {
        assert_eq!(read.unwrap(), expected);
    }
}

#[test]
fn all_that_is_missing_is_named_with_examples() {
    refused(
        &[("CNI_CONTAINERID", ""), ("CNI_NETNS", ""), ("CNI_IFNAME", "")],
        "ADD needs CNI_CONTAINERID and CNI_NETNS and CNI_IFNAME in the environment",
        "set what is missing, for example CNI_CONTAINERID=1f2a9c77 CNI_NETNS=/var/run/netns/NAME CNI_IFNAME=eth0",
    );
    refused(
        &[("CNI_COMMAND", "DEL"), ("CNI_NETNS", ""), ("CNI_IFNAME", "")],
        "DEL needs CNI_IFNAME in the environment",
        "set what is missing, for example CNI_IFNAME=eth0",
    );
    let nothing = read(&[("CNI_COMMAND", "")]).unwrap_err();
    assert_eq!(nothing.msg, "CNI_COMMAND is not in the environment");
    assert!(nothing.details.contains("0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"), "{}", nothing.details);
}

#[test]
fn what_is_wrong_is_named() {
    refused(
        &[("CNI_COMMAND", "add")],
        "CNI_COMMAND=add is not a CNI verb",
        "example: CNI_COMMAND=ADD (or DEL, CHECK, STATUS, GC, VERSION)",
    );
    refused(
        &[("CNI_CONTAINERID", "../x")],
        "CNI_CONTAINERID=../x is not a container ID: a letter or digit, then letters, digits, '_', '.' and '-'",
        "example: CNI_CONTAINERID=1f2a9c77",
    );
    for name in ["a/b", "a b", "a:b", "..", "sixteen-letters-"] {
        let msg = format!("CNI_IFNAME={name} is not an interface name: at most 15 bytes, without '/', ':' and blanks");
        refused(&[("CNI_IFNAME", name)], &msg, "example: CNI_IFNAME=eth0");
    }
    let latin = Command::from_environment(|name| (name == "CNI_COMMAND").then(|| OsString::from_vec(vec![0xe4])));
    assert_eq!(latin.unwrap_err().msg, "CNI_COMMAND=\u{fffd} is not UTF-8");
}

#[test]
fn the_own_namespace_is_refused_unless_meant() {
    let own = ("CNI_NETNS", "/proc/self/ns/net");
    refused(
        &[own],
        "CNI_NETNS=/proc/self/ns/net is the network namespace that this plugin runs in",
        "pass the namespace of the container; if you mean it, set CNI_NETNS_OVERRIDE=1",
    );
    read(&[own, ("CNI_NETNS_OVERRIDE", "1")]).unwrap();
    read(&[own, ("CNI_NETNS_OVERRIDE", "TRUE")]).unwrap();
    read(&[own, ("CNI_COMMAND", "DEL")]).unwrap();
}
