//! What the wire and the machine do to a probe besides answering it.
#![expect(unsafe_code, reason = "sends frames and signals that nothing safe would send")]

use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use crate::network::{Machine, pair};
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, sendto, socket};
use spiderpool_probe::{Check, Finding, MacAddress, Pace, run};

const CHECKS: [Check; 2] = [
    Check { address: std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 0, 5)), conflict: true, gateway: None },
    Check {
        address: std::net::IpAddr::V6(std::net::Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 5)),
        conflict: true,
        gateway: None,
    },
];

const CLEAR: Finding = Finding::Clear { gateway: None };
const STRANGER: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x77]);

/// An ARP announcement of 10.1.0.5 by the stranger, with `tag` between addresses and type, for `destination`.
fn announcement(destination: [u8; 6], tag: &[u8]) -> Vec<u8> {
    let address = [10, 1, 0, 5];
    let parts: [&[u8]; 9] = [
        &destination,
        &STRANGER.0,
        tag,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &STRANGER.0,
        &address,
        &[0; 6],
        &address,
        &[0; 18],
    ];
    parts.concat()
}

/// Sends each frame every few milliseconds from `machine` while `work` runs.
fn while_sending<T>(machine: &Machine, frames: &[Vec<u8>], work: impl FnOnce() -> T) -> T {
    let index = machine.interface().index.cast_signed();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            machine.inside(move || {
                let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
                // SAFETY: every bit pattern is a sockaddr_ll, and zeros are a valid one.
                let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
                address.sll_family = u16::try_from(libc::AF_PACKET).expect("small");
                address.sll_ifindex = index;
                let length = libc::socklen_t::try_from(size_of_val(&address)).expect("small");
                // SAFETY: the pointer and the length are those of a whole sockaddr_ll.
                let address = unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) }.expect("valid");
                while stopped.recv_timeout(Duration::from_millis(5)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    for frame in frames {
                        sendto(fd.as_raw_fd(), frame, &address, MsgFlags::empty()).expect("the wire is fine");
                    }
                }
            });
        });
        let result = work();
        drop(stop);
        result
    })
}

fn findings(pod: &Machine) -> Vec<Finding> {
    let interface = pod.interface();
    let outcomes = pod.inside(|| run(&interface, &CHECKS, Pace::PROBE)).expect("the wire is fine");
    outcomes.into_iter().map(|outcome| outcome.finding).collect()
}

#[test]
fn an_unasked_announcement_is_a_conflict() {
    let (pod, neighbour) = pair();
    let frames = [announcement([0xff; 6], &[])];
    let found = while_sending(&neighbour, &frames, || findings(&pod));
    assert_eq!(found, [Finding::Conflict { holder: STRANGER }, CLEAR]);
}

#[test]
fn the_same_address_on_a_vlan_of_others_or_between_others_is_no_conflict() {
    let (pod, neighbour) = pair();
    pod.ip("link set eth0 promisc on");
    let frames = [announcement([0xff; 6], &[0x81, 0, 0, 7]), announcement([2, 0, 0, 0, 0, 0x66], &[])];
    let found = while_sending(&neighbour, &frames, || findings(&pod));
    assert_eq!(found, [CLEAR; 2]);
}

#[test]
fn broken_frames_are_passed_over() {
    let (pod, neighbour) = pair();
    let whole = announcement([0xff; 6], &[]);
    let mut frames: Vec<_> = (14..42).map(|length| whole[..length].to_vec()).collect();
    frames.push([&[0x33, 0x33, 0, 0, 0, 1], &STRANGER.0[..], &[0x86, 0xdd], &[0x60; 80]].concat());
    let found = while_sending(&neighbour, &frames, || findings(&pod));
    assert_eq!(found, [CLEAR; 2]);
}

extern "C" fn do_nothing(_: libc::c_int) {}

#[test]
fn signals_neither_end_nor_prolong_the_waiting() {
    let (pod, _neighbour) = pair();
    let interface = pod.interface();
    let action = SigAction::new(SigHandler::Handler(do_nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing, which is allowed at any moment.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.expect("a handler");

    let (outcomes, took) = pod.inside(|| {
        // SAFETY: always allowed.
        let (process, prober) = unsafe { (libc::getpid(), libc::gettid()) };
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                while stopped.recv_timeout(Duration::from_millis(1)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    // SAFETY: the prober waits for this thread, so the number is still its own.
                    unsafe { libc::syscall(libc::SYS_tgkill, process, prober, libc::SIGUSR1) };
                }
            });
            let start = Instant::now();
            let outcomes = run(&interface, &CHECKS, Pace::PROBE);
            drop(stop);
            (outcomes.expect("the wire is fine"), start.elapsed())
        })
    });
    assert!(outcomes.iter().all(|outcome| outcome.finding == CLEAR), "{outcomes:?}");
    assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(550), "{took:?}");
}
