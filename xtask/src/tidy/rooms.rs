//! Which crate may know which, and which room owns which dependency.

mod table;

use cargo_metadata::{Dependency, Package};

use self::table::{Fence, Row};
use super::Finding;
use crate::workspace::Workspace;

const TABLE: &str = "xtask/src/tidy/rooms/table.rs";

/// One manifest, as far as the rules go.
struct Crate {
    /// Its folder, relative to the repository's root.
    room: String,
    uses: Vec<Use>,
}

struct Use {
    name: String,
    /// The folder of a crate of this repository.
    room: Option<String>,
    features: Vec<String>,
    default_features: bool,
}

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let root = workspace.root();
    let relative = |path: &cargo_metadata::camino::Utf8Path| {
        path.strip_prefix(&root).map_or_else(|_| path.to_string(), ToString::to_string)
    };
    let read_use = |dependency: &Dependency| Use {
        name: dependency.name.clone(),
        room: dependency.path.as_deref().map(relative),
        features: dependency.features.clone(),
        default_features: dependency.uses_default_features,
    };
    let read = |member: &Package| Crate {
        room: member.manifest_path.parent().map(relative).unwrap_or_default(),
        uses: member.dependencies.iter().map(read_use).collect(),
    };
    workspace.members().map(read).flat_map(|member| check_crate(&member, table::EDGES, table::FENCES)).collect()
}

fn check_crate(member: &Crate, edges: &[Row], fences: &[Fence]) -> Vec<Finding> {
    let manifest = format!("{}/Cargo.toml", member.room);
    let Some(row) = edges.iter().find(|row| matches(row.room, &member.room)) else {
        let problem = format!("the room {} is in no row of the table of dependencies", member.room);
        return vec![Finding::error(&manifest, 1, "rooms", problem, format!("add it to {TABLE}"))];
    };
    member
        .uses
        .iter()
        .filter_map(|used| {
            let (problem, remedy) = match &used.room {
                Some(room) => {
                    (wrong_edge(row, &member.room, room)?, format!("move the code, or argue for a row in {TABLE}"))
                }
                None => wrong_side(member, used, fences)?,
            };
            Some(Finding::error(&manifest, 1, "rooms", problem, remedy))
        })
        .collect()
}

fn wrong_edge(row: &Row, from: &str, to: &str) -> Option<String> {
    let known = row.may_use.iter().any(|pattern| matches(pattern, to));
    (!known).then(|| format!("{from} may not depend on {to}"))
}

fn wrong_side(member: &Crate, used: &Use, fences: &[Fence]) -> Option<(String, String)> {
    let fence = fences.iter().find(|fence| fence.crates.iter().any(|pattern| matches(pattern, &used.name)))?;
    if fence.rooms.iter().any(|pattern| matches(pattern, &member.room)) {
        return None;
    }
    if let Some(partly) = fence.partly.iter().find(|partly| matches(partly.room, &member.room)) {
        let excess = used.features.iter().find(|feature| !partly.features.contains(&feature.as_str()));
        let what = match excess {
            Some(feature) => format!("the feature `{feature}`"),
            None if used.default_features => "the default features".to_owned(),
            None => return None,
        };
        let problem =
            format!("{} uses {what} of `{}`; only {:?} is for this room", member.room, used.name, partly.features);
        return Some((problem, fence.remedy.to_owned()));
    }
    let problem = format!("{} may not use `{}`; it belongs to {}", member.room, used.name, fence.rooms.join(", "));
    Some((problem, fence.remedy.to_owned()))
}

/// `pattern` is a name, or the start of names before a `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests;
