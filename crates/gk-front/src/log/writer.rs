//! One access-log file: lines are collected and written a few times a second. A full disk loses lines, which are counted;
//! requests are served as before.

use gk_wire::log::Level;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;

/// Bytes collected before they are written at once.
const COLLECT: usize = 32 * 1024;

/// Writes lines to one file.
pub struct LogWriter {
    file: File,
    /// Name of the log in messages.
    shown: String,
    collected: RefCell<String>,
    lost: Cell<u64>,
    /// Lines lost since the message that lines are lost; `None` while all is well.
    losing: Cell<Option<u64>>,
    /// The file ends in half a line.
    cut: Cell<bool>,
}

impl LogWriter {
    /// Writes to an open file, which messages call `shown`.
    pub fn new(file: File, shown: String) -> Self {
        Self {
            file,
            shown,
            collected: RefCell::default(),
            lost: Cell::new(0),
            losing: Cell::new(None),
            cut: Cell::new(false),
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

    /// Lines that could not be written so far.
    pub fn lost(&self) -> u64 {
        self.lost.get()
    }

    /// Writes the collected lines.
    pub fn flush(&self) {
        let mut collected = self.collected.borrow_mut();
        if collected.is_empty() {
            return;
        }
        // After a full disk: a newline that ends the half line in the file and belongs to none of these lines.
        let end = usize::from(self.cut.get());
        if end == 1 {
            collected.insert(0, '\n');
        }
        let bytes = collected.as_bytes();
        let (written, outcome) = gk_sys::log::write_most(&mut &self.file, bytes);
        if let Some(last) = bytes[..written].last() {
            self.cut.set(*last != b'\n');
        }
        match outcome {
            Ok(()) => self.note_recovery(),
            Err(error) => {
                let lost = bytes[written.max(end)..].iter().filter(|byte| **byte == b'\n').count() as u64;
                self.note_loss(lost, &error);
            }
        }
        collected.clear();
    }

    fn note_loss(&self, lost: u64, error: &io::Error) {
        self.lost.set(self.lost.get() + lost);
        if self.losing.get().is_none() {
            let text = format!(
                "the access log {} cannot be written, so its lines are lost: {error}; make room there. Requests are served as before",
                self.shown
            );
            crate::note_code(Level::Error, "GK0015", None, &text);
        }
        self.losing.set(Some(self.losing.get().unwrap_or(0) + lost));
    }

    fn note_recovery(&self) {
        if let Some(lost) = self.losing.take() {
            let text = format!("the access log {} is written again; {lost} lines were lost", self.shown);
            crate::note(Level::Warn, None, &text);
        }
    }
}

impl Drop for LogWriter {
    /// After a reload a writer lives on in the entries of the responses that are still under way.
    fn drop(&mut self) {
        self.flush();
    }
}
