//! What is acknowledged survives: SIGKILL at random moments, a full disk, a damaged file, a second writer.
//!
//! The process that is killed is this very test program, started again with the name of [`worker`] and a folder.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that should not be")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use spiderpool_ip::{Family, IpSet};
use spiderpool_storage::{
    Choice, Holder, Ledger, LedgerError, LocalLedger, Owner, Pick, PoolSpace, Release, Reservation, ReserveError,
    StorageError, Want,
};

const FOLDER: &str = "SPIDERPOOL_TEST_LEDGER";
const FIRST: &str = "SPIDERPOOL_TEST_FIRST";

fn space() -> Arc<PoolSpace> {
    Arc::new(PoolSpace::new(
        "p",
        "10.0.0.0/8".parse().unwrap(),
        IpSet::parse(Family::V4, ["10.6.0.1-10.9.255.254"]).unwrap(),
    ))
}

fn reservation(space: &Arc<PoolSpace>, number: u64) -> Reservation {
    let want = |interface: &str| Want {
        interface: interface.to_owned(),
        family: Family::V4,
        network: "n".to_owned(),
        clean_gateway: false,
        inherits: Vec::new(),
        choices: vec![Choice { space: Arc::clone(space), pick: Pick::Lowest }],
    };
    Reservation {
        holder: Holder { namespace: "ns".to_owned(), pod: format!("pod-{number}"), uid: format!("uid-{number}") },
        node: "node1".to_owned(),
        container: format!("c-{number}"),
        owner: Owner { kind: "Deployment".to_owned(), name: "d".to_owned() },
        comes_back: false,
        wants: vec![want("eth0"), want("net1")],
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Not a test of its own: with the environment set, reserves and releases with 16 in flight until it is killed, and
/// tells on its standard output what was acknowledged and what was asked for.
#[test]
fn worker() {
    let (Ok(folder), Ok(first)) = (std::env::var(FOLDER), std::env::var(FIRST)) else { return };
    let first: u64 = first.parse().unwrap();
    let ledger = Arc::new(LocalLedger::open(Path::new(&folder)).unwrap());
    let space = space();
    let tell = |line: String| {
        let mut out = std::io::stdout().lock();
        out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
    };
    tell("open".to_owned());
    runtime().block_on(async {
        let tasks: Vec<_> = (0..16)
            .map(|lane| {
                let (ledger, space) = (Arc::clone(&ledger), Arc::clone(&space));
                async move {
                    for number in (first + lane..).step_by(16) {
                        let endpoint = ledger.reserve(reservation(&space, number)).await.unwrap();
                        let [a, b] = [0, 1].map(|index| endpoint.leases[index].address);
                        tell(format!("+ uid-{number} {a} {b}"));
                        if number % 3 == 0 {
                            tell(format!("? uid-{number}"));
                            let uid = format!("uid-{number}");
                            ledger.release(Release { uid, ..Release::default() }).await.unwrap();
                            tell(format!("- uid-{number}"));
                        }
                    }
                }
            })
            .collect();
        futures_join(tasks).await;
    });
}

async fn futures_join(tasks: Vec<impl Future<Output = ()>>) {
    let mut tasks: Vec<_> = tasks.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        tasks.retain_mut(|task| task.as_mut().poll(context).is_pending());
        if tasks.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

fn start_worker(folder: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "worker", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a worker was told before it died.
#[derive(Default)]
struct Acknowledged {
    held: BTreeMap<String, BTreeSet<IpAddr>>,
    /// Asked to be released, without an answer: there or not.
    open: BTreeSet<String>,
}

impl Acknowledged {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["+", uid, a, b] => {
                self.held.insert(uid.to_owned(), [a, b].map(|text| text.parse().unwrap()).into());
            }
            ["?", uid] => {
                self.open.insert(uid.to_owned());
            }
            ["-", uid] => {
                self.open.remove(uid);
                self.held.remove(uid);
            }
            _ => {}
        }
    }
}

#[test]
fn what_was_acknowledged_survives_sigkill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::default();
    let mut moment = 0x2545_f491_4f6c_dd1d_u64;
    let mut total = 0;
    for round in 0..250u64 {
        let mut child = start_worker(folder.path(), round * 1_000_000);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !lines.next().unwrap().unwrap().ends_with("open") {}
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros(moment >> 50));
        child.kill().unwrap();
        for line in lines {
            acknowledged.hear(&line.unwrap());
            total += 1;
        }
        child.wait().unwrap();
        if round % 5 == 0 {
            check(folder.path(), &mut acknowledged, round);
        }
    }
    check(folder.path(), &mut acknowledged, 250);
    assert!(total > 1_000, "only {total} lines in 250 rounds; the kills came before the work");
}

/// Compares the file with what was acknowledged, and gives all back so that the next rounds stay quick.
fn check(folder: &Path, acknowledged: &mut Acknowledged, round: u64) {
    let ledger = LocalLedger::open(folder).unwrap();
    let runtime = runtime();
    let mut by_uid: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for allocation in runtime.block_on(ledger.allocations(None)).unwrap() {
        let address = allocation.lease.address;
        assert!(seen.insert(address), "round {round}: {address} is held twice");
        by_uid.entry(allocation.holder.uid.clone()).or_default().insert(address);
    }
    for (uid, addresses) in &by_uid {
        assert_eq!(addresses.len(), 2, "round {round}: {uid} has half of what it asked for");
    }
    for (uid, addresses) in &acknowledged.held {
        match by_uid.get(uid) {
            Some(there) => assert_eq!(there, addresses, "round {round}: {uid}"),
            None => assert!(acknowledged.open.contains(uid), "round {round}: {uid} lost {addresses:?}"),
        }
    }
    for uid in by_uid.into_keys() {
        runtime.block_on(ledger.release(Release { uid, ..Release::default() })).unwrap();
    }
    assert_eq!(ledger.usage(&space()).allocated, 0);
    *acknowledged = Acknowledged::default();
}

#[test]
fn a_second_writer_is_told_who_the_first_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start_worker(folder.path(), 0);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !lines.next().unwrap().unwrap().ends_with("open") {}
    let error = LocalLedger::open(folder.path()).unwrap_err().to_string();
    child.kill().unwrap();
    child.wait().unwrap();
    let path = folder.path().join("ledger.redb");
    let expected = format!(
        "open the ledger: {}: process {} has it open, and a ledger has one writer; stop that process, or use another \
         data folder",
        path.display(),
        child.id()
    );
    assert_eq!(error, expected);
    LocalLedger::open(folder.path()).unwrap();
}

/// A file system of 4 MiB that goes away with this.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        mount(Some("tmpfs"), folder.path(), Some("tmpfs"), MsFlags::empty(), Some("size=4m")).unwrap_or_else(|error| {
            panic!("mounting a small file system: {error}; run as root: sudo -E cargo test -p spiderpool-storage")
        });
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_is_said_loses_nothing_and_is_got_over() {
    let disk = SmallDisk::new();
    let path = disk.0.path();
    let ledger = LocalLedger::open(path).unwrap();
    let (space, runtime) = (space(), runtime());
    let reserve = |number| runtime.block_on(ledger.reserve(reservation(&space, number)));
    reserve(0).unwrap();
    let filler = path.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    let mut given = BTreeMap::new();
    let refusal = loop {
        let number = given.len() as u64 + 1;
        match reserve(number) {
            Ok(endpoint) => given.insert(number, endpoint.leases[0].address),
            Err(error) => break error,
        };
        assert!(number < 100_000, "the disk never got full");
    };
    let ReserveError::Ledger(LedgerError::Storage(error)) = &refusal else { panic!("{refusal}") };
    assert_eq!(error.path, path.join("ledger.redb"));
    assert!(error.cause.contains("No space left on device"), "{error}");
    assert!(error.remedy.contains("make room on that file system"), "{error}");
    for _ in 0..3 {
        let again = reserve(given.len() as u64 + 1).unwrap_err().to_string();
        assert!(again.contains("make room"), "{again}");
    }
    let held = runtime.block_on(ledger.allocations(None)).unwrap().len();
    assert_eq!(held, 2 * (given.len() + 1));
    fs::remove_file(&filler).unwrap();
    let next = given.len() as u64 + 1;
    given.insert(next, reserve(next).unwrap().leases[0].address);
    drop(ledger);
    let ledger = LocalLedger::open(path).unwrap();
    for (number, address) in given {
        let there = runtime.block_on(ledger.held_by(&format!("uid-{number}"))).unwrap().unwrap();
        assert_eq!(there.leases[0].address, address);
    }
}

fn ledger_with_rows(folder: &Path) {
    let ledger = LocalLedger::open(folder).unwrap();
    let (space, runtime) = (space(), runtime());
    for number in 0..200 {
        runtime.block_on(ledger.reserve(reservation(&space, number))).unwrap();
    }
}

#[test]
fn a_damaged_file_is_named_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    ledger_with_rows(folder.path());
    let path = folder.path().join("ledger.redb");
    let good = fs::read(&path).unwrap();
    let cases: [(&str, Vec<u8>); 4] = [
        ("empty", Vec::new()),
        ("text", b"not a ledger at all, but a text of some length".repeat(100)),
        ("cut", good[..good.len() / 2].to_vec()),
        ("zeros", vec![0; good.len()]),
    ];
    for (what, bytes) in cases {
        fs::write(&path, &bytes).unwrap();
        let error = LocalLedger::open(folder.path()).expect_err(what).to_string();
        assert!(error.starts_with(&format!("read the ledger: {}: the file is damaged", path.display())), "{error}");
        assert!(error.contains("put a copy of it back") && error.contains("move the file away"), "{error}");
        assert!(fs::read(&path).unwrap() == bytes, "{what}: the file was changed");
    }
    fs::write(&path, &good).unwrap();
    let ledger = LocalLedger::open(folder.path()).unwrap();
    assert_eq!(ledger.usage(&space()).allocated, 400);
}

/// A child of another test has this process's files, and their locks, from its fork until its exec.
fn opened_beside_forks(folder: &Path) -> Result<LocalLedger, StorageError> {
    let begun = Instant::now();
    loop {
        match LocalLedger::open(folder) {
            Err(error) if error.cause.contains("has it open") && begun.elapsed() < Duration::from_secs(10) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

#[test]
fn flipped_bytes_are_noticed_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    ledger_with_rows(folder.path());
    let path = folder.path().join("ledger.redb");
    let good = fs::read(&path).unwrap();
    let mut noticed = 0;
    for at in (0..good.len()).step_by(1021) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        match opened_beside_forks(folder.path()) {
            Ok(ledger) => assert_eq!(ledger.usage(&space()).allocated, 400, "byte {at}"),
            Err(error) => {
                noticed += 1;
                assert!(error.path == path && error.cause.contains("damaged"), "byte {at}: {error}");
                assert!(fs::read(&path).unwrap() == bytes, "byte {at}: the file was changed");
            }
        }
    }
    assert!(noticed > 0, "no flip was noticed");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = LocalLedger::open(&file.join("data")).unwrap_err();
    assert!(error.path.starts_with(&file), "{error}");
    assert!(error.to_string().contains("Not a directory"), "{error}");
}

#[test]
fn an_unfinished_new_file_is_made_again() {
    for left_behind in [&b""[..], b"half a file"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ledger.redb.new"), left_behind).unwrap();
        ledger_with_rows(folder.path());
        assert!(!folder.path().join("ledger.redb.new").exists());
    }
}

#[test]
fn a_ledger_that_was_just_dropped_can_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    for _ in 0..20 {
        drop(LocalLedger::open(folder.path()).unwrap());
    }
    assert!(start.elapsed() < Duration::from_secs(10));
    let mut magic = [0; 4];
    fs::File::open(folder.path().join("ledger.redb")).unwrap().read_exact(&mut magic).unwrap();
    assert_eq!(&magic, b"redb");
}
