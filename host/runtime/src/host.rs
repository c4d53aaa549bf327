//! The policy host: the policies in force, and who may ask them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use serde_json::{Map, Value};
use spiderpool_crd::SpiderPolicySpec;
use spiderpool_crd::policy::{BUILT_IN_ORDER, ExtensionPoint, PolicySource as Source};
use spiderpool_wire::summary::PolicySummary;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tracing::{info, warn};

use crate::compile::CodeCache;
use crate::decision::{DecideError, Decision, Question};
use crate::engine::{SLOTS, Sandbox};
use crate::failure::{HostError, LoadError};
use crate::limits::Limits;
use crate::load::{self, Loader, PolicySource};
use crate::loaded::Policy;
use crate::metrics::Metrics;
use crate::retain::{Departure, RetainError, Retention};
use crate::set::{Candidate, PolicySet};

/// Files of the built-in policies, in the folder given to [`HostConfig`], and what each is asked.
const BUILT_IN: [(&str, ExtensionPoint); 4] = [
    ("builtin-allocation", ExtensionPoint::Allocation),
    ("builtin-affinity", ExtensionPoint::Affinity),
    ("builtin-validation", ExtensionPoint::Validation),
    ("builtin-retention", ExtensionPoint::Retention),
];

/// Decisions at once. Each holds at most one instance; loading and shadows take some of the others.
const DECISIONS: usize = SLOTS / 2;

/// Comparisons with shadow policies at once. One processor at most works for answers that nobody waits for.
const COMPARISONS: usize = 1;

/// Where the host finds and keeps things.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Folder of the built-in policies.
    pub builtin_policies: PathBuf,
    /// Folder of native code. Made if missing; for this user alone.
    pub cache: PathBuf,
    /// The program `spiderpool-policy-compiler`.
    pub compiler: PathBuf,
    /// Bounds of calls, where a SpiderPolicy does not ask for others.
    pub limits: Limits,
    /// Settings of `builtin-retention`, which it judges like any policy judges its own; empty for its defaults. The other
    /// built-in policies have none.
    pub retention: Map<String, Value>,
}

impl HostConfig {
    /// A configuration with the default limits and settings.
    #[must_use]
    pub fn new(builtin_policies: PathBuf, cache: PathBuf, compiler: PathBuf) -> Self {
        Self { builtin_policies, cache, compiler, limits: Limits::default(), retention: Map::new() }
    }
}

/// The policies in force. Cloning gives another handle of the same.
#[derive(Clone)]
pub struct PolicyHost(Arc<Inner>);

struct Inner {
    loader: Loader,
    builtins: Vec<Arc<Policy>>,
    current: ArcSwap<PolicySet>,
    /// Held while a set is made, so that of two changes the later wins.
    changing: Mutex<()>,
    decisions: Arc<Semaphore>,
    comparisons: Arc<Semaphore>,
}

impl PolicyHost {
    /// Starts the engine and loads the built-in policies.
    ///
    /// # Errors
    /// The engine does not start, a folder cannot be used, or a built-in policy is missing, broken or rejects its settings.
    pub fn open(config: HostConfig) -> Result<Self, HostError> {
        let HostConfig { builtin_policies, cache, compiler, limits, retention } = config;
        let loader = Loader {
            sandbox: Sandbox::new()?,
            cache: CodeCache::open(cache, compiler)?,
            limits,
            metrics: Metrics::default(),
        };
        let load = |(name, point): (&str, ExtensionPoint)| {
            let path = builtin_policies.join(name).with_extension("wasm");
            let file = Source::File(format!("{name}.wasm"));
            let extension_points = Some(vec![point]);
            let settings = if point == ExtensionPoint::Retention { retention.clone() } else { Map::new() };
            let defaults = SpiderPolicySpec::new(file);
            let spec = SpiderPolicySpec { order: BUILT_IN_ORDER, extension_points, settings, ..defaults };
            let source = PolicySource { name: name.to_owned(), spec, folder: builtin_policies.clone() };
            loader.load(&source).map(Arc::new).map_err(|cause| HostError::BuiltIn { path, cause })
        };
        let builtins = BUILT_IN.into_iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let current = ArcSwap::from_pointee(PolicySet::new(&builtins, &[]));
        loader.metrics.count_swap(builtins.len());
        Ok(Self(Arc::new(Inner {
            loader,
            builtins,
            current,
            changing: Mutex::new(()),
            decisions: Arc::new(Semaphore::new(DECISIONS)),
            comparisons: Arc::new(Semaphore::new(COMPARISONS)),
        })))
    }

    /// Has `registry` report what the host counts.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.loader.metrics.register(registry);
    }

    /// Puts these policies in force, beside the built-in ones, in place of those before them.
    ///
    /// Calls under way end with the policies that they began with. A policy that is refused is reported; the version of
    /// it that was in force before stays. Where there is none, its `onFailure` counts: `deny` denies what it would be
    /// asked about. Blocks while components are compiled.
    pub fn apply(&self, policies: Vec<PolicySource>) -> Vec<PolicySummary> {
        let _one_at_a_time = self.0.changing.lock();
        let before = self.0.current.load_full();
        let mut names = BTreeSet::new();
        let candidates = policies.into_iter().filter_map(|source| {
            let first = names.insert(source.name.clone());
            if !first {
                warn!(policy = source.name, "left out: {}", LoadError::Name("another SpiderPolicy"));
            }
            first.then(|| self.candidate(&source, &before))
        });
        let candidates: Vec<Candidate> = candidates.collect();
        let set = PolicySet::new(&self.0.builtins, &candidates);
        let summaries = set.summaries().to_vec();
        info!(in_force = set.len(), "policies in force");
        self.0.loader.metrics.count_swap(set.len());
        self.0.current.store(Arc::new(set));
        summaries
    }

    fn candidate(&self, source: &PolicySource, before: &PolicySet) -> Candidate {
        match self.load(source, before) {
            Ok(policy) => Candidate { policy, refused: None },
            Err(error) => {
                warn!(policy = source.name, "policy refused: {error}");
                let old = before.accepted(&source.name).filter(|_| !is_built_in(&source.name)).cloned();
                let policy = old.unwrap_or_else(|| Arc::new(self.0.loader.refused(source, error.clone())));
                Candidate { policy, refused: Some(error) }
            }
        }
    }

    fn load(&self, source: &PolicySource, before: &PolicySet) -> Result<Arc<Policy>, LoadError> {
        if is_built_in(&source.name) {
            return Err(LoadError::Name("a built-in policy"));
        }
        let path = source.path()?;
        match before.accepted(&source.name) {
            Some(known) if known.source == *source && load::holds(&path, known.inspection.as_ref()) => {
                Ok(Arc::clone(known))
            }
            _ => self.0.loader.load(source).map(Arc::new),
        }
    }

    /// The policies in force now. What is asked of the set is answered by that set, whatever changes meanwhile.
    #[must_use]
    pub fn policies(&self) -> Arc<PolicySet> {
        self.0.current.load_full()
    }

    /// Every policy that somebody wants, in the order of the chain.
    #[must_use]
    pub fn summaries(&self) -> Vec<PolicySummary> {
        self.policies().summaries().to_vec()
    }

    /// Decides where a pod's addresses come from, on a thread that may block.
    ///
    /// # Errors
    /// See [`DecideError`].
    pub async fn decide(&self, question: Question) -> Result<Decision, DecideError> {
        let decided = self.ask(question, PolicySet::decide, PolicySet::compare_shadows).await;
        decided.unwrap_or_else(|panic| Err(DecideError::host(format!("a decision failed: {panic}"))))
    }

    /// Decides what becomes of a pod's addresses, on a thread that may block.
    ///
    /// # Errors
    /// See [`RetainError`].
    pub async fn retain(&self, departure: Departure) -> Result<Retention, RetainError> {
        let decided = self.ask(departure, PolicySet::retain, PolicySet::compare_retention).await;
        decided.unwrap_or_else(|panic| Err(RetainError::Host(panic.to_string())))
    }

    /// Asks the policies in force, when there is room, and has the shadows compared with what they say.
    async fn ask<Q, A, E>(
        &self,
        question: Q,
        ask: fn(&PolicySet, &Q) -> Result<A, E>,
        compare: fn(&PolicySet, &Q, &A),
    ) -> Result<Result<A, E>, JoinError>
    where
        Q: Send + 'static,
        A: Clone + Send + 'static,
        E: Send + 'static,
    {
        let permit = Arc::clone(&self.0.decisions).acquire_owned().await;
        let policies = self.policies();
        let asked = tokio::task::spawn_blocking(move || {
            let answer = ask(&policies, &question);
            drop(permit);
            (answer, policies.has_shadows().then_some((policies, question)))
        });
        let (answer, shadows) = asked.await?;
        if let (Ok(answer), Some((policies, question))) = (&answer, shadows) {
            let answer = answer.clone();
            self.afterwards(move || compare(&policies, &question, &answer));
        }
        Ok(answer)
    }

    /// Asks the shadow policies after the fact, if there is room; a decision never waits for them.
    fn afterwards(&self, compare: impl FnOnce() + Send + 'static) {
        let Ok(permit) = Arc::clone(&self.0.comparisons).try_acquire_owned() else {
            return self.0.loader.metrics.count_unasked();
        };
        tokio::task::spawn_blocking(move || {
            compare();
            drop(permit);
        });
    }
}

fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(built_in, _)| *built_in == name)
}
