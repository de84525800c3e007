//! The keys of session tickets. They are made here, so that a new front opens the tickets of the one before, and live in memory
//! only: who takes hold of the disk cannot open what was recorded.

use gk_wire::certificates::{Octets, TicketKey};
use gk_wire::log::Level;
use std::time::Duration;

/// Time for which one key makes tickets.
const TURN: Duration = Duration::from_secs(12 * 3600);
/// Keys that open tickets, the one that makes them included: a ticket is good for a day at least.
const KEPT: usize = 3;

/// The keys, newest first.
#[derive(Debug, Default)]
pub struct TicketKeys {
    keys: Vec<TicketKey>,
    due: Duration,
}

impl TicketKeys {
    /// Makes a new key, if it is time; whether there is one.
    pub fn turn(&mut self, now: Duration) -> bool {
        if !self.keys.is_empty() && now < self.due {
            return false;
        }
        self.due = now + TURN;
        let mut random = [0; 48];
        if let Err(why) = getrandom::fill(&mut random) {
            let text = format!("no key for session tickets can be made: {why}");
            gk_sys::log::plain(Level::Error, "supervisor", None, &text);
            return false;
        }
        let (name, key) = random.split_at(16);
        self.keys.insert(0, TicketKey { name: Octets(name.to_vec()), key: Octets(key.to_vec()) });
        self.keys.truncate(KEPT);
        true
    }

    /// Takes keys in place of its own, if there are any.
    pub fn inherit(&mut self, keys: Vec<TicketKey>) {
        if !keys.is_empty() {
            self.keys = keys;
        }
    }

    /// Newest first.
    pub fn all(&self) -> &[TicketKey] {
        &self.keys
    }

    /// When the next key is made.
    pub fn due(&self) -> Duration {
        self.due
    }
}
