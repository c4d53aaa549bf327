//! What may be in a file: its size, and text that belongs to one machine only.

use super::Finding;
use super::tree::{Contents, File};

/// Beyond this a repository grows with every change of the file, and a reader opens something else.
const MAX_BYTES: usize = 500 * 1024;
/// The stop for a Rust file; the aim is 250.
const MAX_LINES: usize = 500;
const MANY_LINES: usize = 300;

/// A lock file is generated, and its source lines are checked instead of its size and text.
const LOCK_FILE: &str = "Cargo.lock";
const PUBLIC_REGISTRY: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// Folders that exist on the machine of whoever wrote the text. In parts, or this file would break its own rule.
const MACHINE_FOLDERS: [&str; 3] = [concat!("/", "root/"), concat!("/", "work/"), concat!("/", "home/")];

/// Hosts that packages come from: which one to use is a matter of each machine's own settings.
const REGISTRY_HOSTS: [&str; 7] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("deb.", "debian.org"),
    concat!("files.", "pythonhosted.org"),
    concat!("pypi", ".org"),
    concat!("proxy.", "golang.org"),
    concat!("registry.", "npmjs.org"),
];

pub(crate) fn check_bulk(file: &File, findings: &mut Vec<Finding>) {
    if matches!(file.contents, Contents::Binary) {
        let problem = "a binary file".to_owned();
        findings.push(Finding::error(&file.path, 1, "binary", problem, "build it, or write it as text"));
    }
    if file.bytes > MAX_BYTES && file.path != LOCK_FILE {
        let problem = format!("{} KiB; the limit is {} KiB", file.bytes / 1024, MAX_BYTES / 1024);
        findings.push(Finding::error(&file.path, 1, "size", problem, "generate it when it is needed"));
    }
}

pub(crate) fn check_length(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let lines = text.lines().count();
    if lines > MAX_LINES {
        let problem = format!("{lines} lines; the limit is {MAX_LINES}");
        findings.push(Finding::error(path, lines, "length", problem, "split it where its subject changes"));
    } else if lines > MANY_LINES {
        let problem = format!("{lines} lines; the aim is 250");
        findings.push(Finding::warning(path, lines, "length", problem, "think of where its subject changes"));
    }
}

pub(crate) fn check_text(path: &str, text: &str, findings: &mut Vec<Finding>) {
    if path == LOCK_FILE {
        return check_lock_file(path, text, findings);
    }
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(folder) = MACHINE_FOLDERS.iter().find(|folder| names_folder(line, folder)) {
            let problem = format!("`{folder}…` is a path of one machine");
            findings.push(Finding::error(
                path,
                number,
                "machine",
                problem,
                "use a relative path, or an environment variable",
            ));
        }
        if let Some(host) = REGISTRY_HOSTS.iter().find(|host| line.contains(*host)) {
            let problem = format!("`{host}` is a host that packages come from");
            findings.push(Finding::error(path, number, "registry", problem, "leave it to the machine's own settings"));
        }
    }
}

/// Whether `folder` stands in the line as the start of an absolute path, with something below it.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(start, _)| {
        let continues_a_path = line[..start].ends_with(|c: char| c.is_alphanumeric() || "_-.}>)~*$/".contains(c));
        let goes_on = line[start + folder.len()..].starts_with(|c: char| c.is_alphanumeric() || "._-".contains(c));
        !continues_a_path && goes_on
    })
}

fn check_lock_file(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("source = ") && line != PUBLIC_REGISTRY {
            let problem = format!("a package from somewhere else: {line}");
            findings.push(Finding::error(
                path,
                number,
                "registry",
                problem,
                "depend on a released version of the crate",
            ));
        }
    }
}

#[cfg(test)]
mod tests;
