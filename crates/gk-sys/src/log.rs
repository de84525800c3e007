//! The process's error log: a threshold, a form, and whole lines to descriptor 2 or to a place that the process names. The
//! record's form is `gk_wire::log`'s.

use gk_wire::log::{Area, Form, Level, Record};
use gk_wire::setup::LogSetup;
use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock};

static LEVEL: AtomicU8 = AtomicU8::new(Level::Warn as u8);
static FORM: AtomicU8 = AtomicU8::new(Form::Text as u8);
static TO_STDERR: Mutex<WholeLines> = Mutex::new(WholeLines { lost: 0, cut: false });
static PLACE: OnceLock<Box<Place>> = OnceLock::new();

type Place = dyn Fn(&str) + Send + Sync;

/// Sets the threshold and the form for this process, which is of that area.
pub fn configure(setup: &LogSetup, area: Area) {
    LEVEL.store(setup.level_of(area) as u8, Ordering::Relaxed);
    FORM.store(setup.form as u8, Ordering::Relaxed);
}

fn form() -> Form {
    let form = FORM.load(Ordering::Relaxed);
    [Form::Json, Form::Logfmt].into_iter().find(|one| *one as u8 == form).unwrap_or_default()
}

/// From now on this process's lines go to `place` and no longer to descriptor 2. Once per process.
pub fn divert(place: impl Fn(&str) + Send + Sync + 'static) {
    let _ = PLACE.set(Box::new(place));
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
    /// Id of the request.
    pub request: Option<&'a str>,
    /// Path of the log that the line goes to, such as a virtual host's; `None`: the process's own.
    pub log: Option<&'a str>,
}

/// Writes one record, in the calling thread. A child's descriptor 2 is a pipe that the supervisor empties whatever becomes of the
/// log, so this does not wait for a disk or a terminal.
pub fn write(level: Level, module: &str, context: Context<'_>, text: &str) {
    if !enabled(level) {
        return;
    }
    let mut line = String::with_capacity(text.len() + 160);
    compose(level, module, context, text, &mut line);
    if crate::fork::is_child() {
        return write_unlocked(line.as_bytes());
    }
    if let Some(place) = PLACE.get() {
        return place(&line);
    }
    if let Some(log) = context.log {
        line = gk_wire::log::addressed(log, &line);
    }
    let mut lines = TO_STDERR.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let _ = lines.put(&mut io::stderr(), line.as_bytes(), |lost, told| tell_lost(module, lost, told));
}

/// Appends the record that says how many lines of the error log were lost.
pub fn tell_lost(module: &str, lost: u64, line: &mut String) {
    let text = format!(
        "{lost} lines of the error log could not be written; is its disk full, or does nobody read it?"
    );
    compose(Level::Warn, module, Context { code: Some("GK0016"), ..Context::default() }, &text, line);
}

/// Writes to descriptor 2 in a forked child, where locks may be held by threads that it does not have.
fn write_unlocked(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stderr(), bytes) {
            Ok(written) if written > 0 => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
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
        request: context.request,
        text,
    };
    record.write(form(), line);
}

/// Writes whole lines to something that may have no room for them, such as a file on a full disk.
#[derive(Debug, Default)]
pub struct WholeLines {
    /// Lines that were lost and not told of.
    lost: u64,
    /// The last that was written is half a line.
    cut: bool,
}

impl WholeLines {
    /// Writes lines in one piece; before them, what `tell` says of lines that were lost. Returns how many of these were lost, and
    /// why.
    pub fn put(
        &mut self,
        log: &mut dyn Write,
        lines: &[u8],
        tell: impl FnOnce(u64, &mut String),
    ) -> (u64, io::Result<()>) {
        let mut before = String::new();
        if self.cut {
            before.push('\n');
        }
        if self.lost > 0 {
            tell(self.lost, &mut before);
        }
        let told = before.len();
        let all = match told {
            0 => Cow::Borrowed(lines),
            _ => Cow::Owned([before.as_bytes(), lines].concat()),
        };
        let (written, outcome) = write_most(log, &all);
        if let Some(last) = all[..written].last() {
            self.cut = *last != b'\n';
        }
        if written >= told {
            self.lost = 0;
        }
        // A line that was cut off has its end among the rest.
        let lost = count(&all[written.max(told)..]);
        self.lost += lost;
        (lost, outcome)
    }

    /// The same losses, before the first byte of another file.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self { lost: self.lost, cut: false }
    }

    /// Lines were lost before they came here.
    pub fn lose(&mut self, lines: u64) {
        self.lost += lines;
    }
}

/// Number of lines.
pub fn count(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
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
    write(level, module, Context { code, ..Context::default() }, text);
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
        let (mut lines, mut disk) = (WholeLines::default(), Disk { room: 10, holds: Vec::new() });
        let tell = |lost: u64, line: &mut String| line.push_str(&format!("{lost} lost\n"));
        let mut put = |disk: &mut Disk, text: &str| lines.put(disk, text.as_bytes(), tell).0;
        assert_eq!(put(&mut disk, "whole\n"), 0);
        // Cut off inside a character.
        assert_eq!(put(&mut disk, "hal\u{fe}f\n"), 1);
        assert_eq!(put(&mut disk, "two\nmore\n"), 2);
        disk.room = 3;
        assert_eq!(put(&mut disk, "nor\nthese\n"), 2);
        disk.room = 10;
        // Room for the end of the half line, for what is told and for a part of the line.
        assert_eq!(put(&mut disk, "but\n"), 1);
        disk.room = 100;
        assert_eq!(put(&mut disk, "now\n"), 0);
        assert_eq!(put(&mut disk, "again\n"), 0);
        let text = String::from_utf8_lossy(&disk.holds).into_owned();
        assert_eq!(text, "whole\nhal\u{fffd}\n3 \n5 lost\nbu\n1 lost\nnow\nagain\n");
    }
}
