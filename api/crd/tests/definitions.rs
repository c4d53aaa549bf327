//! The generated definitions against what clusters that run Spiderpool have: names, scopes, columns, and every field
//! with its type, default, bounds and enumeration (`fields.txt`).

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use spiderpool_crd::{API_VERSION, CATEGORY, GROUP, VERSION, all_crds, crd_manifests};

/// Name, type, path and priority of a column.
type Column = (&'static str, &'static str, &'static str, i32);

struct Kind {
    kind: &'static str,
    plural: &'static str,
    short: &'static str,
    scope: &'static str,
    status_subresource: bool,
    columns: &'static [Column],
}

const VERSION_COLUMN: Column = ("VERSION", "string", ".spec.ipVersion", 0);
const SUBNET_COLUMN: Column = ("SUBNET", "string", ".spec.subnet", 0);
const ALLOCATED_COLUMN: Column = ("ALLOCATED-IP-COUNT", "integer", ".status.allocatedIPCount", 0);
const TOTAL_COLUMN: Column = ("TOTAL-IP-COUNT", "integer", ".status.totalIPCount", 0);

const KINDS: [Kind; 8] = [
    Kind {
        kind: "SpiderIPPool",
        plural: "spiderippools",
        short: "sp",
        scope: "Cluster",
        status_subresource: true,
        columns: &[
            VERSION_COLUMN,
            SUBNET_COLUMN,
            ALLOCATED_COLUMN,
            TOTAL_COLUMN,
            ("DEFAULT", "boolean", ".spec.default", 0),
            ("DISABLE", "boolean", ".spec.disable", 10),
            ("NodeName", "string", ".spec.nodeName", 10),
            ("MultusName", "string", ".spec.multusName", 10),
            ("APP-NAMESPACE", "string", r".spec.podAffinity.matchLabels['ipam\.spidernet\.io/app\-namespace']", 10),
        ],
    },
    Kind {
        kind: "SpiderSubnet",
        plural: "spidersubnets",
        short: "ss",
        scope: "Cluster",
        status_subresource: true,
        columns: &[VERSION_COLUMN, SUBNET_COLUMN, ALLOCATED_COLUMN, TOTAL_COLUMN],
    },
    Kind {
        kind: "SpiderReservedIP",
        plural: "spiderreservedips",
        short: "sr",
        scope: "Cluster",
        status_subresource: false,
        columns: &[VERSION_COLUMN],
    },
    Kind {
        kind: "SpiderEndpoint",
        plural: "spiderendpoints",
        short: "se",
        scope: "Namespaced",
        status_subresource: false,
        columns: &[
            ("INTERFACE", "string", ".status.current.ips[0].interface", 0),
            ("IPV4POOL", "string", ".status.current.ips[0].ipv4Pool", 0),
            ("IPV4", "string", ".status.current.ips[0].ipv4", 0),
            ("IPV6POOL", "string", ".status.current.ips[0].ipv6Pool", 0),
            ("IPV6", "string", ".status.current.ips[0].ipv6", 0),
            ("NODE", "string", ".status.current.node", 0),
        ],
    },
    Kind {
        kind: "SpiderCoordinator",
        plural: "spidercoordinators",
        short: "scc",
        scope: "Cluster",
        status_subresource: true,
        columns: &[],
    },
    Kind {
        kind: "SpiderMultusConfig",
        plural: "spidermultusconfigs",
        short: "smc",
        scope: "Namespaced",
        status_subresource: false,
        columns: &[],
    },
    Kind {
        kind: "SpiderIPBlock",
        plural: "spideripblocks",
        short: "sib",
        scope: "Cluster",
        status_subresource: false,
        columns: &[
            ("POOL", "string", ".spec.pool", 0),
            ("BLOCK", "string", ".spec.block", 0),
            ("HELD", "string", r".metadata.labels['ipam\.spidernet\.io/block\-held']", 0),
        ],
    },
    Kind {
        kind: "SpiderPolicy",
        plural: "spiderpolicies",
        short: "spol",
        scope: "Cluster",
        status_subresource: true,
        columns: &[
            ("MODE", "string", ".spec.mode", 0),
            ("ORDER", "integer", ".spec.order", 0),
            ("PHASE", "string", ".status.phase", 0),
        ],
    },
];

#[test]
fn names_scopes_and_columns() {
    let crds = all_crds();
    assert_eq!(crds.len(), KINDS.len());
    for (crd, expected) in crds.iter().zip(KINDS) {
        let names = &crd.spec.names;
        let [version] = crd.spec.versions.as_slice() else { panic!("{} has one version", expected.kind) };
        assert_eq!((names.kind.as_str(), names.plural.as_str()), (expected.kind, expected.plural));
        assert_eq!(names.singular.as_deref(), Some(expected.kind.to_lowercase().as_str()));
        assert_eq!(names.short_names.as_deref(), Some([expected.short.to_owned()].as_slice()), "{}", expected.kind);
        assert_eq!(names.categories.as_deref(), Some([CATEGORY.to_owned()].as_slice()), "{}", expected.kind);
        assert_eq!((crd.spec.group.as_str(), version.name.as_str()), (GROUP, VERSION), "{}", expected.kind);
        assert_eq!(crd.spec.scope, expected.scope, "{}", expected.kind);
        assert!(version.served && version.storage, "{}", expected.kind);
        let status = version.subresources.as_ref().is_some_and(|subresources| subresources.status.is_some());
        assert_eq!(status, expected.status_subresource, "{}", expected.kind);
        let columns: Vec<_> = version
            .additional_printer_columns
            .iter()
            .flatten()
            .map(|c| (c.name.as_str(), c.type_.as_str(), c.json_path.as_str(), c.priority.unwrap_or(0)))
            .collect();
        assert_eq!(columns, expected.columns, "{}", expected.kind);
    }
    assert_eq!(API_VERSION, format!("{GROUP}/{VERSION}"));
}

#[test]
fn every_field() {
    let mut found = String::new();
    for crd in all_crds() {
        found += &format!("{}\n", crd.spec.names.kind);
        list("", root(&crd), &mut found);
    }
    let expected = include_str!("fields.txt");
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (missing, added) = (&lines(expected) - &lines(&found), &lines(&found) - &lines(expected));
    assert_eq!(found, expected, "\nfields.txt has {missing:#?},\nthe definitions have {added:#?}");
}

#[test]
fn columns_point_at_fields() {
    let fields: BTreeSet<&str> =
        include_str!("fields.txt").lines().filter_map(|line| line.trim().split([' ', '!']).next()).collect();
    for (_, _, path, _) in KINDS.iter().flat_map(|kind| kind.columns) {
        let field = path.trim_start_matches('.').replace("[0]", "[]");
        let field = field.split_once("['").map_or(field.as_str(), |(map, _)| map);
        // Every object has labels.
        assert!(field == "metadata.labels" || fields.contains(field), "{path}");
    }
}

#[test]
fn files_are_named_by_group_and_plural() {
    let files: Vec<String> = crd_manifests().into_iter().map(|(file, _)| file).collect();
    let expected = KINDS.map(|kind| format!("{GROUP}_{}.yaml", kind.plural));
    assert_eq!(files, expected);
}

/// The rules for structural schemas that an API server holds a definition to.
#[test]
fn schemas_are_structural() {
    for crd in all_crds() {
        structural(&crd.spec.names.kind, root(&crd));
    }
}

fn root(crd: &CustomResourceDefinition) -> &JSONSchemaProps {
    let schema = crd.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    schema.expect("every definition has a schema")
}

fn children(schema: &JSONSchemaProps) -> Vec<(String, &JSONSchemaProps)> {
    let mut children: Vec<_> =
        schema.properties.iter().flatten().map(|(name, property)| (format!(".{name}"), property)).collect();
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items {
        children.push(("[]".to_owned(), item));
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &schema.additional_properties {
        children.push((".*".to_owned(), value));
    }
    children
}

/// One line per field: path (with `!` when required), type, and what else is asked of it.
fn list(path: &str, schema: &JSONSchemaProps, out: &mut String) {
    for (step, child) in children(schema) {
        let path = format!("{path}{step}");
        let name = step.trim_start_matches('.');
        let required = schema.required.iter().flatten().any(|required| required == name);
        *out += "  ";
        *out += path.trim_start_matches('.');
        *out += if required { "! " } else { " " };
        *out += child.type_.as_deref().unwrap_or("any");
        *out += &demands(child);
        *out += "\n";
        list(&path, child, out);
    }
}

fn demands(schema: &JSONSchemaProps) -> String {
    let mut out = String::new();
    if let Some(default) = &schema.default {
        out += &format!(" default={}", default.0);
    }
    if let Some(values) = &schema.enum_ {
        let values: Vec<String> = values.iter().map(|value| value.0.to_string()).collect();
        out += &format!(" enum={}", values.join("|"));
    }
    if schema.minimum.is_some() || schema.maximum.is_some() {
        let bound = |bound: Option<f64>| bound.map_or_else(String::new, |bound| bound.to_string());
        out += &format!(" {}..{}", bound(schema.minimum), bound(schema.maximum));
    }
    if let Some(pattern) = &schema.pattern {
        out += &format!(" pattern={pattern}");
    }
    if let Some(branches) = &schema.one_of {
        let branches = branches.iter().flat_map(|branch| branch.required.iter().flatten());
        out += &format!(" one of {}", branches.map(String::as_str).collect::<Vec<_>>().join("|"));
    }
    if schema.x_kubernetes_preserve_unknown_fields == Some(true) {
        out += " preserved";
    }
    if let Some(kind) = &schema.x_kubernetes_map_type {
        out += &format!(" {kind}");
    }
    out
}

fn structural(path: &str, schema: &JSONSchemaProps) {
    assert!(schema.type_.is_some(), "{path} has no type");
    assert!(schema.ref_path.is_none(), "{path} refers to another schema");
    assert!(schema.any_of.is_none() && schema.all_of.is_none() && schema.not.is_none(), "{path} has branches");
    assert!(schema.nullable.is_none(), "{path} is nullable");
    assert!(schema.unique_items.is_none(), "{path} forbids duplicates");
    assert!(!matches!(schema.additional_properties, Some(JSONSchemaPropsOrBool::Bool(_))), "{path} is open or closed");
    assert!(schema.properties.is_none() || schema.additional_properties.is_none(), "{path} is a map and an object");
    assert!(schema.enum_.iter().flatten().all(|value| !value.0.is_null()), "{path} lists null");
    let known = [None, Some("int32"), Some("int64"), Some("date-time")];
    assert!(known.contains(&schema.format.as_deref()), "{path} has format {:?}", schema.format);
    for branch in schema.one_of.iter().flatten() {
        // Inside a branch nothing may be described, only asked for.
        let only_required = JSONSchemaProps { required: branch.required.clone(), ..JSONSchemaProps::default() };
        assert_eq!(branch, &only_required, "{path}");
    }
    for (step, child) in children(schema) {
        structural(&format!("{path}{step}"), child);
    }
}
