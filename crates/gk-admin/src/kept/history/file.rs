//! Opens the database file, and sets aside one that cannot be read. Its tables are the store's business.

use crate::note;
use gk_wire::log::Level;
use rusqlite::{Connection, Error, ErrorCode};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Size in bytes to which the write-ahead log is truncated when it restarts.
const LOG: i64 = 4 << 20;

/// Wait for another process that locks the file, as a backup does for a moment.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS portions(
        step INTEGER NOT NULL, t INTEGER NOT NULL, process_group TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY(step, t, process_group)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS events(id INTEGER PRIMARY KEY, t REAL NOT NULL, data TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS events_t ON events(t);
    PRAGMA user_version = 1;";

/// Remedy for an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Another process locks the file: wait for it.
    Wait,
    /// The file is damaged, or was never a database: start another one.
    NewFile,
    /// Keep the history in memory.
    Memory,
}

/// The remedy for an error.
pub(super) fn remedy(error: &Error) -> Remedy {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Remedy::Wait,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Remedy::NewFile,
        _ => Remedy::Memory,
    }
}

/// Opens the file. A damaged file, or one that is not a database, is set aside.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    match prepared(path) {
        Err(error) if remedy(&error) == Remedy::NewFile => {
            set_aside(path, &error);
            prepared(path)
        }
        other => other,
    }
}

/// Renames the file and its log. A log that stayed would be taken for the next file's.
pub(super) fn set_aside(path: &Path, why: &Error) {
    let aside = format!("{}.unreadable", path.display());
    for ending in ["", "-wal", "-shm"] {
        let (from, to) = (format!("{}{ending}", path.display()), format!("{aside}{ending}"));
        let (from, to) = (PathBuf::from(from), PathBuf::from(to));
        // A file that was set aside earlier is not needed any more.
        let _ = std::fs::remove_file(&to);
        let _ = std::fs::rename(from, to);
    }
    note(Level::Warn, &format!("{} cannot be read ({why}); it is now {aside}", path.display()));
}

fn prepared(path: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    // It contains paths of requests. SQLite creates the files beside it with its mode.
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
    database.busy_timeout(PATIENCE)?;
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
