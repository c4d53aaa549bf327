//! What the ledger promises, promise by promise.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that should not be")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::{
    Choice, Endpoint, Holder, Ledger, LedgerError, LocalLedger, Owner, Pick, PoolSpace, Quarantine, Release,
    Reservation, ReserveError, Want,
};

struct Fixture {
    folder: tempfile::TempDir,
    ledger: LocalLedger,
    runtime: tokio::runtime::Runtime,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = LocalLedger::open(folder.path()).unwrap();
        Self { folder, ledger, runtime: tokio::runtime::Builder::new_current_thread().build().unwrap() }
    }

    fn reserve(&self, reservation: Reservation) -> Result<Endpoint, ReserveError> {
        self.runtime.block_on(self.ledger.reserve(reservation))
    }

    #[track_caller]
    fn address(&self, uid: &str, space: &Arc<PoolSpace>, pick: Pick) -> String {
        self.reserve(ask(uid, space, pick)).unwrap().leases[0].address.to_string()
    }

    fn release(&self, uid: &str, interface: Option<&str>, container: Option<&str>) -> usize {
        let [interface, container] = [interface, container].map(|text| text.map(str::to_owned));
        let release = Release { uid: uid.to_owned(), interface, container };
        self.runtime.block_on(self.ledger.release(release)).unwrap().len()
    }

    fn quarantine(&self, uid: &str, address: &str, rest: Duration) -> usize {
        let quarantine = Quarantine {
            uid: uid.to_owned(),
            addresses: vec![address.parse().unwrap()],
            until: SystemTime::now() + rest,
            reason: "answered by 02:00:00:00:00:01".to_owned(),
        };
        self.runtime.block_on(self.ledger.quarantine(quarantine)).unwrap().len()
    }
}

fn pool(name: &str, ips: &str) -> Arc<PoolSpace> {
    let family = if ips.contains(':') { Family::V6 } else { Family::V4 };
    let subnet = if ips.contains(':') { "fd00::/16" } else { "10.0.0.0/8" };
    Arc::new(PoolSpace::new(
        name,
        subnet.parse().unwrap(),
        IpSet::parse(family, ips.split(',').filter(|item| !item.is_empty())).unwrap(),
    ))
}

fn want(interface: &str, space: &Arc<PoolSpace>, pick: Pick) -> Want {
    Want {
        interface: interface.to_owned(),
        family: space.usable.family(),
        network: String::new(),
        clean_gateway: false,
        inherits: Vec::new(),
        choices: vec![Choice { space: Arc::clone(space), pick }],
    }
}

fn ask(uid: &str, space: &Arc<PoolSpace>, pick: Pick) -> Reservation {
    Reservation {
        holder: Holder { namespace: "ns".to_owned(), pod: format!("pod-{uid}"), uid: uid.to_owned() },
        node: "node1".to_owned(),
        container: "old".to_owned(),
        owner: Owner { kind: "Pod".to_owned(), name: format!("pod-{uid}") },
        comes_back: false,
        wants: vec![want("eth0", space, pick)],
    }
}

#[test]
fn a_repeated_add_finds_its_address_and_an_old_del_leaves_it() {
    let fixture = Fixture::new();
    let space = pool("p", "10.0.0.1-10.0.0.9");
    let first = fixture.reserve(ask("a", &space, Pick::Lowest)).unwrap();
    assert_eq!(fixture.reserve(ask("a", &space, Pick::Lowest)).unwrap(), first);
    let mut again = ask("a", &pool("other", "10.9.0.1"), Pick::Lowest);
    again.container = "new".to_owned();
    again.wants[0].network = "underlay".to_owned();
    let moved = fixture.reserve(again).unwrap();
    let lease = &moved.leases[0];
    assert_eq!((lease.address, lease.container.as_str()), (first.leases[0].address, "new"));
    assert_eq!(lease.network, "underlay");
    // A NIC that asks for all of the pod's does not speak for the networks of the others.
    let mut quiet = ask("a", &space, Pick::Lowest);
    quiet.container = "new".to_owned();
    assert_eq!(fixture.reserve(quiet).unwrap().leases[0].network, "underlay");
    assert_eq!(fixture.release("a", None, Some("old")), 0);
    assert_eq!(fixture.release("a", Some("net1"), Some("new")), 0);
    assert_eq!(fixture.release("a", Some("eth0"), Some("new")), 1);
    assert_eq!(fixture.release("a", Some("eth0"), Some("new")), 0);
}

#[test]
fn all_wants_or_nothing() {
    let fixture = Fixture::new();
    let (large, small) = (pool("large", "10.0.0.1-10.0.0.9"), pool("small", "10.1.0.1"));
    fixture.address("a", &small, Pick::Lowest);
    let mut both = ask("b", &large, Pick::Lowest);
    both.wants.push(want("net1", &small, Pick::Lowest));
    let error = fixture.reserve(both.clone()).unwrap_err().to_string();
    let full =
        "no IPv4 address for net1: pool small: all 1 addresses are in use (0 of them quarantined after a conflict)";
    assert_eq!(error, full);
    assert_eq!(fixture.ledger.usage(&large).allocated, 0);
    fixture.release("a", None, None);
    let leases = fixture.reserve(both).unwrap().leases;
    assert_eq!(leases.iter().map(|lease| lease.cidr()).collect::<Vec<_>>(), ["10.0.0.1/8", "10.1.0.1/8"]);
}

#[test]
fn refusals_name_every_pool_and_why() {
    let fixture = Fixture::new();
    let one = pool("one", "10.0.0.1");
    fixture.address("a", &one, Pick::Lowest);
    fixture.quarantine("nobody", "10.0.0.2", Duration::from_secs(60));
    let exactly = |text: &str| Pick::Exactly(vec![text.parse().unwrap()]);
    let two = pool("two", "10.0.0.1-10.0.0.2");
    let mut reservation = ask("b", &one, Pick::Lowest);
    reservation.wants[0].choices.extend([
        Choice { space: pool("six", "fd00::1"), pick: Pick::Lowest },
        Choice { space: pool("none", ""), pick: Pick::Lowest },
        Choice { space: Arc::clone(&two), pick: Pick::Lowest },
        Choice { space: Arc::clone(&two), pick: exactly("10.0.0.1") },
        Choice { space: Arc::clone(&two), pick: exactly("10.0.0.2") },
        Choice { space: Arc::clone(&two), pick: exactly("10.0.0.3") },
        Choice { space: two, pick: Pick::Exactly(Vec::new()) },
    ]);
    let error = fixture.reserve(reservation.clone()).unwrap_err().to_string();
    let expected = "no IPv4 address for eth0: pool one: all 1 addresses are in use (0 of them quarantined after a \
                    conflict); pool six: is an IPv6 pool; pool none: has no addresses to give; all of spec.ips is \
                    excluded, reserved or the gateway, or the list is empty; pool two: all 2 addresses are in use (1 \
                    of them quarantined after a conflict); pool two: 10.0.0.1 is held by ns/pod-a (a); pool two: \
                    10.0.0.2 is quarantined: answered by 02:00:00:00:00:01; pool two: 10.0.0.3 is not an address of \
                    the pool, or it is excluded, reserved or the gateway; pool two: no address was named to pick exactly";
    assert_eq!(error, expected);
    reservation.wants[0].choices.clear();
    let error = fixture.reserve(reservation.clone()).unwrap_err().to_string();
    assert_eq!(error, "no IPv4 address for eth0: no pool was named");
    reservation.wants.clear();
    let error = fixture.reserve(reservation).unwrap_err().to_string();
    assert_eq!(error, "nothing was asked for ns/pod-b (b), and it holds nothing; name at least one interface");
}

#[test]
fn a_pool_made_again_or_overlapping_gives_nothing_twice() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.address("a", &pool("p", "10.0.0.1-10.0.0.2"), Pick::Lowest), "10.0.0.1");
    drop(fixture.ledger);
    fixture.ledger = LocalLedger::open(fixture.folder.path()).unwrap();
    assert_eq!(fixture.address("b", &pool("p", "10.0.0.1-10.0.0.3"), Pick::Lowest), "10.0.0.2");
    let overlapping = pool("q", "10.0.0.0-10.0.0.3");
    assert_eq!(fixture.ledger.usage(&overlapping).allocated, 2);
    assert_eq!(fixture.address("c", &overlapping, Pick::Lowest), "10.0.0.0");
    assert_eq!(fixture.address("d", &overlapping, Pick::Lowest), "10.0.0.3");
    fixture.release("a", None, None);
    assert_eq!(fixture.address("e", &overlapping, Pick::Lowest), "10.0.0.1");
    let rows = fixture.runtime.block_on(fixture.ledger.allocations(Some("q"))).unwrap();
    assert_eq!(rows.len(), 3);
}

#[test]
fn picks_land_where_they_say() {
    let fixture = Fixture::new();
    let space = pool("p", "10.0.0.0-10.0.255.255");
    let place = |uid: &str, pick| fixture.address(uid, &space, pick).parse::<IpAddr>().unwrap();
    let sticky = place("a", Pick::Sticky("web-0".to_owned()));
    fixture.release("a", None, None);
    assert_eq!(place("b", Pick::Sticky("web-0".to_owned())), sticky);
    let next = place("c", Pick::Sticky("web-0".to_owned()));
    let position = |address| space.usable.position(address).unwrap();
    assert_eq!(position(next), (position(sticky) + 1) % 65_536, "the next free one above it");
    let spread: Vec<u128> = (0..100).map(|n| position(place(&format!("s{n}"), Pick::Spread(n)))).collect();
    let quarters = [0, 1, 2, 3].map(|quarter| spread.iter().filter(|&&at| at / 16_384 == quarter).count());
    assert!(quarters.iter().all(|&count| count > 10), "{quarters:?}");
    let wanted = ["10.9.9.9", "10.0.7.7"].map(|text| text.parse().unwrap());
    assert_eq!(fixture.address("x", &space, Pick::Exactly(wanted.to_vec())), "10.0.7.7");
    assert_eq!(fixture.address("l", &space, Pick::Lowest), "10.0.0.0");
}

#[test]
fn every_pick_fills_a_pool_to_the_last_address() {
    for pick in [Pick::Lowest, Pick::Spread(7), Pick::Sticky("k".to_owned())] {
        let fixture = Fixture::new();
        let space = pool("p", "10.0.0.250-10.0.1.5,10.0.9.9");
        for number in 0..13 {
            fixture.address(&number.to_string(), &space, pick.clone());
        }
        assert_eq!(fixture.ledger.usage(&space).free, 0);
        fixture.reserve(ask("more", &space, pick.clone())).unwrap_err();
        fixture.release("5", None, None);
        fixture.address("more", &space, pick);
    }
}

#[test]
fn huge_pools_cost_nothing() {
    let fixture = Fixture::new();
    let space = pool("p", "fd00::-fd00::ffff:ffff:ffff:ffff");
    assert_eq!(fixture.address("a", &space, Pick::Lowest), "fd00::");
    fixture.address("b", &space, Pick::Spread(1));
    assert_eq!(fixture.ledger.usage(&space).free, (1 << 64) - 2);
    assert_eq!(fixture.ledger.in_use(&space.usable).count(), 2);
}

#[test]
fn a_quarantine_keeps_an_address_until_it_ends_also_across_a_restart() {
    let mut fixture = Fixture::new();
    let space = pool("p", "10.0.0.1-10.0.0.2");
    fixture.address("a", &space, Pick::Lowest);
    assert_eq!(fixture.quarantine("b", "10.0.0.1", Duration::from_secs(60)), 0, "another's address is left alone");
    assert_eq!(fixture.quarantine("a", "10.0.0.1", Duration::from_millis(400)), 1);
    assert_eq!(fixture.quarantine("a", "10.0.0.1", Duration::from_millis(400)), 0);
    drop(fixture.ledger);
    fixture.ledger = LocalLedger::open(fixture.folder.path()).unwrap();
    assert_eq!(fixture.ledger.usage(&space).quarantined, 1);
    assert_eq!(fixture.address("a", &space, Pick::Lowest), "10.0.0.2");
    // Nobody asks in the meantime: whoever looks at how full pools are would not.
    std::thread::sleep(Duration::from_millis(900));
    assert_eq!(fixture.ledger.usage(&space).free, 1);
    assert_eq!(fixture.address("b", &space, Pick::Lowest), "10.0.0.1");
}

#[test]
fn counts_follow_a_pool_that_changes() {
    let fixture = Fixture::new();
    let space = pool("p", "10.0.0.1-10.0.0.4");
    fixture.address("a", &space, Pick::Lowest);
    let shrunk = pool("p", "10.0.0.3-10.0.0.4");
    let usage = fixture.ledger.usage(&shrunk);
    assert_eq!((usage.allocated, usage.free), (0, 2), "an address that is not the pool's any more does not fill it");
    assert_eq!(fixture.address("b", &shrunk, Pick::Lowest), "10.0.0.3");
    assert_eq!(fixture.ledger.usage(&space).allocated, 2);
}

#[test]
fn of_two_pods_of_one_name_the_later_one_is_shown() {
    let fixture = Fixture::new();
    let space = pool("p", "10.0.0.1-10.0.0.4");
    let named = |uid: &str| {
        let mut reservation = ask(uid, &space, Pick::Lowest);
        reservation.holder.pod = "web-0".to_owned();
        reservation
    };
    fixture.reserve(named("first")).unwrap();
    fixture.reserve(named("second")).unwrap();
    let shown = || fixture.runtime.block_on(fixture.ledger.endpoint("ns", "web-0")).unwrap().map(|e| e.holder.uid);
    assert_eq!(shown().as_deref(), Some("second"));
    fixture.release("second", None, None);
    assert_eq!(shown().as_deref(), Some("first"));
    fixture.release("first", None, None);
    assert_eq!(shown(), None);
}

#[test]
fn a_sandbox_is_known_by_its_id() {
    let fixture = Fixture::new();
    let space = pool("p", "10.0.0.1-10.0.0.4");
    let mut two = ask("a", &space, Pick::Lowest);
    two.wants.push(want("net1", &space, Pick::Lowest));
    fixture.reserve(two).unwrap();
    let held = |interface| fixture.runtime.block_on(fixture.ledger.held_by_container("old", interface)).unwrap().len();
    assert_eq!((held(None), held(Some("net1")), held(Some("net2"))), (2, 1, 0));
}

#[test]
fn a_flood_is_told_that_the_ledger_is_busy_and_nothing_is_half_done() {
    let fixture = Fixture::new();
    let space = pool("p", "10.0.0.0-10.0.255.255");
    let asked: Vec<_> =
        (0..30_000).map(|n| fixture.ledger.reserve(ask(&n.to_string(), &space, Pick::Lowest))).collect();
    let mut given = 0;
    let mut busy = 0;
    fixture.runtime.block_on(async {
        for answer in asked {
            match answer.await {
                Ok(_) => given += 1,
                Err(ReserveError::Ledger(LedgerError::Busy { waiting: 1024 })) => busy += 1,
                Err(other) => panic!("{other}"),
            }
        }
    });
    assert!(busy > 0, "30,000 at once were all taken");
    assert_eq!(fixture.ledger.usage(&space).allocated, given);
}
