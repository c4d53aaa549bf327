//! The ledger against a naive model: no address is given twice, nothing leaks, repeating changes nothing, and the file
//! has what the memory has.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that should not be")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::{
    Choice, Holder, Ledger, LocalLedger, Owner, Pick, PoolSpace, Quarantine, Release, Reservation, ReserveError, Want,
    Why,
};

/// Two pools that overlap, one over two blocks, and one of IPv6.
fn pools() -> [Arc<PoolSpace>; 3] {
    let pool = |name: &str, family, subnet: &str, ips: &str| {
        Arc::new(PoolSpace::new(name, subnet.parse().unwrap(), IpSet::parse(family, ips.split(',')).unwrap()))
    };
    [
        pool("a", Family::V4, "10.6.0.0/16", "10.6.0.250-10.6.1.3"),
        pool("b", Family::V4, "10.6.0.0/16", "10.6.1.2-10.6.1.5,10.6.9.9"),
        pool("c", Family::V6, "fd00::/64", "fd00::1-fd00::4"),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Reserve { pod: u8, container: u8, interfaces: u8, order: bool, pick: u8, v6: bool },
    Release { pod: u8, interface: Option<u8>, container: Option<u8> },
    Quarantine { pod: u8, number: u8, ended: bool },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let reserve = (0..9u8, 0..2u8, 1..3u8, any::<bool>(), 0..5u8, any::<bool>());
    let release = (0..9u8, proptest::option::of(0..2u8), proptest::option::of(0..2u8));
    prop_oneof![
        8 => reserve.prop_map(|(pod, container, interfaces, order, pick, v6)| Step::Reserve {
            pod, container, interfaces, order, pick, v6
        }),
        5 => release.prop_map(|(pod, interface, container)| Step::Release { pod, interface, container }),
        2 => (0..9u8, 0..30u8, any::<bool>()).prop_map(|(pod, number, ended)| Step::Quarantine { pod, number, ended }),
        1 => Just(Step::Reopen),
    ]
}

/// Who holds an address: uid, interface, container.
type Model = BTreeMap<IpAddr, (String, String, String)>;

fn uid(pod: u8) -> String {
    format!("uid-{pod}")
}

fn reservation(step: &Step) -> Option<Reservation> {
    let &Step::Reserve { pod, container, interfaces, order, pick, v6 } = step else { return None };
    let [a, b, c] = pools();
    let pick = |space: &Arc<PoolSpace>| match pick {
        0 => Pick::Spread(u64::from(pod) * 7919),
        1 => Pick::Sticky(uid(pod)),
        2 => Pick::Exactly(space.usable.first().into_iter().chain(space.usable.last()).collect()),
        _ => Pick::Lowest,
    };
    let choice = |space: &Arc<PoolSpace>| Choice { pick: pick(space), space: Arc::clone(space) };
    let want = |interface: u8, family, choices| Want {
        interface: format!("net{interface}"),
        family,
        network: "n".to_owned(),
        clean_gateway: false,
        inherits: Vec::new(),
        choices,
    };
    let mut wants = Vec::new();
    for interface in 0..interfaces {
        let both = if order { vec![choice(&a), choice(&b)] } else { vec![choice(&b), choice(&a)] };
        wants.push(want(interface, Family::V4, both));
        if v6 {
            wants.push(want(interface, Family::V6, vec![choice(&c)]));
        }
    }
    Some(Reservation {
        holder: Holder { namespace: "ns".to_owned(), pod: format!("pod-{pod}"), uid: uid(pod) },
        node: "node1".to_owned(),
        container: format!("c{container}"),
        owner: Owner::default(),
        comes_back: false,
        wants,
    })
}

fn all_addresses() -> Vec<IpAddr> {
    pools()
        .iter()
        .flat_map(|pool| (0..pool.usable.count()).filter_map(|n| pool.usable.nth(n)).collect::<Vec<_>>())
        .collect()
}

struct Run {
    ledger: LocalLedger,
    folder: tempfile::TempDir,
    model: Model,
    resting: BTreeMap<IpAddr, bool>,
    runtime: tokio::runtime::Runtime,
}

impl Run {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            ledger: LocalLedger::open(folder.path()).unwrap(),
            folder,
            model: Model::new(),
            resting: BTreeMap::new(),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
        }
    }

    fn step(self, step: &Step) -> Self {
        let mut run = self;
        match step {
            Step::Reserve { .. } => run.reserve(&reservation(step).unwrap()),
            Step::Release { pod, interface, container } => {
                run.release(&uid(*pod), interface.map(|i| format!("net{i}")), container.map(|c| format!("c{c}")));
            }
            Step::Quarantine { pod, number, ended } => run.quarantine(&uid(*pod), *number, *ended),
            Step::Reopen => {
                drop(run.ledger);
                run.ledger = LocalLedger::open(run.folder.path()).unwrap();
            }
        }
        run.check();
        run
    }

    fn reserve(&mut self, reservation: &Reservation) {
        let before = self.held_by(&reservation.holder.uid);
        match self.runtime.block_on(self.ledger.reserve(reservation.clone())) {
            Ok(endpoint) => {
                for lease in &before {
                    assert!(endpoint.leases.iter().any(|now| now.address == lease.0), "an address was swapped");
                }
                for want in &reservation.wants {
                    let served = endpoint.leases.iter().filter(|lease| lease.interface == want.interface);
                    assert_eq!(served.filter(|lease| lease.family() == want.family).count(), 1, "{want:?}");
                }
                for lease in &endpoint.leases {
                    let uid = reservation.holder.uid.clone();
                    let entry = (uid.clone(), lease.interface.clone(), reservation.container.clone());
                    let old = self.model.insert(lease.address, entry);
                    assert!(old.is_none_or(|old| old.0 == uid), "{} was given twice", lease.address);
                    assert_ne!(self.resting.get(&lease.address), Some(&false), "{} rests", lease.address);
                    self.resting.remove(&lease.address);
                }
            }
            Err(ReserveError::Exhausted { family, tried, .. }) => {
                assert_eq!(before, self.held_by(&reservation.holder.uid));
                let full = tried.iter().all(|tried| matches!(tried.why, Why::Full { .. }));
                assert!(!full || self.free(family) < reservation.wants.len(), "there was room");
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn free(&self, family: Family) -> usize {
        let addresses: BTreeSet<IpAddr> = all_addresses().into_iter().collect();
        let of_family = addresses.into_iter().filter(|&address| Family::of(address) == family);
        of_family.filter(|a| !self.model.contains_key(a) && self.resting.get(a) != Some(&false)).count()
    }

    fn release(&mut self, uid: &str, interface: Option<String>, container: Option<String>) {
        let release = Release { uid: uid.to_owned(), interface: interface.clone(), container: container.clone() };
        let freed = self.runtime.block_on(self.ledger.release(release.clone())).unwrap();
        let mut expected = Vec::new();
        self.model.retain(|&address, entry| {
            let hit = entry.0 == uid
                && interface.as_ref().is_none_or(|interface| *interface == entry.1)
                && container.as_ref().is_none_or(|container| *container == entry.2);
            if hit {
                expected.push(address);
            }
            !hit
        });
        let mut freed: Vec<IpAddr> = freed.iter().map(|lease| lease.address).collect();
        freed.sort_unstable();
        assert_eq!(freed, expected);
        assert_eq!(self.runtime.block_on(self.ledger.release(release)).unwrap(), []);
    }

    fn quarantine(&mut self, uid: &str, number: u8, ended: bool) {
        let all = all_addresses();
        let address = all[usize::from(number) % all.len()];
        let hour = Duration::from_secs(3600);
        let until = if ended { SystemTime::now() - hour } else { SystemTime::now() + hour };
        let quarantine =
            Quarantine { uid: uid.to_owned(), addresses: vec![address], until, reason: "conflict".to_owned() };
        let lost = self.runtime.block_on(self.ledger.quarantine(quarantine)).unwrap();
        let holder = self.model.get(&address).map(|entry| entry.0.clone());
        assert_eq!(lost.len(), usize::from(holder.as_deref() == Some(uid)));
        if holder.is_none_or(|holder| holder == uid) {
            self.model.remove(&address);
            self.resting.insert(address, ended);
        }
    }

    fn held_by(&self, uid: &str) -> Vec<(IpAddr, String)> {
        let endpoint = self.runtime.block_on(self.ledger.held_by(uid)).unwrap();
        let leases = endpoint.map(|endpoint| endpoint.leases).unwrap_or_default();
        leases.into_iter().map(|lease| (lease.address, lease.container)).collect()
    }

    fn check(&self) {
        let held = self.runtime.block_on(self.ledger.allocations(None)).unwrap();
        let listed: Model = held
            .iter()
            .map(|a| (a.lease.address, (a.holder.uid.clone(), a.lease.interface.clone(), a.lease.container.clone())))
            .collect();
        assert_eq!(held.len(), listed.len());
        assert_eq!(listed, self.model);
        for pool in pools() {
            let usage = self.ledger.usage(&pool);
            let allocated = self.model.keys().filter(|&&address| pool.usable.contains(address)).count();
            assert_eq!(usage.allocated as usize, allocated, "{}", pool.name);
            assert_eq!(self.ledger.in_use(&pool.usable).count() as usize, allocated);
            let resting = self.resting.iter().filter(|(address, ended)| !**ended && pool.usable.contains(**address));
            assert!(usage.quarantined as usize >= resting.count(), "{}", pool.name);
            assert_eq!(usage.free + u128::from(usage.allocated + usage.quarantined), pool.usable.count());
        }
        for pod in 0..9 {
            let by_name = self.runtime.block_on(self.ledger.endpoint("ns", &format!("pod-{pod}"))).unwrap();
            let by_uid = self.runtime.block_on(self.ledger.held_by(&uid(pod))).unwrap();
            assert_eq!(by_name, by_uid);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn no_double_no_leak_idempotent(steps in proptest::collection::vec(step(), 1..60)) {
        let mut run = Run::new();
        for step in &steps {
            run = run.step(step);
        }
        for pod in 0..9 {
            run.release(&uid(pod), None, None);
        }
        run.check();
        prop_assert!(run.model.is_empty());
    }
}
