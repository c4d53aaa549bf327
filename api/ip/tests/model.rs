//! Every operation of [`IpSet`] against a naive model: a `BTreeSet` of single addresses.
//!
//! The universe is small, so that random ranges meet, touch and nest, and it has both ends of both families in it,
//! where sums overflow. Addresses are places in the universe: `low` of them at the bottom of the family, then `high`
//! at its top.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use spiderpool_ip::{Block, Family, IpRange, IpSet};

/// Places at either end of the family. More than a block, so that every set has several.
const HALF: u32 = 300;
const PLACES: u32 = 2 * HALF;

fn address(family: Family, place: u32) -> IpAddr {
    match family {
        Family::V4 if place < HALF => Ipv4Addr::from_bits(place).into(),
        Family::V4 => Ipv4Addr::from_bits(u32::MAX - (PLACES - 1 - place)).into(),
        Family::V6 if place < HALF => Ipv6Addr::from_bits(place.into()).into(),
        Family::V6 => Ipv6Addr::from_bits(u128::MAX - u128::from(PLACES - 1 - place)).into(),
    }
}

fn universe(family: Family) -> Vec<IpAddr> {
    (0..PLACES).map(|place| address(family, place)).collect()
}

type Model = BTreeSet<IpAddr>;

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::V4), Just(Family::V6)]
}

/// Ranges inside one half of the universe, short ones mostly, often at an end or at a block's border.
fn ranges(family: Family) -> impl Strategy<Value = Vec<IpRange>> {
    let start = prop_oneof![4 => 0..PLACES, 1 => prop::sample::select(vec![0, 255, 256, HALF - 1, HALF, PLACES - 1])];
    let length = prop_oneof![3 => 0..6_u32, 1 => 0..HALF];
    let one = (start, length).prop_map(move |(start, length)| {
        let end_of_half = if start < HALF { HALF - 1 } else { PLACES - 1 };
        IpRange::new(address(family, start), address(family, (start + length).min(end_of_half))).expect("ascending")
    });
    prop::collection::vec(one, 0..12)
}

fn model(family: Family, ranges: &[IpRange]) -> Model {
    universe(family)
        .into_iter()
        .filter(|address| ranges.iter().any(|range| range.first() <= *address && *address <= range.last()))
        .collect()
}

prop_compose! {
    fn two_sets()(family in family())(a in ranges(family), b in ranges(family), family in Just(family))
        -> (Family, Vec<IpRange>, Vec<IpRange>) { (family, a, b) }
}

/// The addresses of the set, found by asking about each; and that its ranges are sorted, disjoint and not adjacent.
fn listed(set: &IpSet) -> Model {
    let ranges: Vec<IpRange> = set.iter_ranges().collect();
    for pair in ranges.windows(2) {
        let between = IpRange::new(pair[0].last(), pair[1].first()).expect("ranges ascend");
        assert!(between.count() > 2, "{} and {} touch", pair[0], pair[1]);
    }
    let places = universe(set.family());
    let listed: Model = places.iter().copied().filter(|address| set.contains(*address)).collect();
    assert_eq!(listed, model(set.family(), &ranges), "contains and iter_ranges agree");
    listed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn algebra((family, a, b) in two_sets()) {
        let (model_a, model_b) = (model(family, &a), model(family, &b));
        let (a, b) = (IpSet::from_ranges(family, a).unwrap(), IpSet::from_ranges(family, b).unwrap());
        prop_assert_eq!(listed(&a), model_a.clone());
        prop_assert_eq!(listed(&a.union(&b).unwrap()), &model_a | &model_b);
        prop_assert_eq!(listed(&a.minus(&b)), &model_a - &model_b);
        prop_assert_eq!(listed(&a.intersection(&b)), &model_a & &model_b);
        prop_assert_eq!(a.is_subset(&b), model_a.is_subset(&model_b));
        prop_assert_eq!(a.minus(&b).is_subset(&a), true);
        prop_assert_eq!(a.overlaps(&b), !model_a.is_disjoint(&model_b));
        prop_assert_eq!(a.first_free(&b), (&model_a - &model_b).first().copied());
        prop_assert_eq!(a == b, model_a == model_b);
    }

    #[test]
    fn order_and_count((family, a, _) in two_sets()) {
        let model = model(family, &a);
        let set = IpSet::from_ranges(family, a).unwrap();
        prop_assert_eq!(set.count(), model.len() as u128);
        prop_assert_eq!(set.is_empty(), model.is_empty());
        prop_assert_eq!((set.first(), set.last()), (model.first().copied(), model.last().copied()));
        for (n, address) in model.iter().enumerate() {
            prop_assert_eq!(set.nth(n as u128), Some(*address));
            prop_assert_eq!(set.position(*address), Some(n as u128));
        }
        prop_assert_eq!(set.nth(model.len() as u128), None);
        for address in universe(family) {
            prop_assert_eq!(set.next_at_or_after(address), model.range(address..).next().copied());
            if !model.contains(&address) {
                prop_assert_eq!(set.position(address), None);
            }
        }
    }

    #[test]
    fn windows((family, a, windows) in two_sets()) {
        let model = model(family, &a);
        let set = IpSet::from_ranges(family, a).unwrap();
        for window in windows {
            let inside: Model = model.iter().copied().filter(|address| window.contains(*address)).collect();
            prop_assert_eq!(listed(&set.intersect_range(&window)), inside);
        }
    }

    #[test]
    fn blocks((family, a, _) in two_sets()) {
        let model = model(family, &a);
        let set = IpSet::from_ranges(family, a).unwrap();
        let expected: BTreeSet<Block> = model.iter().map(|address| Block::containing(*address)).collect();
        prop_assert_eq!(set.blocks().collect::<Vec<_>>(), expected.iter().copied().collect::<Vec<_>>());
        for block in universe(family).into_iter().map(Block::containing).collect::<BTreeSet<_>>() {
            prop_assert_eq!(set.block_at_or_after(block), expected.range(block..).next().copied());
            let bits = set.bits_in_block(block);
            for offset in 0..Block::SIZE {
                let bit = bits >> offset & 1 == 1;
                prop_assert_eq!(bit, model.contains(&block.address(offset)), "{} + {}", block, offset);
            }
        }
    }

    #[test]
    fn text_is_read_back((family, a, _) in two_sets()) {
        let set = IpSet::from_ranges(family, a.clone()).unwrap();
        let text = set.to_string();
        prop_assert_eq!(IpSet::parse(family, text.split(',').filter(|item| !item.is_empty())).unwrap(), set);
        for range in a {
            prop_assert_eq!(range.to_string().parse::<IpRange>().unwrap(), range);
        }
    }
}

#[test]
fn whole_families_do_not_overflow() {
    let v4 = IpSet::parse(Family::V4, ["0.0.0.0-255.255.255.255"]).unwrap();
    assert_eq!(v4.count(), 1 << 32);
    let all = "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let v6 = IpSet::parse(Family::V6, [all]).unwrap();
    let top: IpAddr = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
    assert_eq!(v6.count(), u128::MAX);
    assert_eq!((v6.nth(u128::MAX), v6.position(top)), (Some(top), Some(u128::MAX)));
    assert_eq!(v6.union(&v6).unwrap().to_string(), all);
    assert!(v6.minus(&v6).is_empty());
    assert_eq!(v6.first_free(&v6), None);
    let without_ends = v6.minus(&IpSet::parse(Family::V6, ["::", &top.to_string()]).unwrap());
    assert_eq!(without_ends.to_string(), "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
    assert_eq!(without_ends.count(), u128::MAX - 1);
}

#[test]
fn the_other_family_is_never_inside() {
    let v4 = IpSet::parse(Family::V4, ["0.0.0.0-0.0.0.9"]).unwrap();
    let v6 = IpSet::parse(Family::V6, ["::-::9"]).unwrap();
    assert_eq!(v4.minus(&v6), v4);
    assert_eq!(v4.first_free(&v6), v4.first());
    assert!(v4.intersection(&v6).is_empty() && !v4.overlaps(&v6) && !v4.is_subset(&v6));
    assert!(!v4.contains("::1".parse().unwrap()));
    assert_eq!(v4.next_at_or_after("::1".parse().unwrap()), None);
    let message = "::-::9 is IPv6 but IPv4 is wanted; remove it or move it to a list of its own family";
    assert_eq!(v4.union(&v6).unwrap_err().to_string(), message);
    assert_eq!(v4.union(&IpSet::empty(Family::V6)), Ok(v4));
}
