use spiderpool_policy_guide::address;
use spiderpool_policy_guide::allocation::{Admitted, Cni, Pick, Source};
use spiderpool_policy_guide::types::{Cidr, Cluster, Family, IpAddress, Moment, Namespace, Node, Pod};

use super::*;

fn asks_for(behave: &str) -> String {
    [r#"{"behave": ""#, behave, r#""}"#].concat()
}

fn request(pod: &str) -> Request {
    let context = Context {
        pod: Pod {
            namespace: "shop".into(),
            name: pod.into(),
            uid: "uid".into(),
            labels: String::new(),
            annotations: Vec::new(),
            owners: Vec::new(),
        },
        namespace: Namespace { name: "shop".into(), labels: String::new(), annotations: Vec::new() },
        node: Node { name: "node-1".into(), labels: String::new() },
        cluster: Cluster {
            install_namespace: "kube-system".into(),
            default_network: None,
            families: vec![Family::Ipv4, Family::Ipv6],
            subnets: false,
        },
        moment: Moment { unix_milliseconds: 0, seed: 0 },
        extra: Vec::new(),
    };
    let cni = Cni {
        interface_name: "net1".into(),
        default_ipv4_pools: Vec::new(),
        default_ipv6_pools: Vec::new(),
        clean_gateway: true,
        match_master_subnet: false,
    };
    Request { context, cni }
}

fn judged(address: &str, prefix_length: u8) -> Judged {
    let demand = answers::demands(Behave::Well, &request("web-0")).remove(0);
    let subnet = Cidr { address: address::from_std(address.parse().unwrap()), prefix_length };
    let pool = Admitted { name: "a".into(), subnet, ranks: vec![0], total: 9, free: 9, ranges: Vec::new() };
    Judged { demand, pools: vec![pool] }
}

#[test]
fn behaving_well_admits_everything_and_takes_the_lowest_of_the_default_pools() {
    assert_eq!(Misbehave::check(asks_for("well")), Ok(()));
    assert_eq!(answers::verdicts(Behave::Well, 2), [Verdict::Admit(0), Verdict::Admit(0)]);
    let demands = Misbehave::candidates(asks_for("well"), request("web-0")).unwrap();
    let summary: Vec<_> = demands.iter().map(|demand| (demand.nic.as_str(), demand.family)).collect();
    assert_eq!(summary, [("net1", Family::Ipv4), ("net1", Family::Ipv6)]);
    assert!(demands.iter().all(|demand| demand.sources == [Source::ClusterDefault] && demand.clean_gateway));
    let steps = Misbehave::arrange(asks_for("well"), request("web-0"), vec![judged("10.0.0.0", 8)]).unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].choices[0].pool.as_str(), &steps[0].choices[0].pick), ("a", &Pick::Lowest));
}

#[test]
fn it_behaves_in_the_trial_unless_told_otherwise() {
    let panics = r#"{"behave": "panic", "atTrial": true}"#;
    let cases = [
        (asks_for("panic"), "trial", Behave::Well),
        (asks_for("panic"), "web-0", Behave::Panic),
        (panics.to_owned(), "trial", Behave::Panic),
        ("{}".to_owned(), "web-0", Behave::Empty),
    ];
    for (settings, pod, expected) in cases {
        assert_eq!(behave(&settings, pod), expected, "{settings} {pod}");
    }
}

#[test]
fn settings_are_refused_when_they_ask_for_it_or_for_nothing_known() {
    let cases = [(asks_for("bad-settings"), "behave"), (asks_for("nicely"), ""), ("{}".to_owned(), "behave")];
    for (settings, field) in cases {
        assert_eq!(Misbehave::check(settings.clone()).unwrap_err()[0].field, field, "{settings}");
    }
}

#[test]
fn wrong_verdicts_are_wrong() {
    assert_eq!(answers::verdicts(Behave::Empty, 3), []);
    assert_eq!(answers::verdicts(Behave::TooFewVerdicts, 3).len(), 2);
    assert_eq!(answers::verdicts(Behave::MillionVerdicts, 3).len(), 1_000_000);
    assert_eq!(answers::verdicts(Behave::RankOutOfRange, 1), [Verdict::Admit(1_000_001)]);
    let Verdict::Refuse(reason) = &answers::verdicts(Behave::HugeAnswer, 1)[0] else { panic!("a refusal") };
    assert!(reason.message.len() > 8 << 20);
}

#[test]
fn wrong_steps_are_wrong() {
    assert_eq!(Misbehave::candidates(asks_for("empty"), request("web-0")).unwrap().len(), 0);
    assert!(answers::step(Behave::Empty, &judged("10.0.0.0", 8)).is_none());
    let stranger = answers::step(Behave::UnknownPool, &judged("10.0.0.0", 8)).unwrap();
    assert_ne!(stranger.choices[0].pool, "a");
    for (network, prefix) in [("10.0.0.0", 8), ("192.168.0.0", 16), ("fd00::", 64)] {
        let judged = judged(network, prefix);
        let step = answers::step(Behave::OutsidePool, &judged).unwrap();
        let Pick::Exactly(addresses) = &step.choices[0].pick else { panic!("exact addresses") };
        assert!(!address::contains(&judged.pools[0].subnet, &addresses[0]), "{network}");
        assert_eq!(matches!(addresses[0], IpAddress::Ipv4(_)), network.contains('.'));
    }
}

#[test]
#[should_panic(expected = "asked to panic")]
fn a_panic_is_one() {
    let _ = Misbehave::candidates(asks_for("panic"), request("web-0"));
}
