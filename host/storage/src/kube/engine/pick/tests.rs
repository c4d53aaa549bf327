//! What is picked where.

use std::collections::BTreeSet;

use spiderpool_ip::IpSet;

use super::super::picture::Picture;
use super::*;

fn space(ips: &str) -> Arc<PoolSpace> {
    let usable = IpSet::parse(Family::V4, [ips]).unwrap();
    Arc::new(PoolSpace::new("p", "10.6.0.0/16".parse().unwrap(), usable))
}

/// The block of that address of 10.6.0.0/24.
fn block(last: u8) -> Block {
    Block::containing([10, 6, 0, last].into())
}

fn seen(held: u16) -> Seen {
    let (resting, ending) = <_>::default();
    Seen::Read(Picture { version: String::new(), held: Bits(held), resting, ending })
}

/// A round of a node that goes its own ways and made none of the blocks.
fn view(pictures: &mut Pictures, wanted: u32, liking: Liking) -> View<'_> {
    let (busy, now) = (BTreeMap::new(), SystemTime::UNIX_EPOCH);
    let (own, made) = const { (&BTreeSet::new(), &BTreeMap::new()) };
    let apart = Some(Apart { losses: 1, from: Some(block(0)) });
    View { pictures, busy, now, wanted, liking, apart, own, made, cursor: None }
}

/// The addresses of a round, one after the other, where this is held already, by block.
fn round(held: &[(u8, u16)], wanted: u32, liking: Liking, pick: impl Fn(&mut View<'_>) -> Found) -> Vec<IpAddr> {
    let mut pictures = Pictures::default();
    held.iter().for_each(|&(last, held)| pictures.insert(block(last), seen(held)));
    let mut view = view(&mut pictures, wanted, liking);
    let taken = (0..wanted).map(|left| {
        view.wanted = wanted - left;
        let Found::Address(address) = pick(&mut view) else { panic!("there is room") };
        let block = Block::containing(address);
        view.busy.entry(block).or_default().set(block.offset(address).unwrap(), true);
        address
    });
    taken.collect()
}

#[test]
fn without_a_share_an_agent_takes_from_its_own_blocks_then_from_nobodys_then_from_theirs() {
    let space = space("10.6.0.0-10.6.0.63");
    let [own, theirs, listed, nobodys] = [0, 16, 32, 48].map(block);
    let mut pictures = Pictures::default();
    pictures.insert(own, seen(0xfff));
    pictures.insert(theirs, seen(0xff));
    pictures.meet(listed);
    let mut chosen = |busy: &[(Block, u16)]| {
        let busy = busy.iter().map(|&(block, bits)| (block, Bits(bits))).collect();
        let own = &BTreeSet::from([own]);
        let mut view = View { busy, own, ..view(&mut pictures, 1, Liking::of("a")) };
        match view.of_others(&space) {
            Found::Address(address) => Block::containing(address),
            Found::Read(block) => block,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(chosen(&[]), own);
    assert_eq!(chosen(&[(own, u16::MAX)]), nobodys);
    let last = chosen(&[(own, u16::MAX), (nobodys, u16::MAX)]);
    assert!(last == theirs || last == listed, "{last}");
}

/// What a node takes from blocks of others, so many at once, of which this is held already.
fn taken_by_guest(node: &str, wanted: u32, held: &[(u8, u16)]) -> Vec<IpAddr> {
    let space = space("10.6.0.0-10.6.0.31");
    round(held, wanted, Liking::of(node), |view| view.of_others(&space))
}

#[test]
fn a_guest_goes_where_there_is_room_for_all_it_wants() {
    for node in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let taken = taken_by_guest(node, 4, &[(0, 0xfffe), (16, 0x03ff)]);
        assert!(taken.iter().all(|&address| address >= IpAddr::from([10, 6, 0, 26])), "{node}: {taken:?}");
    }
}

#[test]
fn guests_begin_at_either_end_of_what_is_left() {
    let first = |node| taken_by_guest(node, 1, &[(0, 0x03ff), (16, u16::MAX)])[0];
    let ends = BTreeSet::from(["a", "b", "c", "d", "e", "f", "g", "h"].map(first));
    assert_eq!(ends, BTreeSet::from([10, 15].map(|last| IpAddr::from([10, 6, 0, last]))));
}

/// What the second of two nodes takes of a pool of 64 addresses, where this is held already, in a round that wants so many.
fn taken_of_share(wanted: u32, held: &[(u8, u16)]) -> Vec<u8> {
    let space = space("10.6.0.8-10.6.0.71");
    let taken = round(held, wanted, Liking::among("b", &["a".to_owned()]), |view| view.own_way(&space));
    let last = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => panic!("{address}"),
    };
    taken.into_iter().map(last).collect()
}

#[test]
fn a_node_among_others_begins_with_its_share() {
    // It is .40 to .71: the second half of the block of .32, that of .48, and the first half of that of .64.
    assert_eq!(taken_of_share(4, &[]), [40, 41, 42, 43]);
    assert_eq!(taken_of_share(4, &[(32, 0x01ff)]), [41, 42, 43, 44], "others hold what is not of its share");
    let full = u16::MAX;
    assert_eq!(taken_of_share(3, &[(32, full), (48, full), (64, 0xff1f)]), [69, 70, 71]);
    let beyond = taken_of_share(1, &[(32, full), (48, full), (64, 0xffff)])[0];
    assert!(beyond < 40, "where its share is full it goes on in that of others: {beyond}");
}

#[test]
fn a_round_goes_into_the_fullest_block_of_its_share_that_has_room_for_it() {
    let held = [(32, 0xfff0), (48, 0x0fff)];
    assert_eq!(taken_of_share(4, &held), [60, 61, 62, 63]);
    assert_eq!(taken_of_share(8, &held), [64, 65, 66, 67, 68, 69, 70, 71], "a new one, where none has");
    assert_eq!(taken_of_share(10, &held)[..8], [64, 65, 66, 67, 68, 69, 70, 71], "then the one with most");
    assert_eq!(taken_of_share(10, &held)[8..], [60, 61]);
}

#[test]
fn agents_that_meet_go_apart_however_much_of_the_pool_is_full() {
    let space = space("10.6.0.0-10.6.255.255");
    for held in [0, BLOCKS_IN_A_ROW + 1, 3 * BLOCKS_IN_A_ROW] {
        let mut pictures = Pictures::default();
        space.usable.blocks().take(held).for_each(|block| pictures.insert(block, seen(u16::MAX)));
        let chosen = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|node| {
            let mut view = view(&mut pictures, 1, Liking::of(node));
            match view.own_way(&space) {
                Found::Address(address) => Block::containing(address),
                other => panic!("{other:?}"),
            }
        });
        let apart = BTreeSet::from(chosen).len();
        assert!(apart > 4, "of 8 nodes only {apart} have a block of their own where {held} are full");
    }
}
