use std::time::Duration;

use super::*;
use crate::ethernet::Protocol;
use crate::ndp::ALL_NODES;

const OWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const OTHER: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
const V4: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 5);
const V4_PEER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 9);
const V6: Ipv6Addr = Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 5);
const V6_PEER: Ipv6Addr = Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 9);

fn reply(sender_mac: MacAddress, sender: Ipv4Addr) -> Heard {
    let request = ArpPacket::request(sender_mac, sender, V4_PEER);
    Heard::Arp(ArpPacket { operation: Operation::Reply, target_mac: OWN, ..request })
}

fn request(sender_mac: MacAddress, sender: Ipv4Addr, target: Ipv4Addr) -> Heard {
    Heard::Arp(ArpPacket::request(sender_mac, sender, target))
}

fn advertise(mac: MacAddress, target: Ipv6Addr) -> NeighborPacket {
    NeighborPacket::advertise(mac, target)
}

/// Every kind of packet, and whom it shows to hold `V4` or `V6`.
fn inputs() -> Vec<(&'static str, Heard, Option<IpAddr>)> {
    let none = Ipv4Addr::UNSPECIFIED;
    let (v4, v6) = (Some(IpAddr::V4(V4)), Some(IpAddr::V6(V6)));
    let solicit = |mac, source| Heard::Neighbor(NeighborPacket::solicit(mac, source, V6));
    let silent = NeighborPacket { link_layer: None, ..advertise(OTHER, V6) };
    let proxied = NeighborPacket { ethernet: advertise(OWN, V6).ethernet, ..advertise(OTHER, V6) };
    let answer = Kind::Advertisement { router: true, solicited: true, override_: false };
    let unicast = NeighborPacket { kind: answer, destination: V6_PEER, ..advertise(OTHER, V6) };
    vec![
        ("reply from the address", reply(OTHER, V4), v4),
        ("request from the address", request(OTHER, V4, V4_PEER), v4),
        ("announcement of the address", request(OTHER, V4, V4), v4),
        ("another's probe for the address", request(OTHER, none, V4), v4),
        ("another's probe for another address", request(OTHER, none, V4_PEER), None),
        ("ordinary question for the address", request(OTHER, V4_PEER, V4), None),
        ("reply from another address", reply(OTHER, V4_PEER), None),
        ("reply without a sender", reply(OTHER, none), None),
        ("our own probe, come back", request(OWN, none, V4), None),
        ("our own announcement, come back", request(OWN, V4, V4), None),
        ("advertisement of the address", Heard::Neighbor(advertise(OTHER, V6)), v6),
        ("advertisement without an option", Heard::Neighbor(silent), v6),
        ("solicited advertisement", Heard::Neighbor(unicast), v6),
        ("advertisement of another address", Heard::Neighbor(advertise(OTHER, V6_PEER)), None),
        ("our own advertisement, come back", Heard::Neighbor(advertise(OWN, V6)), None),
        ("a frame of ours that names another", Heard::Neighbor(proxied), None),
        ("another's detection of the address", solicit(OTHER, Ipv6Addr::UNSPECIFIED), v6),
        ("ordinary solicitation of the address", solicit(OTHER, V6_PEER), None),
        ("our own detection, come back", solicit(OWN, Ipv6Addr::UNSPECIFIED), None),
    ]
}

/// Asks at `start` until the probe wants to wait or is over; the last step, and how many frames went out.
fn settle(probe: &mut ConflictProbe, now: Instant) -> (Step<Option<MacAddress>>, usize) {
    let mut sent = 0;
    loop {
        match probe.poll(now) {
            Step::Send(_) => sent += 1,
            step => return (step, sent),
        }
    }
}

#[test]
fn nobody_answers_three_questions_a_tenth_of_a_second_apart() {
    for address in [IpAddr::V4(V4), IpAddr::V6(V6)] {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut probe = ConflictProbe::new(address, OWN, Pace::PROBE, start);
        let steps = [(0, Step::Wait(at(100)), 1), (99, Step::Wait(at(100)), 0), (100, Step::Wait(at(200)), 1)];
        let late = [(200, Step::Wait(at(300)), 1), (299, Step::Wait(at(300)), 0), (300, Step::Done(None), 0)];
        for (ms, step, sent) in steps.into_iter().chain(late).chain([(400, Step::Done(None), 0)]) {
            assert_eq!(settle(&mut probe, at(ms)), (step, sent), "{address} after {ms} ms");
        }
    }
}

#[test]
fn every_packet_in_every_state_is_a_conflict_or_not() {
    let start = Instant::now();
    for address in [IpAddr::V4(V4), IpAddr::V6(V6)] {
        for (name, heard, shows) in inputs() {
            let expected = (shows == Some(address)).then_some(OTHER);
            for tries in 0..=3 {
                let mut probe = ConflictProbe::new(address, OWN, Pace::PROBE, start);
                let mut now = start;
                for _ in 0..tries {
                    settle(&mut probe, now);
                    now += Pace::PROBE.interval;
                }
                probe.hear(&heard);
                let found = match settle(&mut probe, now).0 {
                    Step::Done(found) => found,
                    Step::Wait(_) | Step::Send(_) => None,
                };
                assert_eq!(found, expected, "{name} for {address} after {tries} tries");
            }
        }
    }
}

#[test]
fn the_first_holder_stays_and_no_question_follows() {
    let start = Instant::now();
    let mut probe = ConflictProbe::new(V4.into(), OWN, Pace::PROBE, start);
    settle(&mut probe, start);
    probe.hear(&reply(OTHER, V4));
    probe.hear(&reply(MacAddress([2, 0, 0, 0, 0, 3]), V4));
    for ms in [0, 100, 500] {
        assert_eq!(settle(&mut probe, start + Duration::from_millis(ms)), (Step::Done(Some(OTHER)), 0));
    }
}

#[test]
fn the_questions_name_no_address_of_ours() {
    let now = Instant::now();
    let Step::Send(frame) = ConflictProbe::new(V4.into(), OWN, Pace::PROBE, now).poll(now) else {
        panic!("no question")
    };
    let packet = ArpPacket::parse(&frame.bytes).unwrap();
    assert_eq!((packet.operation, packet.sender, packet.target), (Operation::Request, Ipv4Addr::UNSPECIFIED, V4));

    let Step::Send(frame) = ConflictProbe::new(V6.into(), OWN, Pace::PROBE, now).poll(now) else {
        panic!("no question")
    };
    assert_eq!(frame.protocol, Protocol::Ndp);
    let packet = NeighborPacket::parse(&frame.bytes).unwrap();
    assert_eq!((packet.kind, packet.source, packet.target), (Kind::Solicitation, Ipv6Addr::UNSPECIFIED, V6));
    assert_eq!(packet.link_layer, None);
    assert_ne!(packet.destination, ALL_NODES);
}
