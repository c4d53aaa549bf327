//! `SpiderIPPool.status.allocatedIPs`: who holds which address of a pool, as Spiderpool writes it.
//!
//! The field is a string that holds one JSON object, written like Go's `encoding/json` does: no blanks, keys sorted
//! by their bytes, `<`, `>` and `&` escaped. Byte for byte the same text means that two writers of the same records
//! do not overwrite each other for nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use spiderpool_ip::{AddressError, parse_address};

/// The holders of a pool's addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocatedIps(pub BTreeMap<IpAddr, PoolHolder>);

/// The pod that holds an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolHolder {
    /// `namespace/name` of the pod, or of the virtual machine that it runs.
    pub pod: String,
    /// The pod's UID. Records of old releases have none.
    #[serde(default)]
    pub pod_uid: String,
}

/// The field manager of spiderpool-controller where every holder that it lists is in a block: whoever makes another block
/// need not look for holders of its addresses in the field.
pub const MANAGER_PROJECTION: &str = "spiderpool-projection";

/// The field managers that wrote the field in a pool of that metadata: one, as a rule, or none where it was never written.
#[must_use]
pub fn managers_of_records(metadata: &ObjectMeta) -> Vec<&str> {
    let entries = metadata.managed_fields.iter().flatten().filter(|entry| {
        entry.fields_v1.as_ref().is_some_and(|fields| !fields.0["f:status"]["f:allocatedIPs"].is_null())
    });
    entries.map(|entry| entry.manager.as_deref().unwrap_or_default()).collect()
}

/// Why the text is not a list of holders.
#[derive(Debug, thiserror::Error)]
pub enum AllocatedIpsError {
    /// Not JSON, or not of the right shape.
    #[error("status.allocatedIPs is not a JSON object of holders by address: {0}; restore the status or clear it")]
    Json(#[from] serde_json::Error),
    /// A key is not an address.
    #[error("status.allocatedIPs has a bad key: {0}")]
    Address(#[from] AddressError),
}

impl AllocatedIps {
    /// Reads the field. No text, and an empty one, mean that nobody holds an address.
    ///
    /// Unknown keys of a record are ignored: older releases wrote `interface` and `containerID` too.
    ///
    /// # Errors
    /// Text that is not such a JSON object, and the first key that is not an address.
    pub fn parse(field: Option<&str>) -> Result<Self, AllocatedIpsError> {
        let Some(text) = field.filter(|text| !text.is_empty()) else {
            return Ok(Self::default());
        };
        let records: BTreeMap<String, PoolHolder> = serde_json::from_str(text)?;
        let by_address = records.into_iter().map(|(key, holder)| Ok((parse_address(&key)?, holder)));
        by_address.collect::<Result<_, AddressError>>().map(Self).map_err(AllocatedIpsError::from)
    }

    /// The field's value: `None` when nobody holds an address, since even `{}` would keep a pool from being deleted.
    #[must_use]
    pub fn to_field(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        // As text, `10.0.0.10` comes before `10.0.0.9`.
        let by_text: BTreeMap<String, &PoolHolder> =
            self.0.iter().map(|(address, holder)| (address.to_string(), holder)).collect();
        let mut out = String::from("{");
        for (index, (address, PoolHolder { pod, pod_uid })) in by_text.into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&go_string(&address));
            out.push_str(r#":{"pod":"#);
            out.push_str(&go_string(pod));
            out.push_str(r#","podUid":"#);
            out.push_str(&go_string(pod_uid));
            out.push('}');
        }
        out.push('}');
        Some(out)
    }
}

/// A JSON string as Go's `encoding/json` writes it by default.
fn go_string(text: &str) -> String {
    let escaped = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
    let mut out = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        if escaped(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = concat!(
        r#"{"10.6.0.10":{"pod":"shop/web-0","podUid":"6b1c"},"#,
        r#""10.6.0.9":{"pod":"shop/web-1","podUid":"77aa"},"#,
        r#""fd00::5":{"pod":"shop/web-0","podUid":"6b1c"}}"#,
    );

    #[test]
    fn the_text_is_read_and_written_byte_for_byte() {
        let parsed = AllocatedIps::parse(Some(GOLDEN)).unwrap();
        assert_eq!(parsed.0.len(), 3);
        assert_eq!(parsed.0[&"10.6.0.9".parse::<IpAddr>().unwrap()].pod, "shop/web-1");
        assert_eq!(parsed.to_field().as_deref(), Some(GOLDEN));
    }

    #[test]
    fn nothing_is_absent_and_never_an_empty_object() {
        assert_eq!(AllocatedIps::default().to_field(), None);
        for field in [None, Some(""), Some("{}")] {
            assert_eq!(AllocatedIps::parse(field).unwrap(), AllocatedIps::default());
        }
    }

    #[test]
    fn records_of_older_releases_are_read() {
        let old = r#"{"10.6.0.9":{"interface":"eth0","pod":"shop/web-1","containerID":"abc"}}"#;
        let written = AllocatedIps::parse(Some(old)).unwrap().to_field();
        assert_eq!(written.as_deref(), Some(r#"{"10.6.0.9":{"pod":"shop/web-1","podUid":""}}"#));
    }

    #[test]
    fn strings_are_escaped_as_go_does() {
        let holder = PoolHolder { pod: "a<b>&\u{2028}\"\\\n\u{1}ü".to_owned(), pod_uid: String::new() };
        let ips = AllocatedIps([(IpAddr::from([10, 6, 0, 9]), holder)].into());
        let golden = r#"{"10.6.0.9":{"pod":"a\u003cb\u003e\u0026\u2028\"\\\n\u0001ü","podUid":""}}"#;
        assert_eq!(ips.to_field().as_deref(), Some(golden));
        assert_eq!(AllocatedIps::parse(Some(golden)).unwrap(), ips);
    }

    #[test]
    fn bad_text_is_named() {
        let error = AllocatedIps::parse(Some("[]")).unwrap_err().to_string();
        assert!(error.starts_with("status.allocatedIPs is not a JSON object of holders by address: "), "{error}");
        let error = AllocatedIps::parse(Some(r#"{"10.6":{"pod":"a/b"}}"#)).unwrap_err().to_string();
        assert!(error.starts_with(r#"status.allocatedIPs has a bad key: "10.6" is not an IP address"#), "{error}");
    }
}
