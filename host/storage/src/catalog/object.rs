//! Objects: which kind, which name, and reading them as their kind.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use spiderpool_crd::{
    API_VERSION, SpiderCoordinator, SpiderIPPool, SpiderMultusConfig, SpiderReservedIP, SpiderSubnet,
};

use super::controllers::ControllerKind;
use super::{Denial, FoundController, NamespacedName};

/// The namespace of objects that name none, as `kubectl` has it.
const DEFAULT_NAMESPACE: &str = "default";

/// A kind that the catalog holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Pool,
    ReservedIp,
    Subnet,
    Coordinator,
    MultusConfig,
    Controller(ControllerKind),
    Pod,
    Namespace,
    Node,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::Pool,
        Self::ReservedIp,
        Self::Subnet,
        Self::Coordinator,
        Self::MultusConfig,
        Self::Controller(ControllerKind::StatefulSet),
        Self::Controller(ControllerKind::Deployment),
        Self::Controller(ControllerKind::ReplicaSet),
        Self::Controller(ControllerKind::DaemonSet),
        Self::Controller(ControllerKind::CronJob),
        Self::Controller(ControllerKind::Job),
        Self::Pod,
        Self::Namespace,
        Self::Node,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pool => "SpiderIPPool",
            Self::ReservedIp => "SpiderReservedIP",
            Self::Subnet => "SpiderSubnet",
            Self::Coordinator => "SpiderCoordinator",
            Self::MultusConfig => "SpiderMultusConfig",
            Self::Controller(kind) => kind.name(),
            Self::Pod => "Pod",
            Self::Namespace => "Namespace",
            Self::Node => "Node",
        }
    }

    fn api_version(self) -> &'static str {
        match self {
            Self::Controller(kind) => kind.api_version(),
            Self::Pod | Self::Namespace | Self::Node => "v1",
            Self::Pool | Self::ReservedIp | Self::Subnet | Self::Coordinator | Self::MultusConfig => API_VERSION,
        }
    }

    fn is_namespaced(self) -> bool {
        matches!(self, Self::MultusConfig | Self::Controller(_) | Self::Pod)
    }

    /// What is said about kinds that have no effect without a cluster.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Self::Subnet | Self::Coordinator | Self::MultusConfig => {
                Some("is kept but has no effect yet on a machine without a cluster")
            }
            Self::Pool | Self::ReservedIp | Self::Controller(_) | Self::Pod | Self::Namespace | Self::Node => None,
        }
    }
}

/// The name of an object among all of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl Key {
    /// Which object a document is about.
    ///
    /// # Errors
    /// Names the field that does not say it.
    pub(super) fn of(value: &Value) -> Result<Self, Denial> {
        let text = |path: &str| {
            let found = path.split('.').try_fold(value, |value, field| value.get(field));
            match found {
                Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
                None | Some(Value::Null) => Ok(None),
                Some(_) => Err(denial(path, "must be a text; write it in quotes")),
            }
        };
        let need = |path: &str, example: &str| {
            text(path)?.ok_or_else(|| denial(path, &format!("is missing; write it, such as {example}")))
        };
        if !value.is_object() {
            return Err(denial("", "is not an object; a manifest begins with apiVersion, kind and metadata"));
        }
        let (version, name) = (need("apiVersion", API_VERSION)?, need("kind", "SpiderIPPool")?);
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| unknown_kind(name))?;
        if version != kind.api_version() {
            let problem = format!("{version} has no {name} here; write {}", kind.api_version());
            return Err(denial("apiVersion", &problem));
        }
        let name = need("metadata.name", "p4")?.to_owned();
        let namespace = text("metadata.namespace")?.unwrap_or(DEFAULT_NAMESPACE);
        Ok(Self { kind, namespace: kind.is_namespaced().then(|| namespace.to_owned()), name })
    }

    pub(super) fn namespaced(&self) -> NamespacedName {
        let namespace = self.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        NamespacedName { namespace: namespace.to_owned(), name: self.name.clone() }
    }
}

/// `SpiderIPPool p4`, `Pod shop/web-0`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind.name())?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

fn unknown_kind(name: &str) -> Denial {
    let problem = match name {
        "SpiderPolicy" => "SpiderPolicy belongs in the subfolder policies".to_owned(),
        "SpiderEndpoint" | "SpiderIPBlock" => format!("{name} is written by the ledger, not by people; remove it"),
        _ => {
            let known = Kind::ALL.map(Kind::name).join(", ");
            format!("{name} is not a kind that is known here; known are {known} and List")
        }
    };
    denial("kind", &problem)
}

pub(super) fn denial(field: &str, message: &str) -> Denial {
    Denial { field: field.to_owned(), message: message.to_owned() }
}

/// What is read of a controller that wants nothing of addresses by its specification.
#[derive(Deserialize)]
struct Object {
    metadata: ObjectMeta,
}

/// An object as its kind.
pub(super) enum Typed {
    Pool(Arc<SpiderIPPool>),
    ReservedIp(Arc<SpiderReservedIP>),
    Subnet(Arc<SpiderSubnet>),
    Coordinator(Arc<SpiderCoordinator>),
    MultusConfig(Arc<SpiderMultusConfig>),
    Controller(ControllerKind, Arc<FoundController>),
    Pod(Arc<Pod>),
    Namespace(Arc<Namespace>),
    Node(Arc<Node>),
}

impl Typed {
    /// Reads an object as its kind.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub(super) fn read(kind: Kind, value: &Value) -> Result<Self, Denial> {
        Ok(match kind {
            Kind::Pool => Self::Pool(Arc::new(read(value)?)),
            Kind::ReservedIp => Self::ReservedIp(Arc::new(read(value)?)),
            Kind::Subnet => Self::Subnet(Arc::new(read(value)?)),
            Kind::Coordinator => Self::Coordinator(Arc::new(read(value)?)),
            Kind::MultusConfig => Self::MultusConfig(Arc::new(read(value)?)),
            Kind::Controller(kind) => Self::Controller(
                kind,
                Arc::new(match kind {
                    ControllerKind::StatefulSet => FoundController::of(read(value)?),
                    _ => FoundController::new(read::<Object>(value)?.metadata),
                }),
            ),
            Kind::Pod => Self::Pod(Arc::new(read(value)?)),
            Kind::Namespace => Self::Namespace(Arc::new(read(value)?)),
            Kind::Node => Self::Node(Arc::new(read(value)?)),
        })
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Denial> {
    match serde_path_to_error::deserialize(value) {
        Ok(object) => Ok(object),
        Err(error) => {
            // A single dot stands for the object itself.
            let path = error.path().to_string();
            Err(denial(path.trim_matches('.'), &error.inner().to_string()))
        }
    }
}
