use proptest::prelude::*;

use super::*;

const OWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 5);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 1);

fn any_packet() -> impl Strategy<Value = NeighborPacket> {
    let addresses = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<[u8; 16]>());
    let macs = (any::<[u8; 6]>(), any::<[u8; 6]>(), any::<Option<[u8; 6]>>());
    (addresses, macs, any::<Option<(bool, bool, bool)>>())
        .prop_map(|((source, destination, target), (to, from, option), flags)| NeighborPacket {
            ethernet: Addressing { destination: MacAddress(to), source: MacAddress(from) },
            source: source.into(),
            destination: destination.into(),
            kind: flags.map_or(Kind::Solicitation, |(router, solicited, override_)| Kind::Advertisement {
                router,
                solicited,
                override_,
            }),
            target: target.into(),
            link_layer: option.map(MacAddress),
        })
        .prop_filter("discarded by RFC 4861 §7.1", NeighborPacket::is_valid)
}

/// A frame whose ICMPv6 message ends in `options`, with a right length and checksum.
fn with_options(packet: NeighborPacket, options: &[u8]) -> Vec<u8> {
    let mut frame = NeighborPacket { link_layer: None, ..packet }.to_frame().bytes;
    frame.extend(options);
    let length = u16::try_from(frame.len() - 54).unwrap();
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    sign(&mut frame, packet);
    frame
}

fn sign(frame: &mut [u8], packet: NeighborPacket) {
    frame[56..58].fill(0);
    let checksum = checksum(packet.source, packet.destination, &frame[54..]);
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
}

#[test]
fn a_solicitation_of_duplicate_detection_is_on_the_wire_what_rfc_4862_says() {
    #[rustfmt::skip]
    let expected = [
        0x33, 0x33, 0xff, 0, 0, 5, 2, 0, 0, 0, 0, 1, 0x86, 0xdd,
        0x60, 0, 0, 0, 0, 24, 58, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 5,
        135, 0, 0x7d, 0x9c, 0, 0, 0, 0, 0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5,
    ];
    assert_eq!(NeighborPacket::solicit(OWN, Ipv6Addr::UNSPECIFIED, ADDRESS).to_frame().bytes, expected);
}

#[test]
fn an_advertisement_overrides_what_everybody_knew() {
    #[rustfmt::skip]
    let expected = [
        0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xdd,
        0x60, 0, 0, 0, 0, 32, 58, 255, 0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5,
        0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        136, 0, 0x5a, 0x91, 0x20, 0, 0, 0, 0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 2, 1, 2, 0, 0, 0, 0, 1,
    ];
    assert_eq!(NeighborPacket::advertise(OWN, ADDRESS).to_frame().bytes, expected);
}

#[test]
fn the_group_of_an_address_has_its_last_three_octets() {
    let address = "fd01::12:3456:789a".parse().unwrap();
    assert_eq!(solicited_node(address).to_string(), "ff02::1:ff56:789a");
    assert_eq!(MacAddress::of_group(solicited_node(address)).to_string(), "33:33:ff:56:78:9a");
}

#[test]
fn the_ethernet_address_is_found_among_several_options() {
    let packet = NeighborPacket::advertise(OWN, ADDRESS);
    let own = [2, 1, 2, 0, 0, 0, 0, 1];
    let nonce = [14, 1, 9, 9, 9, 9, 9, 9];
    let sender = [1, 1, 7, 7, 7, 7, 7, 7];
    let long = [&[2, 2][..], &[7; 14]].concat();
    let cases: [(&str, Vec<u8>, Option<MacAddress>); 6] = [
        ("none", vec![], None),
        ("alone", own.to_vec(), Some(OWN)),
        ("behind others", [&nonce[..], &sender, &own].concat(), Some(OWN)),
        ("before others", [&own[..], &nonce].concat(), Some(OWN)),
        ("twice: the first", [&own[..], &[2, 1, 7, 7, 7, 7, 7, 7]].concat(), Some(OWN)),
        ("of another size", long, None),
    ];
    for (name, options, expected) in cases {
        let read = NeighborPacket::parse(&with_options(packet, &options)).expect(name);
        assert_eq!(read.link_layer, expected, "{name}");
    }
    for (name, options) in
        [("length zero", &[2, 0, 0, 0, 0, 0, 0, 0][..]), ("too long", &own[..7]), ("one octet", &[2])]
    {
        assert_eq!(NeighborPacket::parse(&with_options(packet, options)), None, "{name}");
    }
}

#[test]
fn what_did_not_come_from_this_link_whole_is_discarded() {
    let packet = NeighborPacket::solicit(OWN, ROUTER, ADDRESS);
    let good = packet.to_frame().bytes;
    assert_eq!(NeighborPacket::parse(&good), Some(packet));
    let cases = [
        ("not IPv6", 12, 8),
        ("another version", 14, 0x40),
        ("longer than the frame", 19, 33),
        ("shorter than the message", 19, 16),
        ("TCP", 20, 6),
        ("forwarded by a router", 21, 254),
        ("another type", 54, 133),
        ("another code", 55, 1),
        ("multicast target", 62, 0xff),
    ];
    for (name, offset, value) in cases {
        let mut bad = good.clone();
        assert_ne!(bad[offset], value, "{name}");
        bad[offset] = value;
        if offset >= 54 {
            sign(&mut bad, packet);
        }
        assert_eq!(NeighborPacket::parse(&bad), None, "{name}");
    }
}

#[test]
fn messages_that_contradict_themselves_are_discarded() {
    let detection = NeighborPacket::solicit(OWN, Ipv6Addr::UNSPECIFIED, ADDRESS);
    let advertisement = NeighborPacket::advertise(OWN, ADDRESS);
    let solicited = Kind::Advertisement { router: false, solicited: true, override_: true };
    let cases = [
        ("detection with a sender's option", NeighborPacket { link_layer: Some(OWN), ..detection }),
        ("detection to another group", NeighborPacket { destination: ALL_NODES, ..detection }),
        ("an answer to everybody", NeighborPacket { kind: solicited, ..advertisement }),
    ];
    for (name, packet) in cases {
        assert_eq!(NeighborPacket::parse(&packet.to_frame().bytes), None, "{name}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_padded_or_not(packet in any_packet(), padding in 0_usize..60) {
        let mut bytes = packet.to_frame().bytes;
        bytes.resize(bytes.len() + padding, 0xee);
        prop_assert_eq!(NeighborPacket::parse(&bytes), Some(packet));
    }

    #[test]
    fn a_single_wrong_bit_in_the_message_is_noticed(packet in any_packet(), bit in 0_usize..24 * 8) {
        let mut bytes = packet.to_frame().bytes;
        bytes[54 + bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(NeighborPacket::parse(&bytes), None);
    }

    #[test]
    fn arbitrary_content_never_panics(content in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut frame = Addressing { destination: OWN, source: OWN }.emit(Protocol::Ndp);
        frame.extend(&content);
        let _ = (NeighborPacket::parse(&content), NeighborPacket::parse(&frame));
    }

    #[test]
    fn arbitrary_options_never_panic(options in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = NeighborPacket::parse(&with_options(NeighborPacket::advertise(OWN, ADDRESS), &options));
    }
}
