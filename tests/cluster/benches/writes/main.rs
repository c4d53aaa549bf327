//! What single writes cost the API server: blocks of addresses in several ways, and records of endpoints. Prints a table.
//!
//!     cargo bench --package spiderpool-cluster

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod blocks;
mod endpoints;
mod meter;

use anyhow::Result;
use spiderpool_cluster::Cluster;

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::start().await?;
    println!("{}", meter::HEAD);
    blocks::one_writer(&cluster).await?;
    blocks::ten_writers(&cluster).await?;
    endpoints::created(&cluster).await
}
