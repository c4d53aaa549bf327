//! The agent: what it is made of, and what it can tell without changing anything.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::registry::Registry;
use spiderpool_ip::Family;
use spiderpool_runtime::{PolicyHost, types};
use spiderpool_storage::catalog::Catalog;
use spiderpool_storage::{Endpoint, Ledger};
use spiderpool_wire::ErrorCode;
use spiderpool_wire::endpoint::{WorkloadEndpointArgs, WorkloadEndpointStatus};
use spiderpool_wire::ipam::IpamAddResponse;
use spiderpool_wire::summary::{AllocationSummary, PolicySummary, PoolSummary, saturate};
use spiderpool_wire::upkeep::{IpamCheckArgs, IpamStatus};
use tokio::sync::watch;

use crate::answer;
use crate::config::Config;
use crate::detection::Detection;
use crate::failure::Failure;
use crate::in_flight::InFlight;
use crate::lingering::Lingering;
use crate::metrics::Metrics;
use crate::pod::{self, Claim};
use crate::stateful::Kinds;
use crate::surroundings::Surroundings;
use crate::view::View;

/// Everything that a request needs. Shared by all of them; nothing in it is changed but the ledger.
pub(crate) struct Agent {
    /// Who holds which address.
    pub ledger: Arc<dyn Ledger>,
    /// Who decides.
    pub policies: PolicyHost,
    /// Who knows the pods.
    pub surroundings: Box<dyn Surroundings>,
    /// What is known.
    pub view: watch::Receiver<Arc<View>>,
    /// What the installation is configured to do.
    pub config: Config,
    /// This node's name.
    pub node: String,
    /// The namespace to which network names without a namespace belong.
    pub install_namespace: String,
    /// The network of interfaces for which a pod names none.
    pub cluster_network: Option<String>,
    /// Whether a pod loses an address that somebody else on the network uses.
    pub release_conflicts: bool,
    /// What is counted.
    pub metrics: Metrics,
    /// What is counted, for whoever reads it: `metrics` and those of all parts.
    pub registry: Registry,
    /// The ADDs under way.
    pub in_flight: InFlight,
    /// What DELs left with pods.
    pub lingering: Lingering,
    /// Whose pods come back under their names.
    pub kinds: Kinds,
}

impl Agent {
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// The surroundings of a pod, for policies.
    pub(crate) fn context(&self, catalog: &Catalog, pod: types::Pod, namespace: types::Namespace) -> types::Context {
        let families = self.config.families().into_iter().map(|family| match family {
            Family::V4 => types::Family::Ipv4,
            Family::V6 => types::Family::Ipv6,
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        types::Context {
            pod,
            namespace,
            node: pod::node(&self.node, catalog),
            cluster: types::Cluster {
                install_namespace: self.install_namespace.clone(),
                default_network: self.cluster_network.clone(),
                families: families.collect(),
                subnets: self.config.enable_spider_subnet,
            },
            moment: types::Moment {
                unix_milliseconds: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
                seed: fastrand::u64(..),
            },
            extra: Vec::new(),
        }
    }

    /// The addresses that the ledger holds for an interface of a sandbox.
    ///
    /// # Errors
    /// It holds none, or the ledger cannot be read.
    pub(crate) async fn check(&self, args: IpamCheckArgs) -> Result<IpamAddResponse, Failure> {
        let held = self.ledger.held_by_container(&args.container_id, Some(&args.if_name)).await?;
        if held.is_empty() {
            let message = format!(
                "the ledger holds no address for {} of sandbox {} (pod {}/{}); delete the pod so that it is made again",
                args.if_name, args.container_id, args.pod_namespace, args.pod_name
            );
            return Err(Failure::new(ErrorCode::NotFound, message));
        }
        let detection = Detection { config: &self.config, catalog: &self.view().catalog };
        Ok(answer::addresses(held.iter().map(|allocation| &allocation.lease), detection))
    }

    /// Whether an ADD may succeed: nothing keeps the agent from serving, and some pool that is not disabled has room.
    #[must_use]
    pub(crate) fn status(&self) -> IpamStatus {
        if let Some(reason) = self.surroundings.trouble() {
            return IpamStatus { ready: false, reason };
        }
        let pools = self.pools();
        let rooms = pools.iter().filter(|pool| !pool.disabled && pool.free > 0).count();
        let reason = match (pools.len(), rooms) {
            (0, _) => "there is no IP pool; add a SpiderIPPool".to_owned(),
            (all, 0) => format!("none of {all} IP pools has a free address; add addresses to spec.ips of one"),
            (all, rooms) => format!("{rooms} of {all} IP pools have free addresses"),
        };
        IpamStatus { ready: rooms > 0, reason }
    }

    /// All pools, by name.
    #[must_use]
    pub(crate) fn pools(&self) -> Vec<PoolSummary> {
        let view = self.view();
        let rows = view.catalog.pools.iter().map(|(name, pool)| {
            let usage = self.ledger.usage(&pool.space);
            PoolSummary {
                name: name.clone(),
                family: pool.space.subnet.family(),
                subnet: pool.space.subnet.to_string(),
                total: saturate(pool.space.usable.count()),
                allocated: usage.allocated,
                quarantined: usage.quarantined,
                free: saturate(usage.free),
                default: pool.object.spec.is_default(),
                disabled: pool.object.spec.is_disabled(),
            }
        });
        rows.collect()
    }

    /// All addresses that are held, by address.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) async fn allocations(&self) -> Result<Vec<AllocationSummary>, Failure> {
        let held = self.ledger.allocations(None).await?;
        Ok(held.iter().map(|allocation| answer::allocation(allocation)).collect())
    }

    /// All policies, in the order of their chain.
    #[must_use]
    pub(crate) fn policies(&self) -> Vec<PolicySummary> {
        self.policies.summaries()
    }

    /// What one pod holds.
    ///
    /// # Errors
    /// It holds nothing, or the ledger cannot be read.
    pub(crate) async fn endpoint(&self, args: WorkloadEndpointArgs) -> Result<WorkloadEndpointStatus, Failure> {
        let WorkloadEndpointArgs { pod_namespace, pod_name } = args;
        let held = match self.ledger.endpoint(&pod_namespace, &pod_name).await? {
            None => self.endpoint_of_machine(&pod_namespace, &pod_name).await?,
            known => known,
        };
        match held {
            Some(endpoint) => Ok(answer::endpoint(&endpoint)),
            None => {
                let message = format!("SpiderEndpoint not found for pod {pod_namespace}/{pod_name}");
                Err(Failure::new(ErrorCode::NotFound, message))
            }
        }
    }

    /// What the virtual machine holds that runs in the pod: it does so under its own name.
    async fn endpoint_of_machine(&self, namespace: &str, pod: &str) -> Result<Option<Endpoint>, Failure> {
        let claim = Claim { namespace, name: pod, uid: "", container: "" };
        let Ok(asker) = self.surroundings.asker(claim, &self.view().catalog).await else { return Ok(None) };
        let machine = asker.of_machine(&self.kinds).holder.pod;
        if machine == pod {
            return Ok(None);
        }
        Ok(self.ledger.endpoint(namespace, &machine).await?)
    }
}
