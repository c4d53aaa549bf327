use std::num::NonZeroU32;
use std::time::Duration;

use super::*;
use crate::arp::Operation;
use crate::ndp::{ALL_NODES, Kind};

const OWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

fn first_frame(address: &str) -> Frame {
    let now = Instant::now();
    match Announcement::new(address.parse().unwrap(), OWN, Pace::ANNOUNCE, now).poll(now) {
        Step::Send(frame) => frame,
        step => panic!("{step:?}"),
    }
}

#[test]
fn an_ipv4_address_is_announced_as_sender_and_target() {
    let packet = ArpPacket::parse(&first_frame("10.1.0.5").bytes).unwrap();
    assert_eq!((packet.operation, packet.sender_mac), (Operation::Request, OWN));
    assert_eq!(packet.sender, packet.target);
}

#[test]
fn an_ipv6_address_is_advertised_to_all_nodes_and_overrides() {
    let packet = NeighborPacket::parse(&first_frame("fd01::5").bytes).unwrap();
    assert_eq!(packet.kind, Kind::Advertisement { router: false, solicited: false, override_: true });
    assert_eq!((packet.source, packet.destination, packet.link_layer), (packet.target, ALL_NODES, Some(OWN)));
}

#[test]
fn it_is_said_as_often_as_wanted_and_no_more() {
    let start = Instant::now();
    let interval = Duration::from_millis(20);
    let pace = Pace { times: NonZeroU32::new(2).unwrap(), interval };
    for address in ["10.1.0.5", "fd01::5"] {
        let mut announcement = Announcement::new(address.parse().unwrap(), OWN, pace, start);
        assert!(matches!(announcement.poll(start), Step::Send(_)));
        assert_eq!(announcement.poll(start), Step::Wait(start + interval));
        assert!(matches!(announcement.poll(start + interval), Step::Send(_)));
        assert_eq!(announcement.poll(start + interval), Step::Wait(start + 2 * interval));
        assert_eq!(announcement.poll(start + 2 * interval), Step::Done(()));
        assert_eq!(announcement.poll(start + 3 * interval), Step::Done(()));
    }
}
