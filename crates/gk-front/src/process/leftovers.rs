//! Memory that the allocator keeps after connections and bodies are gone. It is given back to the system in a moment in which no
//! request ends: the call takes milliseconds when there is much to give.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Bytes that a connection's buffers take, about: hyper's for reading and writing, and the state between.
pub const BUFFERS: u64 = 20 * 1024;
/// Bytes of a body that are in memory, at most and about.
pub const BODY: u64 = 128 * 1024;
/// Bytes freed, at least, that are worth the call in a quiet moment.
const WORTH: u64 = 8 << 20;
/// Time after which in a quiet moment less is worth it, too: what the last connections of many have left.
const REST: Duration = Duration::from_secs(5);
/// Between two calls, at least.
const PAUSE: Duration = Duration::from_secs(2);
/// Time after which the call no longer waits for a quiet moment, if the process has grown by [`MUCH`].
const PATIENCE: Duration = Duration::from_secs(60);
/// Growth of the process since the last call, in bytes.
const MUCH: u64 = 64 << 20;

/// What was freed since the last call.
#[derive(Debug)]
pub struct Leftovers {
    freed: Cell<u64>,
    /// The last call, or the last decision against one.
    decided: Cell<Instant>,
    /// Resident bytes after the last call.
    resident: Cell<u64>,
    /// Requests answered at the last tick.
    answered: Cell<u64>,
}

impl Default for Leftovers {
    fn default() -> Self {
        Self {
            freed: Cell::new(0),
            decided: Cell::new(Instant::now()),
            resident: Cell::new(resident()),
            answered: Cell::new(0),
        }
    }
}

impl Leftovers {
    /// So many bytes, about, were freed or will be soon.
    pub fn add(&self, bytes: u64) {
        self.freed.set(self.freed.get() + bytes);
    }

    /// A tick has passed, and so many requests have been answered since the start.
    pub fn tick(&self, answered: u64) {
        let quiet = self.answered.replace(answered) == answered;
        let waited = self.decided.get().elapsed();
        let worth = if waited < REST { WORTH } else { BUFFERS };
        if self.freed.get() < worth {
            return;
        }
        let late = waited >= PATIENCE;
        let due = if quiet {
            waited >= PAUSE
        } else {
            late && resident() >= self.resident.get().saturating_add(MUCH)
        };
        if due {
            gk_sys::memory::give_back();
            self.freed.set(0);
            self.resident.set(resident());
        }
        if due || late {
            self.decided.set(Instant::now());
        }
    }
}

/// Resident bytes of this process; 0 where the system does not tell.
fn resident() -> u64 {
    gk_sys::usage::resident(std::process::id()).unwrap_or(0)
}
