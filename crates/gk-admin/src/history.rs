//! The past, in SQLite, on a thread of its own: one second for an hour, coarser for longer, at most 30 days and 256 MB. What
//! cannot be written is kept in memory, with one warning. A process that is killed loses the present second.

use crate::events::Event;
use crate::note;
use crate::tick::Tick;
use gk_telemetry::Portion;
use gk_wire::log::Level;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use tokio::sync::oneshot;

/// File in the server root.
pub const FILE: &str = "gilkeeper.db";
/// Seconds of a row, and seconds for which such rows are kept.
const TIERS: [(i64, i64); 4] = [(1, 3_600), (10, 6 * 3_600), (60, 3 * 86_400), (600, 30 * 86_400)];
/// Bytes of the file beyond which the past is shortened.
const LONGEST: i64 = 256 << 20;
/// Events kept.
const EVENTS: i64 = 10_000;
/// Orders that may wait; what comes on top is dropped and counted.
const WAITING: usize = 256;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS portions(
        step INTEGER NOT NULL, t INTEGER NOT NULL, process_group TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY(step, t, process_group)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS events(id INTEGER PRIMARY KEY, t REAL NOT NULL, data TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS events_t ON events(t);
    PRAGMA user_version = 1;";

/// A question about the past. Epoch seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Beginning.
    pub from: f64,
    /// End.
    pub to: f64,
    /// Seconds of an answer's row.
    pub step: f64,
    /// One process group, or all.
    pub group: Option<String>,
    /// The present.
    pub now: f64,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// Rows, oldest first; `t` is the beginning of each.
    pub ticks: Vec<Tick>,
    /// Events, oldest first.
    pub events: Vec<Event>,
}

enum Order {
    Tick(Arc<Tick>),
    Event(Box<Event>),
    Ask(Question, oneshot::Sender<Past>),
}

/// The thread's other end.
#[derive(Clone)]
pub struct History {
    orders: SyncSender<Order>,
}

impl History {
    /// Starts the thread with the database in the server root.
    pub fn start(server_root: &Path) -> std::io::Result<Self> {
        let (orders, receiver) = sync_channel(WAITING);
        let path = server_root.join(FILE);
        let body = move || Store::open(&path).run(&receiver);
        std::thread::Builder::new().name("history".into()).spawn(body)?;
        Ok(Self { orders })
    }

    /// Adds the present. A disk that does not keep up costs the past, never the present.
    pub fn push(&self, tick: Arc<Tick>) -> bool {
        !matches!(self.orders.try_send(Order::Tick(tick)), Err(TrySendError::Full(_)))
    }

    /// Adds an event.
    pub fn event(&self, event: Event) {
        let _ = self.orders.try_send(Order::Event(Box::new(event)));
    }

    /// Asks; empty when the thread is overloaded or gone.
    pub async fn ask(&self, question: Question) -> Past {
        let (sender, receiver) = oneshot::channel();
        if self.orders.try_send(Order::Ask(question, sender)).is_err() {
            return Past::default();
        }
        receiver.await.unwrap_or_default()
    }
}

/// A row that is not over yet.
#[derive(Default)]
struct Open {
    t: i64,
    groups: BTreeMap<String, Portion>,
}

/// The database and the rows under way.
struct Store {
    database: Connection,
    /// It is in memory: the file could not be used.
    memory: bool,
    open: [Open; TIERS.len()],
    pruned: i64,
    /// Halves with each time the file was too long.
    patience: i64,
}

impl Store {
    fn open(path: &Path) -> Self {
        let mut memory = false;
        let database = open_file(path).unwrap_or_else(|why| {
            memory = true;
            warn(&format!("{} cannot be used: {why}", path.display()));
            in_memory()
        });
        let mut store = Self { database, memory, open: Default::default(), pruned: 0, patience: 1 };
        store.resume(gk_sys::clock::epoch_seconds() as i64);
        store
    }

    /// Takes up the coarse rows that a predecessor left unfinished.
    fn resume(&mut self, now: i64) {
        for index in 1..TIERS.len() {
            let t = now - now.rem_euclid(TIERS[index].0);
            let finer = TIERS[index - 1].0;
            let rows = self.rows(finer, t, now + 1, None).unwrap_or_default();
            let open = &mut self.open[index];
            open.t = t;
            for (_, group, portion) in rows {
                open.groups.entry(group).or_default().append(&portion);
            }
        }
    }

    fn run(&mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            let written = match order {
                Order::Tick(tick) => self.add(&tick),
                Order::Event(event) => self.add_event(&event),
                Order::Ask(question, answer) => {
                    let past = self.answer(&question).unwrap_or_default();
                    let _ = answer.send(past);
                    Ok(())
                }
            };
            if let Err(why) = written
                && !self.memory
            {
                warn(&why.to_string());
                self.memory = true;
                self.database = in_memory();
            }
        }
    }

    fn add(&mut self, tick: &Tick) -> rusqlite::Result<()> {
        let now = tick.t as i64;
        for (index, (step, _)) in TIERS.into_iter().enumerate() {
            let t = now - now.rem_euclid(step);
            if self.open[index].t != t {
                self.write(index)?;
                self.open[index] = Open { t, groups: BTreeMap::new() };
            }
            for (name, portion) in &tick.groups {
                self.open[index].groups.entry(name.clone()).or_default().append(portion);
            }
        }
        if now - self.pruned >= 60 {
            self.pruned = now;
            self.prune(now)?;
        }
        Ok(())
    }

    /// Writes a tier's row as it is now.
    fn write(&mut self, index: usize) -> rusqlite::Result<()> {
        let open = &self.open[index];
        if open.groups.is_empty() {
            return Ok(());
        }
        let transaction = self.database.transaction()?;
        for (name, portion) in &open.groups {
            let data = serde_json::to_string(portion).unwrap_or_default();
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO portions(step, t, process_group, data) VALUES (?, ?, ?, ?)",
                )?
                .execute(params![TIERS[index].0, open.t, name, data])?;
        }
        transaction.commit()
    }

    fn add_event(&mut self, event: &Event) -> rusqlite::Result<()> {
        let data = serde_json::to_string(event).unwrap_or_default();
        self.database
            .prepare_cached("INSERT INTO events(t, data) VALUES (?, ?)")?
            .execute(params![event.happened.at, data])?;
        Ok(())
    }

    fn prune(&mut self, now: i64) -> rusqlite::Result<()> {
        let pages: i64 = self.database.pragma_query_value(None, "page_count", |row| row.get(0))?;
        let free: i64 = self.database.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        let size: i64 = self.database.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let longest = if self.memory { LONGEST / 16 } else { LONGEST };
        if (pages - free) * size > longest {
            self.patience *= 2;
        }
        for (step, kept) in TIERS {
            let oldest = now - kept / self.patience;
            self.database.execute("DELETE FROM portions WHERE step = ? AND t < ?", params![step, oldest])?;
        }
        self.database.execute(
            "DELETE FROM events WHERE id <= (SELECT MAX(id) FROM events) - ? OR t < ?",
            params![EVENTS, now - TIERS[3].1],
        )?;
        Ok(())
    }

    fn rows(
        &self,
        step: i64,
        from: i64,
        to: i64,
        group: Option<&str>,
    ) -> rusqlite::Result<Vec<(i64, String, Portion)>> {
        let mut statement = self.database.prepare_cached(
            "SELECT t, process_group, data FROM portions
             WHERE step = ?1 AND t >= ?2 AND t < ?3 AND (?4 IS NULL OR process_group = ?4) ORDER BY t",
        )?;
        let rows = statement.query_map(params![step, from, to, group], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?))
        })?;
        // A row of another version is not an error, it is only not shown.
        let read = |row: (i64, String, String)| Some((row.0, row.1, serde_json::from_str(&row.2).ok()?));
        rows.filter_map(|row| row.map(read).transpose()).collect()
    }

    fn answer(&mut self, question: &Question) -> rusqlite::Result<Past> {
        for index in 0..TIERS.len() {
            self.write(index)?;
        }
        let step = question.step.max(1.0) as i64;
        let (from, to) = (question.from as i64, question.to.ceil() as i64);
        let reaches = |kept: i64| from >= question.now as i64 - kept / self.patience - 30;
        let fitting = TIERS.iter().rev().find(|(tier, kept)| *tier <= step && reaches(*kept));
        let fitting = fitting.or_else(|| TIERS.iter().find(|(_, kept)| reaches(*kept)));
        let tier = fitting.map_or(TIERS[3].0, |(tier, _)| *tier);
        let step = step.max(tier);
        let first = from - from.rem_euclid(tier);
        let mut ticks: Vec<Tick> = Vec::new();
        for (t, group, portion) in self.rows(tier, first, to, question.group.as_deref())? {
            // Rows are laid out from `from` on, so that one row can hold the whole range.
            let t = (from + (t - from).div_euclid(step) * step) as f64;
            if ticks.last().is_none_or(|last| last.t != t) {
                ticks.push(Tick { t, groups: BTreeMap::new() });
            }
            if let Some(last) = ticks.last_mut() {
                last.groups.entry(group).or_default().append(&portion);
            }
        }
        let mut statement = self
            .database
            .prepare_cached("SELECT data FROM events WHERE t >= ? AND t <= ? ORDER BY t DESC LIMIT 500")?;
        let texts = statement
            .query_map(params![question.from, question.to], |row| row.get::<_, String>(0))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let mut events: Vec<Event> =
            texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        events.reverse();
        Ok(Past { ticks, events })
    }
}

/// Opens the file; one that is no database is put aside.
fn open_file(path: &Path) -> rusqlite::Result<Connection> {
    match prepared(path) {
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            let aside = PathBuf::from(format!("{}.unreadable", path.display()));
            let _ = std::fs::rename(path, &aside);
            note(Level::Warn, &format!("{} is no database; it is now {}", path.display(), aside.display()));
            prepared(path)
        }
        other => other,
    }
}

fn prepared(path: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    // Paths of requests stand in it. The files beside it take over its mode.
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "NORMAL")?;
    database.pragma_update(None, "cache_size", -1024)?;
    database.busy_timeout(std::time::Duration::from_secs(2))?;
    database.execute_batch(SCHEMA)?;
    Ok(database)
}

fn in_memory() -> Connection {
    let database = Connection::open_in_memory().expect("a database in memory needs only memory");
    database.execute_batch(SCHEMA).expect("the schema is one that SQLite takes");
    database
}

fn warn(why: &str) {
    note(Level::Warn, &format!("the history is kept in memory until the next start: {why}"));
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
