//! Changes of a block as a JSON Patch (RFC 6902): every change first tests the state that it demands.
//!
//! The patch names no resourceVersion: the API server applies it to whatever is stored, again if somebody else wrote in
//! between, and so two writers only fail each other where they want the same address.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Value, json};
use spiderpool_crd::SpiderIPBlock;
use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_crd::keys::{LABEL_BLOCK_HELD, LABEL_BLOCK_NEIGHBOURHOOD, LABEL_BLOCK_POOL};

use crate::kube::{BlockId, Change, Mark};

/// One step of a patch.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(super) enum Step {
    /// Fails the whole patch unless the value is there. `null` stands for nothing being there.
    Test { path: String, value: Value },
    /// Adds or replaces.
    Add { path: String, value: Value },
    /// Fails the whole patch unless something is there.
    Remove { path: String },
}

/// The patch that makes all changes, sets the mark if there is one, and has the server forget who wrote which field.
///
/// `managedFields` would name every address a second time. An object without any is not tracked any more, but one that is
/// created is; that it is told in every patch spares us to know which one is the first.
pub(super) fn patch(id: &BlockId, changes: &[Change], mark: Option<Mark>) -> Vec<Step> {
    let mut steps = Vec::with_capacity(changes.len() * 3 + 2);
    for change in changes {
        push(&mut steps, change);
    }
    // All of them: adding one fails where somebody removed the last, and so like a lost race.
    steps.extend(mark.map(|mark| Step::Add { path: "/metadata/labels".to_owned(), value: labels(id, mark) }));
    steps.push(Step::Add { path: "/metadata/managedFields".to_owned(), value: json!([{}]) });
    steps
}

/// The labels of a block.
pub(super) fn labels(id: &BlockId, mark: Mark) -> Value {
    json!({
        LABEL_BLOCK_POOL: SpiderIPBlock::label_of(&id.pool),
        LABEL_BLOCK_NEIGHBOURHOOD: SpiderIPBlock::neighbourhood_of(id.block),
        LABEL_BLOCK_HELD: mark.to_string(),
    })
}

fn push(steps: &mut Vec<Step>, change: &Change) {
    match change {
        Change::Take { address, to } => {
            is_free(steps, *address);
            steps.push(Step::Add { path: allocation(*address), value: json!(to) });
        }
        Change::Move { address, from, to } => {
            is_held(steps, *address, from);
            steps.push(Step::Add { path: allocation(*address), value: json!(to) });
        }
        Change::Free { address, from } => {
            is_held(steps, *address, from);
            steps.push(Step::Remove { path: allocation(*address) });
        }
        Change::Rest { address, from, rest } => {
            match from {
                Some(from) => {
                    is_held(steps, *address, from);
                    steps.push(Step::Remove { path: allocation(*address) });
                }
                None => is_free(steps, *address),
            }
            steps.push(Step::Add { path: quarantine(*address), value: json!(rest) });
        }
        Change::Wake { address, from } => {
            let path = quarantine(*address);
            steps.push(Step::Test { path: path.clone(), value: json!(from) });
            steps.push(Step::Remove { path });
        }
    }
}

fn is_free(steps: &mut Vec<Step>, address: IpAddr) {
    for path in [allocation(address), quarantine(address)] {
        steps.push(Step::Test { path, value: Value::Null });
    }
}

fn is_held(steps: &mut Vec<Step>, address: IpAddr, from: &BlockAllocation) {
    steps.push(Step::Test { path: allocation(address), value: json!(from) });
}

// Addresses have no `/` and no `~`, so they need no escapes.
fn allocation(address: IpAddr) -> String {
    format!("/spec/allocations/{address}")
}

fn quarantine(address: IpAddr) -> String {
    format!("/spec/quarantine/{address}")
}

#[cfg(test)]
mod tests {
    use spiderpool_crd::ipblock::Quarantine;

    use super::*;

    fn holder(uid: &str) -> BlockAllocation {
        format!("pod=shop/web-0 uid={uid} nic=eth0 node=n sandbox=c").parse().unwrap()
    }

    fn id() -> BlockId {
        BlockId { pool: "p".into(), block: "10.6.17.0/28".parse().unwrap() }
    }

    fn steps(change: Change) -> Value {
        let mut steps = serde_json::to_value(patch(&id(), &[change], Some(Mark::default()))).unwrap();
        let all = steps.as_array_mut().unwrap();
        let ends = all.split_off(all.len() - 2);
        let value = json!({
            "ipam.spidernet.io/block-pool": "p",
            "ipam.spidernet.io/block-neighbourhood": "0a061000",
            "ipam.spidernet.io/block-held": "0000",
        });
        let labels = json!({"op": "add", "path": "/metadata/labels", "value": value});
        assert_eq!(ends, [labels, json!({"op": "add", "path": "/metadata/managedFields", "value": [{}]})]);
        steps
    }

    #[test]
    fn an_address_is_taken_when_it_is_neither_held_nor_resting() {
        let taken = steps(Change::Take { address: "fd00::5".parse().unwrap(), to: holder("a") });
        let expected = json!([
            {"op": "test", "path": "/spec/allocations/fd00::5", "value": null},
            {"op": "test", "path": "/spec/quarantine/fd00::5", "value": null},
            {"op": "add", "path": "/spec/allocations/fd00::5", "value": holder("a")},
        ]);
        assert_eq!(taken, expected);
    }

    #[test]
    fn a_holder_is_told_by_its_whole_record() {
        let address: IpAddr = "10.6.0.5".parse().unwrap();
        let test = json!({"op": "test", "path": "/spec/allocations/10.6.0.5", "value": holder("a")});
        let remove = json!({"op": "remove", "path": "/spec/allocations/10.6.0.5"});
        let rest =
            Quarantine { until: serde_json::from_value(json!("2026-01-02T03:04:05Z")).unwrap(), reason: "x".into() };
        let rested = json!({"op": "add", "path": "/spec/quarantine/10.6.0.5", "value": rest});
        let moved = json!({"op": "add", "path": "/spec/allocations/10.6.0.5", "value": holder("b")});
        let cases = [
            (Change::Move { address, from: holder("a"), to: holder("b") }, vec![moved]),
            (Change::Free { address, from: holder("a") }, vec![remove.clone()]),
            (Change::Rest { address, from: Some(holder("a")), rest }, vec![remove, rested]),
        ];
        for (change, acts) in cases {
            assert_eq!(steps(change), Value::from([vec![test.clone()], acts].concat()));
        }
    }

    #[test]
    fn a_rest_ends_only_if_it_is_the_one_that_was_seen() {
        let address: IpAddr = "10.6.0.5".parse().unwrap();
        let rest =
            Quarantine { until: serde_json::from_value(json!("2026-01-02T03:04:05Z")).unwrap(), reason: "x".into() };
        let expected = json!([
            {"op": "test", "path": "/spec/quarantine/10.6.0.5", "value": rest},
            {"op": "remove", "path": "/spec/quarantine/10.6.0.5"},
        ]);
        assert_eq!(steps(Change::Wake { address, from: rest }), expected);
    }

    #[test]
    fn the_mark_is_written_in_the_same_patch() {
        let steps = patch(&id(), &[], "f00f".parse().ok());
        assert!(matches!(&steps[0], Step::Add { value, .. } if value[LABEL_BLOCK_HELD] == "f00f"), "{steps:?}");
        let steps = patch(&id(), &[], None);
        assert!(steps.iter().all(|step| !json!(step)["path"].as_str().unwrap().contains("labels")), "{steps:?}");
    }
}
