//! What the API server says it was asked. Alone in its program: everything that asks counts.

use anyhow::Result;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use spiderpool_cluster::Cluster;

#[tokio::test]
async fn requests_are_counted_by_verb_and_resource() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace().await?;
    let api = Api::<ConfigMap>::namespaced(cluster.client()?, &namespace);
    let before = cluster.requests().await?;
    for name in ["a", "b", "c"] {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let object = ConfigMap { metadata, ..ConfigMap::default() };
        api.create(&PostParams::default(), &object).await?;
        assert!(api.create(&PostParams::default(), &object).await.is_err());
    }
    api.delete("a", &DeleteParams::default()).await?;
    api.list(&ListParams::default()).await?;

    let since = cluster.requests().await? - &before;
    assert_eq!(since.count("POST", "configmaps"), 6, "{since}");
    assert_eq!(since.sum(|it| it.resource == "configmaps" && it.code == 201), 3, "{since}");
    assert_eq!(since.sum(|it| it.resource == "configmaps" && it.code == 409), 3, "{since}");
    assert_eq!(since.count("DELETE", "configmaps"), 1, "{since}");
    assert_eq!(since.count("LIST", "configmaps"), 1, "{since}");
    assert_eq!(since.count("PUT", "configmaps"), 0, "{since}");
    Ok(())
}
