//! When records are written: behind the requests, since a pod starts with its address and nobody waits for its record.

use std::time::Duration;

use futures::future::join_all;
use spiderpool_storage::kube::KubeLedger;
use spiderpool_storage::{Ledger as _, Pick, Release};
use tokio::time::sleep;

use crate::calm::{alone, ask_of, wide};
use crate::cluster::Cluster;

/// How much longer than promised a record may take: four are written at once, and some requests take seconds.
const LATE: u64 = 5_000;

/// That many pods, one after the other, so far apart.
async fn add(agent: &KubeLedger, pods: u64, apart: u64) {
    let adds = (0..pods).map(|n| async move {
        sleep(Duration::from_millis(apart * n)).await;
        agent.reserve(ask_of(&wide(), &format!("pod{n}"), &format!("uid{n}"), &[], Pick::Lowest)).await.unwrap();
    });
    join_all(adds).await;
}

/// When the API server did such things, in milliseconds.
fn times(cluster: &Cluster, what: &str) -> Vec<u64> {
    let state = cluster.0.lock();
    let lines = state.trace.lines().filter(|line| line.contains(what));
    lines.map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn the_record_of_a_pod_that_comes_alone_is_soon_written() {
    alone(async |seed, cluster, agent| {
        add(&agent, 1, 0).await;
        let answered = times(&cluster, "take").len();
        assert_eq!((answered, times(&cluster, "put").len()), (1, 0), "seed {seed}");
        sleep(Duration::from_millis(500 + LATE)).await;
        let (taken, put) = (times(&cluster, "take")[0], times(&cluster, "put"));
        assert_eq!(put.len(), 1, "seed {seed}");
        assert!(put[0] - taken >= 500, "seed {seed}: another pod was to be expected");
    });
}

/// The more came, the longer others are to be expected; but half a second for each of twenty would be too long.
#[test]
fn records_wait_for_the_end_of_the_requests_but_not_for_ever() {
    alone(async |seed, cluster, agent| {
        add(&agent, 20, 100).await;
        assert_eq!(times(&cluster, "put"), [0; 0], "seed {seed}: a record was written between requests");
        let taken = times(&cluster, "take")[0];
        sleep(Duration::from_millis(5_000 + LATE)).await;
        let put = times(&cluster, "put");
        assert_eq!(put.len(), 20, "seed {seed}");
        assert!(put[0] > taken + 5_000, "seed {seed}: the first was written at {} ms", put[0]);
    });
}

#[test]
fn records_that_are_far_behind_do_not_wait() {
    alone(async |seed, cluster, agent| {
        add(&agent, 128 + 32, 0).await;
        sleep(Duration::from_secs(4)).await;
        let taken = times(&cluster, "take")[0];
        let put = times(&cluster, "put").into_iter().filter(|at| *at < taken + 5_000).count();
        assert!((32..=32 + 4).contains(&put), "seed {seed}: {put} records were written at once");
    });
}

#[test]
fn what_came_and_went_is_not_recorded() {
    alone(async |seed, cluster, agent| {
        add(&agent, 10, 0).await;
        for n in 0..10 {
            agent.release(Release { uid: format!("uid{n}"), ..Release::default() }).await.unwrap();
        }
        assert!(agent.close(Duration::from_secs(60)).await);
        assert_eq!(times(&cluster, "put"), [0; 0], "seed {seed}");
    });
}
