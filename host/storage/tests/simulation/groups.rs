//! How many requests become one write: a write costs the API server as much for one as for all of them.

use std::time::Duration;

use futures::future::join_all;
use spiderpool_storage::kube::KubeLedger;
use spiderpool_storage::{Ledger as _, Pick};
use tokio::time::sleep;

use crate::calm::{alone, ask_of, wide};

async fn add(agent: &KubeLedger, pod: &str) {
    agent.reserve(ask_of(&wide(), pod, pod, &[], Pick::Lowest)).await.unwrap();
}

/// A container runtime has so many under way: the next pod starts a moment after one has its address.
#[test]
fn those_who_come_again_are_waited_for() {
    const CLIENTS: u64 = 8;
    const PODS: u64 = 10;
    alone(async |seed, cluster, agent| {
        let clients = (0..CLIENTS).map(|client| {
            let agent = &agent;
            async move {
                for pod in 0..PODS {
                    sleep(Duration::from_millis(client)).await;
                    add(agent, &format!("{client}-{pod}")).await;
                }
            }
        });
        join_all(clients).await;
        let trace = std::mem::take(&mut cluster.0.lock().trace);
        let writes: Vec<_> = trace.lines().filter(|line| line.contains("; take")).collect();
        // The first may come alone, and two groups go by turns once before they are one.
        assert!(writes.len() as u64 <= PODS + 3, "seed {seed}: {} writes: {trace}", writes.len());
    });
}

/// What was known of the pool is still known, though nobody is at work in it any more.
#[test]
fn a_pod_that_comes_after_a_long_rest_costs_one_request() {
    alone(async |seed, cluster, agent| {
        add(&agent, "first").await;
        for rest in [70, 3_600] {
            sleep(Duration::from_secs(rest)).await;
            let before = cluster.0.lock().calls;
            add(&agent, &format!("after {rest} s")).await;
            assert_eq!(cluster.0.lock().calls - before, 1, "seed {seed}, after {rest} s");
        }
    });
}
