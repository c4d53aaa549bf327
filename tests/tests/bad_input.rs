//! Whatever is wrong is told: what, where, and what to do. Nothing is lost or doubled by it.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use spiderpool_tests::manifests::{pod, pool};
use spiderpool_tests::{Host, HostOptions, Namespace, Plugin, Pod};
use spiderpool_wire::ipam::IpamAddArgs;

const IPPOOL: &str = "ipam.spidernet.io/ippool";

fn one_pool() -> String {
    pool("v4", "10.6.0.0/24", "10.6.0.10-10.6.0.11", &["default: true"])
}

/// An environment, standard input, and the error's code and a word of it.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, u64, &'a str);

#[test]
fn requests_that_make_no_sense_are_told_what_is_missing() {
    let host = Host::with(&one_pool());
    let plugin = Plugin::of(&host);
    let config = plugin.config.to_string();
    let namespace = Namespace::new();
    let netns = namespace.path().display().to_string();
    let full = [("CNI_COMMAND", "ADD"), ("CNI_CONTAINERID", "c"), ("CNI_NETNS", &*netns), ("CNI_IFNAME", "eth0")];
    let cases: [Case<'_>; 4] = [
        (&full, "{not json", 6, "JSON"),
        (&full, r#"{"cniVersion": "9.9.9", "name": "n", "type": "spiderpool"}"#, 1, "9.9.9"),
        (&full[..1], &config, 4, "CNI_CONTAINERID"),
        (&[("CNI_COMMAND", "FLY")], &config, 4, "FLY"),
    ];
    for (environment, stdin, code, text) in cases {
        let (found, said) = plugin.raw(environment, stdin.as_bytes()).error();
        assert_eq!(found, code, "{said}");
        assert!(said.contains(text), "{said}");
    }
    assert!(host.allocations().is_empty());
}

#[test]
fn annotations_that_cannot_be_followed_are_quoted_with_what_would_be_right() {
    let annotated = |name: &str, value: &str| pod("default", name, &format!("uid-{name}"), &[(IPPOOL, value)]);
    let manifests = one_pool()
        + &pool("v6", "fd06::/64", "fd06::10", &[])
        + &annotated("bad-json", "{ipv4: v4}")
        + &annotated("unknown", r#"{"ipv4": ["v5"]}"#)
        + &annotated("family", r#"{"ipv4": ["v6"]}"#)
        + &annotated("twice", r#"{"ipv4": ["v4", "v4"]}"#);
    let host = Host::with(&manifests);
    let plugin = Plugin::of(&host);
    for (name, words) in [
        ("bad-json", [IPPOOL, "for example"].as_slice()),
        ("unknown", &["IPPool v5 does not exist", "v4"]),
        ("family", &["v6", "IPv6 pool"]),
        ("twice", &["v4", IPPOOL]),
    ] {
        let (code, text) = plugin.add(&Pod::named(name)).error();
        assert!(code >= 100, "{name}: {code} {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{name}: {text}");
    }
    assert!(host.allocations().is_empty());
}

#[test]
fn a_full_pool_is_named_with_its_size() {
    let host = Host::with(&one_pool());
    let plugin = Plugin::of(&host);
    for name in ["a", "b"] {
        assert!(plugin.add(&Pod::named(name)).ok);
    }
    let (code, text) = plugin.add(&Pod::named("c")).error();
    assert_eq!(code, 104, "{text}");
    assert!(text.contains("v4") && text.contains('2'), "{text}");
    plugin.del(&Pod::named("a"));
    assert!(plugin.add(&Pod::named("c")).ok, "room again");
}

#[test]
fn an_agent_that_is_not_there_is_said_to_be() {
    let mut host = Host::with(&one_pool());
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    assert!(plugin.add(&web).ok);
    host.kill();
    for verb in ["ADD", "DEL"] {
        let (code, text) = plugin.call(verb, &web).error();
        assert_eq!(code, 11, "{text}");
        assert!(text.contains("agent.sock"), "{text}");
    }
    host.run();
    plugin.del(&web);
    assert!(host.allocations().is_empty());
}

#[test]
fn a_bad_manifest_is_reported_by_file_and_line_and_leaves_the_others() {
    let host = Host::with(&one_pool());
    host.write(
        "broken.yaml",
        "apiVersion: spiderpool.spidernet.io/v2beta1\nkind: SpiderIPPool\nmetadata:\n  name: [\n",
    );
    host.write("wrong.yaml", &pool("wrong", "10.8.0.0/24", "10.9.0.1", &[]));
    host.write("overlap.yaml", &pool("overlap", "10.6.0.0/24", "10.6.0.11-10.6.0.12", &[]));
    host.write("good.yaml", &pool("good", "10.8.0.0/24", "10.8.0.1", &[]));
    host.wait_for("all are told", || {
        let log = host.log();
        ["broken.yaml:", "wrong.yaml:", "overlap.yaml:", "spec.ips"].iter().all(|word| log.contains(word))
    });
    host.wait_for("the good ones are in force", || {
        let names: Vec<String> = host.pools().into_iter().map(|pool| pool.name).collect();
        names == ["good", "v4"]
    });
}

#[test]
fn a_second_agent_on_the_same_ledger_is_refused() {
    let host = Host::with(&one_pool());
    let second = Host::stopped(&one_pool(), HostOptions { data: Some(host.path("data")), ..HostOptions::default() });
    let output = second.run_to_end();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        text.contains(&host.path("data").display().to_string()) && text.contains(&host.pid().to_string()),
        "{text}"
    );
    assert!(Plugin::of(&host).add(&Pod::named("web-0")).ok, "the first is not disturbed");
}

#[test]
fn a_corrupt_store_is_told_and_not_replaced() {
    let mut host = Host::with(&one_pool());
    assert!(Plugin::of(&host).add(&Pod::named("web-0")).ok);
    host.kill();
    let store: PathBuf = fs::read_dir(host.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = fs::read(&store).unwrap();
    bytes.iter_mut().take(512).for_each(|byte| *byte = 0x5a);
    fs::write(&store, &bytes).unwrap();
    let output = host.run_to_end();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains(&store.display().to_string()), "{text}");
    assert_eq!(fs::read(&store).unwrap(), bytes, "the file is left as it was");
}

/// A small file system that is unmounted when this is dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&path).status().unwrap();
        assert!(mount.success(), "mounting needs root: run `sudo make test`");
        Self(path)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_fails_adds_and_loses_nothing() {
    let outer = tempfile::tempdir().unwrap();
    let disk = Tmpfs::mount(outer.path().join("disk"));
    let manifests = pool("big", "10.6.0.0/16", "10.6.1.0-10.6.9.255", &["default: true"]);
    let mut host = Host::start(&manifests, HostOptions { data: Some(disk.0.join("data")), ..HostOptions::default() });
    let plugin = Plugin::of(&host);
    let first = plugin.add(&Pod::named("first")).addresses();
    let ballast = disk.0.join("ballast");
    // As much as fits: the error is the point.
    let _ = fs::write(&ballast, vec![0_u8; 9 << 20]);
    // The file has some room of its own before it has to grow.
    let refused = (0..5000).find_map(|number| {
        let args = IpamAddArgs {
            container_id: format!("c{number}"),
            if_name: "eth0".into(),
            pod_namespace: "default".into(),
            pod_name: format!("p{number}"),
            pod_uid: format!("u{number}"),
            ..IpamAddArgs::default()
        };
        host.allocate(&args).err()
    });
    let held = host.allocations();
    let (code, text) = plugin.add(&Pod::named("refused")).error();
    assert_eq!((code, refused.expect("the disk is full").to_string().contains("ledger.redb")), (100, true), "{text}");
    assert!(text.contains("ledger.redb") && text.contains("make room on that file system"), "{text}");
    assert_eq!(host.allocations(), held, "the refused ones hold nothing");
    fs::remove_file(&ballast).unwrap();
    assert_eq!(plugin.add(&Pod::named("first")).addresses(), first);
    assert!(plugin.add(&Pod::named("later")).ok);
    let held = host.allocations();
    host.kill();
    host.run();
    assert_eq!(host.allocations(), held);
    drop(host);
}

#[test]
fn wrong_settings_of_the_plugin_are_told() {
    let host = Host::with(&one_pool());
    let mut plugin = Plugin::of(&host);
    plugin.config["ipam"]["log_level"] = json!("loud");
    let (code, text) = plugin.add(&Pod::named("web-0")).error();
    assert_eq!(code, 7, "{text}");
    assert!(text.contains("loud"), "{text}");
}

#[test]
fn explain_says_why_and_how() {
    let manifests = one_pool() + &pod("default", "lost", "uid-lost", &[(IPPOOL, r#"{"ipv4": ["v5"]}"#)]);
    let host = Host::with(&manifests);
    let explained = host.ctl_json(&["explain", "default/web-0"]);
    assert!(explained.to_string().contains("v4"), "{explained}");
    let refused = host.ctl(&["explain", "default/lost"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stdout).contains("v5"));
}
