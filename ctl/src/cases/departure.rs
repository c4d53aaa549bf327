//! A case about who keeps addresses: how it is written, and what the runtime is asked.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;
use spiderpool_runtime::{Departure, conv, types};

use super::question::Placement;
use super::{ask, manifest};

/// The key `event`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawEvent {
    /// Of the interface that the case names.
    Removed,
    Gone,
    /// A pod's manifest; its name and namespace are the holder's where they are left out.
    Returned(Value),
    Conflict(Vec<IpAddr>),
}

/// The key `podState`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawPodState {
    Unknown,
    Alive,
    Terminating,
    Finished,
    Gone,
}

/// One of `owners`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawOwner {
    api_version: String,
    kind: String,
    name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    now: RawFinding,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawFinding {
    Found(RawFound),
    Missing,
    Unknown(String),
}

impl Default for RawFinding {
    fn default() -> Self {
        Self::Found(RawFound::default())
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFound {
    /// That of the owner where it is left out.
    uid: Option<String>,
    terminating: bool,
    annotations: BTreeMap<String, String>,
    ordinals: Option<RawOrdinals>,
}

/// With the defaults of a StatefulSet.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawOrdinals {
    start: u32,
    replicas: u32,
}

impl Default for RawOrdinals {
    fn default() -> Self {
        Self { start: 0, replicas: 1 }
    }
}

/// What the runtime is asked: what happened to the pod of `placement`, and what is known of the pod now.
pub(super) fn departure(
    placement: &Placement,
    event: RawEvent,
    owners: Vec<RawOwner>,
    state: Option<RawPodState>,
    migration: Option<String>,
) -> Result<Departure, String> {
    let mut context = placement.context();
    if !context.pod.owners.is_empty() {
        return Err("pod: write the owners, and what they are now, under `owners`".to_owned());
    }
    let event = match event {
        RawEvent::Removed => types::Event::Removed(placement.interface.clone()),
        RawEvent::Gone => types::Event::Gone,
        RawEvent::Returned(pod) => types::Event::Returned(returned(&pod, &context.pod)?),
        RawEvent::Conflict(addresses) => types::Event::Conflict(addresses.into_iter().map(conv::address).collect()),
    };
    let owners: Vec<types::LookedUp> = owners.into_iter().map(looked_up).collect();
    context.pod.owners = owners.iter().map(|looked_up| looked_up.owner.clone()).collect();
    let state = match state {
        None | Some(RawPodState::Unknown) => types::PodState::Unknown,
        Some(RawPodState::Alive) => types::PodState::Alive,
        Some(RawPodState::Terminating) => types::PodState::Terminating,
        Some(RawPodState::Finished) => types::PodState::Finished,
        Some(RawPodState::Gone) => types::PodState::Gone,
    };
    Ok(Departure { holder: types::Holder { context, state, owners, migration, extra: Vec::new() }, event })
}

fn returned(manifest: &Value, holder: &types::Pod) -> Result<types::Pod, String> {
    let mut metadata = manifest::pod(manifest).map_err(|problem| format!("event.returned: {problem}"))?.metadata;
    metadata.name.get_or_insert_with(|| holder.name.clone());
    metadata.namespace.get_or_insert_with(|| holder.namespace.clone());
    metadata.uid.get_or_insert_with(|| "another".to_owned());
    Ok(ask::pod(&metadata))
}

fn looked_up(RawOwner { api_version, kind, name, uid, now }: RawOwner) -> types::LookedUp {
    let now = match now {
        RawFinding::Found(found) => types::Finding::Found(types::FoundOwner {
            uid: found.uid.unwrap_or_else(|| uid.clone()),
            terminating: found.terminating,
            annotations: conv::pairs(Some(&found.annotations)),
            ordinals: found.ordinals.map(|RawOrdinals { start, replicas }| types::Ordinals { start, replicas }),
            extra: Vec::new(),
        }),
        RawFinding::Missing => types::Finding::Missing,
        RawFinding::Unknown(why) => types::Finding::Unknown(why),
    };
    types::LookedUp { owner: types::Owner { api_version, kind, name, uid }, now }
}
