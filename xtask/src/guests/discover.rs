//! Which crates of the workspace are guests, and what their components are called.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use cargo_metadata::{CrateType, Package};

use crate::workspace::Workspace;

/// The start of the names of components that are in force without anybody asking for them.
const BUILT_IN: &str = "builtin-";

/// One policy crate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Guest {
    /// Its name for cargo.
    pub(crate) package: String,
    /// Its library's name: the stem of the core module that cargo writes.
    pub(crate) library: String,
    /// The name of its component: the stem of the file that is installed.
    pub(crate) component: String,
    pub(crate) kind: Kind,
}

/// What a guest is for, by the folder it lies in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Installed and in force.
    BuiltIn,
    /// Installed for people to look at.
    Example,
    /// A fixture of tests.
    Fixture,
}

impl Kind {
    /// `folder` is relative to the repository's root.
    fn of(folder: &Path) -> Self {
        if folder.starts_with("policies/examples") {
            Self::Example
        } else if folder.starts_with("policies") {
            Self::BuiltIn
        } else {
            Self::Fixture
        }
    }
}

/// The guests called `names`, or all of them; in the order of their components' names.
pub(crate) fn guests(workspace: &Workspace, names: &[String]) -> Result<Vec<Guest>> {
    let mut guests = workspace
        .members()
        .filter_map(|member| guest(member, &workspace.root()).transpose())
        .collect::<Result<Vec<_>>>()?;
    guests.sort_by(|a, b| a.component.cmp(&b.component));
    select(guests, names)
}

/// What a member's manifest says, `None` where it is an ordinary crate.
fn guest(member: &Package, root: &Path) -> Result<Option<Guest>> {
    let Some(library) = member.targets.iter().find(|target| target.crate_types.contains(&CrateType::CDyLib)) else {
        return Ok(None);
    };
    let Some(component) = member.metadata.pointer("/spiderpool/component").and_then(|name| name.as_str()) else {
        bail!(
            "{}: a crate of type cdylib is a policy and needs a name for its component; add\n\
             \n    [package.metadata.spiderpool]\n    component = \"NAME\"\n",
            member.manifest_path
        );
    };
    Ok(Some(Guest {
        package: member.name.to_string(),
        library: library.name.replace('-', "_"),
        component: component.to_owned(),
        kind: Kind::of(member.manifest_path.as_std_path().strip_prefix(root).unwrap_or(Path::new(""))),
    }))
}

/// `guests` is sorted by component.
fn select(mut guests: Vec<Guest>, names: &[String]) -> Result<Vec<Guest>> {
    if let Some([a, b]) = guests.array_windows().find(|[a, b]| a.component == b.component) {
        bail!("{} and {} both name their component `{}`; rename one", a.package, b.package, a.component);
    }
    if let Some(odd) =
        guests.iter().find(|guest| (guest.kind == Kind::BuiltIn) != guest.component.starts_with(BUILT_IN))
    {
        bail!(
            "{}: the component `{}` is misnamed; names in policies/ begin with `{BUILT_IN}`, others do not",
            odd.package,
            odd.component
        );
    }
    let known = guests.iter().map(|guest| guest.component.as_str()).collect::<Vec<_>>().join(", ");
    for name in names {
        ensure!(guests.iter().any(|guest| guest.component == *name), "no policy is called `{name}`; there are {known}");
    }
    if !names.is_empty() {
        guests.retain(|guest| names.contains(&guest.component));
    }
    ensure!(!guests.is_empty(), "the workspace has no crate of type cdylib, so there is no policy to build");
    Ok(guests)
}

#[cfg(test)]
mod tests;
