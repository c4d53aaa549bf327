use proptest::prelude::*;

use super::*;

const OWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

fn any_packet() -> impl Strategy<Value = ArpPacket> {
    (any::<bool>(), any::<[u8; 6]>(), any::<[u8; 4]>(), any::<[u8; 6]>(), any::<[u8; 4]>()).prop_map(
        |(request, sender_mac, sender, target_mac, target)| ArpPacket {
            operation: if request { Operation::Request } else { Operation::Reply },
            sender_mac: MacAddress(sender_mac),
            sender: sender.into(),
            target_mac: MacAddress(target_mac),
            target: target.into(),
        },
    )
}

#[test]
fn a_probe_is_on_the_wire_what_rfc_5227_says() {
    let frame = ArpPacket::request(OWN, Ipv4Addr::UNSPECIFIED, [10, 1, 0, 5].into()).to_everybody();
    #[rustfmt::skip]
    let expected = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6,
        0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 1, 0, 5,
    ];
    assert_eq!(frame.bytes, expected);
    assert_eq!(frame.protocol, Protocol::Arp);
}

#[test]
fn other_hardware_protocols_sizes_and_operations_are_not_ours() {
    let good = ArpPacket::request(OWN, [10, 1, 0, 1].into(), [10, 1, 0, 5].into()).to_everybody().bytes;
    let cases = [(12, 0x86), (13, 0), (15, 6), (16, 9), (18, 8), (19, 16), (20, 1), (21, 0), (21, 3)];
    for (offset, value) in cases {
        let mut bad = good.clone();
        assert_ne!(bad[offset], value);
        bad[offset] = value;
        assert_eq!(ArpPacket::parse(&bad), None, "octet {offset} = {value}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_padded_or_not(packet in any_packet(), padding in 0_usize..60) {
        let mut bytes = packet.to_everybody().bytes;
        bytes.resize(bytes.len() + padding, 0xee);
        prop_assert_eq!(ArpPacket::parse(&bytes), Some(packet));
    }

    #[test]
    fn a_frame_cut_short_is_refused(packet in any_packet(), length in 0_usize..42) {
        prop_assert_eq!(ArpPacket::parse(&packet.to_everybody().bytes[..length]), None);
    }

    #[test]
    fn arbitrary_content_never_panics(content in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut frame = Addressing { destination: OWN, source: OWN }.emit(Protocol::Arp);
        frame.extend(&content);
        let _ = (ArpPacket::parse(&content), ArpPacket::parse(&frame));
    }
}
