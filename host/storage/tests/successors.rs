//! Who keeps addresses, and who gets them next: promises that both engines keep, on disk and in a cluster.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that should not be")]

#[path = "simulation/cluster.rs"]
#[expect(dead_code, clippy::print_stderr, reason = "the simulation asks more of it, and prints what it does")]
mod cluster;
#[path = "simulation/link.rs"]
mod link;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cluster::Cluster;
use link::Link;
use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::kube::{KubeLedger, KubeLedgerConfig};
use spiderpool_storage::{
    Allocation, Choice, Endpoint, Holder, Ledger, LocalLedger, Owner, Pick, PoolSpace, Release, Reservation,
    ReserveError, Want,
};

/// An engine, and what it can be started again from.
struct Engine {
    ledger: Option<Box<dyn Ledger>>,
    place: Place,
}

enum Place {
    Folder(tempfile::TempDir),
    Cluster { cluster: Cluster, runs: u64 },
}

fn on_both(test: impl AsyncFn(&mut Engine)) {
    let run = |paused, place: Place| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(paused).build().unwrap().block_on(async {
            let mut engine = Engine { ledger: None, place };
            engine.restart().await;
            test(&mut engine).await;
        });
    };
    run(false, Place::Folder(tempfile::tempdir().unwrap()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let cluster = runtime.block_on(async { Cluster::new(1, BTreeMap::from([("p".to_owned(), addresses(&pool()))])) });
    cluster.0.lock().faults = 0;
    run(true, Place::Cluster { cluster, runs: 0 });
}

impl Engine {
    fn ledger(&self) -> &dyn Ledger {
        self.ledger.as_deref().unwrap()
    }

    /// As after a crash.
    async fn restart(&mut self) {
        self.ledger = None;
        self.ledger = Some(match &mut self.place {
            Place::Folder(folder) => Box::new(LocalLedger::open(folder.path()).unwrap()),
            Place::Cluster { cluster, runs } => {
                *runs += 1;
                let link = || Link { cluster: cluster.clone(), run: *runs };
                let spaces = Arc::new(|name: &str| (name == "p").then(pool));
                let mut config = KubeLedgerConfig::new("node1".to_owned(), Arc::new(link()), Arc::new(link()), spaces);
                let clock = cluster.clone();
                (config.clock, config.seed) = (Arc::new(move || clock.now()), *runs);
                Box::new(KubeLedger::open(config).await.unwrap())
            }
        });
    }

    /// A moment that [`Engine::pass`] waits for.
    fn soon(&self) -> SystemTime {
        match &self.place {
            Place::Folder(_) => SystemTime::now() + Duration::from_millis(300),
            Place::Cluster { cluster, .. } => cluster.now() + Duration::from_secs(5),
        }
    }

    async fn pass(&self) {
        let wait = match &self.place {
            Place::Folder(_) => Duration::from_millis(800),
            Place::Cluster { .. } => Duration::from_secs(20),
        };
        tokio::time::sleep(wait).await;
    }

    async fn add(&self, uid: &str) -> String {
        text(&self.ledger().reserve(ask("web-0", uid, "s1")).await.unwrap())
    }

    async fn heir(&self, uid: &str) -> String {
        text(&self.ledger().reserve(heir(ask("web-0", uid, "s1"))).await.unwrap())
    }

    async fn release(&self, uid: &str, container: Option<&str>) -> usize {
        self.ledger().release(of(uid, container)).await.unwrap().len()
    }

    /// All rows, as uid and address.
    async fn rows(&self) -> Vec<(String, String)> {
        let row = |held: &Arc<Allocation>| (held.holder.uid.clone(), held.lease.address.to_string());
        self.ledger().allocations(Some("p")).await.unwrap().iter().map(row).collect()
    }

    async fn until(&self) -> Option<SystemTime> {
        self.ledger().allocations(None).await.unwrap()[0].until
    }
}

fn pool() -> Arc<PoolSpace> {
    Arc::new(PoolSpace::new(
        "p",
        "10.6.0.0/16".parse().unwrap(),
        IpSet::parse(Family::V4, ["10.6.0.1-10.6.0.3"]).unwrap(),
    ))
}

fn addresses(space: &PoolSpace) -> Vec<IpAddr> {
    (0..space.usable.count()).filter_map(|n| space.usable.nth(n)).collect()
}

fn want(interface: &str) -> Want {
    Want {
        interface: interface.to_owned(),
        family: Family::V4,
        network: "n".to_owned(),
        clean_gateway: false,
        inherits: Vec::new(),
        choices: vec![Choice { space: pool(), pick: Pick::Lowest }],
    }
}

fn ask(pod: &str, uid: &str, container: &str) -> Reservation {
    Reservation {
        holder: Holder { namespace: "ns".to_owned(), pod: pod.to_owned(), uid: uid.to_owned() },
        node: "node1".to_owned(),
        container: container.to_owned(),
        owner: Owner { kind: "StatefulSet".to_owned(), name: "web".to_owned() },
        comes_back: true,
        wants: vec![want("eth0")],
    }
}

/// The same for a pod that gets what one of its name left in the pool.
fn heir(mut reservation: Reservation) -> Reservation {
    reservation.wants.iter_mut().for_each(|want| want.inherits = vec!["p".to_owned()]);
    reservation
}

fn of(uid: &str, container: Option<&str>) -> Release {
    Release { uid: uid.to_owned(), interface: None, container: container.map(str::to_owned) }
}

fn text(endpoint: &Endpoint) -> String {
    endpoint.leases.iter().map(|lease| lease.address.to_string()).collect::<Vec<_>>().join(" ")
}

fn rows<const N: usize>(rows: [(&str, &str); N]) -> Vec<(String, String)> {
    rows.map(|(uid, last)| (uid.to_owned(), format!("10.6.0.{last}"))).to_vec()
}

#[test]
fn a_repeated_add_has_its_address_without_an_end() {
    on_both(async |engine| {
        let first = engine.add("a").await;
        for container in ["s1", "s2"] {
            let until = engine.soon() + Duration::from_secs(3600);
            assert_eq!(engine.ledger().retain(of("a", None), until).await.unwrap().len(), 1);
            let told = engine.until().await.unwrap();
            assert!(told >= until && told < until + Duration::from_secs(1), "{told:?}");
            engine.restart().await;
            assert_eq!(engine.until().await, Some(told));
            let again = engine.ledger().reserve(ask("web-0", "a", container)).await.unwrap();
            assert_eq!((text(&again), again.leases[0].container.as_str()), (first.clone(), container));
            assert_eq!(engine.until().await, None);
        }
        assert_eq!(engine.release("a", Some("s1")).await, 0, "the DEL of a sandbox that was replaced");
        assert_eq!(engine.release("a", Some("s2")).await, 1);
    });
}

#[test]
fn a_del_that_comes_before_the_reply_leaves_nothing() {
    on_both(async |engine| {
        let ledger = engine.ledger();
        let (added, freed) =
            futures::join!(ledger.reserve(ask("web-0", "a", "s1")), ledger.release(of("a", Some("s1"))));
        assert_eq!((added.unwrap().leases.len(), freed.unwrap().len()), (1, 1));
        assert_eq!(engine.rows().await, []);
    });
}

#[test]
fn a_new_uid_inherits_only_if_it_may() {
    on_both(async |engine| {
        assert_eq!(engine.add("a").await, "10.6.0.1");
        assert_eq!(engine.add("b").await, "10.6.0.2");
        assert_eq!(engine.rows().await, rows([("a", "1"), ("b", "2")]));
        let other = heir(ask("web-1", "x", "s1"));
        assert_eq!(text(&engine.ledger().reserve(other).await.unwrap()), "10.6.0.3", "of another name");
        // The latest of the name is the predecessor.
        assert_eq!(engine.heir("c").await, "10.6.0.2");
        assert_eq!(engine.release("b", None).await, 0, "its DEL came late");
        assert_eq!(engine.release("b", Some("s1")).await, 0);
        assert_eq!(engine.heir("c").await, "10.6.0.2");
        assert_eq!(engine.rows().await, rows([("a", "1"), ("c", "2"), ("x", "3")]));
        let shown = engine.ledger().endpoint("ns", "web-0").await.unwrap().unwrap();
        assert_eq!((shown.holder.uid.as_str(), text(&shown).as_str()), ("c", "10.6.0.2"));
        let held = engine.ledger().held_by_container("s1", None).await.unwrap();
        assert_eq!(held.len(), 3);
    });
}

#[test]
fn only_what_is_wanted_is_inherited_and_the_rest_waits() {
    on_both(async |engine| {
        let mut two = ask("web-0", "a", "s1");
        two.wants.push(want("net1"));
        engine.ledger().reserve(two).await.unwrap();
        assert_eq!(engine.heir("b").await, "10.6.0.1");
        assert_eq!(engine.rows().await, rows([("b", "1"), ("a", "2")]));
        let mut later = ask("web-0", "b", "s1");
        later.wants = ["net1", "net2"].map(want).into();
        let mut later = heir(later);
        later.wants[0].clean_gateway = true;
        let all = engine.ledger().reserve(later).await.unwrap();
        assert_eq!(text(&all), "10.6.0.1 10.6.0.2 10.6.0.3");
        assert!(all.leases[1].clean_gateway, "what goes with it is the new pod's");
    });
}

#[test]
fn what_was_left_in_other_pools_is_not_inherited_and_can_be_given_back() {
    on_both(async |engine| {
        engine.add("a").await;
        let left = engine.ledger().recorded("ns", "web-0").await.unwrap().unwrap();
        assert_eq!((left.holder.uid.as_str(), text(&left).as_str()), ("a", "10.6.0.1"));
        let mut elsewhere = ask("web-0", "b", "s1");
        elsewhere.wants[0].inherits = vec!["q".to_owned()];
        assert_eq!(text(&engine.ledger().reserve(elsewhere).await.unwrap()), "10.6.0.2");
        let other = Holder { uid: "b".to_owned(), ..left.holder.clone() };
        assert_eq!(engine.ledger().reclaim(other, left.leases.clone()).await.unwrap(), [], "it is not that pod's");
        for given in [1, 0] {
            let reclaimed = engine.ledger().reclaim(left.holder.clone(), left.leases.clone()).await.unwrap();
            assert_eq!(reclaimed.len(), given);
            assert_eq!(engine.rows().await, rows([("b", "2")]));
        }
    });
}

#[test]
fn a_failed_heir_changes_nothing() {
    on_both(async |engine| {
        engine.add("a").await;
        let until = engine.soon();
        engine.ledger().retain(of("a", None), until).await.unwrap();
        let kept = engine.until().await;
        let mut many = ask("web-0", "b", "s1");
        many.wants.extend(["net1", "net2", "net3"].map(want));
        let many = heir(many);
        let refused = engine.ledger().reserve(many).await;
        assert!(matches!(refused, Err(ReserveError::Exhausted { .. })), "{refused:?}");
        assert_eq!((engine.rows().await, engine.until().await), (rows([("a", "1")]), kept));
        engine.pass().await;
        assert_eq!(engine.rows().await, []);
    });
}

#[test]
fn two_adds_of_one_pod_at_once_have_one_address() {
    on_both(async |engine| {
        engine.add("a").await;
        let heir = || engine.heir("b");
        assert_eq!(futures::join!(heir(), heir()), ("10.6.0.1".to_owned(), "10.6.0.1".to_owned()));
        assert_eq!(engine.rows().await, rows([("b", "1")]));
    });
}

#[test]
fn of_two_new_uids_at_once_one_inherits() {
    on_both(async |engine| {
        engine.add("a").await;
        let next = |uid: &str| engine.ledger().reserve(heir(ask("web-0", uid, uid)));
        let (b, c) = futures::join!(next("b"), next("c"));
        assert_eq!([text(&b.unwrap()), text(&c.unwrap())], ["10.6.0.1", "10.6.0.2"]);
        assert_eq!(engine.rows().await, rows([("b", "1"), ("c", "2")]));
    });
}

#[test]
fn what_is_kept_is_given_back_when_its_end_has_come_also_across_a_restart() {
    on_both(async |engine| {
        for uid in ["a", "b", "c"] {
            engine.add(uid).await;
        }
        let until = engine.soon();
        assert_eq!(engine.ledger().retain(of("a", Some("other")), until).await.unwrap(), []);
        engine.ledger().retain(of("a", None), until).await.unwrap();
        engine.ledger().retain(of("b", Some("s1")), until).await.unwrap();
        let refused = engine.ledger().reserve(ask("web-0", "d", "s1")).await;
        assert!(matches!(refused, Err(ReserveError::Exhausted { .. })), "what is kept is held: {refused:?}");
        engine.restart().await;
        assert_eq!(engine.rows().await.len(), 3);
        engine.pass().await;
        assert_eq!(engine.rows().await, rows([("c", "3")]), "nobody asked");
        assert_eq!(engine.ledger().usage(&pool()).free, 2);
        assert_eq!(engine.add("d").await, "10.6.0.1");
    });
}

#[test]
fn a_later_end_replaces_an_earlier_one_and_an_heir_has_none() {
    on_both(async |engine| {
        engine.add("a").await;
        engine.ledger().retain(of("a", None), engine.soon()).await.unwrap();
        engine.ledger().retain(of("a", None), engine.soon() + Duration::from_secs(3600)).await.unwrap();
        engine.pass().await;
        assert_eq!(engine.rows().await, rows([("a", "1")]));
        engine.ledger().retain(of("a", None), engine.soon()).await.unwrap();
        engine.restart().await;
        assert_eq!(engine.heir("b").await, "10.6.0.1");
        assert_eq!(engine.until().await, None);
        engine.pass().await;
        assert_eq!(engine.rows().await, rows([("b", "1")]));
    });
}

#[test]
fn an_end_that_comes_while_somebody_inherits_gives_it_to_one() {
    on_both(async |engine| {
        for early in [0, 1, 5, 20] {
            engine.add("a").await;
            // Of this moment, or gone by for long when the heir asks.
            engine.ledger().retain(of("a", None), SystemTime::UNIX_EPOCH + Duration::from_secs(1)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(early)).await;
            let heir = engine.heir("b").await;
            assert_eq!(engine.rows().await, rows([("b", heir.rsplit('.').next().unwrap())]));
            engine.pass().await;
            assert_eq!(engine.rows().await.len(), 1);
            engine.release("b", None).await;
        }
    });
}
