//! An API server that delays, reorders, refuses, and loses replies: blocks and records with the semantics of the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use spiderpool_crd::ipblock::{BlockAllocation, Quarantine};
use spiderpool_crd::{SpiderEndpoint, SpiderEndpointStatus, SpiderIPBlockSpec};
use spiderpool_ip::Block;
use spiderpool_storage::kube::{
    BlockId, BlockMark, BlockStore, Change, ChangeError, EndpointStore, Mark, NodeStore, Origin, PodRef,
    RecordedEndpoint, StoreError, StoredBlock,
};
use spiderpool_storage::{BoxFuture, Endpoint};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Everything that survives a crash, and what the test knows.
pub(crate) struct State {
    pub(crate) blocks: BTreeMap<BlockId, StoredBlock>,
    pub(crate) endpoints: BTreeMap<(String, String), (String, SpiderEndpointStatus)>,
    /// Which UID was answered an address, and has not been told to go.
    pub(crate) live: BTreeMap<IpAddr, String>,
    /// The pods that exist: UIDs by name.
    pub(crate) pods: BTreeMap<String, String>,
    /// When a block last had nothing to give.
    pub(crate) full_at: BTreeMap<BlockId, SystemTime>,
    /// What runs of an agent asked for without learning the outcome: run, pool or name, UID.
    pub(crate) doubtful: BTreeSet<(u64, String, String)>,
    /// After which version an address was first asked for, for a UID.
    asked: BTreeMap<(IpAddr, String), u64>,
    /// Who had an address last, and with which version that ended.
    left: BTreeMap<IpAddr, (String, u64)>,
    /// What somebody else had between the question and its late answer: nobody can have waited for it.
    pub(crate) overtaken: BTreeSet<(IpAddr, String)>,
    /// Sandboxes from which something was to be freed: no runtime asks for one of these again.
    pub(crate) freed: BTreeSet<String>,
    pub(crate) trace: String,
    /// When a block was made, to the second.
    made_at: BTreeMap<BlockId, SystemTime>,
    pub(crate) usable: BTreeMap<String, Vec<IpAddr>>,
    pub(crate) nodes: Vec<String>,
    pub(crate) rng: fastrand::Rng,
    /// How many of 100 calls go wrong.
    pub(crate) faults: u32,
    pub(crate) calls: u64,
    /// Whether the trace is printed as it grows.
    told: bool,
    versions: u64,
    start: SystemTime,
    begun: Instant,
}

/// What becomes of a call.
enum Fate {
    Done,
    Throttled,
    Unreachable,
    ReplyLost,
    Late,
    Never,
}

#[derive(Clone)]
pub(crate) struct Cluster(pub(crate) Arc<Mutex<State>>);

/// The cluster as one run of an agent sees it.
pub(crate) struct Link {
    pub(crate) cluster: Cluster,
    pub(crate) run: u64,
}

impl Cluster {
    pub(crate) fn new(seed: u64, usable: BTreeMap<String, Vec<IpAddr>>) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let faults = [0, 3, 10, 25][rng.usize(..4)];
        Self(Arc::new(Mutex::new(State {
            blocks: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            live: BTreeMap::new(),
            pods: BTreeMap::new(),
            full_at: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            asked: BTreeMap::new(),
            left: BTreeMap::new(),
            overtaken: BTreeSet::new(),
            freed: BTreeSet::new(),
            trace: String::new(),
            made_at: BTreeMap::new(),
            usable,
            nodes: (0..3).map(|n| format!("node{n}")).collect(),
            rng,
            faults,
            calls: 0,
            told: std::env::var_os("SIMULATION_SEED").is_some(),
            versions: 0,
            start: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            begun: Instant::now(),
        })))
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.0.lock().clock()
    }

    /// The UIDs of the pods that exist.
    pub(crate) fn pods(&self) -> Vec<String> {
        self.0.lock().pods.values().cloned().collect()
    }
}

impl State {
    pub(crate) fn held(&self) -> usize {
        self.blocks.values().map(|stored| stored.spec.allocations.len()).sum()
    }

    pub(crate) fn clock(&self) -> SystemTime {
        self.start + self.begun.elapsed()
    }

    fn fate(&mut self, writes: bool) -> Fate {
        self.calls += 1;
        if self.rng.u32(..100) >= self.faults {
            return Fate::Done;
        }
        match self.rng.u32(..if writes { 6 } else { 2 }) {
            0 => Fate::Throttled,
            1 => Fate::Unreachable,
            2 => Fate::ReplyLost,
            3 | 4 => Fate::Late,
            _ => Fate::Never,
        }
    }

    fn delay(&mut self) -> Duration {
        let most = if self.rng.u32(..20) == 0 { 2000 } else { 20 };
        Duration::from_millis(self.rng.u64(1..=most))
    }

    fn note(&mut self, what: &str) {
        let at = self.begun.elapsed().as_millis();
        let _ = writeln!(self.trace, "{at} {what}");
        if self.told {
            eprintln!("{at} {what}");
        }
    }

    /// What must hold at every moment.
    pub(crate) fn check(&mut self) {
        for (address, uid) in &self.live {
            let block = Block::containing(*address);
            let held = self.blocks.iter().filter(|(id, _)| id.block == block);
            let holders: Vec<_> = held.filter_map(|(_, stored)| stored.spec.allocations.get(address)).collect();
            assert!(
                holders.iter().any(|holder| holder.pod_uid == *uid),
                "{uid} was answered {address}, and the block says {holders:?}"
            );
        }
        let now = self.clock();
        for (id, stored) in &self.blocks {
            let usable = self.usable[&id.pool].iter().filter(|&&address| id.block.contains(address));
            // Until when nobody can have it, as the block is now.
            let taken = |address: &IpAddr| match stored.spec.allocations.get(address) {
                Some(there) => Some(there.until.as_ref().map_or(now, |until| SystemTime::from(until.0))),
                None => stored.spec.quarantine.get(address).map(|rest| SystemTime::from(rest.until.0)),
            };
            if let Some(ends) = usable.map(taken).collect::<Option<Vec<_>>>() {
                let full_at = ends.into_iter().fold(now, SystemTime::min);
                let known = self.full_at.entry(id.clone()).or_insert(full_at);
                *known = full_at.max(*known);
            }
        }
    }

    fn ask(&mut self, whose: &str, uid: &str) {
        if let Ok(address) = whose.parse() {
            self.asked.entry((address, uid.to_owned())).or_insert(self.versions);
        }
    }

    fn take(&mut self, address: IpAddr, uid: &str) {
        let whose = (address, uid.to_owned());
        let asked = self.asked.get(&whose);
        let other = self.left.get(&address).filter(|(other, _)| other != uid);
        if other.is_some_and(|(_, version)| asked.is_some_and(|asked| version > asked)) {
            self.overtaken.insert(whose);
        }
    }

    fn create(
        &mut self,
        id: &BlockId,
        allocations: BTreeMap<IpAddr, BlockAllocation>,
    ) -> Result<StoredBlock, StoreError> {
        if self.blocks.contains_key(id) {
            return Err(StoreError::Exists(id.to_string()));
        }
        self.versions += 1;
        allocations.iter().for_each(|(&address, to)| self.take(address, &to.pod_uid));
        let quarantine = BTreeMap::new();
        let spec = SpiderIPBlockSpec { pool: id.pool.clone(), block: id.block, allocations, quarantine };
        let mark = Some(Mark::of(&spec));
        let stored =
            StoredBlock { uid: format!("made-{}", self.versions), version: self.versions.to_string(), spec, mark };
        let now = self.clock();
        let fraction = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        self.made_at.insert(id.clone(), now - Duration::from_nanos(fraction.into()));
        self.blocks.insert(id.clone(), stored.clone());
        self.check();
        Ok(stored)
    }

    fn change(&mut self, id: &BlockId, changes: &[Change], mark: Option<Mark>) -> Result<StoredBlock, ChangeError> {
        self.check();
        let before = self.blocks.get(id).ok_or_else(|| StoreError::Gone(id.to_string()))?;
        let mut stored = before.clone();
        for change in changes {
            apply(&mut stored.spec, change).ok_or(ChangeError::Lost)?;
        }
        stored.mark = mark.or(stored.mark);
        if stored != *before {
            self.versions += 1;
            stored.version = self.versions.to_string();
        }
        for change in changes {
            match change {
                Change::Take { address, to } => self.take(*address, &to.pod_uid),
                Change::Free { address, from } | Change::Rest { address, from: Some(from), .. } => {
                    self.left.insert(*address, (from.pod_uid.clone(), self.versions));
                }
                Change::Move { .. } | Change::Rest { .. } | Change::Wake { .. } => {}
            }
        }
        self.blocks.insert(id.clone(), stored.clone());
        self.check();
        Ok(stored)
    }
}

fn brief(change: &Change) -> String {
    let who = |holder: &BlockAllocation| {
        let until = holder.until.as_ref().map(|until| format!(" until {}", until.0)).unwrap_or_default();
        format!("{} {}{until}", holder.pod_uid, holder.container_id)
    };
    match change {
        Change::Take { address, to } => format!("; take {address} for {}", who(to)),
        Change::Move { address, from, to } => format!("; move {address} from {} to {}", who(from), who(to)),
        Change::Free { address, from } => format!("; free {address} of {}", who(from)),
        Change::Rest { address, from, .. } => {
            format!("; rest {address} of {}", from.as_ref().map(who).unwrap_or_default())
        }
        Change::Wake { address, .. } => format!("; wake {address}"),
    }
}

/// One change, as the tests and operations of its patch; `None` when a test fails.
fn apply(spec: &mut SpiderIPBlockSpec, change: &Change) -> Option<()> {
    let holds = |spec: &SpiderIPBlockSpec, address: &IpAddr, from: &BlockAllocation| {
        spec.allocations.get(address) == Some(from)
    };
    let free = |spec: &SpiderIPBlockSpec, address: &IpAddr| {
        !spec.allocations.contains_key(address) && !spec.quarantine.contains_key(address)
    };
    match change {
        Change::Take { address, to } => {
            free(spec, address).then(|| spec.allocations.insert(*address, to.clone()))?;
        }
        Change::Move { address, from, to } => {
            holds(spec, address, from).then(|| spec.allocations.insert(*address, to.clone()))?;
        }
        Change::Free { address, from } => {
            holds(spec, address, from).then(|| spec.allocations.remove(address))?;
        }
        Change::Rest { address, from, rest } => {
            let fits = from.as_ref().map_or_else(|| free(spec, address), |from| holds(spec, address, from));
            fits.then(|| {
                spec.allocations.remove(address);
                spec.quarantine.insert(*address, rest.clone())
            })?;
        }
        Change::Wake { address, from } => {
            let there: Option<&Quarantine> = spec.quarantine.get(address);
            (there == Some(from)).then(|| spec.quarantine.remove(address))?;
        }
    }
    Some(())
}

impl Link {
    /// Sends a request, which goes on when its sender is gone.
    fn call<T, E>(
        &self,
        what: String,
        doubts: Vec<(String, String)>,
        work: impl FnOnce(&mut State) -> Result<T, E> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, E>>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (cluster, run) = (self.cluster.clone(), self.run);
        let writes = !what.starts_with("read");
        Box::pin(async move {
            let (fate, there, back, late) = {
                let mut state = cluster.0.lock();
                let late = Duration::from_millis(state.rng.u64(50..50_000));
                (state.fate(writes), state.delay(), state.delay(), late)
            };
            for (whose, uid) in doubts {
                let mut state = cluster.0.lock();
                state.ask(&whose, &uid);
                // Learned only if the reply comes; whoever crashes does not wait for it.
                state.doubtful.insert((run, whose, uid));
            }
            let unknown = || E::from(StoreError::Unknown("the connection was lost".to_owned()));
            let landing = match fate {
                Fate::Throttled => {
                    tokio::time::sleep(there).await;
                    return Err(StoreError::Throttled { after: back }.into());
                }
                Fate::Unreachable => {
                    tokio::time::sleep(there).await;
                    return Err(StoreError::Unreachable("connection refused".to_owned()).into());
                }
                Fate::Never => {
                    tokio::time::sleep(there).await;
                    return Err(unknown());
                }
                Fate::Late => late,
                Fate::Done | Fate::ReplyLost => there,
            };
            let (reply, answer) = oneshot::channel();
            let state = Arc::clone(&cluster.0);
            tokio::spawn(async move {
                tokio::time::sleep(landing).await;
                let outcome = {
                    let mut state = state.lock();
                    let outcome = work(&mut state);
                    let result = if outcome.is_ok() { "done" } else { "not done" };
                    state.note(&format!("run {run}: {what}: {result}"));
                    outcome
                };
                tokio::time::sleep(back).await;
                let _ = reply.send(outcome);
            });
            match fate {
                Fate::Late => {
                    tokio::time::sleep(back).await;
                    Err(unknown())
                }
                Fate::ReplyLost => {
                    let _ = answer.await;
                    Err(unknown())
                }
                _ => answer.await.unwrap_or_else(|_| Err(unknown())),
            }
        })
    }
}

impl NodeStore for Link {
    fn names(&self) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        self.call("read nodes".to_owned(), vec![], |state| Ok(state.nodes.clone()))
    }
}

impl BlockStore for Link {
    fn get<'a>(&'a self, id: &'a BlockId) -> BoxFuture<'a, Result<Option<StoredBlock>, StoreError>> {
        let id = id.clone();
        self.call(format!("read {id}"), vec![], move |state| Ok(state.blocks.get(&id).cloned()))
    }

    fn blocks<'a>(&'a self, pool: &'a str) -> BoxFuture<'a, Result<Vec<StoredBlock>, StoreError>> {
        let pool = pool.to_owned();
        self.call(format!("read pool {pool}"), vec![], move |state| {
            Ok(state.blocks.values().filter(|stored| stored.spec.pool == pool).cloned().collect())
        })
    }

    fn all_blocks(&self) -> BoxFuture<'_, Result<Vec<StoredBlock>, StoreError>> {
        self.call("read all".to_owned(), vec![], |state| Ok(state.blocks.values().cloned().collect()))
    }

    fn marks<'a>(&'a self, pool: &'a str, near: Option<Block>) -> BoxFuture<'a, Result<Vec<BlockMark>, StoreError>> {
        let pool = pool.to_owned();
        self.call(format!("read marks of {pool}"), vec![], move |state| {
            let is_near = |block| near.is_none_or(|near| near.neighbourhood().contains(&block));
            let of_pool = state.blocks.iter().filter(|(id, _)| id.pool == pool && is_near(id.block));
            let mark = |(id, stored): (&BlockId, &StoredBlock)| BlockMark {
                block: id.block,
                version: stored.version.clone(),
                mark: stored.mark,
                made: state.made_at.get(id).copied(),
            };
            Ok(of_pool.map(mark).collect())
        })
    }

    fn create<'a>(
        &'a self,
        id: &'a BlockId,
        _: Origin<'a>,
        first: &'a BTreeMap<IpAddr, BlockAllocation>,
    ) -> BoxFuture<'a, Result<StoredBlock, StoreError>> {
        let (id, first) = (id.clone(), first.clone());
        let doubts = first.iter().map(|(address, to)| (address.to_string(), to.pod_uid.clone())).collect();
        let takes = first.iter().map(|(&address, to)| brief(&Change::Take { address, to: to.clone() }));
        let what = format!("create {id}{}", takes.collect::<String>());
        self.call(what, doubts, move |state| state.create(&id, first))
    }

    fn change<'a>(
        &'a self,
        id: &'a BlockId,
        changes: &'a [Change],
        mark: Option<Mark>,
    ) -> BoxFuture<'a, Result<StoredBlock, ChangeError>> {
        let (id, changes) = (id.clone(), changes.to_vec());
        let takes = changes.iter().filter_map(|change| match change {
            Change::Take { address, to } => Some((address.to_string(), to.pod_uid.clone())),
            Change::Move { address, from, to } if from.pod_uid != to.pod_uid => {
                Some((address.to_string(), to.pod_uid.clone()))
            }
            _ => None,
        });
        let takes = takes.collect();
        let given = changes.iter().filter_map(|change| match change {
            Change::Free { from, .. } | Change::Rest { from: Some(from), .. } => Some(from),
            Change::Move { from, to, .. } if from.pod_uid != to.pod_uid => Some(from),
            _ => None,
        });
        self.cluster.0.lock().freed.extend(given.map(|from| from.container_id.clone()));
        let what = changes.iter().map(brief).collect::<String>();
        self.call(format!("change {id}{what}"), takes, move |state| state.change(&id, &changes, mark))
    }
}

impl EndpointStore for Link {
    fn put<'a>(&'a self, endpoint: &'a Endpoint, over: &'a BTreeSet<String>) -> BoxFuture<'a, Result<(), StoreError>> {
        let over = over.clone();
        let holder = endpoint.holder.clone();
        let key = (holder.namespace.clone(), holder.pod.clone());
        let status = SpiderEndpoint::from(endpoint).status;
        let doubt = vec![(holder.pod.clone(), holder.uid.clone())];
        self.call(format!("put {holder}"), doubt, move |state| {
            let mine = |uid: &String| *uid == holder.uid;
            let stays = state.endpoints.get(&key).is_some_and(|(uid, _)| !mine(uid) && !over.contains(uid));
            if !stays || state.pods.get(&holder.pod).is_some_and(mine) {
                state.endpoints.extend(status.map(|status| (key, (holder.uid, status))));
            }
            Ok(())
        })
    }

    fn get<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
    ) -> BoxFuture<'a, Result<Option<RecordedEndpoint>, StoreError>> {
        let (namespace, name) = (namespace.to_owned(), pod.to_owned());
        self.call(format!("read endpoint {name}"), vec![], move |state| {
            let recorded = state.endpoints.get(&(namespace.clone(), name.clone())).cloned();
            Ok(recorded.map(|(uid, status)| RecordedEndpoint { pod: PodRef { namespace, name, uid }, status }))
        })
    }

    fn remove<'a>(&'a self, pod: &'a PodRef) -> BoxFuture<'a, Result<(), StoreError>> {
        let pod = pod.clone();
        self.call(format!("remove {}", pod.uid), vec![], move |state| {
            let key = (pod.namespace, pod.name);
            if state.endpoints.get(&key).is_some_and(|(uid, _)| *uid == pod.uid) {
                state.endpoints.remove(&key);
            }
            Ok(())
        })
    }

    fn of_node<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<Vec<RecordedEndpoint>, StoreError>> {
        let node = node.to_owned();
        self.call(format!("read endpoints of {node}"), vec![], move |state| {
            let recorded = state.endpoints.iter().filter(|(_, (_, status))| status.current.node == node);
            let recorded = recorded.map(|((namespace, name), (uid, status))| RecordedEndpoint {
                pod: PodRef { namespace: namespace.clone(), name: name.clone(), uid: uid.clone() },
                status: status.clone(),
            });
            Ok(recorded.collect())
        })
    }
}
