//! Lists of address ranges: in objects as text, in facts as pairs.

use serde_json::Value;
use spiderpool_ip::{Cidr, Family, IpRange, IpSet, RangeError};
use spiderpool_policy_guide::address::to_std;
use spiderpool_policy_guide::types;
use spiderpool_policy_guide::validation::Cause;

use crate::cause;
use crate::document::{Draft, as_text, list};

/// Sorts the list at `field` and joins what overlaps or touches.
///
/// A list of one is left as it is written. One that holds something that is no range, or both families, is left to the
/// rules.
pub(crate) fn merge(draft: &mut Draft, field: &str) {
    let Ok(items) = list(draft.object(), field) else { return };
    if items.len() < 2 {
        return;
    }
    let Some(ranges) = items.iter().map(|item| item.as_str()?.parse().ok()).collect::<Option<Vec<IpRange>>>() else {
        return;
    };
    let Ok(set) = IpSet::from_ranges(ranges[0].family(), ranges) else { return };
    let merged: Vec<Value> = set.iter_ranges().map(|range| range.to_string().into()).collect();
    if merged != items {
        draft.set(field, merged.into());
    }
}

/// The addresses of the list at `field`, each item judged by `accept`, which says why one is wrong.
///
/// Items that overlap need no rule: [`merge`] joins them.
pub(crate) fn read(
    object: &Value,
    field: &str,
    family: Family,
    accept: impl Fn(&IpRange) -> Result<(), String>,
) -> Result<IpSet, Vec<Cause>> {
    let items = list(object, field).map_err(|cause| vec![cause])?;
    let mut ranges = Vec::with_capacity(items.len());
    let mut causes = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item.as_str().map(|text| range(text, family, &accept)) {
            Some(Ok(range)) => ranges.push(range),
            Some(Err(message)) => causes.push(cause::invalid(&format!("{field}[{index}]"), message)),
            None => causes.extend(as_text(item, &format!("{field}[{index}]")).err()),
        }
    }
    if !causes.is_empty() {
        return Err(causes);
    }
    IpSet::from_ranges(family, ranges).map_err(|error| vec![cause::invalid(field, error)])
}

fn range(text: &str, family: Family, accept: impl Fn(&IpRange) -> Result<(), String>) -> Result<IpRange, String> {
    let range: IpRange = text.parse().map_err(|error: RangeError| error.to_string())?;
    if range.family() != family {
        return Err(format!("{range} is {}; write {family} addresses", range.family()));
    }
    accept(&range).map(|()| range)
}

/// Ranges of the facts in arithmetic; what is of another family does not bear on the question.
pub(crate) fn set_of(family: Family, ranges: &[types::IpRange]) -> IpSet {
    let native = ranges.iter().filter_map(|range| IpRange::new(to_std(&range.first), to_std(&range.last)).ok());
    let own = native.filter(|range| range.family() == family);
    IpSet::from_ranges(family, own).unwrap_or_else(|_| IpSet::empty(family))
}

/// Whether the facts' network is `subnet`.
pub(crate) fn is_same(network: &types::Cidr, subnet: Cidr) -> bool {
    to_std(&network.address) == subnet.address() && network.prefix_length == subnet.prefix()
}

/// The set for a sentence: its ranges with commas between, the first eight where there are many.
pub(crate) fn sentence(set: &IpSet) -> String {
    const SHOWN: usize = 8;
    let ranges: Vec<String> = set.iter_ranges().take(SHOWN).map(|range| range.to_string()).collect();
    match set.iter_ranges().len().saturating_sub(SHOWN) {
        0 => ranges.join(", "),
        more => format!("{} and {more} more ranges", ranges.join(", ")),
    }
}
