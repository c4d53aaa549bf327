//! Others who are at work in a pool: how a writer keeps out of their way, and learns how far they have come.

use std::time::{Duration, SystemTime};

use spiderpool_ip::Block;
use tokio::time::Instant;

use super::job::Work;
use super::pick::{Apart, SPREAD};
use super::plan::{Batch, Plan};
use super::shared::bounded;
use super::writer::Writer;
use crate::kube::{BlockMark, StoreError};

/// For how long a writer that lost an address, or expects others, stays away from the lowest ones.
const APART: Duration = Duration::from_secs(5);
/// How old a list of blocks must be before a surprise makes it worth asking for another: so much for each block
/// and for this many more, since the list costs the API server in proportion.
const LOOK: Duration = Duration::from_millis(1);
const LOOK_LEAST: u32 = 20;
/// How old what is known of a neighbourhood may be for making a block in it. Whoever comes later would find others there.
const CURRENT: Duration = Duration::from_secs(2);
/// So many that want an address at once rarely come to one node alone: it goes its own way before it meets the others. When
/// others were there since it last looked, fewer will do. One alone takes the lowest address.
const MANY: usize = 3;
const SEVERAL: usize = 2;
/// How young a block of others is a sign of the same for one alone. The API server tells its age in whole seconds.
const YOUNG: Duration = Duration::from_secs(2);
/// So many pods of this node that are about to start are a sign of the same. Not all of them ask, nor at once.
pub(super) const CROWD: usize = 8;

impl Writer {
    /// Others are at work in this pool.
    pub(super) fn lost(&mut self) {
        self.losses += 1;
        self.go_apart(None);
    }

    /// A round is to find so many addresses.
    pub(super) fn expect(&mut self, wanted: usize) {
        if wanted >= MANY || (wanted > 0 && !self.is_apart() && self.crowd() >= CROWD) {
            self.go_apart(None);
        }
    }

    /// How many pods of this node have not started yet and hold nothing: some of them are about to ask.
    pub(super) fn crowd(&self) -> usize {
        let pending = (self.shared.config.pending)();
        let memory = self.shared.memory.lock();
        pending.iter().filter(|uid| memory.held.of(uid).is_empty()).count()
    }

    /// Whether some of the block is of this node's share: there it is rarely worth while to know how far others have come.
    pub(super) fn is_of_share(&self, batch: &Batch, block: Block) -> bool {
        let liking = *self.shared.liking.lock();
        let from = self.apart().map_or_else(|| self.lowest_open(), |apart| apart.from);
        let share = from.zip(batch.space.as_deref()).and_then(|(from, space)| liking.share(space, from));
        share.is_some_and(|share| !share.part_of(block).is_empty())
    }

    /// From now on, and for a while, this writer goes its own ways. What is young is divided, however full it is by now.
    fn go_apart(&mut self, young: Option<Block>) {
        if !self.is_apart() {
            self.apart_from = self.lowest_open().into_iter().chain(young).min();
        }
        self.apart_until = Some(Instant::now() + APART);
    }

    /// How it goes its own ways, if others were met lately, or are to be expected.
    pub(super) fn apart(&self) -> Option<Apart> {
        let is_apart = self.apart_until.is_some_and(|until| Instant::now() < until);
        is_apart.then_some(Apart { losses: self.losses, from: self.apart_from })
    }

    fn is_apart(&self) -> bool {
        self.apart().is_some()
    }

    /// The lowest block of the pool that has room, as far as this agent knows.
    fn lowest_open(&self) -> Option<Block> {
        let space = (self.shared.config.spaces)(&self.pool)?;
        self.shared.memory.lock().pictures(&self.pool).lowest_open(&space)
    }

    /// Of the pool, or of what is near that block.
    pub(super) async fn list_marks(&mut self, near: Option<Block>) -> Option<StoreError> {
        let begun = Instant::now();
        match bounded(self.shared.config.blocks.marks(&self.pool, near)).await {
            Ok(marks) => {
                let young = self.young(&marks);
                let is_news = self.shared.memory.lock().see_marks(&self.pool, near, marks, begun);
                if young.is_some() || (is_news && self.jobs.len() + self.waiting.len() >= SEVERAL) {
                    self.go_apart(young);
                }
                match near {
                    Some(near) => drop(self.looked_near.insert(near, begun)),
                    None => self.looked = Some(begun),
                }
                None
            }
            Err(error) => self.all_failed(&error),
        }
    }

    /// The lowest block that was made lately, if not only by this writer, and if the node has a share of the pool instead.
    fn young(&self, marks: &[BlockMark]) -> Option<Block> {
        if !self.shared.liking.lock().is_ranked() {
            return None;
        }
        let now = (self.shared.config.clock)();
        // The other clock may be ahead.
        let age = |made: SystemTime| now.duration_since(made).unwrap_or_else(|error| error.duration());
        let is_young = |made: SystemTime| age(made) < YOUNG;
        let young = marks.iter().filter(|mark| mark.made.is_some_and(is_young)).map(|mark| mark.block);
        young.clone().any(|block| !self.own.contains(&block)).then(|| young.min()).flatten()
    }

    /// Whether there are as many addresses left as writers that meet spread over.
    pub(super) fn is_roomy(&self, batch: &Batch) -> bool {
        let now = (self.shared.config.clock)();
        let mut memory = self.shared.memory.lock();
        let free = batch.space.as_ref().map(|space| memory.usage(space, now).free);
        free.is_some_and(|free| free >= (SPREAD * usize::from(Block::SIZE)) as u128)
    }

    /// A neighbourhood to look at before the plan is carried out, by its first block: one that is worth a look, or where the plan
    /// makes a block and that was not looked at lately. For addresses of its share a writer that goes its own ways does
    /// neither.
    pub(super) fn worth_seeing(&mut self, plan: &Plan) -> Option<Block> {
        let is_share = |block| plan.batches.get(&block).is_some_and(|batch| self.is_of_share(batch, block));
        let is_outside = |block| !(self.is_apart() && is_share(block));
        if !self.worth_a_look.is_empty() {
            let takes = self.jobs.iter().filter(|job| !job.ended && matches!(job.work, Work::Take(_))).count();
            let of_share =
                plan.batches.iter().filter(|(block, _)| !is_outside(**block)).map(|(_, batch)| batch.takes().len());
            if takes > of_share.sum() {
                return self.worth_a_look.pop_first();
            }
        }
        let mut around =
            plan.creates.iter().filter(|block| is_outside(**block)).map(|block| *block.neighbourhood().start());
        around.find(|first| self.looked_at(first).is_none_or(|looked| looked.elapsed() >= CURRENT))
    }

    /// Has the blocks around one listed, which tells how far others have come, unless that was done lately.
    pub(super) fn look_again(&mut self, block: Block) {
        let first = *block.neighbourhood().start();
        let blocks = self.shared.memory.lock().pictures(&self.pool).len_near(first);
        let worth = LOOK * u32::try_from(blocks).unwrap_or(u32::MAX).saturating_add(LOOK_LEAST);
        if self.looked_at(&first).is_none_or(|looked| Instant::now() >= looked + worth) {
            self.worth_a_look.insert(first);
        }
    }

    /// When what exists in a neighbourhood was listed last, by its first block.
    fn looked_at(&self, first: &Block) -> Option<Instant> {
        self.looked.max(self.looked_near.get(first).copied())
    }
}
