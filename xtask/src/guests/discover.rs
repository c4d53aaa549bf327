//! Which crates of the workspace are guests, and what their components are called.

use anyhow::{Result, bail, ensure};
use cargo_metadata::{CrateType, Package};

use crate::workspace::Workspace;

/// One policy crate.
#[derive(Debug, PartialEq)]
pub(crate) struct Guest {
    /// Its name for cargo.
    pub(crate) package: String,
    /// Its library's name: the stem of the core module that cargo writes.
    pub(crate) library: String,
    /// The name of its component: the stem of the file that is installed.
    pub(crate) component: String,
}

/// The guests called `names`, or all of them; in the order of their components' names.
pub(crate) fn guests(workspace: &Workspace, names: &[String]) -> Result<Vec<Guest>> {
    let mut guests = workspace.members().filter_map(|member| guest(member).transpose()).collect::<Result<Vec<_>>>()?;
    guests.sort_by(|a, b| a.component.cmp(&b.component));
    select(guests, names)
}

/// What a member's manifest says, `None` where it is an ordinary crate.
fn guest(member: &Package) -> Result<Option<Guest>> {
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
    }))
}

/// `guests` is sorted by component.
fn select(mut guests: Vec<Guest>, names: &[String]) -> Result<Vec<Guest>> {
    if let Some([a, b]) = guests.array_windows().find(|[a, b]| a.component == b.component) {
        bail!("{} and {} both name their component `{}`; rename one", a.package, b.package, a.component);
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
