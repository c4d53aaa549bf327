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
