//! What the end-to-end tests and the node's benchmark stand on: the installed programs, in folders and network
//! namespaces of their own.
//!
//! * [`Dist`] finds the installation, [`Host`] runs its agent without a cluster or on the only node of one, [`Node`] on
//!   one of many, [`Plugin`] calls its CNI plugin as a container runtime does, [`Namespace`] and [`Lab`] are the network, a
//!   [`storm`] is a cluster full of pods, an [`upgrade`] one that Spiderpool served, and [`Controller`] keeps the status of
//!   pools in it.
//! * Everything is gone when it is dropped.
//! * What is missing fails the test, with the command that repairs it.

mod account;
mod compiled;
mod controller;
mod dist;
mod host;
mod lab;
pub mod manifests;
mod node;
mod plugin;
pub mod storm;
pub mod upgrade;

pub use account::Account;
pub use controller::Controller;
pub use dist::Dist;
pub use host::{Engine, Host, HostOptions};
pub use lab::{Lab, Namespace, ip};
pub use node::Node;
pub use plugin::{Answer, Plugin, Pod};
