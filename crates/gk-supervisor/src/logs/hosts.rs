//! The error logs of virtual hosts: a line that is addressed to one goes there, whichever process wrote it.

use super::sink::Sink;
use gk_wire::log::{MARK, address};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Logs by path.
pub(super) type ByPath = BTreeMap<Vec<u8>, Arc<Sink>>;

/// The logs of the present configuration and of the one before, whose requests may still be under way. Shared with the thread
/// that reads the pipes.
#[derive(Clone, Default)]
pub(super) struct HostLogs(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    present: ByPath,
    before: ByPath,
}

impl HostLogs {
    /// Follows another configuration.
    pub(super) fn follow(&self, logs: ByPath) {
        let mut known = self.lock();
        if !known.present.keys().eq(logs.keys()) {
            known.before = std::mem::take(&mut known.present);
        }
        known.present = logs;
    }

    /// Hands whole lines of a source on, each to the log that it names, else to the source's own.
    pub(super) fn push(&self, own: &Sink, source: u64, lines: &[u8]) {
        if !lines.contains(&MARK) {
            return own.push(source, lines);
        }
        let known = self.lock();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let (address, text) = line.split_at(address(line).len());
            let path = address.strip_prefix(&[MARK]).and_then(|path| path.strip_suffix(&[MARK]));
            let sink = path.and_then(|path| known.present.get(path).or_else(|| known.before.get(path)));
            // The end of a line that was cut, with its address before it, may be empty.
            if text != b"\n" || address.is_empty() {
                sink.map_or(own, Arc::as_ref).push(source, text);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
