//! What the agent counts, under Spiderpool's documented names.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use spiderpool_wire::ErrorCode;

use crate::failure::Failure;

/// Buckets in seconds. Spiderpool's own begin at 0.1 s; most of what happens here is over a hundred times sooner.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0, 3.0, 5.0, 10.0, 15.0];

/// Counters of allocation and release.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// ADDs.
    pub allocation: Operation,
    /// DELs.
    pub release: Operation,
    /// Allocations that failed because every pool was full.
    used_out: Counter,
    /// Allocations that failed because no pool may serve.
    no_available_pool: Counter,
    /// Addresses put into quarantine because somebody else uses them.
    pub conflicts: Counter,
    /// DELs of interfaces whose addresses stay with their pods, for ever or for a while.
    pub kept: Counter,
    /// Events about pods that were not published: too many at once, or the API server does not take them.
    pub omitted_events: Counter,
}

/// One kind of request.
#[derive(Debug)]
pub(crate) struct Operation {
    all: Counter,
    failed: Counter,
    internal: Counter,
    seconds: Histogram,
    spread: Mutex<Spread>,
    latest: Seconds,
    average: Seconds,
    max: Seconds,
    min: Seconds,
}

type Seconds = Gauge<f64, AtomicU64>;

/// Times taken since the agent began.
#[derive(Debug, Default)]
struct Spread {
    count: u32,
    sum: f64,
    max: f64,
    min: f64,
}

impl Spread {
    fn add(&mut self, seconds: f64) {
        self.min = if self.count == 0 { seconds } else { self.min.min(seconds) };
        self.max = self.max.max(seconds);
        self.count = self.count.saturating_add(1);
        self.sum += seconds;
    }
}

impl Metrics {
    /// Metrics that `registry` reports.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("spiderpool");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        Self {
            used_out: counter("ipam_allocation_err_ip_used_out_counts", "Allocations refused: every pool is full"),
            no_available_pool: counter(
                "ipam_allocation_err_no_available_pool_counts",
                "Allocations refused: no pool may serve",
            ),
            conflicts: counter("ipam_conflict_counts", "Addresses put into quarantine because another host uses them"),
            kept: counter("ipam_release_kept_counts", "DELs of interfaces whose addresses stay with their pods"),
            omitted_events: counter("events_omitted", "Events about pods that were not published"),
            allocation: Operation::new(registry, "allocation"),
            release: Operation::new(registry, "release"),
        }
    }

    /// Counts one allocation.
    pub(crate) fn count_allocation<T>(&self, result: &Result<T, Failure>, took: Duration) {
        self.allocation.count(result, took);
        match result.as_ref().err().map(|failure| failure.code) {
            Some(ErrorCode::Exhausted) => self.used_out.inc(),
            Some(ErrorCode::Refused) => self.no_available_pool.inc(),
            _ => 0,
        };
    }
}

impl Operation {
    fn new(registry: &mut Registry, name: &str) -> Self {
        let operation = Self {
            all: Counter::default(),
            failed: Counter::default(),
            internal: Counter::default(),
            seconds: Histogram::new(SECONDS),
            spread: Mutex::default(),
            latest: Seconds::default(),
            average: Seconds::default(),
            max: Seconds::default(),
            min: Seconds::default(),
        };
        let mut register = |suffix: &str, help: &str, counter: &Counter| {
            registry.register(format!("ipam_{name}_{suffix}"), format!("{help}: {name}"), counter.clone());
        };
        register("counts", "Requests", &operation.all);
        register("failure_counts", "Requests that failed", &operation.failed);
        register("err_internal_counts", "Requests that failed for a reason of our own", &operation.internal);
        registry.register(
            format!("ipam_{name}_duration_seconds"),
            format!("Time taken: {name}"),
            operation.seconds.clone(),
        );
        let gauges = [
            ("latest", &operation.latest),
            ("average", &operation.average),
            ("max", &operation.max),
            ("min", &operation.min),
        ];
        for (which, gauge) in gauges {
            let help = format!("The {which} time taken since the agent began: {name}");
            registry.register(format!("ipam_{name}_{which}_duration_seconds"), help, gauge.clone());
        }
        operation
    }

    /// Counts one request.
    pub(crate) fn count<T>(&self, result: &Result<T, Failure>, took: Duration) {
        self.all.inc();
        self.measure(took.as_secs_f64());
        if let Err(failure) = result {
            self.failed.inc();
            if matches!(failure.code, ErrorCode::Internal | ErrorCode::Unavailable) {
                self.internal.inc();
            }
        }
    }

    fn measure(&self, seconds: f64) {
        self.seconds.observe(seconds);
        let mut spread = self.spread.lock();
        spread.add(seconds);
        self.latest.set(seconds);
        self.average.set(spread.sum / f64::from(spread.count));
        self.max.set(spread.max);
        self.min.set(spread.min);
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn names_are_the_documented_ones() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        let failed: Result<(), Failure> = Err(Failure::new(ErrorCode::Exhausted, "full"));
        for (result, seconds) in [(&Ok(()), 4.0), (&failed, 2.0)] {
            metrics.count_allocation(result, Duration::from_secs_f64(seconds));
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let lines = [
            "spiderpool_ipam_allocation_counts_total 2",
            "spiderpool_ipam_allocation_failure_counts_total 1",
            "spiderpool_ipam_allocation_err_internal_counts_total 0",
            "spiderpool_ipam_allocation_err_no_available_pool_counts_total 0",
            "spiderpool_ipam_allocation_err_ip_used_out_counts_total 1",
            "spiderpool_ipam_allocation_latest_duration_seconds 2.0",
            "spiderpool_ipam_allocation_average_duration_seconds 3.0",
            "spiderpool_ipam_allocation_max_duration_seconds 4.0",
            "spiderpool_ipam_allocation_min_duration_seconds 2.0",
            "spiderpool_ipam_allocation_duration_seconds_count 2",
            "spiderpool_ipam_release_counts_total 0",
            "spiderpool_ipam_release_failure_counts_total 0",
            "spiderpool_ipam_release_err_internal_counts_total 0",
        ];
        for line in lines {
            assert!(text.lines().any(|written| written == line), "{line}\n{text}");
        }
    }
}
