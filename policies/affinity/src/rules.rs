//! The rules, in the order in which they are applied: the first that fails decides.

use std::cell::OnceCell;

use spiderpool_policy_guide::affinity::{Reason, ReasonKind, Subject};
use spiderpool_policy_guide::metadata::Labels;
use spiderpool_policy_guide::types::{IpAddress, Pool, Selector};
use spiderpool_policy_guide::{address, phrase, selector};

use crate::application;
use crate::networks::{self, Network};

/// The rules for one subject. What they need from its labels and annotations is worked out when the first pool asks for it.
pub(crate) struct Rules<'a> {
    subject: &'a Subject,
    node: OnceCell<Labels<'a>>,
    namespace: OnceCell<Labels<'a>>,
    pod: OnceCell<Labels<'a>>,
    network: OnceCell<Result<Network, Reason>>,
}

impl<'a> Rules<'a> {
    pub(crate) fn new(subject: &'a Subject) -> Self {
        Self {
            subject,
            node: OnceCell::new(),
            namespace: OnceCell::new(),
            pod: OnceCell::new(),
            network: OnceCell::new(),
        }
    }

    /// Why the pool does not serve; none when it does.
    pub(crate) fn first_refusal(&self, pool: &Pool) -> Option<Reason> {
        self.node(pool)
            .or_else(|| self.namespace(pool))
            .or_else(|| self.pod(pool))
            .or_else(|| self.network(pool))
            .or_else(|| self.master_subnet(pool))
    }

    /// `nodeName` beats `nodeAffinity`.
    fn node(&self, pool: &Pool) -> Option<Reason> {
        let node = &self.subject.context.node;
        let place = Place { noun: "node", name: &node.name, labels: &self.node, text: &node.labels };
        place
            .refusal(
                Field { name: "nodeName", names: pool.node_names.as_deref() },
                Field { name: "nodeAffinity", names: pool.node_affinity.as_ref() },
            )
            .map(|message| reason(ReasonKind::Node, message))
    }

    /// `namespaceName` beats `namespaceAffinity`.
    fn namespace(&self, pool: &Pool) -> Option<Reason> {
        let namespace = &self.subject.context.namespace;
        let place =
            Place { noun: "namespace", name: &namespace.name, labels: &self.namespace, text: &namespace.labels };
        place
            .refusal(
                Field { name: "namespaceName", names: pool.namespace_names.as_deref() },
                Field { name: "namespaceAffinity", names: pool.namespace_affinity.as_ref() },
            )
            .map(|message| reason(ReasonKind::Namespace, message))
    }

    fn pod(&self, pool: &Pool) -> Option<Reason> {
        let affinity = pool.pod_affinity.as_ref()?;
        let pod = &self.subject.context.pod;
        let message = if application::owns(pool) {
            application::mismatch(affinity, pod)?
        } else {
            let labels = self.pod.get_or_init(|| Labels::of(&pod.labels));
            let mismatch = selector::mismatch(affinity, labels)?;
            unlike("pod", &pod.name, "podAffinity", &mismatch.sentence())
        };
        Some(reason(ReasonKind::Pod, message))
    }

    /// Entries of `multusName` without a namespace belong to the one that Spiderpool is installed in.
    fn network(&self, pool: &Pool) -> Option<Reason> {
        let names = pool.multus_names.as_ref()?;
        let network = match self.network.get_or_init(|| networks::of(self.subject)) {
            Ok(network) => network,
            Err(reason) => return Some(reason.clone()),
        };
        let home = &self.subject.context.cluster.install_namespace;
        if names.iter().any(|entry| network.is_called(entry, home)) {
            return None;
        }
        let message = [
            "the pool serves only interfaces of the networks ",
            &phrase::listing(names),
            " (spec.multusName), and ",
            &self.subject.nic.name,
            " is of `",
            &network.to_string(),
            "` (",
            network.origin,
            "); add the network to the pool or name another pool",
        ];
        Some(reason(ReasonKind::Network, message.concat()))
    }

    fn master_subnet(&self, pool: &Pool) -> Option<Reason> {
        let master = self.subject.nic.master_addresses.as_ref()?;
        if master.iter().any(|address| address::contains(&pool.subnet, address)) {
            return None;
        }
        let message = [
            "match_master_subnet is set, and no address of the parent device of ",
            &self.subject.nic.name,
            " lies in the pool's network ",
            &address::text_of(&pool.subnet),
            ": the device has ",
            &addresses(master),
            "; name a pool of the parent's network or unset match_master_subnet",
        ];
        Some(reason(ReasonKind::MasterSubnet, message.concat()))
    }
}

/// A thing that pools choose by name or by label.
struct Place<'s, 'a> {
    noun: &'a str,
    name: &'a str,
    labels: &'s OnceCell<Labels<'a>>,
    text: &'a str,
}

/// What a field of the pool's `spec` says.
struct Field<T> {
    name: &'static str,
    names: T,
}

impl Place<'_, '_> {
    /// Names, where there are any, decide alone; otherwise labels.
    fn refusal(&self, by_name: Field<Option<&[String]>>, by_label: Field<Option<&Selector>>) -> Option<String> {
        let Some(names) = by_name.names else {
            let labels = self.labels.get_or_init(|| Labels::of(self.text));
            let mismatch = selector::mismatch(by_label.names?, labels)?;
            return Some(unlike(self.noun, self.name, by_label.name, &mismatch.sentence()));
        };
        if names.iter().any(|name| name == self.name) {
            return None;
        }
        let listing = phrase::listing(names);
        let message = [
            "the pool serves only the ",
            self.noun,
            "s ",
            &listing,
            " (spec.",
            by_name.name,
            "), and the pod's ",
            self.noun,
            " is `",
            self.name,
            "`; add it to the pool or name another pool",
        ];
        Some(message.concat())
    }
}

fn unlike(noun: &str, name: &str, field: &str, mismatch: &str) -> String {
    [
        "the ",
        noun,
        " `",
        name,
        "` does not match the pool's spec.",
        field,
        ": its label ",
        mismatch,
        "; change the labels or the pool",
    ]
    .concat()
}

fn addresses(addresses: &[IpAddress]) -> String {
    match addresses {
        [] => "none".to_owned(),
        _ => phrase::listing(&addresses.iter().map(|address| address::to_std(address).to_string()).collect::<Vec<_>>()),
    }
}

pub(crate) fn reason(kind: ReasonKind, message: String) -> Reason {
    Reason { kind, message: phrase::bounded(message) }
}
