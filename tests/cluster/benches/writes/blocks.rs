//! One address of a block changes hands, in the ways that the API offers.

use anyhow::{Context, Result};
use futures::future::try_join_all;
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};
use spiderpool_cluster::Cluster;

use crate::meter::{Row, measure};

const URL: &str = "/apis/spiderpool.spidernet.io/v2beta1/spideripblocks";

/// Writes of one kind on one block; it keeps its size: what a write adds, the next one removes.
const WRITES: u32 = 200;
const WARM_UP: u32 = 40;

/// How a change is said.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// The whole object, with the version it is based on.
    Put,
    /// A JSON patch whose `test` operations say what must not be there.
    JsonPatch { addresses: usize },
    /// A JSON merge patch without a version: nothing is checked.
    MergePatch,
}

pub(crate) async fn one_writer(cluster: &Cluster) -> Result<()> {
    let ways = [
        ("PUT", Way::Put),
        ("JSON patch of 1", Way::JsonPatch { addresses: 1 }),
        ("JSON patch of 10", Way::JsonPatch { addresses: 10 }),
        ("merge patch of 1", Way::MergePatch),
    ];
    let client = cluster.client()?;
    for (label, way) in ways {
        for tracked in [true, false] {
            for entries in [0, 16, 32, 53] {
                let mut writer = Writer::new(&client, entries, way, tracked, 54..64).await?;
                writer.write(WARM_UP).await?;
                let ((request, reply), spent) = measure(cluster, writer.write(WRITES)).await?;
                let fields = if tracked { "" } else { ", no managedFields" };
                let name = format!("{label}{fields}");
                println!("{}", Row { name, entries, in_flight: 1, writes: WRITES, request, reply, spent });
            }
        }
    }
    Ok(())
}

/// Ten agents at once, on ten blocks and on the same one, each with an address of its own.
pub(crate) async fn ten_writers(cluster: &Cluster) -> Result<()> {
    for shared in [false, true] {
        for entries in [16, 44] {
            let mut writers = Vec::new();
            for number in 0..10_u8 {
                let client = cluster.client()?;
                let start = 44 + u16::from(number) * 2;
                let way = Way::JsonPatch { addresses: 1 };
                let mut writer = Writer::new(&client, entries, way, false, start..start + 2).await?;
                if shared && let Some(first) = writers.first() {
                    let first: &Writer = first;
                    writer.name.clone_from(&first.name);
                }
                writers.push(writer);
            }
            let writes = WRITES / 2;
            let work = try_join_all(writers.iter_mut().map(|writer| writer.write(writes)));
            let (sizes, spent) = measure(cluster, work).await?;
            let (request, reply) = sizes[0];
            let name = format!("JSON patch of 1, no managedFields, {} block", if shared { "one" } else { "each its" });
            println!("{}", Row { name, entries, in_flight: 10, writes: writes * 10, request, reply, spent });
        }
    }
    Ok(())
}

struct Writer {
    client: Client,
    name: String,
    way: Way,
    /// The object as it was made, with the last version.
    object: Value,
    /// The last numbers of addresses that it may use.
    room: std::ops::Range<u16>,
    /// Addresses that it wrote last.
    held: Vec<String>,
    turn: u16,
}

impl Writer {
    async fn new(client: &Client, entries: usize, way: Way, tracked: bool, room: std::ops::Range<u16>) -> Result<Self> {
        let allocations =
            (0..entries).map(|index| (format!("10.6.0.{index}"), record(index))).collect::<serde_json::Map<_, _>>();
        let object = json!({
            "apiVersion": "spiderpool.spidernet.io/v2beta1",
            "kind": "SpiderIPBlock",
            "metadata": {"generateName": "block-", "labels": {"ipam.spidernet.io/block-pool": "pool"}},
            "spec": {"pool": "pool", "block": "10.6.0.0/28", "allocations": allocations, "quarantine": {}},
        });
        let made: Value = serde_json::from_str(&send(client, Method::POST, URL, "application/json", &object).await?.1)?;
        let name = made["metadata"]["name"].as_str().context("a block without a name")?.to_owned();
        let mut writer = Self { client: client.clone(), name, way, object: made, room, held: Vec::new(), turn: 0 };
        if !tracked {
            let patch = json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]);
            let url = format!("{URL}/{}", writer.name);
            let (_, reply) = send(client, Method::PATCH, &url, "application/json-patch+json", &patch).await?;
            writer.object = serde_json::from_str(&reply)?;
            anyhow::ensure!(writer.object["metadata"].get("managedFields").is_none(), "still tracked: {reply}");
        }
        Ok(writer)
    }

    /// Writes so often; returns the sizes of the last request and of its reply.
    async fn write(&mut self, times: u32) -> Result<(usize, usize)> {
        let mut sizes = (0, 0);
        for _ in 0..times {
            let url = format!("{URL}/{}", self.name);
            let (method, kind, body) = self.next();
            let (sent, reply) = send(&self.client, method, &url, kind, &body).await?;
            if self.way == Way::Put {
                self.object = serde_json::from_str(&reply)?;
            }
            sizes = (sent, reply.len());
        }
        Ok(sizes)
    }

    fn next(&mut self) -> (Method, &'static str, Value) {
        let addresses = match self.way {
            Way::JsonPatch { addresses } => addresses,
            Way::Put | Way::MergePatch => 1,
        };
        let room = usize::from(self.room.end - self.room.start);
        // Ten addresses fill the room: then half the writes take and half give back.
        let takes = if addresses * 2 > room && !self.held.is_empty() { 0 } else { addresses };
        let taken = (0..takes)
            .map(|_| {
                self.turn = (self.turn + 1) % (self.room.end - self.room.start);
                format!("10.6.0.{}", self.room.start + self.turn)
            })
            .collect::<Vec<_>>();
        let given = std::mem::replace(&mut self.held, taken.clone());
        let path = |address: &String| format!("/spec/allocations/{address}");
        match self.way {
            Way::Put => {
                let allocations = &mut self.object["spec"]["allocations"];
                for address in &given {
                    allocations.as_object_mut().map(|all| all.remove(address));
                }
                for address in &taken {
                    allocations[address] = record(7);
                }
                (Method::PUT, "application/json", self.object.clone())
            }
            Way::JsonPatch { .. } => {
                let take = taken.iter().flat_map(|address| {
                    [
                        json!({"op": "test", "path": path(address), "value": null}),
                        json!({"op": "add", "path": path(address), "value": record(7)}),
                    ]
                });
                let give = given.iter().flat_map(|address| {
                    let path = path(address);
                    [json!({"op": "test", "path": path, "value": record(7)}), json!({"op": "remove", "path": path})]
                });
                (Method::PATCH, "application/json-patch+json", take.chain(give).collect())
            }
            Way::MergePatch => {
                let mut allocations = json!({});
                for address in &given {
                    allocations[address] = Value::Null;
                }
                for address in &taken {
                    allocations[address] = record(7);
                }
                let patch = json!({"spec": {"allocations": allocations}});
                (Method::PATCH, "application/merge-patch+json", patch)
            }
        }
    }
}

/// A holder as they are in clusters: a pod of a Deployment, a UID, a container's ID of 64 digits.
pub(crate) fn record(index: usize) -> Value {
    format!(
        "pod=shop-production/checkout-service-7d9f8b6c5d-{index:05} uid=0d5f1c9e-6c1b-4c58-9a53-{index:012x} nic=eth0 \
         node=worker-{}.cluster.example sandbox={index:064x} network=macvlan-underlay owner=Deployment/checkout-service",
        index % 100
    )
    .into()
}

/// Sends a request; returns its body's size and the reply.
pub(crate) async fn send(
    client: &Client,
    method: Method,
    url: &str,
    kind: &str,
    body: &Value,
) -> Result<(usize, String)> {
    let body = serde_json::to_vec(body)?;
    let sent = body.len();
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", kind)
        .header("accept", "application/json")
        .body(body)?;
    Ok((sent, client.request_text(request).await?))
}
