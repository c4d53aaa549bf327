use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn holder(name: &str) -> PoolHolder {
    PoolHolder { pod: format!("shop/{name}"), pod_uid: format!("uid-{name}") }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn text(records: &[(&str, &str)]) -> Option<String> {
    AllocatedIps(records.iter().map(|(ip, name)| (address(ip), holder(name))).collect()).to_field()
}

fn current(records: &[(&str, &str)]) -> SpiderIPPoolStatus {
    SpiderIPPoolStatus { allocated_ips: text(records), total_ip_count: None, allocated_ip_count: None }
}

fn blocks(all: &[(&str, &[(&str, &str)])]) -> BTreeMap<Block, KnownBlock> {
    let known = |records: &[(&str, &str)]| KnownBlock {
        version: "1".to_owned(),
        holders: Holders::Listed(records.iter().map(|(ip, name)| (address(ip), holder(name))).collect()),
    };
    all.iter().map(|(block, records)| (block.parse().unwrap(), known(records))).collect()
}

#[test]
fn a_blocks_addresses_come_from_the_block_and_all_others_stay() {
    let before = current(&[("10.6.0.5", "old"), ("10.6.0.6", "gone"), ("10.6.1.7", "waits")]);
    let blocks = blocks(&[("10.6.0.0/28", &[("10.6.0.5", "new"), ("10.6.0.9", "more")])]);
    let wanted = wanted(&before, Some(512), &blocks, 5000).unwrap();
    assert_eq!(
        wanted.status,
        SpiderIPPoolStatus {
            allocated_ips: text(&[("10.6.0.5", "new"), ("10.6.0.9", "more"), ("10.6.1.7", "waits")]),
            total_ip_count: Some(512),
            allocated_ip_count: Some(3),
        }
    );
    assert!(wanted.held);
}

#[test]
fn an_empty_pool_has_no_list_at_all() {
    for field in [None, Some(""), Some("{}")] {
        let before = SpiderIPPoolStatus { allocated_ips: field.map(str::to_owned), ..current(&[]) };
        let wanted = wanted(&before, Some(256), &blocks(&[("10.6.0.0/28", &[])]), 5000).unwrap();
        assert_eq!((wanted.status.allocated_ips, wanted.status.allocated_ip_count), (None, Some(0)));
        assert!(!wanted.held);
    }
}

#[test]
fn of_too_many_only_what_no_block_has_taken_over_is_listed() {
    let before = current(&[("10.6.0.5", "taken-over"), ("10.6.1.7", "waits")]);
    let mut blocks = blocks(&[("10.6.0.0/28", &[("10.6.0.5", "taken-over"), ("10.6.0.9", "more")])]);
    let listed = wanted(&before, Some(1 << 16), &blocks, 3).unwrap();
    assert_eq!(
        listed.status.allocated_ips,
        text(&[("10.6.0.5", "taken-over"), ("10.6.0.9", "more"), ("10.6.1.7", "waits")]),
        "a large pool with few holders"
    );
    blocks.values_mut().for_each(|block| block.holders.strip());
    let counted = wanted(&before, Some(1 << 16), &blocks, 2).unwrap();
    assert_eq!(counted.status.allocated_ips, text(&[("10.6.1.7", "waits")]));
    assert_eq!(counted.status.allocated_ip_count, Some(3));
    // One holder less, and they would have to be listed: nobody knows them.
    assert!(wanted(&before, Some(1 << 16), &blocks, 3).is_none());
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    let before = SpiderIPPoolStatus { allocated_ips: Some("[broken".to_owned()), ..current(&[]) };
    let wanted = wanted(&before, Some(256), &blocks(&[("10.6.0.0/28", &[("10.6.0.5", "web")])]), 5000).unwrap();
    assert_eq!(wanted.status.allocated_ips.as_deref(), Some("[broken"));
    assert_eq!(wanted.status.allocated_ip_count, Some(1));
    assert!(wanted.held && wanted.unreadable.is_some());
}

#[test]
fn a_size_that_cannot_be_told_stays() {
    let before = SpiderIPPoolStatus { total_ip_count: Some(9), ..current(&[]) };
    assert_eq!(wanted(&before, None, &BTreeMap::new(), 5000).unwrap().status.total_ip_count, Some(9));
}

#[test]
fn ipv6_is_written_compressed_and_in_the_order_of_its_text() {
    let blocks = blocks(&[("fd00::/124", &[("fd00::a", "a"), ("fd00::10", "b"), ("fd00::9", "c")])]);
    let wanted = wanted(&current(&[("fd00::1:5", "d")]), Some(1 << 20), &blocks, 2 << 20).unwrap();
    let written = wanted.status.allocated_ips.unwrap();
    let keys: Vec<&str> = written.split('"').filter(|part| part.starts_with("fd00")).collect();
    assert_eq!(keys, ["fd00::10", "fd00::1:5", "fd00::9", "fd00::a"]);
}

/// What happens to a pool that Spiderpool served: addresses are numbers, 4 to a block so that few steps matter.
#[derive(Clone, Debug)]
enum Happening {
    /// A writer makes the block of an address from a status that he read at this or an earlier moment.
    MakeBlock(u8, prop::sample::Index),
    Take(u8),
    Free(u8),
    /// A keeper sees the block of an address as it is now.
    See(usize, u8),
    /// A keeper writes what it thinks right, if the status is still the one that it saw.
    Write(usize),
    /// A keeper sees the pool as it is now.
    SeePool(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (0..12_u8, any::<prop::sample::Index>()).prop_map(|(at, when)| Happening::MakeBlock(at, when)),
        (0..12_u8).prop_map(Happening::Take),
        (0..12_u8).prop_map(Happening::Free),
        (0..2_usize, 0..12_u8).prop_map(|(keeper, at)| Happening::See(keeper, at)),
        (0..2_usize).prop_map(Happening::Write),
        (0..2_usize).prop_map(Happening::SeePool),
    ]
}

fn place(number: u8) -> IpAddr {
    IpAddr::from([10, 6, number / 4, number % 4])
}

#[derive(Clone, Default)]
struct Keeper {
    blocks: BTreeMap<Block, KnownBlock>,
    pool: usize,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Two keepers that lag, and writers that make blocks from a status of any age: nobody who held an address at the
    /// upgrade loses it, nobody who has freed one gets it back, and the status is right once all has been seen.
    #[test]
    fn no_record_is_lost_or_returns(
        at_upgrade in prop::collection::btree_set(0..12_u8, 0..12),
        limit in prop_oneof![Just(0_u32), Just(4), Just(5000)],
        happenings in prop::collection::vec(happening(), 0..60),
    ) {
        let mut truth: BTreeMap<IpAddr, PoolHolder> =
            at_upgrade.iter().map(|number| (place(*number), holder(&format!("old-{number}")))).collect();
        let first = AllocatedIps(truth.clone()).to_field();
        // All versions of the status; the last is the current one.
        let mut statuses = vec![SpiderIPPoolStatus { allocated_ips: first, ..SpiderIPPoolStatus::default() }];
        let mut blocks: BTreeMap<Block, KnownBlock> = BTreeMap::new();
        let mut keepers = [Keeper::default(), Keeper::default()];
        let mut pods = 0;

        for happening in happenings {
            match happening {
                Happening::MakeBlock(number, read_at) => {
                    let block = Block::containing(place(number));
                    let read = &statuses[read_at.index(statuses.len())];
                    let mut seed = AllocatedIps::parse(read.allocated_ips.as_deref()).unwrap().0;
                    seed.retain(|address, _| block.contains(*address));
                    blocks.entry(block).or_insert_with(|| {
                        let mut held = truth.clone();
                        held.retain(|address, _| block.contains(*address));
                        assert_eq!(seed, held, "the block {block} begins with something else than what is held");
                        KnownBlock { version: String::new(), holders: Holders::Listed(seed) }
                    });
                }
                Happening::Take(number) => {
                    if let Some(Holders::Listed(held)) = of(&mut blocks, number) {
                        pods += 1;
                        let pod = held.entry(place(number)).or_insert_with(|| holder(&format!("new-{pods}")));
                        truth.insert(place(number), pod.clone());
                    }
                }
                Happening::Free(number) => {
                    if let Some(Holders::Listed(held)) = of(&mut blocks, number) {
                        held.remove(&place(number));
                        truth.remove(&place(number));
                    }
                }
                Happening::See(keeper, number) => {
                    see(&mut keepers[keeper], &blocks, Block::containing(place(number)));
                }
                Happening::SeePool(keeper) => keepers[keeper].pool = statuses.len() - 1,
                Happening::Write(keeper) => write(&mut keepers[keeper], &mut statuses, limit),
            }
        }

        let keeper = &mut keepers[0];
        for number in (0..12).step_by(4) {
            see(keeper, &blocks, Block::containing(place(number)));
        }
        keeper.pool = statuses.len() - 1;
        write(keeper, &mut statuses, limit);
        let last = statuses.last().unwrap();
        prop_assert_eq!(last.allocated_ip_count, Some(i64::try_from(truth.len()).unwrap()));
        let mut listed = truth;
        if !is_listed(listed.len(), limit) {
            listed.retain(|address, _| !blocks.contains_key(&Block::containing(*address)));
        }
        prop_assert_eq!(AllocatedIps::parse(last.allocated_ips.as_deref()).unwrap().0, listed);
        // And then there is nothing to write.
        let again = wanted(last, Some(12), &keepers[0].blocks, limit).unwrap().status;
        prop_assert_eq!(&again, last);
    }
}

fn of(blocks: &mut BTreeMap<Block, KnownBlock>, number: u8) -> Option<&mut Holders> {
    blocks.get_mut(&Block::containing(place(number))).map(|block| &mut block.holders)
}

fn see(keeper: &mut Keeper, blocks: &BTreeMap<Block, KnownBlock>, block: Block) {
    if let Some(known) = blocks.get(&block) {
        keeper.blocks.insert(block, known.clone());
    }
}

fn write(keeper: &mut Keeper, statuses: &mut Vec<SpiderIPPoolStatus>, limit: u32) {
    if keeper.pool == statuses.len() - 1 {
        let wanted = wanted(&statuses[keeper.pool], Some(12), &keeper.blocks, limit).unwrap();
        statuses.push(wanted.status);
        keeper.pool = statuses.len() - 1;
    }
}
