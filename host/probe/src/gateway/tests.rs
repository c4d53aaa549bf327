use super::*;
use crate::arp::Operation;

const OWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const ROUTER: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
const FROM: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 5);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const FROM6: Ipv6Addr = Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 5);
const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const WAY4: Way = Way::V4 { from: FROM, gateway: GATEWAY };
const WAY6: Way = Way::V6 { from: FROM6, gateway: GATEWAY6 };

fn reply(sender_mac: MacAddress, sender: Ipv4Addr) -> Heard {
    let request = ArpPacket::request(sender_mac, sender, FROM);
    Heard::Arp(ArpPacket { operation: Operation::Reply, target_mac: OWN, ..request })
}

/// Every kind of packet, and for which way it shows the gateway.
fn inputs() -> Vec<(&'static str, Heard, Option<Way>)> {
    let advertise = |mac, target| Heard::Neighbor(NeighborPacket::advertise(mac, target));
    let silent = NeighborPacket { link_layer: None, ..NeighborPacket::advertise(ROUTER, GATEWAY6) };
    let solicit = NeighborPacket::solicit(ROUTER, GATEWAY6, FROM6);
    let detection = NeighborPacket::solicit(ROUTER, Ipv6Addr::UNSPECIFIED, GATEWAY6);
    vec![
        ("reply of the gateway", reply(ROUTER, GATEWAY), Some(WAY4)),
        ("question of the gateway", Heard::Arp(ArpPacket::request(ROUTER, GATEWAY, FROM)), Some(WAY4)),
        ("question for the gateway", Heard::Arp(ArpPacket::request(ROUTER, FROM, GATEWAY)), None),
        ("reply of another", reply(ROUTER, FROM), None),
        ("our own frame, come back", reply(OWN, GATEWAY), None),
        ("advertisement of the gateway", advertise(ROUTER, GATEWAY6), Some(WAY6)),
        ("advertisement without an option", Heard::Neighbor(silent), Some(WAY6)),
        ("advertisement of another", advertise(ROUTER, FROM6), None),
        ("our own advertisement, come back", advertise(OWN, GATEWAY6), None),
        ("solicitation of the gateway for us", Heard::Neighbor(solicit), None),
        ("detection of the gateway's address", Heard::Neighbor(detection), None),
    ]
}

fn settle(probe: &mut GatewayProbe, now: Instant) -> (Step<Option<MacAddress>>, usize) {
    let mut sent = 0;
    loop {
        match probe.poll(now) {
            Step::Send(_) => sent += 1,
            step => return (step, sent),
        }
    }
}

#[test]
fn a_silent_gateway_is_given_up_after_the_last_interval() {
    for way in [WAY4, WAY6] {
        let start = Instant::now();
        let at = |tries| start + Pace::PROBE.interval * tries;
        let mut probe = GatewayProbe::new(way, OWN, Pace::PROBE, start);
        for tries in 0..3 {
            assert_eq!(settle(&mut probe, at(tries)), (Step::Wait(at(tries + 1)), 1), "{way:?}");
        }
        assert_eq!(settle(&mut probe, at(3)), (Step::Done(None), 0), "{way:?}");
        assert_eq!(settle(&mut probe, at(4)), (Step::Done(None), 0), "{way:?}");
    }
}

#[test]
fn every_packet_in_every_state_shows_the_gateway_or_not() {
    let start = Instant::now();
    for way in [WAY4, WAY6] {
        for (name, heard, shows) in inputs() {
            let expected = (shows == Some(way)).then_some(ROUTER);
            for tries in 0..=3 {
                let mut probe = GatewayProbe::new(way, OWN, Pace::PROBE, start);
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
                assert_eq!(found, expected, "{name} for {way:?} after {tries} tries");
            }
        }
    }
}

#[test]
fn the_question_comes_from_the_address_under_test() {
    let now = Instant::now();
    let Step::Send(frame) = GatewayProbe::new(WAY4, OWN, Pace::PROBE, now).poll(now) else { panic!("no question") };
    assert_eq!(ArpPacket::parse(&frame.bytes), Some(ArpPacket::request(OWN, FROM, GATEWAY)));

    let Step::Send(frame) = GatewayProbe::new(WAY6, OWN, Pace::PROBE, now).poll(now) else { panic!("no question") };
    let packet = NeighborPacket::parse(&frame.bytes).unwrap();
    assert_eq!((packet.source, packet.target, packet.link_layer), (FROM6, GATEWAY6, Some(OWN)));
}
