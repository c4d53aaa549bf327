//! Lists as people read them.

use spiderpool_ip::Family;
use spiderpool_wire::summary::{AllocationSummary, PolicyPhase, PolicySummary, PoolSummary};
use tabled::builder::Builder;
use tabled::settings::object::{Columns, Rows};
use tabled::settings::{Alignment, Padding, Style};

/// The digits of a digest that are shown: enough to tell components apart, as in Git.
const SHORT_DIGEST: usize = 12;

/// A table without lines, as `kubectl` prints: two blanks between columns, none at the end of a line.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>, numbers: &[usize]) -> String {
    let mut builder = Builder::default();
    builder.push_record(head);
    rows.for_each(|row| builder.push_record(row));
    let mut table = builder.build();
    table.with(Style::empty()).with(Padding::new(0, 2, 0, 0));
    for column in numbers {
        table.modify(Columns::one(*column), Alignment::right());
    }
    table.modify(Rows::first(), Alignment::left());
    for column in numbers {
        table.modify((0, *column), Alignment::right());
    }
    table.to_string().lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// `IPv4` or `IPv6`.
pub(crate) fn family(family: Family) -> String {
    format!("IPv{}", family.version())
}

fn count(count: u64) -> String {
    if count == u64::MAX { "≥ 2^64".to_owned() } else { count.to_string() }
}

fn flag(flag: bool) -> String {
    if flag { "yes" } else { "" }.to_owned()
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

pub(crate) fn pools(pools: &[PoolSummary]) -> String {
    if pools.is_empty() {
        return "There are no pools.\n".to_owned();
    }
    let rows = pools.iter().map(|pool| {
        [
            pool.name.clone(),
            family(pool.family),
            pool.subnet.clone(),
            count(pool.total),
            count(pool.allocated),
            count(pool.quarantined),
            count(pool.free),
            flag(pool.default),
            flag(pool.disabled),
        ]
    });
    table(
        ["NAME", "FAMILY", "SUBNET", "TOTAL", "ALLOCATED", "QUARANTINED", "FREE", "DEFAULT", "DISABLED"],
        rows,
        &[3, 4, 5, 6],
    )
}

pub(crate) fn allocations(allocations: &[AllocationSummary]) -> String {
    if allocations.is_empty() {
        return "No address is held.\n".to_owned();
    }
    let rows = allocations.iter().map(|held| {
        [
            held.address.to_string(),
            held.pool.clone(),
            held.pod_namespace.clone(),
            held.pod_name.clone(),
            held.interface.clone(),
            or_dash(&held.node),
        ]
    });
    table(["ADDRESS", "POOL", "NAMESPACE", "POD", "INTERFACE", "NODE"], rows, &[])
}

pub(crate) fn policies(policies: &[PolicySummary]) -> String {
    if policies.is_empty() {
        return "There are no policies.\n".to_owned();
    }
    let rows = policies.iter().map(|policy| {
        let phase = match policy.phase {
            PolicyPhase::Ready => "Ready",
            PolicyPhase::Failed => "Failed",
        };
        [
            policy.name.clone(),
            policy.order.to_string(),
            phase.to_owned(),
            or_dash(&policy.extension_points.join(",")),
            policy.mode.clone(),
            policy.on_failure.clone(),
            or_dash(policy.contract_version.as_deref().unwrap_or_default()),
            or_dash(&short_digest(policy.digest.as_deref().unwrap_or_default())),
        ]
    });
    let mut text =
        table(["NAME", "ORDER", "PHASE", "ASKED FOR", "MODE", "ON FAILURE", "CONTRACT", "DIGEST"], rows, &[1]);
    let said: Vec<_> = policies.iter().filter(|policy| !policy.message.is_empty()).collect();
    if !said.is_empty() {
        text.push('\n');
    }
    for policy in said {
        text += &format!("{}: {}\n", policy.name, policy.message);
    }
    text
}

fn short_digest(digest: &str) -> String {
    digest.trim_start_matches("sha256:").chars().take(SHORT_DIGEST).collect()
}

#[cfg(test)]
mod tests;
