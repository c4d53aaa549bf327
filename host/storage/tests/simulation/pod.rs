//! A pod that comes and goes under one name, and what it must find.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use spiderpool_ip::{Block, Family};
use spiderpool_storage::kube::BlockId;
use spiderpool_storage::{
    Choice, Endpoint, Holder, Ledger, LedgerError, Owner, Pick, PoolSpace, Quarantine, Release, Reservation,
    ReserveError, Want, Why,
};
use tokio::time::sleep;

use crate::world::World;

pub(crate) struct Pod {
    pub(crate) world: Arc<World>,
    pub(crate) agent: usize,
    pub(crate) name: String,
    pub(crate) rng: fastrand::Rng,
    pub(crate) sandboxes: u64,
    /// What the pod before this one had, and on which node, if nobody said that it is not needed any more.
    pub(crate) left: Option<(usize, Endpoint)>,
    /// Whether the pod gets what the one before it left.
    pub(crate) inherits: bool,
    /// Whether an ADD of the pod has failed.
    pub(crate) failed: bool,
}

impl Pod {
    /// Comes and goes under one name; what it has when it stays.
    pub(crate) async fn live(mut self) -> Option<(usize, Endpoint)> {
        let lives = self.rng.usize(1..4);
        for life in 0..lives {
            self.rest(3000).await;
            let uid = format!("{}-{life}", self.name);
            if self.rng.u32(..3) == 0 {
                self.agent = self.rng.usize(..self.world.agents.len());
            }
            self.inherits = self.rng.u32(..4) > 0;
            self.failed = false;
            self.world.cluster.0.lock().pods.insert(self.name.clone(), uid.clone());
            let mut endpoint = self.add(&uid, None).await;
            if self.rng.bool() {
                self.forget_left().await;
            }
            for _ in 0..self.rng.usize(..3) {
                self.rest(1500).await;
                let old = endpoint.leases[0].container.clone();
                let again = self.rng.bool().then(|| old.clone());
                endpoint = self.add(&uid, again).await;
                if endpoint.leases[0].container != old && self.rng.bool() {
                    let freed = self.release(&uid, Some(old)).await;
                    assert_eq!(freed, 0, "a DEL of an old sandbox freed what the new one has");
                }
            }
            // Few enough stay for the others to be served.
            if life + 1 == lives && self.name.ends_with("-0") && self.rng.bool() {
                self.forget_left().await;
                return Some((self.agent, endpoint));
            }
            self.rest(3000).await;
            // What was not inherited is of no use to the next one.
            self.forget_left().await;
            self.world.cluster.0.lock().live.retain(|_, holder| *holder != uid);
            if self.rng.bool() {
                self.world.cluster.0.lock().pods.remove(&self.name);
            }
            match self.rng.u32(..4) {
                0 if life + 1 < lives => self.left = Some((self.agent, endpoint)),
                1 => self.retain(&uid, &endpoint).await,
                _ => self.go(&uid, &endpoint).await,
            }
            self.world.cluster.0.lock().pods.remove(&self.name);
        }
        None
    }

    /// The pod before is not needed any more, as every node may find out by itself, late.
    async fn forget_left(&mut self) {
        if let Some((_, endpoint)) = self.left.take() {
            self.reclaim(&endpoint).await;
            for agent in 0..self.world.agents.len() {
                self.release_at(agent, &endpoint.holder.uid, None).await;
            }
        }
    }

    /// Any node gives back what it knows of, wherever it was held.
    async fn reclaim(&mut self, left: &Endpoint) {
        let agent = self.rng.usize(..self.world.agents.len());
        let Some(ledger) = self.world.ledger(agent) else { return };
        match ledger.reclaim(left.holder.clone(), left.leases.clone()).await {
            Ok(_) if self.world.calm => {
                let state = self.world.cluster.0.lock();
                for lease in &left.leases {
                    let id = BlockId { pool: lease.pool.clone(), block: Block::containing(lease.address) };
                    let there = state.blocks[&id].spec.allocations.get(&lease.address);
                    assert!(there.is_none_or(|there| there.pod_uid != left.holder.uid), "{there:?}");
                }
            }
            Ok(_) | Err(LedgerError::Closed | LedgerError::Cluster(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }

    /// Has what the pod has end soon. What it does not learn of is given back at once.
    async fn retain(&mut self, uid: &str, endpoint: &Endpoint) {
        let until = self.world.cluster.now() + Duration::from_millis(self.rng.u64(..6000));
        let kept = Release { uid: uid.to_owned(), ..Release::default() };
        if let Some(ledger) = self.world.ledger(self.agent)
            && let Ok(kept) = ledger.retain(kept, until).await
        {
            let over = self.world.cluster.now() >= until;
            assert!(kept.len() >= endpoint.leases.len() || over, "{kept:?}");
        } else {
            self.go(uid, endpoint).await;
        }
    }

    /// What the pod must be served with when nothing goes wrong.
    fn due(&self) -> Option<Vec<IpAddr>> {
        let inherits = self.world.calm && self.inherits;
        let (agent, left) = self.left.as_ref().filter(|_| inherits)?;
        let state = self.world.cluster.0.lock();
        let record = state.endpoints.get(&("ns".to_owned(), self.name.clone()));
        let recorded = record.is_some_and(|(uid, _)| *uid == left.holder.uid);
        // A node that keeps something of an older one of the name asks for no record.
        let mut held = state.blocks.values().flat_map(|stored| stored.spec.allocations.values());
        let (pod, node) = (format!("ns/{}", self.name), &self.world.agents[self.agent].node);
        let older = held.any(|there| there.pod == pod && there.node == *node && there.pod_uid != left.holder.uid);
        (*agent == self.agent || recorded && !older).then(|| addresses(left))
    }

    async fn rest(&mut self, most: u64) {
        sleep(Duration::from_millis(self.rng.u64(..most))).await;
    }

    fn wants(&mut self) -> Vec<Want> {
        let inherits = self.inherits;
        let want = |space: &Arc<PoolSpace>, pick| Want {
            interface: "eth0".to_owned(),
            family: space.usable.family(),
            network: "n".to_owned(),
            clean_gateway: false,
            inherits: if inherits { vec![space.name.clone()] } else { Vec::new() },
            choices: vec![Choice { space: Arc::clone(space), pick }],
        };
        let [p4, p6] = self.world.pools.as_slice() else { panic!("two pools") };
        let pick = match self.rng.u32(..8) {
            0 => Pick::Spread(self.rng.u64(..)),
            1 => Pick::Sticky(self.name.clone()),
            2 => Pick::Exactly(p4.usable.first().into_iter().chain(p4.usable.last()).collect()),
            _ => Pick::Lowest,
        };
        vec![want(p4, pick), want(p6, Pick::Lowest)]
    }

    /// Asks until it is served. A failed ADD is followed by a DEL and a new sandbox, as runtimes do.
    async fn add(&mut self, uid: &str, again: Option<String>) -> Endpoint {
        let mut container = again;
        for tries in 0..400 {
            // A scan finds in the end what nobody uses any more. Without one, pods whose predecessors left something that
            // they do not inherit would wait for each other.
            if tries == 100 {
                self.forget_left().await;
            }
            let sandbox = container.take().unwrap_or_else(|| {
                self.sandboxes += 1;
                format!("{}-s{}", self.name, self.sandboxes)
            });
            let Some(ledger) = self.world.ledger(self.agent) else {
                container = Some(sandbox);
                self.rest(1000).await;
                continue;
            };
            let reservation = Reservation {
                holder: Holder { namespace: "ns".to_owned(), pod: self.name.clone(), uid: uid.to_owned() },
                node: self.world.agents[self.agent].node.clone(),
                container: sandbox.clone(),
                owner: Owner { kind: "StatefulSet".to_owned(), name: "web".to_owned() },
                comes_back: true,
                wants: self.wants(),
            };
            let begun = self.world.cluster.now();
            let due = self.due();
            match ledger.reserve(reservation).await {
                Ok(endpoint) => {
                    self.served(&endpoint, uid, &sandbox);
                    if !self.failed && self.world.lasting {
                        self.has_no_more(&endpoint, uid);
                    }
                    assert!(due.is_none_or(|due| due == addresses(&endpoint)), "{uid} did not inherit: {endpoint:?}");
                    return endpoint;
                }
                Err(ReserveError::Exhausted { tried, .. }) => self.refused(begun, &tried[0].pool, &tried[0].why),
                Err(ReserveError::Ledger(LedgerError::Closed)) => {
                    let reusable = !self.world.cluster.0.lock().freed.contains(&sandbox);
                    if reusable && self.rng.bool() {
                        container = Some(sandbox);
                        continue;
                    }
                }
                Err(ReserveError::Ledger(LedgerError::Cluster(_))) => {}
                Err(other) => panic!("{other}"),
            }
            self.failed = true;
            self.world.cluster.0.lock().live.retain(|_, holder| holder != uid);
            self.release(uid, Some(sandbox)).await;
            self.rest(4000).await;
        }
        panic!("{uid} was never served");
    }

    fn served(&self, endpoint: &Endpoint, uid: &str, sandbox: &str) {
        let mut state = self.world.cluster.0.lock();
        for family in [Family::V4, Family::V6] {
            let count = endpoint.leases.iter().filter(|lease| lease.family() == family).count();
            assert_eq!(count, 1, "{endpoint:?}");
        }
        for lease in &endpoint.leases {
            assert_eq!(lease.container, sandbox);
            let id = BlockId { pool: lease.pool.clone(), block: Block::containing(lease.address) };
            let there = &state.blocks[&id].spec.allocations[&lease.address];
            assert_eq!((there.pod_uid.as_str(), there.container_id.as_str()), (uid, sandbox), "{}", lease.address);
            let before = state.live.insert(lease.address, uid.to_owned());
            assert!(before.as_ref().is_none_or(|before| before == uid), "{} is {before:?}'s", lease.address);
        }
        let mine = state.live.values().filter(|holder| *holder == uid).count();
        assert_eq!(mine, 2, "{uid} was answered other addresses before");
    }

    /// Whoever does not know what became of a request asks for the same address again, not for another one, unless somebody
    /// else has it meanwhile.
    fn has_no_more(&self, endpoint: &Endpoint, uid: &str) {
        let state = self.world.cluster.0.lock();
        let held = state.blocks.values().flat_map(|stored| &stored.spec.allocations);
        let answered = |address: IpAddr| endpoint.leases.iter().any(|lease| lease.address == address);
        let late = |address: IpAddr| state.overtaken.contains(&(address, uid.to_owned()));
        let mine = held.filter(|(_, there)| there.pod_uid == uid).map(|(&address, _)| address);
        let more: Vec<_> = mine.filter(|&address| !answered(address) && !late(address)).collect();
        assert!(more.is_empty(), "{uid} has {more:?} besides what it was answered: {endpoint:?}");
    }

    /// A refusal is right only if every block was seen without room since the question.
    fn refused(&self, begun: SystemTime, pool: &str, why: &Why) {
        let mut state = self.world.cluster.0.lock();
        state.check();
        if let Why::Full { .. } = why {
            let blocks: std::collections::BTreeSet<Block> =
                state.usable[pool].iter().map(|&address| Block::containing(address)).collect();
            for block in blocks {
                let id = BlockId { pool: pool.to_owned(), block };
                let full = state.full_at.get(&id);
                assert!(full.is_some_and(|&full| full >= begun), "{id} had room all the time: last full {full:?}");
            }
        }
    }

    async fn release(&mut self, uid: &str, container: Option<String>) -> usize {
        self.release_at(self.agent, uid, container).await
    }

    async fn release_at(&mut self, agent: usize, uid: &str, container: Option<String>) -> usize {
        loop {
            if let Some(ledger) = self.world.ledger(agent) {
                let release = Release { uid: uid.to_owned(), interface: None, container: container.clone() };
                match ledger.release(release).await {
                    Ok(freed) => return freed.len(),
                    Err(LedgerError::Closed | LedgerError::Cluster(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            self.rest(1000).await;
        }
    }

    async fn go(&mut self, uid: &str, endpoint: &Endpoint) {
        if self.rng.u32(..5) == 0
            && let Some(ledger) = self.world.ledger(self.agent)
        {
            let quarantine = Quarantine {
                uid: uid.to_owned(),
                addresses: vec![endpoint.leases[0].address],
                until: self.world.cluster.now() + Duration::from_secs(self.rng.u64(..5)),
                reason: "conflict".to_owned(),
            };
            match ledger.quarantine(quarantine).await {
                Ok(_) | Err(LedgerError::Closed | LedgerError::Cluster(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        self.release(uid, None).await;
    }
}

fn addresses(endpoint: &Endpoint) -> Vec<IpAddr> {
    let mut addresses: Vec<_> = endpoint.leases.iter().map(|lease| lease.address).collect();
    addresses.sort_unstable();
    addresses
}
