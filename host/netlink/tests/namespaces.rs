//! Acts through the crate and compares with what `ip` says, in namespaces of the test's own.

mod network;

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, Instant};

use network::{fresh_namespace, ip, ip_json, path_of};
use nix::libc::{EEXIST, ENODEV};
use spiderpool_netlink::{Namespace, NamespaceError, NetlinkError, Socket, in_namespace};

fn own_inode() -> u64 {
    fs::metadata("/proc/thread-self/ns/net").expect("/proc is mounted").ino()
}

#[test]
fn work_runs_inside_and_the_caller_stays_outside() {
    let namespace = fresh_namespace();
    let home = own_inode();
    let inside = in_namespace(&namespace, own_inode).unwrap();
    assert_eq!(inside, fs::metadata(path_of(&namespace)).unwrap().ino());
    assert_ne!(inside, home);
    assert_eq!(own_inode(), home);
}

#[test]
fn a_panic_inside_goes_on_in_the_caller_who_stays_outside() {
    let namespace = fresh_namespace();
    let home = own_inode();
    let caught = std::panic::catch_unwind(|| in_namespace(&namespace, || panic!("inside")));
    assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "inside");
    assert_eq!(own_inode(), home);
}

#[test]
fn a_namespace_is_opened_by_path_and_anything_else_is_refused_by_name() {
    let namespace = fresh_namespace();
    let again = Namespace::open(path_of(&namespace)).unwrap();
    assert_eq!(in_namespace(&again, own_inode).unwrap(), in_namespace(&namespace, own_inode).unwrap());

    let error = Namespace::open("/var/run/netns/no-such-pod").unwrap_err();
    assert!(matches!(error, NamespaceError::Open { .. }));
    assert!(error.to_string().contains("/var/run/netns/no-such-pod") && error.to_string().contains("gone"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let leftover = folder.path().join("leftover");
    File::create(&leftover).unwrap();
    let error = Namespace::open(&leftover).unwrap_err();
    assert!(matches!(error, NamespaceError::NotANetworkNamespace { .. }));
    assert!(error.to_string().contains("leftover") && error.to_string().contains("ip netns delete"), "{error}");

    let mounts = Namespace::open("/proc/self/ns/mnt").unwrap();
    let error = in_namespace(&mounts, || ()).unwrap_err();
    assert!(matches!(error, NamespaceError::NotANetworkNamespace { .. }), "{error}");
    assert!(matches!(Socket::open_in(&mounts), Err(NetlinkError::Namespace(_))));
}

#[test]
fn a_socket_sees_the_links_of_its_own_namespace_wherever_it_is_used() {
    let (left, right) = (fresh_namespace(), fresh_namespace());
    ip(
        &left,
        &format!("link add eth0 mtu 1400 address 02:00:00:00:00:01 type veth peer name eth7 netns {}", path_of(&right)),
    );
    ip(&left, "link add link eth0 mac0 address 02:00:00:00:00:02 type macvlan mode bridge");

    let mut socket = Socket::open_in(&left).unwrap();
    let link = thread::spawn(move || socket.link("eth0")).join().unwrap().unwrap();
    let expected = ip_json(&left, "link show eth0");
    assert_eq!(link.index, expected["ifindex"]);
    assert_eq!(link.mtu, expected["mtu"]);
    assert_eq!((link.name.as_str(), link.mac), ("eth0", Some([2, 0, 0, 0, 0, 1])));
    assert!(!link.up && !link.carrier && link.broadcast && link.multicast && !link.loopback);

    let mut socket = Socket::open_in(&left).unwrap();
    assert_eq!(socket.link("mac0").unwrap().mac, Some([2, 0, 0, 0, 0, 2]));
    assert!(socket.link("lo").unwrap().loopback);
    for missing in ["eth7", "", "a-name-that-is-too-long"] {
        let error = socket.link(missing).unwrap_err();
        assert!(matches!(&error, NetlinkError::NoSuchLink { name } if name == missing), "{missing}: {error}");
    }
    assert_eq!(Socket::open_in(&right).unwrap().link("eth7").unwrap().name, "eth7");
}

#[test]
fn a_link_is_set_up_once_or_twice_and_carrier_follows_the_other_end() {
    let (left, right) = (fresh_namespace(), fresh_namespace());
    ip(&left, &format!("link add eth0 type veth peer name eth0 netns {}", path_of(&right)));
    let (mut near, mut far) = (Socket::open_in(&left).unwrap(), Socket::open_in(&right).unwrap());
    let index = near.link("eth0").unwrap().index;

    near.set_up(index).unwrap();
    near.set_up(index).unwrap();
    assert!(ip_json(&left, "link show eth0")["flags"].as_array().unwrap().contains(&"UP".into()));
    let link = near.link("eth0").unwrap();
    assert!(link.up && !link.carrier);

    let index = far.link("eth0").unwrap().index;
    far.set_up(index).unwrap();
    assert!(near.link("eth0").unwrap().carrier);

    let error = near.set_up(9999).unwrap_err();
    assert_eq!(error.refused_with(), Some(ENODEV));
    assert_ne!(error.refused_with(), Some(EEXIST));
    assert!(error.to_string().contains("9999"), "{error}");
}

#[test]
fn addresses_of_both_families_are_listed_with_what_duplicate_detection_says() {
    let (left, right) = (fresh_namespace(), fresh_namespace());
    ip(&left, &format!("link add eth0 type veth peer name eth0 netns {}", path_of(&right)));
    for namespace in [&left, &right] {
        ip(namespace, "link set eth0 addrgenmode none");
        ip(namespace, "link set eth0 up");
    }
    ip(&left, "addr add 10.1.0.5/24 dev eth0");
    ip(&left, "addr add 10.1.0.6 peer 10.1.0.7/32 dev eth0");
    ip(&left, "addr add fd01::5/64 dev eth0 nodad");
    ip(&right, "addr add fd01::9/64 dev eth0 nodad");
    ip(&left, "addr add fd01::9/64 dev eth0");

    let mut socket = Socket::open_in(&left).unwrap();
    let index = socket.link("eth0").unwrap().index;
    let mut list = socket.addresses(index).unwrap();
    let contested: IpAddr = "fd01::9".parse().unwrap();
    let at = |list: &[spiderpool_netlink::LinkAddress]| *list.iter().find(|found| found.address == contested).unwrap();
    assert!(at(&list).tentative);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !at(&list).duplicate {
        assert!(Instant::now() < deadline, "duplicate address detection never failed: {list:?}");
        thread::sleep(Duration::from_millis(20));
        list = socket.addresses(index).unwrap();
    }

    list.sort_by_key(|found| found.address);
    let texts: Vec<_> =
        list.iter().map(|found| format!("{}/{} {}", found.address, found.prefix_length, found.duplicate)).collect();
    assert_eq!(texts, ["10.1.0.5/24 false", "10.1.0.6/32 false", "fd01::5/64 false", "fd01::9/64 true"]);
    assert_eq!(socket.addresses(9999).unwrap(), []);
}

#[test]
fn a_list_longer_than_one_datagram_is_read_to_its_end() {
    let namespace = fresh_namespace();
    ip(&namespace, "link add eth0 type veth peer name eth1");
    let batch: String = (0..1500).map(|n| format!("addr add 10.{}.{}.1/32 dev eth0\n", n / 250, n % 250)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("batch");
    fs::write(&path, batch).unwrap();
    ip(&namespace, &format!("-batch {}", path.display()));

    let mut socket = Socket::open_in(&namespace).unwrap();
    let index = socket.link("eth0").unwrap().index;
    assert_eq!(socket.addresses(index).unwrap().len(), 1500);
}
