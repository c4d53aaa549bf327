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
    let ours = [SpiderIPBlock::crd(), SpiderPolicy::crd()];
    let spiderpools = [
        SpiderIPPool::crd(),
        SpiderSubnet::crd(),
        SpiderReservedIP::crd(),
        // Spiderpool writes an endpoint's status with the object, so a subresource would throw it away.
        without_status_subresource(SpiderEndpoint::crd()),
        SpiderCoordinator::crd(),
        SpiderMultusConfig::crd(),
    ]
    .map(without_required_spec);
    spiderpools.into_iter().chain(ours).map(settle_schemas).collect()
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

/// Spiderpool's own schemas let an object without a specification pass, so clusters may have such.
fn without_required_spec(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    roots(&mut crd).for_each(|root| root.required = None);
    crd
}

fn settle_schemas(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    roots(&mut crd).for_each(settle);
    crd
}

fn roots(crd: &mut CustomResourceDefinition) -> impl Iterator<Item = &mut JSONSchemaProps> {
    crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut())
}

/// Takes out of a schema, and of all within it, what the types say and Spiderpool's schemas do not.
///
/// * No field is nullable: the API server then prunes a `null` and fills in the default, instead of storing it.
/// * Formats of unsigned integers go, since OpenAPI has none and the API server warns about them. Their minimum stays.
fn settle(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.enum_.iter_mut().for_each(|values| values.retain(|value| !value.0.is_null()));
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
