//! CHECK vouches for an attachment that is as its ADD promised, and names what is not.

use serde_json::Value;
use spiderpool_tests::manifests::pool;
use spiderpool_tests::{Host, HostOptions, Lab, Namespace, Plugin, Pod};

/// A machine with one pod on its network, made by macvlan; the plugin is given the ADD's result, as runtimes do.
struct Attached {
    host: Host,
    plugin: Plugin,
    pod: Namespace,
    web: Pod,
    _lab: Lab,
}

impl Attached {
    fn new() -> Self {
        let manifests = pool("v4", "10.60.0.0/24", "10.60.0.10-10.60.0.40", &["default: true", "gateway: 10.60.0.1"])
            + &pool("v6", "fd60::/64", "fd60::10-fd60::40", &["default: true", "gateway: fd60::1"]);
        let (host, lab) = (Host::start(&manifests, HostOptions::default()), Lab::new());
        let mut plugin = Plugin::macvlan(&host, &lab.node);
        let (pod, web) = (Namespace::new(), Pod::named("web-0"));
        let answer = plugin.call_in("ADD", &web, &pod);
        assert_eq!(answer.addresses(), ["10.60.0.10/24", "fd60::10/64"]);
        plugin.config["prevResult"] = answer.json;
        Self { host, plugin, pod, web, _lab: lab }
    }

    #[track_caller]
    fn check(&self) -> Result<(), (u64, String)> {
        let answer = self.plugin.call_in("CHECK", &self.web, &self.pod);
        if answer.ok { Ok(()) } else { Err(answer.error()) }
    }
}

#[test]
fn an_attachment_as_promised_passes_also_after_a_restart_of_the_agent() {
    let mut attached = Attached::new();
    assert_eq!(attached.check(), Ok(()));
    attached.host.kill();
    attached.host.run();
    assert_eq!(attached.check(), Ok(()));
}

#[test]
fn an_address_that_is_gone_from_the_interface_is_named() {
    let attached = Attached::new();
    for (address, prefix, gateway) in [("fd60::10", 64, "fd60::1"), ("10.60.0.10", 24, "10.60.0.1")] {
        let with_prefix = format!("{address}/{prefix}");
        let _ = attached.pod.ip(&["addr", "del", &with_prefix, "dev", "eth0"]);
        let (code, text) = attached.check().expect_err("something is missing");
        assert_eq!(code, 109, "{text}");
        assert!(text.contains(&format!("{with_prefix} is not on eth0")) && text.contains("delete the pod"), "{text}");
        let nodad: &[&str] = if prefix == 64 { &["nodad"] } else { &[] };
        let _ = attached.pod.ip(&[&["addr", "add", &with_prefix, "dev", "eth0"], nodad].concat());
        // The kernel takes the routes away together with the address.
        let _ = attached.pod.ip(&["route", "replace", "default", "via", gateway, "dev", "eth0"]);
    }
    assert_eq!(attached.check(), Ok(()), "put back, all is well");
}

#[test]
fn an_address_that_the_ledger_no_longer_holds_is_told_with_the_remedy() {
    let attached = Attached::new();
    let mut elsewhere = Plugin::of(&attached.host);
    // The same sandbox is deleted behind the runtime's back, as when somebody cleans up by hand.
    elsewhere.config["prevResult"] = Value::Null;
    elsewhere.del(&attached.web);
    let (code, text) = attached.check().expect_err("nothing is held");
    assert_eq!(code, 109, "{text}");
    assert!(text.contains("sandbox-web-0") && text.contains("delete the pod"), "{text}");
}
