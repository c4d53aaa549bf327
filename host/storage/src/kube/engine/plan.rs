//! What one round of a pool's writer does: pure, from what is known and what is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_ip::Block;
use tokio::time::Instant;

use super::Spaces;
use super::entry;
use super::job::{Job, Outcome, Work};
use super::pick::{Found, View};
use super::picture::Seen;
use crate::kube::{Change, Mark};
use crate::{PoolSpace, Why};

/// How many blocks are read one by one before the whole pool is listed instead.
const SINGLY: usize = 8;

/// The changes of one block.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) changes: Vec<Change>,
    /// Whose they are: places in the list of jobs.
    pub(super) jobs: Vec<usize>,
    pub(super) addresses: BTreeSet<IpAddr>,
    /// The pool as its addresses are now, if it is there.
    pub(super) space: Option<Arc<PoolSpace>>,
    /// What the block's label is to say then; none: what others hold of the block is not known, and the label stays as it is.
    pub(super) mark: Option<Mark>,
    pub(super) alone: bool,
}

impl Batch {
    /// Who takes which address.
    pub(super) fn takes(&self) -> BTreeMap<IpAddr, BlockAllocation> {
        let takes = self.changes.iter().filter_map(|change| match change {
            Change::Take { address, to } => Some((*address, to.clone())),
            _ => None,
        });
        takes.collect()
    }
}

/// What one round does.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) batches: BTreeMap<Block, Batch>,
    pub(super) reads: BTreeSet<Block>,
    /// What must be made, with its batch where that is more than empty.
    pub(super) creates: BTreeSet<Block>,
    /// What exists is to be listed.
    pub(super) marks: bool,
    /// Reading all blocks in one list is cheaper.
    pub(super) list: bool,
    pub(super) outcomes: Vec<(usize, Outcome)>,
}

/// What the writer knows beside the pictures.
pub(super) struct Known<'a> {
    pub(super) pool: &'a str,
    pub(super) spaces: &'a Spaces,
    /// When the list of blocks that is known was begun.
    pub(super) looked: Option<Instant>,
    /// Blocks whose picture is known to be wrong.
    pub(super) stale: &'a BTreeSet<Block>,
}

/// Decides for every job what is done about it now.
pub(super) fn plan(jobs: &mut [Job], mut view: View<'_>, known: &Known<'_>) -> Plan {
    let mut plan = Plan { reads: known.stale.clone(), ..Plan::default() };
    let mut unread = BTreeSet::new();
    for (index, job) in jobs.iter_mut().enumerate() {
        consider(&mut plan, &mut view, known, &mut unread, index, job);
    }
    if unread.len() > SINGLY {
        plan.list = true;
    } else {
        plan.reads.append(&mut unread);
    }
    let Plan { batches, reads, creates, .. } = &mut plan;
    batches.retain(|block, _| !reads.contains(block));
    creates.retain(|block| !reads.contains(block));
    for (&block, batch) in batches.iter_mut() {
        batch.space = batch.space.take().or_else(|| (known.spaces)(known.pool));
        let mark = view.pictures.get(block).and_then(Seen::mark);
        batch.mark = mark.map(|mark| mark.after(block, &batch.changes));
    }
    plan
}

fn consider(
    plan: &mut Plan,
    view: &mut View<'_>,
    known: &Known<'_>,
    unread: &mut BTreeSet<Block>,
    index: usize,
    job: &mut Job,
) {
    let fresh = known.looked.is_some_and(|looked| looked >= job.arrived);
    match &mut job.work {
        Work::Refresh { space } => {
            let left = view.unread(space);
            match (fresh, left.is_empty()) {
                (false, _) => plan.marks = true,
                (true, false) => unread.extend(left),
                (true, true) => plan.outcomes.push((index, Outcome::Fresh)),
            }
        }
        Work::Settle { address, .. } | Work::Reclaim { address, .. } | Work::Inherit { address, from: None, .. } => {
            plan.reads.insert(Block::containing(*address));
        }
        Work::Take(take) if take.explain.is_some() => {
            plan.reads.extend(take.explain.map(Block::containing));
        }
        Work::Take(_) if known.looked.is_none() => plan.marks = true,
        Work::Take(take) => {
            let found = match take.tried {
                Some(address) if take.pinned => Found::Address(address),
                _ => view.pick(take),
            };
            match found {
                Found::Address(address) => {
                    take.tried = Some(address);
                    place(plan, view, index, job);
                }
                Found::Read(block) => {
                    plan.reads.insert(block);
                }
                Found::Never(why) => plan.outcomes.push((index, Outcome::NoRoom(why))),
                // Whether what this round takes can be had is not known yet.
                Found::Full | Found::Taken(_) if !view.busy.is_empty() => {}
                Found::Full | Found::Taken(_) if !fresh => plan.marks = true,
                Found::Taken(address) => take.explain = Some(address),
                Found::Full => {
                    let left = view.unread(&take.space);
                    if left.is_empty() {
                        let quarantined = view.pictures.usage(&take.space, view.now).quarantined;
                        let why = Why::Full { total: take.space.usable.count(), quarantined };
                        plan.outcomes.push((index, Outcome::NoRoom(why)));
                    }
                    unread.extend(left);
                }
            }
        }
        Work::Inherit { .. } | Work::Move { .. } | Work::Keep { .. } | Work::Free { .. } | Work::Rest { .. } => {
            place(plan, view, index, job)
        }
    }
}

/// Adds the job's change to those of its block, unless something must happen first.
fn place(plan: &mut Plan, view: &mut View<'_>, index: usize, job: &Job) {
    let Some(address) = job.address() else { return };
    let block = Block::containing(address);
    let Some(offset) = block.offset(address) else { return };
    let busy = view.busy.entry(block).or_default();
    let taken = busy.contains(offset);
    busy.set(offset, true);
    if taken {
        return;
    }
    let seen = view.pictures.get(block);
    let (ending, resting) = match seen {
        Some(Seen::Read(picture)) => (picture.ending.get(&offset), picture.resting.get(&offset)),
        Some(Seen::Listed { .. }) => (None, None),
        None if let Work::Take(take) = &job.work => {
            if view.is_known(&take.space, block) {
                plan.creates.insert(block);
            }
            (None, None)
        }
        None => {
            let needed = matches!(job.work, Work::Rest { from: None, .. });
            let first = if needed { &mut plan.creates } else { &mut plan.reads };
            first.insert(block);
            return;
        }
    };
    if matches!(job.work, Work::Take(_))
        && let Some(Seen::Listed { mark, .. }) = seen
        && mark.is_none_or(|mark| mark.held.or(mark.passing).contains(offset))
    {
        plan.reads.insert(block);
        return;
    }
    let batch = plan.batches.entry(block).or_default();
    if batch.alone || (job.alone && !batch.jobs.is_empty()) {
        return;
    }
    batch.alone = job.alone;
    batch.jobs.push(index);
    batch.addresses.insert(address);
    let change = match &job.work {
        Work::Take(take) => {
            batch.space = Some(Arc::clone(&take.space));
            Change::Take { address, to: take.to.clone() }
        }
        Work::Move { from, to, .. } | Work::Keep { from, to, .. } | Work::Inherit { from: Some(from), to, .. } => {
            Change::Move { address, from: from.clone(), to: to.clone() }
        }
        Work::Free { from, .. } => Change::Free { address, from: from.clone() },
        Work::Rest { from, rest, .. } => Change::Rest { address, from: from.clone(), rest: rest.clone() },
        Work::Inherit { from: None, .. } | Work::Reclaim { .. } | Work::Refresh { .. } | Work::Settle { .. } => return,
    };
    // What was kept long enough, whoever should have freed it.
    let ended = ending.filter(|there| entry::end(there).is_some_and(|end| end <= view.now));
    if let (Change::Take { .. }, Some(ended)) = (&change, ended) {
        batch.changes.push(Change::Free { address, from: ended.clone() });
    }
    let free = matches!(change, Change::Take { .. } | Change::Rest { from: None, .. });
    if let Some(rest) = resting.filter(|_| free) {
        batch.changes.push(Change::Wake { address, from: rest.clone() });
    }
    batch.changes.push(change);
}
