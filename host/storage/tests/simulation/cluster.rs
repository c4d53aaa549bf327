//! An API server that delays, reorders, refuses, and loses replies: blocks and records with the semantics of the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use spiderpool_crd::ipblock::{BlockAllocation, Quarantine};
use spiderpool_crd::{SpiderEndpointStatus, SpiderIPBlockSpec};
use spiderpool_ip::Block;
use spiderpool_storage::kube::{BlockId, Change, ChangeError, Mark, StoreError, StoredBlock};
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
    pub(crate) made_at: BTreeMap<BlockId, SystemTime>,
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
pub(crate) enum Fate {
    Done,
    Throttled,
    Unreachable,
    ReplyLost,
    Late,
    Never,
}

#[derive(Clone)]
pub(crate) struct Cluster(pub(crate) Arc<Mutex<State>>);

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

    pub(crate) fn fate(&mut self, writes: bool) -> Fate {
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

    pub(crate) fn delay(&mut self) -> Duration {
        let most = if self.rng.u32(..20) == 0 { 2000 } else { 20 };
        Duration::from_millis(self.rng.u64(1..=most))
    }

    pub(crate) fn note(&mut self, what: &str) {
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

    pub(crate) fn ask(&mut self, whose: &str, uid: &str) {
        if let Ok(address) = whose.parse() {
            self.asked.entry((address, uid.to_owned())).or_insert(self.versions);
        }
    }

    pub(crate) fn take(&mut self, address: IpAddr, uid: &str) {
        let whose = (address, uid.to_owned());
        let asked = self.asked.get(&whose);
        let other = self.left.get(&address).filter(|(other, _)| other != uid);
        if other.is_some_and(|(_, version)| asked.is_some_and(|asked| version > asked)) {
            self.overtaken.insert(whose);
        }
    }

    pub(crate) fn create(
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

    pub(crate) fn change(
        &mut self,
        id: &BlockId,
        changes: &[Change],
        mark: Option<Mark>,
    ) -> Result<StoredBlock, ChangeError> {
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

pub(crate) fn brief(change: &Change) -> String {
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
