//! What the controller counts.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Buckets in seconds. Half a second is how often one pool is written, two what is promised.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0];

/// Counters of the status keeper.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Pools that are known.
    pub pools: Gauge<i64, AtomicI64>,
    /// Blocks that are known.
    pub blocks: Gauge<i64, AtomicI64>,
    /// Steps carried out.
    pub writes: Counter,
    /// Steps that had to be repeated because the pool or a block had changed: no failures.
    pub stale: Counter,
    /// Steps that failed.
    pub failures: Counter,
    lag: Histogram,
}

impl Metrics {
    /// Metrics that `registry` reports.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("spiderpool_controller");
        let metrics = Self {
            pools: Gauge::default(),
            blocks: Gauge::default(),
            writes: Counter::default(),
            stale: Counter::default(),
            failures: Counter::default(),
            lag: Histogram::new(SECONDS),
        };
        registry.register("pools", "SpiderIPPools that are known", metrics.pools.clone());
        registry.register("blocks", "SpiderIPBlocks that are known", metrics.blocks.clone());
        registry.register("pool_writes", "Changes of pools that were written", metrics.writes.clone());
        registry.register("pool_stale_writes", "Changes made again: the pool had changed", metrics.stale.clone());
        registry.register("pool_write_failures", "Changes of pools that failed", metrics.failures.clone());
        registry.register("pool_lag_seconds", "From seeing a change until it was written", metrics.lag.clone());
        metrics
    }

    /// Counts one change that was written.
    pub(crate) fn wrote(&self, lag: Duration) {
        self.writes.inc();
        self.lag.observe(lag.as_secs_f64());
    }
}
