//! The database's file: how it is opened, and what becomes of one that cannot be read. What stands in it is the store's
//! business.

use crate::note;
use gk_wire::log::Level;
use rusqlite::{Connection, Error, ErrorCode};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Bytes to which the write-ahead log is cut down when it is written anew.
const LOG: i64 = 4 << 20;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS portions(
        step INTEGER NOT NULL, t INTEGER NOT NULL, process_group TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY(step, t, process_group)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS events(id INTEGER PRIMARY KEY, t REAL NOT NULL, data TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS events_t ON events(t);
    PRAGMA user_version = 1;";

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Another process has the file: wait for it.
    Wait,
    /// The file is damaged, or was never a database: begin another one.
    Anew,
    /// Keep the past in memory.
    Memory,
}

/// Of that error.
pub(super) fn remedy(error: &Error) -> Remedy {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Remedy::Wait,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Remedy::Anew,
        _ => Remedy::Memory,
    }
}

/// Opens the file; one that is no database, or a damaged one, is put aside.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    match prepared(path) {
        Err(error) if remedy(&error) == Remedy::Anew => {
            put_aside(path, &error);
            prepared(path)
        }
        other => other,
    }
}

/// Gives the file another name, and its log with it: a log that stays would be taken for the next file's.
pub(super) fn put_aside(path: &Path, why: &Error) {
    let aside = format!("{}.unreadable", path.display());
    for ending in ["", "-wal", "-shm"] {
        let (from, to) = (format!("{}{ending}", path.display()), format!("{aside}{ending}"));
        let (from, to) = (PathBuf::from(from), PathBuf::from(to));
        // What an earlier file left there belongs to nothing any more.
        let _ = std::fs::remove_file(&to);
        let _ = std::fs::rename(from, to);
    }
    note(Level::Warn, &format!("{} cannot be read ({why}); it is now {aside}", path.display()));
}

fn prepared(path: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    // Paths of requests stand in it. The files beside it take over its mode.
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
    database.busy_timeout(std::time::Duration::from_secs(2))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "journal_size_limit", LOG)?;
    database.pragma_update(None, "synchronous", "NORMAL")?;
    database.pragma_update(None, "cache_size", -1024)?;
    database.execute_batch(SCHEMA)?;
    Ok(database)
}

/// A database without a file.
pub(super) fn in_memory() -> Connection {
    let database = Connection::open_in_memory().expect("a database in memory needs only memory");
    database.execute_batch(SCHEMA).expect("the schema is one that SQLite takes");
    database
}
