//! What the host counts, by policy.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

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
    differences: Family<ByPolicy, Counter>,
    load_failures: Family<ByPolicy, Counter>,
    in_force: Gauge<i64, std::sync::atomic::AtomicI64>,
    swaps: Counter<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            failures: Family::default(),
            differences: Family::default(),
            load_failures: Family::default(),
            in_force: Gauge::default(),
            swaps: Counter::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("spiderpool_policy");
        registry.register("calls", "Calls of policies", self.calls.clone());
        registry.register("call_duration_seconds", "Time that calls of policies take", self.seconds.clone());
        registry.register("call_failures", "Calls of policies that have no valid answer", self.failures.clone());
        registry.register("shadow_differences", "Answers of shadow policies that differ", self.differences.clone());
        registry.register(
            "load_failures",
            "Policies that were refused when they were loaded",
            self.load_failures.clone(),
        );
        registry.register("in_force", "Policies that are in force", self.in_force.clone());
        registry.register("swaps", "Times that the policies in force were replaced", self.swaps.clone());
    }

    pub(crate) fn count_call<T>(
        &self,
        policy: &str,
        function: &'static str,
        result: &Result<T, CallFailure>,
        took: Duration,
    ) {
        let call = Call { policy: policy.to_owned(), function };
        self.calls.get_or_create(&call).inc();
        self.seconds.get_or_create(&call).observe(took.as_secs_f64());
        if let Err(failure) = result {
            self.failures.get_or_create(&Failed { policy: policy.to_owned(), function, kind: failure.kind() }).inc();
        }
    }

    pub(crate) fn count_difference(&self, policy: &str) {
        self.differences.get_or_create(&ByPolicy { policy: policy.to_owned() }).inc();
    }

    pub(crate) fn count_load_failure(&self, policy: &str) {
        self.load_failures.get_or_create(&ByPolicy { policy: policy.to_owned() }).inc();
    }

    pub(crate) fn count_swap(&self, in_force: usize) {
        self.swaps.inc();
        self.in_force.set(i64::try_from(in_force).unwrap_or(i64::MAX));
    }
}
