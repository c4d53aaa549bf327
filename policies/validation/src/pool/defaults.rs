//! What is filled in before a pool is judged.

use serde_json::json;
use spiderpool_ip::Cidr;

use crate::document::{Draft, text, value};
use crate::{addresses, family};

use super::{space, subnet};

/// On every pool: its subnet as a label value.
const SUBNET_LABEL: &str = "ipam.spidernet.io/ippool-cidr";

/// Finalizer, family and label. What cannot be told from the object is left to the rules.
pub(super) fn fill(draft: &mut Draft) {
    draft.add_finalizer();
    if let Ok(Some(Ok(subnet))) = text(draft.object(), subnet::FIELD).map(|text| text.map(str::parse::<Cidr>)) {
        if value(draft.object(), family::FIELD).is_none() {
            draft.set(family::FIELD, json!(subnet.family().version()));
        }
        draft.set_label(SUBNET_LABEL, &label_value(&subnet));
    }
}

/// Lists in order. Last, so that rules name items by the places where their author wrote them.
pub(super) fn put_in_order(draft: &mut Draft) {
    addresses::merge(draft, space::IPS);
    addresses::merge(draft, space::EXCLUDED);
}

/// The first three `.`, the first seven `:` and the first `/` become `-`, since label values may have none of these.
fn label_value(subnet: &Cidr) -> String {
    subnet.to_string().replacen('.', "-", 3).replacen(':', "-", 7).replacen('/', "-", 1)
}
