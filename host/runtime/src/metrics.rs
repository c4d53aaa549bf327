//! What the host counts, by policy.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::failure::CallFailure;

/// Buckets in seconds: a call takes some microseconds, an interpreted policy some milliseconds.
const SECONDS: [f64; 12] = [5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 2e-2, 1e-1];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    policy: String,
    function: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    policy: String,
    function: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPolicy {
    policy: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    calls: Family<Call, Counter>,
    seconds: Family<Call, Histogram, fn() -> Histogram>,
    failures: Family<Failed, Counter>,
    under_way: Gauge<i64, AtomicI64>,
    differences: Family<ByPolicy, Counter>,
    unasked: Counter<u64, AtomicU64>,
    loads: Family<ByPolicy, Counter>,
    load_failures: Family<ByPolicy, Counter>,
    in_force: Gauge<i64, AtomicI64>,
    swaps: Counter<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            failures: Family::default(),
            under_way: Gauge::default(),
            differences: Family::default(),
            unasked: Counter::default(),
            loads: Family::default(),
            load_failures: Family::default(),
            in_force: Gauge::default(),
            swaps: Counter::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let Self { calls, seconds, failures, under_way, differences, unasked, loads, load_failures, in_force, swaps } =
            self;
        let registry = registry.sub_registry_with_prefix("spiderpool_policy");
        registry.register("calls", "Calls of policies", calls.clone());
        registry.register("call_duration_seconds", "Time that calls of policies take", seconds.clone());
        registry.register("call_failures", "Calls of policies that have no valid answer", failures.clone());
        registry.register("calls_under_way", "Calls of policies that are under way", under_way.clone());
        registry.register("shadow_differences", "Answers of shadow policies that differ", differences.clone());
        registry.register(
            "shadow_unasked",
            "Decisions about which shadow policies were not asked, because they were busy",
            unasked.clone(),
        );
        registry.register("loads", "Policies that were loaded", loads.clone());
        registry.register("load_failures", "Policies that were refused when they were loaded", load_failures.clone());
        registry.register("in_force", "Policies that are in force", in_force.clone());
        registry.register("swaps", "Times that the policies in force were replaced", swaps.clone());
    }

    /// What counts the calls of one function of a policy. Looked up once, so that a call does not search for it.
    pub(crate) fn meter(&self, policy: &str, function: &'static str) -> Meter {
        let call = Call { policy: policy.to_owned(), function };
        Meter {
            calls: self.calls.get_or_create_owned(&call),
            seconds: self.seconds.get_or_create_owned(&call),
            under_way: self.under_way.clone(),
            failures: self.failures.clone(),
            call,
        }
    }

    pub(crate) fn count_difference(&self, policy: &str) {
        self.differences.get_or_create(&ByPolicy { policy: policy.to_owned() }).inc();
    }

    pub(crate) fn count_unasked(&self) {
        self.unasked.inc();
    }

    pub(crate) fn count_load(&self, policy: &str, refused: bool) {
        let count = if refused { &self.load_failures } else { &self.loads };
        count.get_or_create(&ByPolicy { policy: policy.to_owned() }).inc();
    }

    pub(crate) fn count_swap(&self, in_force: usize) {
        self.swaps.inc();
        self.in_force.set(i64::try_from(in_force).unwrap_or(i64::MAX));
    }
}

/// Counts the calls of one function of a policy.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    calls: Counter,
    seconds: Histogram,
    under_way: Gauge<i64, AtomicI64>,
    failures: Family<Failed, Counter>,
    call: Call,
}

impl Meter {
    pub(crate) fn measure<T>(&self, ask: impl FnOnce() -> Result<T, CallFailure>) -> Result<T, CallFailure> {
        let begun = Instant::now();
        self.under_way.inc();
        let result = ask();
        self.under_way.dec();
        self.calls.inc();
        self.seconds.observe(begun.elapsed().as_secs_f64());
        if let Err(failure) = &result {
            let Call { policy, function } = self.call.clone();
            self.failures.get_or_create(&Failed { policy, function, kind: failure.kind() }).inc();
        }
        result
    }
}
