//! The process's error log: a threshold, a form, and whole lines to descriptor 2. The record's form is `gk_wire::log`'s.

use gk_wire::log::{Level, Record};
use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

static LEVEL: AtomicU8 = AtomicU8::new(Level::Warn as u8);
static JSON: AtomicBool = AtomicBool::new(false);
static PAST: Mutex<Past> = Mutex::new(Past { lost: 0, cut: false });

/// Fate of the lines before.
#[derive(Debug, Default)]
struct Past {
    /// Lines that were lost and not told of.
    lost: usize,
    /// The last that was written is half a line.
    cut: bool,
}

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

/// Writes one record, in the calling thread. A full disk loses the line and nothing else, and before the next that can be
/// written stands how many were lost; a pipe or a terminal that nobody reads makes the caller wait, as descriptor 2 is one
/// with all processes' and cannot be made not to.
pub fn write(level: Level, module: &str, context: Context<'_>, text: &str) {
    if !enabled(level) {
        return;
    }
    let mut line = String::with_capacity(text.len() + 160);
    compose(level, module, context, text, &mut line);
    let mut past = PAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    past.put(&mut io::stderr(), &line, |lost, line| {
        let text = format!("{lost} lines of the error log could not be written; is its disk full?");
        compose(Level::Warn, module, Context { code: Some("GK0016"), client: None }, &text, line);
    });
}

fn compose(level: Level, module: &str, context: Context<'_>, text: &str, line: &mut String) {
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
    record.write(JSON.load(Ordering::Relaxed), line);
}

impl Past {
    /// Writes whole lines in one piece; before them, what `tell` says of lines that were lost.
    fn put(&mut self, log: &mut dyn Write, lines: &str, tell: impl FnOnce(usize, &mut String)) {
        let mut before = String::new();
        if self.cut {
            before.push('\n');
        }
        if self.lost > 0 {
            tell(self.lost, &mut before);
        }
        let told = before.len();
        let all = if told == 0 { Cow::Borrowed(lines) } else { Cow::Owned(before + lines) };
        let bytes = all.as_bytes();
        let (written, _) = write_most(log, bytes);
        if let Some(last) = bytes[..written].last() {
            self.cut = *last != b'\n';
        }
        if written >= told {
            self.lost = 0;
        }
        // A line that was cut off has its end among the rest.
        self.lost += bytes[written.max(told)..].iter().filter(|byte| **byte == b'\n').count();
    }
}

/// Writes as much as there is room for; returns how many bytes that is, and why not all.
pub fn write_most(log: &mut dyn Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match log.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(some) => written += some,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// Writes one record without a request.
pub fn plain(level: Level, module: &str, code: Option<&str>, text: &str) {
    write(level, module, Context { code, client: None }, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Disk {
        room: usize,
        holds: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let some = bytes.len().min(self.room);
            if some == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= some;
            self.holds.extend_from_slice(&bytes[..some]);
            Ok(some)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_a_full_disk_lost_are_told_of_when_there_is_room() {
        let (mut past, mut disk) = (Past::default(), Disk { room: 10, holds: Vec::new() });
        let tell = |lost: usize, line: &mut String| line.push_str(&format!("{lost} lost\n"));
        past.put(&mut disk, "whole\n", tell);
        // Cut off inside a character.
        past.put(&mut disk, "hal\u{fe}f\n", tell);
        past.put(&mut disk, "two\nmore\n", tell);
        disk.room = 3;
        past.put(&mut disk, "nor\nthese\n", tell);
        disk.room = 10;
        // Room for the end of the half line, for what is told and for a part of the line.
        past.put(&mut disk, "but\n", tell);
        disk.room = 100;
        past.put(&mut disk, "now\n", tell);
        past.put(&mut disk, "again\n", tell);
        let text = String::from_utf8_lossy(&disk.holds).into_owned();
        assert_eq!(text, "whole\nhal\u{fffd}\n3 \n5 lost\nbu\n1 lost\nnow\nagain\n");
    }
}
