//! The same records in other shapes: what of the cost is the custom resource's schema, and what the record's fields.

use anyhow::{Context, Result};
use http::Method;
use kube::Client;
use serde_json::{Value, json};
use spiderpool_cluster::Cluster;

use crate::blocks::{record, send};
use crate::meter::{Row, measure};

const WRITES: u32 = 200;
const WARM_UP: u32 = 40;

/// How records are stored.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// An object per address, with a schema for each of its fields.
    Fields,
    /// An object per address that the schema does not look into.
    Free,
    /// One text per address, `key=value` and blanks.
    Text,
    /// The values alone, of the four fields that tell whose an address is.
    Short,
    /// The same as `Text`, in a ConfigMap.
    ConfigMap,
    /// An array of two texts per address.
    Pair,
}

pub(crate) async fn compared(cluster: &Cluster) -> Result<()> {
    let client = cluster.client()?;
    let shapes = [
        ("objects with a schema", Shape::Fields),
        ("objects without a schema", Shape::Free),
        ("arrays of two texts", Shape::Pair),
        ("texts", Shape::Text),
        ("short texts", Shape::Short),
        ("texts of a ConfigMap", Shape::ConfigMap),
    ];
    for (label, shape) in shapes {
        let url = shape.install(&client).await?;
        for entries in [0, 16, 32, 64, 128, 245] {
            let mut block = Block::new(&client, &url, shape, entries).await?;
            block.write(WARM_UP).await?;
            let ((request, reply), spent) = measure(cluster, block.write(WRITES)).await?;
            let name = format!("JSON patch of 1, {label}");
            println!("{}", Row { name, entries, in_flight: 1, writes: WRITES, request, reply, spent });
        }
    }
    Ok(())
}

impl Shape {
    fn schema(self) -> Value {
        let fields = ["pod", "podUid", "interface", "node", "containerID", "network", "owner"];
        match self {
            Self::Fields => json!({"type": "object", "required": ["pod"], "properties":
                fields.iter().map(|field| ((*field).to_owned(), json!({"type": "string"}))).collect::<serde_json::Map<_, _>>()}),
            Self::Free => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
            Self::Pair => json!({"type": "array", "items": {"type": "string"}}),
            Self::Text | Self::Short | Self::ConfigMap => json!({"type": "string"}),
        }
    }

    /// Makes a kind of objects of this shape, and says where they live.
    async fn install(self, client: &Client) -> Result<String> {
        if self == Self::ConfigMap {
            return Ok("/api/v1/namespaces/default/configmaps".to_owned());
        }
        let plural = format!("shape{}s", self as u8);
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.test.example")},
            "spec": {"group": "test.example", "scope": "Cluster",
                "names": {"plural": plural, "singular": format!("shape{}", self as u8), "kind": format!("Shape{}", self as u8)},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object",
                    "properties": {"data": {"type": "object", "additionalProperties": self.schema()}}}}}]},
        });
        let url = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        send(client, Method::POST, url, "application/json", &definition).await?;
        let url = format!("/apis/test.example/v1/{plural}");
        while send(client, Method::GET, &url, "application/json", &Value::Null).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Ok(url)
    }

    fn record(self, index: usize) -> Value {
        let record = record(index);
        match self {
            Self::Fields | Self::Free => record,
            Self::Pair => {
                let uid = record["podUid"].as_str().unwrap_or_default().to_owned();
                json!([uid, text(&record)])
            }
            Self::Text | Self::ConfigMap => json!(text(&record)),
            Self::Short => {
                let fields = ["pod", "podUid", "interface", "node"];
                json!(fields.map(|field| record[field].as_str().unwrap_or_default()).join(" "))
            }
        }
    }
}

fn text(record: &Value) -> String {
    let fields = record.as_object().into_iter().flatten();
    fields.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect::<Vec<_>>().join(" ")
}

struct Block {
    client: Client,
    url: String,
    shape: Shape,
    turn: usize,
}

impl Block {
    async fn new(client: &Client, url: &str, shape: Shape, entries: usize) -> Result<Self> {
        let data = (0..entries).map(|index| (format!("10.6.0.{index}"), shape.record(index)));
        let kind = if shape == Shape::ConfigMap { json!("ConfigMap") } else { json!(format!("Shape{}", shape as u8)) };
        let version = if shape == Shape::ConfigMap { "v1" } else { "test.example/v1" };
        let mut data = data.collect::<serde_json::Map<_, _>>();
        data.insert("10.6.0.255".to_owned(), shape.record(255));
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"generateName": "shape-"}, "data": data});
        let made: Value = serde_json::from_str(&send(client, Method::POST, url, "application/json", &object).await?.1)?;
        let url = format!("{url}/{}", made["metadata"]["name"].as_str().context("an object without a name")?);
        let patch = json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]);
        send(client, Method::PATCH, &url, "application/json-patch+json", &patch).await?;
        Ok(Self { client: client.clone(), url, shape, turn: 0 })
    }

    async fn write(&mut self, times: u32) -> Result<(usize, usize)> {
        let mut sizes = (0, 0);
        for _ in 0..times {
            let path = |turn: usize| format!("/data/10.6.0.{}", 246 + (turn + 9) % 10);
            let (given, taken) = (path(self.turn), path(self.turn + 1));
            let patch = json!([
                {"op": "test", "path": taken, "value": null},
                {"op": "add", "path": taken, "value": self.shape.record(7)},
                {"op": "test", "path": given, "value": self.shape.record(if self.turn == 0 { 255 } else { 7 })},
                {"op": "remove", "path": given},
            ]);
            let kind = "application/json-patch+json";
            let (sent, reply) = send(&self.client, Method::PATCH, &self.url, kind, &patch).await?;
            sizes = (sent, reply.len());
            self.turn += 1;
        }
        Ok(sizes)
    }
}
