//! Time and CPU time per write.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use spiderpool_cluster::{Cluster, Usage};

/// The first lines of a table of [`Row`]s.
pub(crate) const HEAD: &str = "\
| write | entries | in flight | per s | ms each | API server CPU ms | etcd CPU ms | request bytes | reply bytes |
|---|---|---|---|---|---|---|---|---|";

/// A line of the table.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) entries: usize,
    pub(crate) in_flight: usize,
    pub(crate) writes: u32,
    pub(crate) request: usize,
    pub(crate) reply: usize,
    pub(crate) spent: Spent,
}

/// What passed while something was done.
pub(crate) struct Spent {
    time: Duration,
    apiserver: Duration,
    etcd: Duration,
}

/// Runs some writes, and tells what the last of them says along with what all of them cost.
pub(crate) async fn measure<T>(cluster: &Cluster, work: impl Future<Output = Result<T>>) -> Result<(T, Spent)> {
    let usage = || -> Result<(Usage, Usage)> { Ok((cluster.apiserver.usage()?, cluster.etcd.usage()?)) };
    let before = usage()?;
    let started = Instant::now();
    let result = work.await?;
    let time = started.elapsed();
    let after = usage()?;
    Ok((result, Spent { time, apiserver: (after.0 - before.0).cpu, etcd: (after.1 - before.1).cpu }))
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, entries, in_flight, writes, request, reply, spent } = self;
        let each = |time: Duration| time.as_secs_f64() * 1000.0 / f64::from(*writes);
        write!(
            f,
            "| {name} | {entries} | {in_flight} | {:.0} | {:.2} | {:.2} | {:.2} | {request} | {reply} |",
            f64::from(*writes) / spent.time.as_secs_f64(),
            // Of one writer's time: with ten in flight each takes ten times its share.
            each(spent.time) * (*in_flight as f64),
            each(spent.apiserver),
            each(spent.etcd),
        )
    }
}
