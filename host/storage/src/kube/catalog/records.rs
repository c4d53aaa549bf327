//! What a node knows of a pool's records of holders ([`Records`]), by who wrote them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use spiderpool_crd::{MANAGER_PROJECTION, managers_of_records};

use super::lean::WholePool;
use crate::Records;

/// Who wrote a pool's records of holders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// There are none, or they were removed; or nobody knows.
    Nobody,
    /// spiderpool-controller, from blocks.
    Us,
    Others,
}

/// What is known once a pool was read.
pub(super) fn of(pool: &WholePool) -> Records {
    let has_none = match &pool.status["allocatedIPs"] {
        Value::Null => true,
        Value::String(text) => matches!(text.trim(), "" | "{}"),
        _ => false,
    };
    match writer(&pool.metadata) {
        _ if has_none => Records::None,
        Writer::Us => settled(&pool.metadata),
        Writer::Nobody | Writer::Others => Records::Open,
    }
}

/// What is known once the pool has that metadata. Whoever adds a record is its writer; what we write of addresses without a
/// block was there before.
pub(super) fn after(before: &Records, metadata: &ObjectMeta) -> Records {
    match (writer(metadata), before) {
        // Somebody has cleared who wrote what.
        _ if metadata.managed_fields.as_ref().is_none_or(Vec::is_empty) => Records::Open,
        (Writer::Others, _) => Records::Open,
        (Writer::Us, Records::Open) => settled(metadata),
        (Writer::Us | Writer::Nobody, before) => before.clone(),
    }
}

fn settled(metadata: &ObjectMeta) -> Records {
    Records::Settled(metadata.resource_version.as_deref().unwrap_or_default().into())
}

fn writer(metadata: &ObjectMeta) -> Writer {
    match managers_of_records(metadata)[..] {
        [] => Writer::Nobody,
        [MANAGER_PROJECTION] => Writer::Us,
        _ => Writer::Others,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A pool whose fields such managers have written.
    fn whole(managers: &[(&str, &str)], field: &Value) -> WholePool {
        let entry = |(manager, field): &(&str, &str)| {
            let fields = json!({"f:status": {".": {}, *field: {}}});
            json!({"manager": manager, "operation": "Update", "subresource": "status", "fieldsV1": fields})
        };
        let entries: Vec<Value> = managers.iter().map(entry).collect();
        let metadata = json!({"name": "p", "resourceVersion": "7", "managedFields": entries});
        serde_json::from_value(json!({"metadata": metadata, "status": {"allocatedIPs": field}})).unwrap()
    }

    const RECORDS: &str = r#"{"10.6.0.9":{"pod":"shop/web-0","podUid":"u"}}"#;
    const OURS: (&str, &str) = (MANAGER_PROJECTION, "f:allocatedIPs");
    const THEIRS: (&str, &str) = ("spiderpool-agent", "f:allocatedIPs");
    const COUNTS: (&str, &str) = ("spiderpool-controller", "f:allocatedIPCount");

    #[test]
    fn records_are_as_open_as_who_wrote_them() {
        let settled = || Records::Settled("7".into());
        let read = |managers: &[_], field| of(&whole(managers, &field));
        for nothing in [Value::Null, json!(""), json!("{}")] {
            assert_eq!(read(&[THEIRS, COUNTS], nothing), Records::None);
        }
        assert_eq!(read(&[OURS, COUNTS], json!(RECORDS)), settled());
        for others in [&[THEIRS, COUNTS][..], &[OURS, THEIRS], &[COUNTS], &[]] {
            assert_eq!(read(others, json!(RECORDS)), Records::Open, "{others:?}");
        }
    }

    #[test]
    fn who_has_written_since_opens_and_settles_records() {
        let settled = |since: &str| Records::Settled(since.into());
        let after = |before: Records, managers: &[_]| super::after(&before, &whole(managers, &Value::Null).metadata);
        for before in [Records::None, settled("3"), Records::Open] {
            assert_eq!(after(before.clone(), &[COUNTS]), before, "of no concern, or removed");
            assert_eq!(after(before.clone(), &[THEIRS, COUNTS]), Records::Open);
            assert_eq!(after(before.clone(), &[OURS, THEIRS]), Records::Open);
            assert_eq!(after(before, &[]), Records::Open, "nobody knows any more");
        }
        assert_eq!(after(Records::None, &[OURS]), Records::None);
        assert_eq!(after(settled("3"), &[OURS]), settled("3"));
        assert_eq!(after(Records::Open, &[OURS]), settled("7"));
    }
}
