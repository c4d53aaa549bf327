//! One address that is to change hands, and what became of that.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use spiderpool_crd::ipblock::{BlockAllocation, Quarantine};
use spiderpool_ip::Block;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::entry::{holder, left_for, same_nic, same_use};
use crate::kube::{StoreError, StoredBlock};
use crate::{ClusterError, Holder, Pick, PoolSpace, Why};

/// What is to be done in a pool.
#[derive(Debug)]
pub(super) enum Work {
    /// Take a free address.
    Take(Take),
    /// See that the address is held by the same NIC still, and write who holds it now.
    Move { address: IpAddr, from: BlockAllocation, to: BlockAllocation },
    /// See that the pod of that uid left the address, and that `to` has it from then on. Without `from` nobody knows yet what
    /// is written there; once it is known, `left` is what the other pod's entry was.
    Inherit {
        address: IpAddr,
        uid: String,
        from: Option<BlockAllocation>,
        left: Option<Box<BlockAllocation>>,
        to: BlockAllocation,
    },
    /// Have it end as `to` says, if it is used as `from` says.
    Keep { address: IpAddr, from: BlockAllocation, to: BlockAllocation },
    /// Give back what the pod of that uid and name left there, whatever else is written.
    Reclaim { address: IpAddr, gone: Holder },
    /// Give it back.
    Free { address: IpAddr, from: BlockAllocation },
    /// Keep it from being given; from its holder, or while it is free.
    Rest { address: IpAddr, from: Option<BlockAllocation>, rest: Quarantine },
    /// Know all blocks as they are now.
    Refresh { space: Arc<PoolSpace> },
    /// Undo what a request of unknown outcome may have done too late: what was there before is there again.
    Settle { address: IpAddr, to: BlockAllocation, before: Option<BlockAllocation> },
}

/// A free address to be taken.
#[derive(Debug)]
pub(super) struct Take {
    pub(super) space: Arc<PoolSpace>,
    pub(super) pick: Pick,
    pub(super) to: BlockAllocation,
    /// What was asked for last.
    pub(super) tried: Option<IpAddr>,
    /// That address and no other: a request for it may still be under way.
    pub(super) pinned: bool,
    /// Who holds this address is to be told, for nothing that was asked for is free.
    pub(super) explain: Option<IpAddr>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// The address is held, as asked.
    Held(IpAddr),
    /// It is held, and this is what was written there before, if that is known.
    Inherited(Option<Box<BlockAllocation>>),
    /// It was given back.
    Freed,
    /// It rests.
    Rested,
    /// The NIC does not hold it; or holds it in another sandbox, as this says.
    NotHeld(Option<BlockAllocation>),
    /// There is no address.
    NoRoom(Why),
    /// Blocks are known as they are.
    Fresh,
}

/// Work, by when it must be done, and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) arrived: Instant,
    pub(super) deadline: Instant,
    /// Nobody knows what became of a change that was to do it.
    pub(super) unknown: bool,
    /// The API server refused a change that was to do it and others: it is tried on its own.
    pub(super) alone: bool,
    /// It was answered.
    pub(super) ended: bool,
    /// The last failure.
    pub(super) cause: Option<StoreError>,
    pub(super) reply: Option<oneshot::Sender<Result<Outcome, ClusterError>>>,
}

impl Job {
    pub(super) fn new(work: Work, arrived: Instant, deadline: Instant) -> Self {
        Self { work, arrived, deadline, unknown: false, alone: false, ended: false, cause: None, reply: None }
    }

    /// Tells whoever waits. Whoever gave up waiting finds what was done when asking again.
    pub(super) fn end(&mut self, outcome: Result<Outcome, ClusterError>) {
        self.ended = true;
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(outcome);
        }
    }

    /// The address that it is about, if that is certain.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match &self.work {
            Work::Take(take) => take.explain.or(take.tried),
            Work::Move { address, .. }
            | Work::Inherit { address, .. }
            | Work::Keep { address, .. }
            | Work::Reclaim { address, .. }
            | Work::Free { address, .. }
            | Work::Rest { address, .. }
            | Work::Settle { address, .. } => Some(*address),
            Work::Refresh { .. } => None,
        }
    }

    /// Whether it takes any address that is free.
    pub(super) fn is_open(&self) -> bool {
        matches!(&self.work, Work::Take(take) if take.is_open())
    }

    pub(super) fn is_in(&self, block: Block) -> bool {
        self.address().is_some_and(|address| block.contains(address))
    }

    /// What it has come to when its change was made.
    pub(super) fn done(&self) -> Outcome {
        match &self.work {
            Work::Take(Take { tried: Some(address), .. }) | Work::Move { address, .. } | Work::Keep { address, .. } => {
                Outcome::Held(*address)
            }
            Work::Inherit { left, .. } => Outcome::Inherited(left.clone()),
            Work::Take(_) | Work::Refresh { .. } => Outcome::Fresh,
            Work::Reclaim { .. } | Work::Free { .. } | Work::Settle { .. } => Outcome::Freed,
            Work::Rest { .. } => Outcome::Rested,
        }
    }

    /// What it has come to, now that its block was read; `None`: it is still to be done, perhaps otherwise than before.
    pub(super) fn look(&mut self, stored: &StoredBlock, now: SystemTime) -> Option<Outcome> {
        let address = self.address()?;
        let there = stored.spec.allocations.get(&address);
        let resting = stored.spec.quarantine.get(&address);
        let unknown = self.unknown;
        match &mut self.work {
            Work::Take(take) => {
                // One that has rested long enough can be taken, and what was asked for may still take it.
                let rests = resting.filter(|rest| SystemTime::from(rest.until.0) > now);
                let (outcome, instead) = take.look(address, there, rests, unknown);
                if let Some(instead) = instead {
                    self.work = instead;
                }
                outcome
            }
            Work::Move { from, to, .. } => match there {
                Some(there) if there == to => Some(Outcome::Held(address)),
                Some(there) if same_nic(there, from) => {
                    from.clone_from(there);
                    None
                }
                _ => Some(Outcome::NotHeld(None)),
            },
            Work::Inherit { uid, from, left, to, .. } => match there {
                Some(there) if there == to => Some(Outcome::Inherited(left.clone())),
                Some(there) if same_nic(there, to) || left_for(there, uid, to) => {
                    if there.pod_uid != to.pod_uid {
                        // Whoever gives it back answers for it from then on.
                        *left = Some(Box::new(BlockAllocation { node: to.node.clone(), ..there.clone() }));
                    }
                    *from = Some(there.clone());
                    None
                }
                _ => Some(Outcome::NotHeld(None)),
            },
            Work::Keep { from, to, .. } => match there {
                Some(there) if there.until == to.until && same_nic(there, from) => Some(Outcome::Held(address)),
                Some(there) if same_use(there, from) => {
                    from.clone_from(there);
                    None
                }
                Some(there) if same_nic(there, from) => Some(Outcome::NotHeld(Some(there.clone()))),
                _ => Some(Outcome::NotHeld(None)),
            },
            Work::Reclaim { gone, .. } => match there {
                Some(there) if holder(there) == *gone => {
                    self.work = Work::Free { address, from: there.clone() };
                    None
                }
                _ => Some(Outcome::NotHeld(None)),
            },
            Work::Free { from, .. } => match there {
                Some(there) if same_use(there, from) => {
                    from.clone_from(there);
                    None
                }
                Some(there) if same_nic(there, from) => Some(Outcome::NotHeld(Some(there.clone()))),
                _ if unknown => Some(Outcome::Freed),
                _ => Some(Outcome::NotHeld(None)),
            },
            Work::Rest { from, rest, .. } => match (there, resting) {
                (Some(there), _) if from.as_ref().is_some_and(|from| same_nic(there, from)) => {
                    *from = Some(there.clone());
                    None
                }
                (Some(_), _) => Some(Outcome::NotHeld(None)),
                (None, Some(resting)) if unknown && resting == rest => Some(Outcome::Rested),
                (None, Some(_)) => Some(Outcome::NotHeld(None)),
                (None, None) => {
                    *from = None;
                    None
                }
            },
            Work::Settle { to, before, .. } => match there {
                // In whatever sandbox: late moves may have followed.
                Some(there) if same_nic(there, to) => {
                    let from = there.clone();
                    self.work = match before.take() {
                        Some(to) => Work::Move { address, from, to },
                        None => Work::Free { address, from },
                    };
                    None
                }
                _ => Some(Outcome::Freed),
            },
            Work::Refresh { .. } => None,
        }
    }
}

impl Take {
    /// Whether any address that is free will do.
    pub(super) fn is_open(&self) -> bool {
        self.explain.is_none() && !self.pinned && !matches!(self.pick, Pick::Exactly(_))
    }

    /// As [`Job::look`]; the second is what is to be done instead.
    fn look(
        &mut self,
        address: IpAddr,
        there: Option<&BlockAllocation>,
        resting: Option<&Quarantine>,
        unknown: bool,
    ) -> (Option<Outcome>, Option<Work>) {
        if self.explain.take().is_some() {
            let why = match (there, resting) {
                (Some(there), _) => Why::Taken { address, holder: holder(there) },
                (None, Some(rest)) => Why::Quarantined { address, reason: rest.reason.clone() },
                (None, None) => return (None, None),
            };
            return (Some(Outcome::NoRoom(why)), None);
        }
        match there {
            Some(there) if *there == self.to => (Some(Outcome::Held(address)), None),
            Some(there) if same_nic(there, &self.to) => {
                (None, Some(Work::Move { address, from: there.clone(), to: self.to.clone() }))
            }
            Some(_) => {
                (self.tried, self.pinned) = (None, false);
                (None, None)
            }
            None => {
                self.pinned = unknown && resting.is_none();
                if !self.pinned {
                    self.tried = None;
                }
                (None, None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use spiderpool_crd::SpiderIPBlockSpec;
    use spiderpool_ip::{Family, IpSet};

    use super::*;

    #[test]
    fn a_request_without_answer_may_still_take_what_has_rested_long_enough() {
        let address: IpAddr = [10, 6, 0, 1].into();
        let usable = IpSet::parse(Family::V4, ["10.6.0.1-10.6.0.9"]).unwrap();
        let space = Arc::new(PoolSpace::new("p", "10.6.0.0/24".parse().unwrap(), usable));
        let rest = Quarantine { until: Time(Timestamp::from_second(1000).unwrap()), reason: String::new() };
        let (pool, block, allocations) = ("p".to_owned(), Block::containing(address), BTreeMap::new());
        let spec = SpiderIPBlockSpec { pool, block, allocations, quarantine: [(address, rest)].into() };
        let stored = StoredBlock { uid: String::new(), version: String::new(), spec, mark: None };
        let then_asks_for = |seconds| {
            let (to, tried) = (BlockAllocation::default(), Some(address));
            let take = Take { space: Arc::clone(&space), pick: Pick::Lowest, to, tried, pinned: true, explain: None };
            let mut job = Job::new(Work::Take(take), Instant::now(), Instant::now());
            job.unknown = true;
            assert_eq!(job.look(&stored, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), None);
            job.address()
        };
        assert_eq!(then_asks_for(1001), Some(address));
        assert_eq!(then_asks_for(999), None);
    }
}
