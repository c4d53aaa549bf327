//! The agent of a cluster's node: objects and addresses live in the API server.
//!
//! ```text
//! conf.yml, environment ─→ listen ─→ policies ─→ API server ─→ catalog ─→ ledger ─→ serve ─→ stop: answer, drain
//!                             └── whoever asks meanwhile waits a little, then hears what the agent waits for ──┘
//! ```
//!
//! The agent's role needs, beside what the catalog and the ledger need of theirs (`spiderpool_storage::kube`):
//! `create` and `patch` for `events` of the group `events.k8s.io`, and `get` for the path `/readyz`.

mod api_server;
mod pods;

use std::env;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
