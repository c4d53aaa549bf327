use std::collections::BTreeMap;

use spiderpool_crd::PoolHolder;

use super::*;
use crate::projection::{Holders, KnownBlock};

fn pool(finalizers: &[&str], deleting: bool, status: SpiderIPPoolStatus) -> Pool {
    let finalizers = finalizers.iter().map(|name| (*name).to_owned()).collect();
    Pool { version: "7".to_owned(), finalizers, deleting, total: Some(256), status, projected: false }
}

fn status(list: Option<&str>, allocated: i64) -> SpiderIPPoolStatus {
    SpiderIPPoolStatus {
        allocated_ips: list.map(str::to_owned),
        total_ip_count: Some(256),
        allocated_ip_count: Some(allocated),
    }
}

fn block(holders: usize) -> PoolBlocks {
    let holder = || PoolHolder { pod: "shop/web".to_owned(), pod_uid: "u".to_owned() };
    let listed = (0..holders).map(|n| ([10, 6, 0, u8::try_from(n).unwrap()].into(), holder())).collect();
    let known = KnownBlock { version: "5".to_owned(), holders: Holders::Listed(listed) };
    BTreeMap::from([("10.6.0.0/28".parse().unwrap(), known)])
}

const LIST: &str = r#"{"10.6.0.0":{"pod":"shop/web","podUid":"u"}}"#;

#[test]
fn a_pool_without_the_finalizer_gets_it_beside_others() {
    let (step, _) = next("p", &pool(&["else.io/x"], false, status(None, 0)), &BTreeMap::new(), 5000);
    let patch = json!({"metadata": {"resourceVersion": "7", "finalizers": ["else.io/x", "spiderpool.spidernet.io"]}});
    assert_eq!(step, Some(Step::Object(patch)));
}

#[test]
fn only_what_differs_is_written() {
    let finalizers = [FINALIZER];
    let (step, _) = next("p", &pool(&finalizers, false, status(Some(LIST), 0)), &block(1), 5000);
    let patch = json!({"metadata": {"resourceVersion": "7"}, "status": {"allocatedIPCount": 1}});
    assert_eq!(step, Some(Step::Status { patch, manager: MANAGER_PROJECTION }));
    let (step, _) = next("p", &pool(&finalizers, false, status(Some(LIST), 1)), &block(1), 5000);
    assert_eq!(step, None);
    let (step, _) = next("p", &pool(&finalizers, false, status(Some(LIST), 1)), &block(0), 5000);
    let changes = json!({"allocatedIPs": null, "allocatedIPCount": 0});
    let patch = json!({"metadata": {"resourceVersion": "7"}, "status": changes});
    assert_eq!(step, Some(Step::Status { patch, manager: MANAGER_PROJECTION }));
}

/// Agents that made blocks without asking would give away what the removed one had.
#[test]
fn records_that_wait_for_a_block_again_are_written_in_another_name_though_they_stay_the_same() {
    let step = |pool: &Pool, blocks: &PoolBlocks| next("p", pool, blocks, 5000).0;
    let status_step = |text: &str, manager| {
        let patch = json!({"metadata": {"resourceVersion": "7"}, "status": {"allocatedIPs": text}});
        Some(Step::Status { patch, manager })
    };
    let waiting = pool(&[FINALIZER], false, status(Some(LIST), 1));
    let projected = Pool { projected: true, ..waiting.clone() };
    let blank = format!("{LIST} ");
    assert_eq!(step(&projected, &block(1)), None);
    assert_eq!(step(&projected, &BTreeMap::new()), status_step(&blank, MANAGER));
    let told = pool(&[FINALIZER], false, status(Some(&blank), 1));
    assert_eq!(step(&told, &BTreeMap::new()), status_step(LIST, MANAGER));
    assert_eq!(step(&waiting, &BTreeMap::new()), None, "as Spiderpool writes it");
}

#[test]
fn a_pool_goes_when_its_last_address_is_free() {
    let finalizers = ["else.io/x", FINALIZER];
    let (step, _) = next("p", &pool(&finalizers, true, status(Some(LIST), 1)), &block(1), 5000);
    assert_eq!(step, None, "held by a block");
    let (step, _) = next("p", &pool(&finalizers, true, status(Some(LIST), 1)), &BTreeMap::new(), 5000);
    assert_eq!(step, None, "held by a record that no block has taken over");
    let (step, problem) = next("p", &pool(&finalizers, true, status(Some("["), 0)), &BTreeMap::new(), 5000);
    assert!(step.is_none() && problem.is_some(), "nobody knows");
    let (step, _) = next("p", &pool(&finalizers, true, status(None, 0)), &block(0), 5000);
    let patch = json!({"metadata": {"resourceVersion": "7", "finalizers": ["else.io/x"]}});
    let blocks = vec![("p.0a060000".to_owned(), "5".to_owned())];
    assert_eq!(step, Some(Step::Release { blocks, patch }));
    // What is deleted without our finalizer gets none.
    let (step, _) = next("p", &pool(&["else.io/x"], true, status(None, 0)), &block(0), 5000);
    assert_eq!(step, None);
}
