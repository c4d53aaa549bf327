use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

use super::*;

const VIRTUAL: &str = "0000:3b:02.1";

/// A `/sys` with one virtual function, whose physical function has the interfaces `masters` on the host.
fn sysfs(masters: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let devices = root.path().join("bus/pci/devices");
    fs::create_dir_all(devices.join(VIRTUAL)).unwrap();
    fs::create_dir_all(devices.join("0000:3b:00.0/net")).unwrap();
    fs::create_dir_all(devices.join("0000:00:03.0/net/eth9")).unwrap();
    for master in masters {
        fs::create_dir(devices.join("0000:3b:00.0/net").join(master)).unwrap();
    }
    symlink(devices.join("0000:3b:00.0"), devices.join(VIRTUAL).join("physfn")).unwrap();
    root
}

/// Runs `test` on a thread that is alone in a new network namespace with a veth pair, of which `pf0` has addresses.
fn on_a_host(test: impl FnOnce(&Namespace) + Send) {
    let body = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("run as root: sudo make test");
        for command in
            ["link add pf0 type veth peer name pf1", "addr add 10.9.0.1/16 dev pf0", "addr add fd09::1/64 dev pf0"]
        {
            assert!(Command::new("ip").args(command.split(' ')).status().unwrap().success(), "ip {command}");
        }
        test(&Namespace::open("/proc/thread-self/ns/net").unwrap());
    };
    thread::scope(|scope| scope.spawn(body).join()).unwrap_or_else(|payload| std::panic::resume_unwind(payload));
}

#[test]
fn the_masters_addresses_are_those_of_the_first_interface_of_the_physical_function() {
    on_a_host(|namespace| {
        let root = sysfs(&["pf1", "pf0"]);
        let found = addresses_behind(root.path(), namespace, "net1", Some(VIRTUAL.into())).unwrap();
        let texts: Vec<_> = found.iter().map(|found| format!("{}/{}", found.address, found.prefix_length)).collect();
        assert_eq!(texts, ["10.9.0.1/16", "fd09::1/64"]);
    });
}

#[test]
fn other_interfaces_are_refused_with_what_they_are() {
    on_a_host(|namespace| {
        let root = sysfs(&["pf0"]);
        for bus in [None, Some("0000:00:03.0"), Some("0000:ff:00.0"), Some("virtio0")] {
            let error = addresses_behind(root.path(), namespace, "net1", bus.map(Into::into)).unwrap_err();
            assert!(matches!(error, SriovError::NotAVirtualFunction { .. }), "{bus:?}: {error}");
            let text = error.to_string();
            assert!(text.contains(bus.unwrap_or("no bus address")) && text.contains("match_master_subnet"), "{text}");
        }
    });
}

#[test]
fn a_master_without_an_interface_or_with_one_elsewhere_is_named() {
    on_a_host(|namespace| {
        let root = sysfs(&[]);
        let error = addresses_behind(root.path(), namespace, "net1", Some(VIRTUAL.into())).unwrap_err();
        assert!(matches!(error, SriovError::NoMasterInterface { .. }), "{error}");
        let root = sysfs(&["elsewhere"]);
        let error = addresses_behind(root.path(), namespace, "net1", Some(VIRTUAL.into())).unwrap_err();
        assert!(error.to_string().contains("elsewhere"), "{error}");
    });
}

#[test]
fn the_kernel_is_asked_for_the_bus_address() {
    on_a_host(|namespace| {
        let error = master_addresses(namespace, "pf0").unwrap_err();
        assert!(matches!(error, SriovError::NotAVirtualFunction { bus: None, .. }), "{error}");
        for missing in ["net7", "", "a-name-that-is-too-long"] {
            let error = master_addresses(namespace, missing).unwrap_err();
            assert!(matches!(error, SriovError::Driver { .. }), "{missing}: {error}");
        }
    });
}
