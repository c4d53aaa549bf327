//! Every Rust file belongs to a crate: one that no `mod` names is not compiled, and rots.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::Finding;
use super::syntax::{FileModule, Syntax};
use super::tree::{Contents, File};
use crate::workspace::Workspace;

pub(crate) fn check(workspace: &Workspace, files: &[File]) -> Vec<Finding> {
    let root = workspace.root();
    let targets = workspace.members().flat_map(|member| &member.targets);
    let roots =
        targets.filter_map(|target| target.src_path.strip_prefix(&root).ok()).map(|path| path.as_str().to_owned());
    orphans(roots.collect(), files)
}

/// `roots`: the files that cargo compiles by itself.
fn orphans(roots: Vec<String>, files: &[File]) -> Vec<Finding> {
    let sources = files.iter().filter(|file| file.is_rust()).filter_map(|file| match &file.contents {
        Contents::Text(text) => Some((file.path.as_str(), text.as_str())),
        Contents::Binary => None,
    });
    let sources: BTreeMap<&str, &str> = sources.collect();
    let reached = reach(roots, &sources);
    let orphans = sources.keys().filter(|path| !reached.contains(**path));
    orphans
        .map(|path| {
            let problem = "no crate compiles this file".to_owned();
            Finding::error(path, 1, "orphan", problem, "name it with `mod` where it belongs, or delete it")
        })
        .collect()
}

fn reach(roots: Vec<String>, sources: &BTreeMap<&str, &str>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<(String, bool)> = roots.into_iter().map(|path| (path, true)).collect();
    while let Some((path, is_root)) = open.pop() {
        let Some(text) = sources.get(path.as_str()) else { continue };
        if !reached.insert(path.clone()) {
            continue;
        }
        let Ok(syntax) = Syntax::read(text) else { continue };
        let file = Path::new(&path);
        let folder = file.parent().unwrap_or(Path::new(""));
        let below = if is_root || file.ends_with("mod.rs") { folder.to_owned() } else { file.with_extension("") };
        let candidates = syntax.file_modules.iter().flat_map(|module| candidates(module, folder, &below));
        open.extend(candidates.map(|path| (normal(&path), false)));
        open.extend(syntax.includes.iter().map(|include| (normal(&folder.join(include)), false)));
    }
    reached
}

/// Where the text of a module may be. `folder`: that of the file with the `mod`; `below`: that of its submodules.
fn candidates(module: &FileModule, folder: &Path, below: &Path) -> Vec<PathBuf> {
    if let Some(file) = &module.file {
        return vec![if module.path.len() == 1 {
            folder.join(file)
        } else {
            inside(module, below).with_file_name(file)
        }];
    }
    let place = inside(module, below);
    vec![place.join("mod.rs"), place.with_added_extension("rs")]
}

fn inside(module: &FileModule, below: &Path) -> PathBuf {
    below.join(module.path.iter().collect::<PathBuf>())
}

/// The path without `.` and `..`, as git writes it.
fn normal(path: &Path) -> String {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(name) => parts.push(name.to_string_lossy()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_no_target_reaches_is_found() {
        let files = [
            ("a/src/lib.rs", "mod one;\nmod two { mod three; }\n#[path = \"../shared/four.rs\"]\nmod four;"),
            ("a/src/one.rs", "mod deep;\n#[cfg(test)]\nmod tests;"),
            ("a/src/one/deep/mod.rs", "mod deeper;"),
            ("a/src/one/deep/deeper.rs", ""),
            ("a/src/one/tests.rs", "include!(\"table.rs\");"),
            ("a/src/one/table.rs", ""),
            ("a/src/two/three.rs", ""),
            ("a/shared/four.rs", ""),
            ("a/src/five.rs", "// mod one;"),
            ("a/src/deep.rs", ""),
            ("a/tests/end.rs", ""),
            ("a/README.md", ""),
        ];
        let files = files.map(|(path, text)| File::new(path, text.into()));
        let found = orphans(vec!["a/src/lib.rs".into(), "a/tests/end.rs".into()], &files);
        assert_eq!(
            found.iter().map(|finding| finding.file.as_str()).collect::<Vec<_>>(),
            ["a/src/deep.rs", "a/src/five.rs"]
        );
    }
}
