//! The process's error log: a threshold, a form, and whole lines to descriptor 2. The record's form is `gk_wire::log`'s.

use gk_wire::log::{Level, Record};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

static LEVEL: AtomicU8 = AtomicU8::new(Level::Warn as u8);
static JSON: AtomicBool = AtomicBool::new(false);

/// Sets the threshold and the form for this process.
pub fn configure(level: Level, json: bool) {
    LEVEL.store(level as u8, Ordering::Relaxed);
    JSON.store(json, Ordering::Relaxed);
}

/// Whether a record of that level is written.
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// A line about a client's request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// `WSGInnnn` or `GKnnnn`.
    pub code: Option<&'a str>,
    /// `address:port` of the client.
    pub client: Option<&'a str>,
}

/// Writes one record, in the calling thread. A full disk loses the line and nothing else; a pipe or a terminal that nobody reads
/// makes the caller wait, as descriptor 2 is one with all processes' and cannot be made not to.
pub fn write(level: Level, module: &str, context: Context<'_>, text: &str) {
    if !enabled(level) {
        return;
    }
    let micros = crate::clock::epoch_micros();
    let record = Record {
        epoch_micros: micros,
        utc_offset: crate::clock::utc_offset((micros / 1_000_000) as i64),
        level,
        module,
        pid: std::process::id(),
        tid: crate::clock::thread_id(),
        code: context.code,
        client: context.client,
        text,
    };
    let mut line = String::with_capacity(text.len() + 160);
    record.write(JSON.load(Ordering::Relaxed), &mut line);
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// Writes one record without a request.
pub fn plain(level: Level, module: &str, code: Option<&str>, text: &str) {
    write(level, module, Context { code, client: None }, text);
}
