//! Labels of blocks that say something wrong: another writer was at work there, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use spiderpool_ip::Block;
use tokio::time::Instant;

use super::picture::usable;
use super::plan::{Batch, Plan};
use super::writer::Writer;
use crate::PoolSpace;
use crate::kube::{Mark, StoredBlock};

/// How often a mark is put right after one change: a try fails only if another writer was in between.
const REPAIRS: u8 = 3;
/// How long a mark may be wrong before it is put right. Where much happens the next change does that at no cost.
const MEND: Duration = Duration::from_secs(2);

/// A mark to be put right.
pub(super) struct Repair {
    space: Arc<PoolSpace>,
    tries: u8,
    pub(super) due: Instant,
}

impl Writer {
    /// The marks that are to be put right now, of blocks with which the plan does nothing else.
    pub(super) fn due_repairs(&mut self, plan: &Plan) -> BTreeMap<Block, (Batch, u8)> {
        let now = Instant::now();
        let is_due = |block: &Block, repair: &mut Repair| {
            repair.due <= now && !plan.reads.contains(block) && !plan.batches.contains_key(block)
        };
        let due: Vec<_> = self.repairs.extract_if(.., is_due).collect();
        let mut memory = self.shared.memory.lock();
        let pictures = memory.pictures(&self.pool);
        let batch = |(block, Repair { space, tries, .. })| {
            // Of a block that was only listed since, the label is somebody's later one.
            let mark = pictures.get(block)?.picture()?.mark();
            Some((block, (Batch { mark: Some(mark), space: Some(space), ..Batch::default() }, tries)))
        };
        due.into_iter().filter_map(batch).collect()
    }

    /// Has a label put right that keeps others away from room, or sends them where there is none: another writer was at work
    /// there, too.
    pub(super) fn mend_mark(&mut self, batch: &Batch, tries: u8, stored: &StoredBlock) {
        let Some(space) = &batch.space else { return };
        let (said, mark) = (stored.mark.unwrap_or_default(), Mark::of(&stored.spec));
        let usable = usable(space, stored.spec.block);
        let hides_room = !usable.and(said.held).minus(mark.held).is_empty();
        let promises_room = usable.minus(mark.held).is_empty() && !usable.minus(said.held).is_empty();
        let is_left_behind = batch.mark.is_none() && said != mark;
        if (hides_room || promises_room || is_left_behind) && tries < REPAIRS {
            let repair = Repair { space: Arc::clone(space), tries: tries + 1, due: Instant::now() + MEND };
            self.repairs.insert(stored.spec.block, repair);
        }
    }
}
