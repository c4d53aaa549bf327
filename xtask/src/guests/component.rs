//! Core module → component. The module carries its own description of the interfaces it exports, put there by the
//! bindings generator in a custom section.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::NamedTempFile;
use wit_component::ComponentEncoder;

/// Wraps the core module at `core` as a component and validates the result.
pub(crate) fn encode(core: &Path) -> Result<Vec<u8>> {
    let module = fs::read(core).with_context(|| format!("cannot read {}", core.display()))?;
    ComponentEncoder::default().validate(true).module(&module).and_then(|mut encoder| encoder.encode()).with_context(
        || {
            format!(
                "{} cannot be made a component; does the crate export its policy with the guide's macro, \
                 and does it import nothing?",
                core.display()
            )
        },
    )
}

/// Replaces `file` in one step, so that a reader never sees half a component. Returns whether anything changed.
pub(crate) fn write(file: &Path, component: &[u8]) -> Result<bool> {
    if fs::read(file).is_ok_and(|present| present == component) {
        return Ok(false);
    }
    let folder = file.parent().context("a component's file needs a folder")?;
    let replace = || -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let mut fresh = NamedTempFile::new_in(folder)?;
        fresh.write_all(component)?;
        fresh.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        fresh.persist(file)?;
        Ok(())
    };
    replace().with_context(|| format!("cannot write {}", file.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_written_once_and_readable_for_all() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("a.wasm");
        assert!(write(&file, b"one").expect("written"));
        let first = file.metadata().expect("metadata");
        assert!(!write(&file, b"one").expect("not written"));
        assert_eq!(first.modified().ok(), file.metadata().expect("metadata").modified().ok());
        assert!(write(&file, b"two").expect("written"));
        assert_eq!(fs::read(&file).expect("read"), b"two");
        assert_eq!(file.metadata().expect("metadata").permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).expect("a listing").count(), 1, "nothing else is left");
    }

    #[test]
    fn what_is_no_module_is_refused_with_the_name_of_its_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("odd.wasm");
        fs::write(&file, "not Wasm at all").expect("written");
        let error = encode(&file).expect_err("not a module").to_string();
        assert!(error.contains("odd.wasm cannot be made a component"), "{error}");
    }
}
