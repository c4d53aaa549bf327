//! Parts of schemas that a Rust type alone does not say, and the defaults that stand in them.

use schemars::{Schema, SchemaGenerator, json_schema};

pub(crate) fn ip_version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int64", "enum": [4, 6] })
}

pub(crate) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

/// An object of any shape, kept as it is.
pub(crate) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

// A structural default sits on an optional field as `Some`, because schema and reading take it from the same place.

pub(crate) fn some_false() -> Option<bool> {
    Some(false)
}

pub(crate) fn some_true() -> Option<bool> {
    Some(true)
}

/// `Some(0)` of whatever integer the field has.
pub(crate) fn some_zero<T: From<u8>>() -> Option<T> {
    Some(T::from(0))
}
