//! What a component exports and imports, read from its bytes without running or compiling it.

use std::fs;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};
use wasmparser::component_types::{ComponentEntityType, ComponentInstanceTypeId};
use wasmparser::types::Types;
use wasmparser::{Encoding, Parser, Payload, ValidPayload, Validator, WasmFeatures};

use crate::failure::LoadError;

/// The versions of the contract that this host serves.
pub const SERVED: &str = "spiderpool:policy@0.1";

/// The largest component that is read. Python's are 18 MB.
const MAX_BYTES: u64 = 64 << 20;

/// What is known of a component without running it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// The version of the contract that its interfaces carry.
    pub contract_version: Option<String>,
    /// What it exports.
    pub exports: Vec<Interface>,
    /// What it imports. Types are no import.
    pub imports: Vec<Interface>,
    /// Why this host would not serve it; absent when it would try.
    pub problem: Option<String>,
}

/// An interface, and the functions and resources in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// With its version, for instance `spiderpool:policy/affinity@0.1.0`.
    pub name: String,
    /// By name.
    pub functions: Vec<String>,
}

/// Reads a component.
///
/// # Errors
/// The file cannot be read, or is no component.
pub fn inspect(path: &Path) -> Result<Inspection, LoadError> {
    inspect_bytes(&read(path)?)
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |error: std::io::Error| LoadError::Read { path: path.to_owned(), cause: error.to_string() };
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_BYTES {
        return Err(LoadError::Size { bytes, limit: MAX_BYTES });
    }
    fs::read(path).map_err(failed)
}

/// The digest of bytes, as SpiderPolicy writes it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"))
}

pub(crate) fn inspect_bytes(bytes: &[u8]) -> Result<Inspection, LoadError> {
    if !bytes.starts_with(b"\0asm") {
        return Err(LoadError::NotWasm);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(LoadError::CoreModule);
    }
    let invalid = |error: wasmparser::BinaryReaderError| LoadError::Invalid(error.to_string());
    let types = types(bytes).map_err(invalid)?.ok_or_else(|| LoadError::Invalid("it has no end".into()))?;
    let types = types.as_ref();
    let functions = |id: ComponentInstanceTypeId| {
        let items = types[id].exports.iter().filter(|(_, item)| is_callable(&item.ty));
        items.map(|(name, _)| name.clone()).collect()
    };
    let interface = |name: &str, ty: Option<ComponentEntityType>| match ty {
        Some(ComponentEntityType::Instance(id)) => Interface { name: name.into(), functions: functions(id) },
        Some(ty) if !is_callable(&ty) => Interface { name: name.into(), functions: Vec::new() },
        _ => Interface { name: name.into(), functions: vec![name.into()] },
    };
    let (mut exports, mut imports) = (Vec::new(), Vec::new());
    for payload in top_level(bytes) {
        match payload.map_err(invalid)? {
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let name = export.map_err(invalid)?.name.name;
                    exports.push(interface(name, types.component_item_for_export(name).map(|item| item.ty)));
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let name = import.map_err(invalid)?.name.name;
                    imports.push(interface(name, types.component_item_for_import(name).map(|item| item.ty)));
                }
            }
            _ => {}
        }
    }
    imports.retain(|import| !import.functions.is_empty());
    let contract_version =
        exports.iter().find_map(|export| contract(&export.name)).map(|(_, version)| version.to_owned());
    let problem = judge(&exports, &imports).err().map(|error| error.to_string());
    let size = bytes.len() as u64;
    Ok(Inspection { digest: digest(bytes), size, contract_version, exports, imports, problem })
}

/// Checks everything but the bodies of functions, which the compiler checks.
fn types(bytes: &[u8]) -> wasmparser::Result<Option<Types>> {
    let mut validator = Validator::new_with_features(WasmFeatures::default());
    let mut types = None;
    for payload in Parser::new(0).parse_all(bytes) {
        if let ValidPayload::End(found) = validator.payload(&payload?)? {
            types = Some(found);
        }
    }
    Ok(types)
}

/// Why the component is not to be served, as far as names tell.
pub(crate) fn judge(exports: &[Interface], imports: &[Interface]) -> Result<(), LoadError> {
    if let Some(import) = imports.first() {
        let function = import.functions.first().map(|function| format!("#{function}")).unwrap_or_default();
        return Err(LoadError::Import(format!("{}{function}", import.name)));
    }
    let ours = || exports.iter().filter(|export| contract(&export.name).is_some());
    if ours().any(|export| is_served(&export.name)) {
        return Ok(());
    }
    Err(match ours().next() {
        Some(export) => LoadError::Version { found: export.name.clone(), served: SERVED },
        None => no_export(exports),
    })
}

/// That nothing of what a component exports is known.
pub(crate) fn no_export(exports: &[Interface]) -> LoadError {
    let names: Vec<&str> = exports.iter().map(|export| &*export.name).collect();
    LoadError::NoExport { found: if names.is_empty() { "nothing".into() } else { names.join(", ") } }
}

/// The interface of the contract with this name, in a version that is served.
pub(crate) fn served<'a>(exports: &'a [Interface], interface: &str) -> Option<&'a Interface> {
    exports
        .iter()
        .find(|export| is_served(&export.name) && contract(&export.name).is_some_and(|(name, _)| name == interface))
}

/// Whether an interface of the contract is there, in whatever version.
pub(crate) fn names(exports: &[Interface], interface: &str) -> bool {
    exports.iter().any(|export| contract(&export.name).is_some_and(|(name, _)| name == interface))
}

fn is_served(name: &str) -> bool {
    contract(name).is_some_and(|(_, version)| version.starts_with("0.1."))
}

/// The interface and the version of a name of the contract's package.
fn contract(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("spiderpool:policy/")?.split_once('@')
}

fn is_callable(ty: &ComponentEntityType) -> bool {
    match ty {
        ComponentEntityType::Func(_) | ComponentEntityType::Module(_) | ComponentEntityType::Component(_) => true,
        ComponentEntityType::Type { created, .. } => {
            matches!(created, wasmparser::component_types::ComponentAnyTypeId::Resource(_))
        }
        ComponentEntityType::Instance(_) | ComponentEntityType::Value(_) => false,
    }
}

/// The payloads of the component itself, those of nested modules and components left out.
fn top_level(bytes: &[u8]) -> impl Iterator<Item = wasmparser::Result<Payload<'_>>> {
    let mut depth = 0_usize;
    Parser::new(0).parse_all(bytes).filter(move |payload| {
        match payload {
            Ok(Payload::Version { encoding: Encoding::Component | Encoding::Module, .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= 1
    })
}
