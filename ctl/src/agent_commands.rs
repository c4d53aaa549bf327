//! The commands that ask the agent.

use anyhow::Result;
use spiderpool_wire::explain::{ExplainArgs, Explanation};
use spiderpool_wire::path;
use spiderpool_wire::summary::{AllocationSummary, PolicySummary, PoolSummary};

use crate::client::Agent;
use crate::output::{self, Format};
use crate::{Outcome, explain as layout, tables};

/// Which addresses to list; all conditions must hold.
#[derive(clap::Args)]
pub(crate) struct IpFilter {
    /// Only addresses of this pool.
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// Only addresses of pods in this namespace.
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Only addresses of pods with this name.
    #[arg(long, value_name = "NAME")]
    pod: Option<String>,
}

impl IpFilter {
    fn admits(&self, allocation: &AllocationSummary) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        is(&self.pool, &allocation.pool)
            && is(&self.namespace, &allocation.pod_namespace)
            && is(&self.pod, &allocation.pod_name)
    }
}

pub(crate) async fn ip_list(agent: &Agent, filter: &IpFilter, format: Format) -> Result<Outcome> {
    let mut rows: Vec<AllocationSummary> = agent.get(path::ALLOCATIONS).await?;
    rows.retain(|row| filter.admits(row));
    rows.sort_by(|a, b| (a.address, &a.pool).cmp(&(b.address, &b.pool)));
    output::answer(format, &rows, || tables::allocations(&rows))?;
    Ok(Outcome::Done)
}

pub(crate) async fn pool_list(agent: &Agent, format: Format) -> Result<Outcome> {
    let mut rows: Vec<PoolSummary> = agent.get(path::POOLS).await?;
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    output::answer(format, &rows, || tables::pools(&rows))?;
    Ok(Outcome::Done)
}

/// In the order in which they are asked.
pub(crate) async fn policy_list(agent: &Agent, format: Format) -> Result<Outcome> {
    let mut rows: Vec<PolicySummary> = agent.get(path::POLICIES).await?;
    rows.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    output::answer(format, &rows, || tables::policies(&rows))?;
    Ok(Outcome::Done)
}

pub(crate) async fn explain(
    agent: &Agent,
    pod_namespace: String,
    pod_name: String,
    if_name: String,
    format: Format,
) -> Result<Outcome> {
    let question = ExplainArgs { pod_namespace, pod_name, if_name };
    let explanation: Explanation = agent.get_with(path::EXPLAIN, &question).await?;
    output::answer(format, &explanation, || layout::text(&explanation))?;
    Ok(if explanation.refusal.is_none() { Outcome::Done } else { Outcome::Refused })
}
