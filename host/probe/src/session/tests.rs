use super::*;

const OWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const OTHER: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
const ROUTER: MacAddress = MacAddress([2, 0, 0, 0, 0, 3]);

fn check(conflict: bool, gateway: Option<&str>) -> Check {
    Check { address: "10.1.0.5".parse().unwrap(), conflict, gateway: gateway.map(|text| text.parse().unwrap()) }
}

fn arp(mac: MacAddress, sender: &str) -> Heard {
    Heard::Arp(ArpPacket::request(mac, sender.parse().unwrap(), "10.1.0.77".parse().unwrap()))
}

/// Runs a check to its end by a clock of its own: the frames sent, the time it took in intervals, and the finding.
fn play(check: Check, heard: &[(u32, Heard)]) -> (usize, u32, Finding) {
    let start = Instant::now();
    let mut session = Session::new(&check, OWN, Pace::PROBE, start).unwrap();
    let mut sent = 0;
    for intervals in 0..20 {
        let now = start + Pace::PROBE.interval * intervals;
        heard.iter().filter(|(at, _)| *at == intervals).for_each(|(_, heard)| session.hear(heard));
        loop {
            match session.poll(now) {
                Step::Send(_) => sent += 1,
                Step::Wait(until) => {
                    assert!(until > now);
                    break;
                }
                Step::Done(outcome) => {
                    assert_eq!(outcome.address, check.address);
                    return (sent, intervals, outcome.finding);
                }
            }
        }
    }
    panic!("the check never ends");
}

#[test]
fn every_check_ends_as_the_answers_say() {
    let gateway = "10.1.0.1".parse().unwrap();
    let clear = |gateway| Finding::Clear { gateway };
    let conflict = Finding::Conflict { holder: OTHER };
    let silent = Finding::GatewayUnreachable { gateway };
    let (holder, router) = (arp(OTHER, "10.1.0.5"), arp(ROUTER, "10.1.0.1"));
    let both = || check(true, Some("10.1.0.1"));
    let cases = [
        ("nothing asked", check(false, None), vec![], (0, 0, clear(None))),
        ("nobody holds it", check(true, None), vec![], (3, 3, clear(None))),
        ("somebody holds it", check(true, None), vec![(1, holder)], (1, 1, conflict)),
        ("gateway there", check(false, Some("10.1.0.1")), vec![(2, router)], (2, 2, clear(Some(ROUTER)))),
        ("gateway silent", check(false, Some("10.1.0.1")), vec![], (3, 3, silent)),
        ("clear, then gateway there", both(), vec![(4, router)], (4, 4, clear(Some(ROUTER)))),
        ("clear, then gateway silent", both(), vec![], (6, 6, silent)),
        ("conflict: the gateway is not asked", both(), vec![(2, holder), (2, router)], (2, 2, conflict)),
        ("a holder heard while the gateway is asked is too late", both(), vec![(4, holder)], (6, 6, silent)),
        ("the gateway counts only once it is asked", both(), vec![(1, router)], (6, 6, silent)),
    ];
    for (name, check, heard, expected) in cases {
        assert_eq!(play(check, &heard), expected, "{name}");
    }
}

#[test]
fn a_gateway_of_the_other_family_is_refused_with_both_addresses() {
    let error = Session::new(&check(true, Some("fd01::1")), OWN, Pace::PROBE, Instant::now()).unwrap_err();
    assert!(error.to_string().contains("fd01::1") && error.to_string().contains("10.1.0.5"), "{error}");
}
