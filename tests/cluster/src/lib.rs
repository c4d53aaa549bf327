//! A real etcd and a real kube-apiserver for tests: on loopback, started in three seconds, thrown away afterwards.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use spiderpool_cluster::Cluster;
//!
//! let cluster = Cluster::shared().await?;          // one for all tests of this program
//! let namespace = cluster.namespace().await?;      // one for this test
//! let pools = cluster.kubectl(&["get", "spiderippools", "--namespace", &namespace]).await?;
//! # Ok(())
//! # }
//! ```
//!
//! * The programs are built by `cargo xtask tools`; without them [`Cluster::start`] fails and says so.
//! * The chart's custom resources are there. Access is by role (RBAC); the client and kubeconfig are an administrator's.
//! * Pods are objects that nobody runs. The ServiceAccount admission plugin is off, so that a pod can be created without
//!   somebody who makes accounts.
//! * **No controller runs.** Nothing collects what an owner reference leaves behind, a deleted namespace stays in
//!   `Terminating` with all it holds, a Deployment makes no pods, no scheduler places them: tests do it themselves.
//! * [`Server`]s are killed, restarted, stopped for a while and measured one by one; a [`Proxy`] delays a client and cuts
//!   its connections, on a [`Faulty`] way requests are refused and answers lost.
//! * Everything ends with the test's process, however that ends.

mod certificates;
mod cluster;
mod faulty;
mod folder;
mod kubeconfig;
mod objects;
mod proxy;
mod requests;
mod server;
mod spawner;
mod tools;
mod usage;

pub use cluster::{Cluster, Options};
pub use faulty::{Faults, Faulty, Met};
pub use folder::Durability;
pub use proxy::{Direction, Proxy};
pub use requests::{Request, Requests};
pub use server::Server;
pub use spawner::{spawn, tied};
pub use usage::Usage;
