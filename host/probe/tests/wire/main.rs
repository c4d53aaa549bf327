//! Probes on a real wire: veth pairs and macvlan links between network namespaces of the tests' own. Needs root.

mod adversity;
mod neighbours;
mod network;
