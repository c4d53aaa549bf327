//! The file: one row per address that is not free, in an embedded store.
//!
//! The store is redb. What the ledger needs is one durable transaction over a few rows with as few syncs as can be, in
//! one file, by one process, and safe against SIGKILL at any point. redb does that with one sync per transaction, is
//! pure Rust (the binaries stay static without a C toolchain), kept up, and its file format is promised to stay.
//! SQLite and LMDB (`heed`) would do as well and bring C; LMDB also wants its largest size said in advance. `fjall` is
//! made for more data than fits in memory and compacts in the background, over many files, which a ledger of some
//! thousand rows has no use for.
//!
//! ```text
//! table "addresses":  family, 16 bytes of address  →  JSON of a Row
//! table "format":     "version"                    →  1
//! ```
//!
//! The key is the address and nothing else, so that a row cannot be there twice: neither two pools that overlap nor a
//! pool that was deleted and made again under the same name can give an address that is held.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use serde::{Deserialize, Serialize};

use super::refusal::{damaged, refused};
use crate::block::{Rest, Slot};
use crate::{Allocation, StorageError};

/// The file in the data folder.
const FILE: &str = "ledger.redb";
const ADDRESSES: TableDefinition<'_, &[u8; 17], &[u8]> = TableDefinition::new("addresses");
const FORMAT: TableDefinition<'_, &str, u64> = TableDefinition::new("format");
const FORMAT_VERSION: u64 = 1;
/// Everything is in memory already; the store caches the inner nodes of its tree and what it writes.
const CACHE_BYTES: usize = 8 << 20;

/// What an address is, as stored. A free one has no row.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::large_enum_variant, reason = "it lives for one row, and nearly all rows are of the large kind")]
enum Row<'a> {
    Held(Cow<'a, Allocation>),
    Quarantined(Cow<'a, Rest>),
}

/// The open file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    database: Database,
}

impl Store {
    /// Opens the file in `folder`, which is made, like the file, if it is not there.
    ///
    /// # Errors
    /// Names the file: it cannot be made or read, another process has it, it is damaged or of another version.
    pub(super) fn open(folder: &Path) -> Result<Self, StorageError> {
        let path = folder.join(FILE);
        if !path.try_exists().map_err(|error| refused("look for the ledger", &path, error.into()))? {
            create(folder, &path).map_err(|error| refused("make the ledger", &path, error))?;
        }
        let database = patiently(|| {
            verify(&path)?;
            builder().open(&path).map_err(redb::Error::from)
        });
        let database = database.map_err(|error| refused("open the ledger", &path, error))?;
        let store = Self { path, database };
        store.check_version()?;
        Ok(store)
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All rows.
    ///
    /// # Errors
    /// Names the file when it cannot be read, and the address of a row that makes no sense.
    pub(super) fn load(&self) -> Result<Vec<(IpAddr, Slot)>, StorageError> {
        let read = |error| refused("read the ledger", &self.path, error);
        let transaction = self.database.begin_read().map_err(|error| read(error.into()))?;
        let table = transaction.open_table(ADDRESSES).map_err(|error| read(error.into()))?;
        let mut slots = Vec::new();
        for entry in table.iter().map_err(|error| read(error.into()))? {
            let (key, row) = entry.map_err(|error| read(error.into()))?;
            let address = address_of(key.value()).ok_or_else(|| damaged(&self.path, "a row has no address"))?;
            let slot = slot_of(address, row.value())
                .map_err(|problem| damaged(&self.path, &format!("the row of {address}: {problem}")))?;
            slots.push((address, slot));
        }
        Ok(slots)
    }

    /// Writes all of `changes` or none, and returns when they are on disk.
    ///
    /// # Errors
    /// Names the file. The changes may be on disk nevertheless when it was the last step that failed: open the store
    /// anew and load it to know.
    pub(super) fn commit(&self, changes: &BTreeMap<IpAddr, Slot>) -> Result<(), StorageError> {
        self.write(changes).map_err(|error| refused("write the ledger", &self.path, error))
    }

    fn write(&self, changes: &BTreeMap<IpAddr, Slot>) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(ADDRESSES)?;
            let mut text = Vec::with_capacity(512);
            for (&address, slot) in changes {
                let row = match slot {
                    Slot::Free => {
                        table.remove(&key_of(address))?;
                        continue;
                    }
                    Slot::Held(allocation) => Row::Held(Cow::Borrowed(allocation.as_ref())),
                    Slot::Quarantined(rest) => Row::Quarantined(Cow::Borrowed(rest.as_ref())),
                };
                text.clear();
                serde_json::to_writer(&mut text, &row).map_err(|error| redb::Error::Io(error.into()))?;
                table.insert(&key_of(address), text.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn check_version(&self) -> Result<(), StorageError> {
        let read = |error| refused("read the ledger", &self.path, error);
        let transaction = self.database.begin_read().map_err(|error| read(error.into()))?;
        let table = transaction.open_table(FORMAT).map_err(|error| read(error.into()))?;
        let version = table.get("version").map_err(|error| read(error.into()))?.map(|version| version.value());
        match version {
            Some(FORMAT_VERSION) => Ok(()),
            Some(other) => Err(StorageError {
                what: "open the ledger",
                path: self.path.clone(),
                cause: format!("its format is version {other}, and this program knows version {FORMAT_VERSION}"),
                remedy: "run the version of the program that wrote it".to_owned(),
            }),
            None => Err(damaged(&self.path, "it has no format version")),
        }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Looks for damage in a copy of the file in memory, before anything is written to the file itself: opening a store for
/// good also repairs it, and what is repaired by going back to an older state has forgotten holders.
///
/// Needs as much memory as the file is long, for a moment.
fn verify(path: &Path) -> Result<(), redb::Error> {
    let mut file = File::open(path)?;
    // The writer of another process has this lock; without it the copy would be of a file that changes.
    match file.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(redb::Error::DatabaseAlreadyOpen),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(redb::Error::Corrupted("it is empty".to_owned()));
    }
    let copy = InMemoryBackend::new();
    copy.set_len(bytes.len() as u64)?;
    copy.write(0, &bytes)?;
    drop(bytes);
    let damage = match builder().create_with_backend(copy).and_then(|mut database| database.check_integrity()) {
        Ok(true) => return Ok(()),
        Ok(false) => "its parts do not fit together".to_owned(),
        Err(DatabaseError::Storage(redb::StorageError::Corrupted(cause))) => cause,
        Err(error) => error.to_string(),
    };
    Err(redb::Error::Corrupted(damage))
}

/// Tries again for a moment while somebody else has the file: a process that is about to end, or one of our own
/// children that has not become its program yet.
fn patiently<T>(mut open: impl FnMut() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    const TRIES: u32 = 10;
    for _ in 1..TRIES {
        match open() {
            Err(redb::Error::DatabaseAlreadyOpen) => std::thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
    open()
}

/// Makes an empty store beside its place and moves it there, so that a file of that name is always a whole one.
fn create(folder: &Path, path: &Path) -> Result<(), redb::Error> {
    fs::create_dir_all(folder)?;
    let unfinished = folder.join(format!("{FILE}.new"));
    // Left behind by a process that was killed in here; one that is alive holds its lock.
    let database = match builder().create(&unfinished) {
        Err(DatabaseError::Storage(_)) => {
            fs::remove_file(&unfinished)?;
            builder().create(&unfinished)?
        }
        other => other?,
    };
    let transaction = database.begin_write()?;
    transaction.open_table(ADDRESSES)?;
    transaction.open_table(FORMAT)?.insert("version", FORMAT_VERSION)?;
    transaction.commit()?;
    drop(database);
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn key_of(address: IpAddr) -> [u8; 17] {
    let mut key = [0; 17];
    match address {
        IpAddr::V4(v4) => {
            key[0] = 4;
            key[13..].copy_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            key[0] = 6;
            key[1..].copy_from_slice(&v6.octets());
        }
    }
    key
}

fn address_of(key: &[u8; 17]) -> Option<IpAddr> {
    let [family, bytes @ ..] = key;
    let [zeros @ .., a, b, c, d] = bytes;
    match family {
        4 if zeros.iter().all(|&byte| byte == 0) => Some(IpAddr::from([*a, *b, *c, *d])),
        6 => Some(IpAddr::from(*bytes)),
        _ => None,
    }
}

fn slot_of(address: IpAddr, row: &[u8]) -> Result<Slot, String> {
    match serde_json::from_slice(row).map_err(|error| error.to_string())? {
        Row::Held(allocation) if allocation.lease.address == address => {
            Ok(Slot::Held(Arc::new(allocation.into_owned())))
        }
        Row::Held(allocation) => Err(format!("it is about {}", allocation.lease.address)),
        Row::Quarantined(rest) => Ok(Slot::Quarantined(Arc::new(rest.into_owned()))),
    }
}
