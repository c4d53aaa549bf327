//! What single writes cost the API server: blocks of addresses in several ways, and records of endpoints. Prints a table.
//! These figures made a block 16 addresses with a text each: objects of eight fields cost three times as much, and 256 of
//! them 49 ms of the server's processor with every write.
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
    // Names of parts as arguments; cargo adds `--bench`.
    let named = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect::<Vec<_>>();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    if wanted("endpoints") {
        endpoints::created(&cluster).await?;
    }
    if wanted("blocks") {
        blocks::one_writer(&cluster).await?;
        blocks::ten_writers(&cluster).await?;
    }
    Ok(())
}
