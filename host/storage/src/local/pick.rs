//! Choosing a free address of a pool.

use std::net::IpAddr;
use std::sync::Arc;

use spiderpool_ip::{Block, Family};

use super::state::State;
use crate::block::{Bits, Slot};
use crate::place::{fnv1a, scatter};
use crate::{Choice, Pick, PoolSpace, Why};

/// How many blocks without room are looked at from a place inside the pool before the lowest free address is taken
/// instead: at some 60 ns each, it bounds what a nearly full /10 costs to a tenth of a millisecond.
const BLOCKS_IN_A_ROW: usize = 1024;

/// The free address that the choice asks for.
///
/// # Errors
/// Why there is none.
pub(super) fn pick(state: &mut State, family: Family, choice: &Choice) -> Result<IpAddr, Why> {
    let Choice { space, pick } = choice;
    if space.usable.family() != family {
        return Err(Why::Family(space.usable.family()));
    }
    if space.usable.is_empty() {
        return Err(Why::Empty);
    }
    let found = match pick {
        Pick::Lowest => lowest(state, space),
        Pick::Spread(seed) => near(state, space, scatter(*seed)),
        Pick::Sticky(key) => near(state, space, scatter(fnv1a(key.as_bytes()))),
        Pick::Exactly(addresses) => return exactly(state, space, addresses),
    };
    found.ok_or_else(|| {
        let track = state.track(space);
        Why::Full { total: track.total(), quarantined: track.usage().quarantined }
    })
}

/// Amortised O(1): the place where the last search ended is kept, and moves back only when something below it is freed.
fn lowest(state: &mut State, space: &Arc<PoolSpace>) -> Option<IpAddr> {
    let mut candidate = state.track(space).lowest().and_then(|block| space.usable.block_at_or_after(block));
    let found = loop {
        let Some(block) = candidate else { break None };
        if let Some(address) = first_free(state, space, block, 0) {
            break Some(address);
        }
        candidate = block.next().and_then(|next| space.usable.block_at_or_after(next));
    };
    state.track(space).set_lowest(candidate);
    found
}

/// The first free address at or after the place that `number` stands for, going on at the pool's beginning.
fn near(state: &mut State, space: &Arc<PoolSpace>, number: u128) -> Option<IpAddr> {
    if state.track(space).usage().free == 0 {
        return None;
    }
    let start = space.usable.nth(number % space.usable.count())?;
    let mut block = Block::containing(start);
    let mut from = block.offset(start)?;
    for _ in 0..BLOCKS_IN_A_ROW {
        if let Some(address) = first_free(state, space, block, from) {
            return Some(address);
        }
        let after = block.next().and_then(|next| space.usable.block_at_or_after(next));
        block = after.or_else(|| space.usable.first().map(Block::containing))?;
        from = 0;
    }
    lowest(state, space)
}

fn exactly(state: &State, space: &PoolSpace, addresses: &[IpAddr]) -> Result<IpAddr, Why> {
    let mut first = None;
    for &address in addresses {
        let why = if space.usable.contains(address) {
            match state.get(address) {
                Slot::Free => return Ok(address),
                Slot::Held(allocation) => Why::Taken { address, holder: allocation.holder.clone() },
                Slot::Quarantined(rest) => Why::Quarantined { address, reason: rest.reason.clone() },
            }
        } else {
            Why::Outside(address)
        };
        first.get_or_insert(why);
    }
    Err(first.unwrap_or(Why::NoneNamed))
}

fn first_free(state: &State, space: &PoolSpace, block: Block, from: u8) -> Option<IpAddr> {
    let usable = Bits(space.usable.bits_in_block(block));
    let offset = match state.records(block) {
        Some(records) => records.first_free(usable, from),
        None => usable.first_from(from),
    };
    offset.map(|offset| block.address(offset))
}
