//! The history's tables in SQLite: rows of one second for an hour, coarser rows for longer, at most 30 days and 256 MB. If the
//! file cannot be used, the history is in memory, with one warning.

use super::file::{self, Remedy};
use super::query::{HistoryQuery, Past};
use crate::heard::event::Event;
use crate::kept::tick::Tick;
use crate::note;
use gk_telemetry::Portion;
use gk_wire::log::Level;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tokio::sync::oneshot;

/// Length of a row in seconds, and seconds after which such rows are deleted.
pub(super) const TIERS: [(i64, i64); 4] = [(1, 3_600), (10, 6 * 3_600), (60, 3 * 86_400), (600, 30 * 86_400)];
/// Size of the file in bytes above which old rows are deleted sooner.
const LONGEST: i64 = 256 << 20;
/// Events in the table.
const EVENTS: i64 = 10_000;
/// Fewest rows per range: a range that starts within a row is off by at most this fraction of its length.
const FINE: i64 = 60;
/// Rows that wait while another process locks the file; with more of them the file counts as unusable.
const OVERDUE: usize = 600;
/// Seconds between two rounds, which write the unfinished rows and delete old ones.
const ROUND: i64 = 60;

/// Figures of a row by process group.
type Groups = BTreeMap<String, Portion>;

/// A row: the figures of all process groups from `t` to `t + step`.
#[derive(Default)]
struct Row {
    step: i64,
    t: i64,
    groups: Groups,
}

/// Work for the thread.
pub(super) enum Order {
    Tick(Arc<Tick>),
    Event(Box<Event>),
    Query(HistoryQuery, oneshot::Sender<Past>),
    /// Writes the unfinished rows.
    Write(oneshot::Sender<()>),
}

/// The database and the unfinished rows.
pub(super) struct Store {
    path: PathBuf,
    pub(super) database: Connection,
    /// The database is in memory, because the file could not be used.
    pub(super) memory: bool,
    /// The file was locked for longer than is waited for; now nothing waits until it is free.
    locked: bool,
    /// Unfinished rows, the finest first.
    open: Vec<Row>,
    /// Finished rows that are not written yet.
    over: Vec<Row>,
    /// Epoch seconds of the last round.
    round: i64,
    /// Divides the time for which rows are kept. Doubles each time the file is too large, halves when it is small again.
    pub(super) shortening: i64,
}

impl Store {
    pub(super) fn open(path: &Path) -> Self {
        let (mut memory, mut trouble) = (false, None);
        let database = file::open(path).unwrap_or_else(|why| {
            memory = true;
            trouble = Some(why);
            file::in_memory()
        });
        let open = TIERS.iter().map(|(step, _)| Row { step: *step, t: i64::MIN, groups: Groups::new() });
        let (open, path) = (open.collect(), path.to_owned());
        let mut store =
            Self { path, database, memory, locked: false, open, over: Vec::new(), round: 0, shortening: 1 };
        if let Some(why) = trouble {
            store.warn(&why.to_string());
        }
        let made = store.catch_up(gk_sys::clock::epoch_seconds() as i64);
        store.recover(made);
        store
    }

    /// Carries out orders until the last sender is gone.
    pub(super) fn run(&mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            let done = match order {
                Order::Tick(tick) => self.add(&tick),
                Order::Event(event) => self.add_event(&event),
                Order::Query(query, answer) => match self.answer(&query) {
                    Ok(past) => {
                        let _ = answer.send(past);
                        Ok(())
                    }
                    Err(why) => Err(why),
                },
                Order::Write(said) => {
                    let written = self.write_all();
                    let _ = said.send(());
                    written
                }
            };
            self.recover(done);
        }
        let _ = self.write_all();
    }

    /// Recovers from an error.
    pub(super) fn recover(&mut self, done: rusqlite::Result<()>) {
        let Err(why) = done else { return self.set_locked(false) };
        let mut remedy = file::remedy(&why);
        self.set_locked(remedy == Remedy::Wait);
        if self.memory || (remedy == Remedy::Wait && self.over.len() <= OVERDUE) {
            return;
        }
        if remedy == Remedy::NewFile {
            // The connection must close before its file is renamed.
            (self.database, self.locked) = (file::in_memory(), false);
            file::set_aside(&self.path, &why);
            match file::open(&self.path) {
                Ok(database) => self.database = database,
                Err(_) => remedy = Remedy::Memory,
            }
        }
        if remedy != Remedy::NewFile {
            self.warn(&why.to_string());
            self.memory = true;
            self.database = file::in_memory();
        }
        let _ = self.write_all();
    }

    /// Waits for a locked file once and then no more, so that the orders behind do not pile up.
    fn set_locked(&mut self, locked: bool) {
        if std::mem::replace(&mut self.locked, locked) != locked {
            // It only sets a number of the connection.
            let _ = self.database.busy_timeout(if locked { Duration::ZERO } else { file::PATIENCE });
        }
    }

    fn warn(&self, why: &str) {
        let shown = self.path.display();
        note(Level::Warn, &format!("the history is kept in memory until the next start: {shown}: {why}"));
    }

    /// Makes coarse rows that a previous process did not write, from finer ones.
    fn catch_up(&mut self, now: i64) -> rusqlite::Result<()> {
        for pair in TIERS.windows(2) {
            let &[(finer, _), (step, _)] = pair else { continue };
            let last = "SELECT MAX(t) FROM portions WHERE step = ? AND t <= ?";
            let last: Option<i64> = self.database.query_row(last, params![step, now], |row| row.get(0))?;
            let from = last.unwrap_or(0);
            let mut made: BTreeMap<i64, Groups> = BTreeMap::new();
            for (t, group, portion) in self.rows(finer, from, now + 1, None)? {
                let groups = made.entry(t - t.rem_euclid(step)).or_default();
                groups.entry(group).or_default().append(&portion);
            }
            // The last coarse row may include finer rows that have been deleted since; then it stays.
            for (t, group, portion) in self.rows(step, from, from + 1, None)? {
                let Some(groups) = made.get_mut(&t) else { continue };
                if groups.get(&group).is_some_and(|made| made.span <= portion.span) {
                    groups.remove(&group);
                }
            }
            let made: Vec<Row> = made.into_iter().map(|(t, groups)| Row { step, t, groups }).collect();
            write(&mut self.database, &made)?;
        }
        Ok(())
    }

    pub(super) fn add(&mut self, tick: &Tick) -> rusqlite::Result<()> {
        let now = tick.t as i64;
        for index in 0..self.open.len() {
            let step = self.open[index].step;
            let t = now - now.rem_euclid(step);
            if self.open[index].t != t {
                let next = self.begin(step, t);
                let over = std::mem::replace(&mut self.open[index], next);
                self.over.push(over);
            }
            let groups = &mut self.open[index].groups;
            for (name, portion) in &tick.groups {
                groups.entry(name.clone()).or_default().append(portion);
            }
        }
        self.write_over()?;
        if (now - self.round).abs() >= ROUND {
            self.round = now;
            self.write_all()?;
            self.prune(now)?;
        }
        Ok(())
    }

    /// The row that starts at `t`. It may exist already: from a previous process, or from before the clock was set back.
    fn begin(&mut self, step: i64, t: i64) -> Row {
        let same = |row: &Row| (row.step, row.t) == (step, t);
        if let Some(at) = self.over.iter().position(same) {
            return self.over.swap_remove(at);
        }
        let there = self.rows(step, t, t + 1, None).unwrap_or_default();
        Row { step, t, groups: there.into_iter().map(|(_, group, portion)| (group, portion)).collect() }
    }

    /// Writes the finished rows.
    fn write_over(&mut self) -> rusqlite::Result<()> {
        write(&mut self.database, &self.over)?;
        self.over.clear();
        Ok(())
    }

    /// Writes all rows, the unfinished ones as they are now.
    fn write_all(&mut self) -> rusqlite::Result<()> {
        self.write_over()?;
        write(&mut self.database, &self.open)
    }

    pub(super) fn add_event(&mut self, event: &Event) -> rusqlite::Result<()> {
        let data = serde_json::to_string(event).unwrap_or_default();
        self.database
            .prepare_cached("INSERT INTO events(t, data) VALUES (?, ?)")?
            .execute(params![event.happened.at, data])?;
        Ok(())
    }

    fn prune(&mut self, now: i64) -> rusqlite::Result<()> {
        let number = |name: &str| self.database.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let used = (number("page_count")? - number("freelist_count")?) * number("page_size")?;
        let longest = if self.memory { LONGEST / 16 } else { LONGEST };
        if used > longest {
            self.shortening *= 2;
        } else if used < longest / 4 && self.shortening > 1 {
            // A history twice as long is still well below the limit.
            self.shortening /= 2;
        }
        for (step, kept) in TIERS {
            let oldest = now - kept / self.shortening;
            self.database.execute("DELETE FROM portions WHERE step = ? AND t < ?", params![step, oldest])?;
        }
        self.database.execute(
            "DELETE FROM events WHERE id <= (SELECT MAX(id) FROM events) - ? OR t < ?",
            params![EVENTS, now - TIERS[3].1],
        )?;
        Ok(())
    }

    pub(super) fn rows(
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
        // A row that another version wrote is skipped.
        let read = |row: (i64, String, String)| Some((row.0, row.1, serde_json::from_str(&row.2).ok()?));
        rows.filter_map(|row| row.map(read).transpose()).collect()
    }

    pub(super) fn answer(&mut self, query: &HistoryQuery) -> rusqlite::Result<Past> {
        // Rows that cannot be written now are missing in the answer; the next second recovers from the error.
        let _ = self.write_all();
        let step = query.step.max(1.0) as i64;
        let (from, to) = (query.from as i64, query.to.ceil() as i64);
        // Rows much coarser than the range would include figures from before it.
        let fine = step.min(((to - from) / FINE).max(1));
        let reaches = |kept: i64| from >= query.now as i64 - kept / self.shortening - 30;
        let fitting = TIERS.iter().rev().find(|(tier, kept)| *tier <= fine && reaches(*kept));
        let fitting = fitting.or_else(|| TIERS.iter().find(|(_, kept)| reaches(*kept)));
        let tier = fitting.map_or(TIERS[3].0, |(tier, _)| *tier);
        let step = step.max(tier);
        let first = from - from.rem_euclid(tier);
        let mut ticks: Vec<Tick> = Vec::new();
        for (t, group, portion) in self.rows(tier, first, to, query.group.as_deref())? {
            // The answer's rows start at `from`, so that one row can hold the whole range. A stored row that starts just
            // before it belongs to the first.
            let t = (from + (t - from).div_euclid(step).max(0) * step) as f64;
            if ticks.last().is_none_or(|last| last.t != t) {
                ticks.push(Tick { t, groups: Groups::new() });
            }
            if let Some(last) = ticks.last_mut() {
                last.groups.entry(group).or_default().append(&portion);
            }
        }
        let mut statement = self
            .database
            .prepare_cached("SELECT data FROM events WHERE t >= ? AND t <= ? ORDER BY t DESC LIMIT 500")?;
        let texts = statement
            .query_map(params![query.from, query.to], |row| row.get::<_, String>(0))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let mut events: Vec<Event> =
            texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        events.reverse();
        Ok(Past { ticks, events })
    }
}

/// Writes rows, all or none.
fn write(database: &mut Connection, rows: &[Row]) -> rusqlite::Result<()> {
    if rows.iter().all(|row| row.groups.is_empty()) {
        return Ok(());
    }
    let transaction = database.transaction()?;
    for row in rows {
        for (name, portion) in &row.groups {
            let data = serde_json::to_string(portion).unwrap_or_default();
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO portions(step, t, process_group, data) VALUES (?, ?, ?, ?)",
                )?
                .execute(params![row.step, row.t, name, data])?;
        }
    }
    transaction.commit()
}
