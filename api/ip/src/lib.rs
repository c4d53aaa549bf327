//! Addresses of IP pools as intervals: ranges, CIDRs, sets and the aligned blocks that the ledger is cut into.
//!
//! ```text
//! text "10.0.0.1-10.0.0.9" ──→ IpRange ──┐
//! text "10.0.0.0/24"       ──→ Cidr ─────┴──→ IpSet ──→ Block + 256 bits
//! ```
//!
//! Nothing here lists addresses. Every cost depends on the number of ranges, never on their size, so a `/10` or an
//! IPv6 `/64` costs the same as a `/30`. The crate does no I/O and is also linked into policies.
//!
//! ```
//! use spiderpool_ip::{Family, IpSet};
//!
//! let ips = IpSet::parse(Family::V4, ["10.0.0.1-10.0.0.9"])?;
//! let taken = IpSet::parse(Family::V4, ["10.0.0.1-10.0.0.3", "10.0.0.7"])?;
//! assert_eq!(ips.first_free(&taken), Some("10.0.0.4".parse()?));
//! assert_eq!(ips.minus(&taken).to_string(), "10.0.0.4-10.0.0.6,10.0.0.8-10.0.0.9");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod cidr;
mod family;
mod range;
mod set;

pub use block::{Block, BlockError, Blocks};
pub use cidr::{Cidr, CidrError};
pub use family::{AddressError, Family, FamilyError, parse_address};
pub use range::{IpRange, RangeError};
pub use set::{IpSet, SetError};
