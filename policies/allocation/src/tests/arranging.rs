use spiderpool_policy_guide::address::from_std;
use spiderpool_policy_guide::allocation::{Admitted, Demand, Judged, Pick, Refusal, RefusalKind, Source, Step};
use spiderpool_policy_guide::types::{Cidr, Family};

use super::request;
use crate::arrange;

fn admitted(name: &str, ranks: &[i32], free: u64, total: u64) -> Admitted {
    let address = from_std(std::net::Ipv4Addr::new(10, 0, 0, 0).into());
    let subnet = Cidr { address, prefix_length: 24 };
    Admitted { name: name.to_owned(), subnet, ranks: ranks.to_vec(), total, free, ranges: Vec::new() }
}

fn judged(nic: &str, pools: Vec<Admitted>) -> Judged {
    let demand = Demand {
        nic: nic.to_owned(),
        family: Family::Ipv4,
        sources: vec![Source::ClusterDefault],
        clean_gateway: false,
        match_master_subnet: false,
        origin: "default pools".to_owned(),
    };
    Judged { demand, pools }
}

fn lowest(judged: &[Judged]) -> Result<Vec<Step>, Refusal> {
    arrange(&request(), judged, |_, _| Pick::Lowest)
}

fn order(step: &Step) -> Vec<&str> {
    step.choices.iter().map(|choice| choice.pool.as_str()).collect()
}

#[test]
fn ranks_decide_one_after_another_then_the_order_written() {
    let pools = [
        ("written-first", &[1, 0][..]),
        ("second-policy", &[1, 5]),
        ("first-policy", &[2, -9]),
        ("written-second", &[1, 0]),
        ("negative", &[-1, 100]),
    ];
    let pools = pools.map(|(name, ranks)| admitted(name, ranks, 1, 1)).to_vec();
    let steps = lowest(&[judged("eth0", pools)]).expect("every pool has room");
    let expected = ["first-policy", "second-policy", "written-first", "written-second", "negative"];
    assert_eq!(order(&steps[0]), expected);
    assert!(steps[0].choices.iter().all(|choice| choice.pick == Pick::Lowest));
}

#[test]
fn pools_without_room_are_passed_over_and_told() {
    let pools = vec![
        admitted("full", &[9], 0, 10),
        admitted("one", &[9], 0, 1),
        admitted("none", &[9], 0, 0),
        admitted("room", &[0], 3, 10),
    ];
    let steps = lowest(&[judged("eth0", pools)]).expect("one pool has room");
    assert_eq!(order(&steps[0]), ["room"]);
    let skipped: Vec<_> =
        steps[0].skipped.iter().map(|skipped| (skipped.pool.as_str(), skipped.message.as_str())).collect();
    let expected = [
        ("full", "all 10 addresses of the pool are in use"),
        ("one", "the only address of the pool is in use"),
        ("none", "every address of the pool is excluded or reserved"),
    ];
    assert_eq!(skipped, expected);
}

#[test]
fn one_step_per_demand_in_their_order() {
    let demands = [judged("net1", vec![admitted("b", &[], 1, 1)]), judged("eth0", vec![admitted("a", &[], 1, 1)])];
    let steps = lowest(&demands).expect("every pool has room");
    assert_eq!(steps.iter().map(order).collect::<Vec<_>>(), [["b"], ["a"]]);
}

#[test]
fn a_demand_without_any_room_refuses_everything_and_names_every_pool() {
    let demands = [
        judged("eth0", vec![admitted("a", &[], 1, 1)]),
        judged("net1", vec![admitted("full", &[], 0, 7), admitted("reserved", &[], 0, 0)]),
    ];
    let Refusal { kind, message } = lowest(&demands).expect_err("net1 has no room");
    assert_eq!(kind, RefusalKind::Exhausted);
    for part in
        ["all IP addresses used out", "net1 needs an IPv4 address", "default pools", "full: all 7", "reserved: every"]
    {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}

#[test]
fn the_pick_may_depend_on_demand_and_pool() {
    let demands = [judged("eth0", vec![admitted("a", &[], 1, 1), admitted("b", &[], 1, 1)])];
    let steps = arrange(&request(), &demands, |demand, pool| Pick::Sticky(format!("{}-{}", demand.nic, pool.name)));
    let steps = steps.expect("every pool has room");
    let picks: Vec<_> = steps[0].choices.iter().map(|choice| choice.pick.clone()).collect();
    assert_eq!(picks, [Pick::Sticky("eth0-a".to_owned()), Pick::Sticky("eth0-b".to_owned())]);
}
