//! The CustomResourceDefinitions, made from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use crate::{
    SpiderCoordinator, SpiderEndpoint, SpiderIPBlock, SpiderIPPool, SpiderMultusConfig, SpiderPolicy, SpiderReservedIP,
    SpiderSubnet,
};

/// The definitions of all kinds.
#[must_use]
pub fn all_crds() -> Vec<CustomResourceDefinition> {
    vec![
        SpiderIPPool::crd(),
        SpiderSubnet::crd(),
        SpiderReservedIP::crd(),
        // Spiderpool writes an endpoint's status with the object, so a subresource would throw it away.
        without_status_subresource(SpiderEndpoint::crd()),
        SpiderCoordinator::crd(),
        SpiderMultusConfig::crd(),
        SpiderIPBlock::crd(),
        SpiderPolicy::crd(),
    ]
    .into_iter()
    .map(settle_schemas)
    .collect()
}

/// The definitions of all kinds with the names of their files, such as `spiderpool.spidernet.io_spiderippools.yaml`.
#[must_use]
pub fn crd_manifests() -> Vec<(String, CustomResourceDefinition)> {
    let file = |crd: &CustomResourceDefinition| format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
    all_crds().into_iter().map(|crd| (file(&crd), crd)).collect()
}

fn without_status_subresource(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        version.subresources = None;
    }
    crd
}

/// What the derived schemas say differently from the ones that clusters have.
fn settle_schemas(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
            continue;
        };
        root.required = None;
        settle(root);
    }
    crd
}

/// Goes through a schema and all within it.
///
/// * No field is nullable: the API server then prunes a `null` and fills in the default, instead of storing it.
/// * Formats of unsigned integers go, since OpenAPI has none and the API server warns about them. Their minimum stays.
fn settle(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.format.take_if(|format| format.starts_with("uint"));
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        settle(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => settle(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(settle),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        settle(values);
    }
}
