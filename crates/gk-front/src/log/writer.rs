//! One access-log file: lines are collected and written a few times a second, into a pipe that the supervisor empties. A pipe that
//! is full makes nobody wait: its lines are kept, and counted as lost beyond a bound.

use gk_sys::log::{count, write_most};
use gk_wire::log::Level;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

/// Bytes collected before they are written at once.
const COLLECT: usize = 32 * 1024;
/// Most bytes kept for a pipe that is full.
const KEEP: usize = 1 << 20;
/// Longest wait for a full pipe when the front ends.
const LAST: Duration = Duration::from_millis(500);

/// Writes lines to one file.
pub struct LogWriter {
    file: File,
    /// Name of the log in messages.
    shown: String,
    collected: RefCell<String>,
    /// Bytes that the pipe had no room for.
    kept: RefCell<Vec<u8>>,
    lost: Cell<u64>,
    /// Lines lost since the last message about them.
    untold: Cell<u64>,
}

impl LogWriter {
    /// Writes to an open file, which messages call `shown`.
    pub fn new(file: File, shown: String) -> Self {
        Self {
            file,
            shown,
            collected: RefCell::default(),
            kept: RefCell::default(),
            lost: Cell::new(0),
            untold: Cell::new(0),
        }
    }

    /// Lets `write` append one line.
    pub fn append(&self, write: impl FnOnce(&mut String)) {
        let mut collected = self.collected.borrow_mut();
        write(&mut collected);
        let full = collected.len() >= COLLECT;
        drop(collected);
        if full {
            self.flush();
        }
    }

    /// Lines that could not be written so far. The supervisor counts those that it could not write.
    pub fn lost(&self) -> u64 {
        self.lost.get()
    }

    /// Writes the collected lines, as far as there is room; true if that was all.
    pub fn flush(&self) -> bool {
        let mut kept = self.kept.borrow_mut();
        if !kept.is_empty() {
            let (written, outcome) = write_most(&mut &self.file, &kept);
            kept.drain(..written);
            if let Err(error) = outcome {
                self.failed(&error, &mut kept);
            }
        }
        let mut collected = self.collected.borrow_mut();
        if collected.is_empty() {
            return kept.is_empty();
        }
        let bytes = collected.as_bytes();
        if kept.is_empty() {
            let (written, outcome) = write_most(&mut &self.file, bytes);
            kept.extend_from_slice(&bytes[written..]);
            match outcome {
                Ok(()) => self.note_losses(),
                Err(error) => self.failed(&error, &mut kept),
            }
        } else if kept.len() + bytes.len() <= KEEP {
            kept.extend_from_slice(bytes);
        } else {
            self.lose(count(bytes));
        }
        collected.clear();
        kept.is_empty()
    }

    /// Writes the collected lines and waits a little for room.
    pub fn finish(&self) {
        let end = Instant::now() + LAST;
        while !self.flush() {
            let left = end.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(&self.file, PollFlags::OUT)];
            if left.is_zero() || !matches!(poll(&mut fds, Timespec::try_from(left).ok().as_ref()), Ok(1)) {
                return;
            }
        }
    }

    /// A full pipe is tried again later; after any other error the lines are lost.
    fn failed(&self, error: &io::Error, kept: &mut Vec<u8>) {
        if error.kind() != io::ErrorKind::WouldBlock {
            self.lose(count(kept));
            kept.clear();
        }
    }

    fn lose(&self, lines: u64) {
        self.lost.set(self.lost.get() + lines);
        self.untold.set(self.untold.get() + lines);
    }

    fn note_losses(&self) {
        let lost = self.untold.take();
        if lost > 0 {
            let text = format!("the access log {} is written again; {lost} lines were lost", self.shown);
            crate::note_code(Level::Warn, "GK0015", None, &text);
        }
    }
}

impl Drop for LogWriter {
    /// After a reload a writer lives on in the entries of the responses that are still under way.
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};
    use std::io::Read;

    /// Reported: with standard output in a pipe that nobody reads, every request timed out. Met with `gilkeeper serve | sleep 1000`.
    #[test]
    fn a_pipe_that_nobody_reads_loses_lines_and_makes_nobody_wait() {
        let (reader, pipe) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        let mut reader = File::from(reader);
        let log = LogWriter::new(File::from(pipe), "of the test".into());
        let line = |number: usize| format!("{number:0>1023}\n");
        let written = 2 * KEEP / 1024;
        for number in 0..written {
            log.append(|out| out.push_str(&line(number)));
        }
        assert!(!log.flush() && log.lost() > 0);
        let lost = log.lost();
        // Whole lines, in order, without a gap until the first that was lost.
        let mut text = String::new();
        let (mut buffer, mut all) = ([0; 4096], false);
        loop {
            match reader.read(&mut buffer) {
                Ok(count) => text.push_str(std::str::from_utf8(&buffer[..count]).unwrap()),
                // Empty, and nothing more comes.
                Err(_) if all => break,
                Err(_) => all = log.flush(),
            }
        }
        assert_eq!(text.lines().count() as u64, written as u64 - lost);
        assert!(text.lines().enumerate().all(|(number, found)| line(number).trim_end() == found));
        log.append(|out| out.push_str("again\n"));
        assert!(log.flush());
        assert_eq!((reader.read(&mut buffer).unwrap(), log.lost(), log.untold.get()), (6, lost, 0));
    }
}
