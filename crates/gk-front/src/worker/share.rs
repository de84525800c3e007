//! The share that responses of slow clients have of memory and disk: bounds per response, which a process group sets, and bounds
//! in all and for one client, which the server sets. Counts only; the bytes are in `link/backlog`, the files in `link/spooler`.
//!
//! A response above its bounds holds a request thread for its client: `held` knows these.

use gk_config::site::{HttpLimits, ProcessGroup};
use gk_wire::frame::WIDE_WINDOW;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::client::addresses::Network;
use crate::log::rate_limited::RateLimited;
use crate::worker::held::HeldThreads;

/// Bytes of a response in memory that nobody counts: a small response costs no bookkeeping.
pub const UNCOUNTED: usize = 64 * 1024;
/// The part of the disk space that the responses to one client may have, as a divisor; and after one of them was cut off.
const ONE_CLIENT: u64 = 4;
const PENITENT: u64 = 64;

/// Bounds of one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// `response-buffer-size`: bytes in memory.
    pub memory: usize,
    /// `response-spool-size`: bytes in its file; 0 is no file.
    pub file: u64,
}

impl Bounds {
    /// From the options of a process group.
    pub fn of(group: &ProcessGroup) -> Self {
        Self { memory: group.response_buffer_size as usize, file: group.response_spool_size }
    }
}

/// Memory and disk for the responses of every process group.
pub struct Space {
    /// Bytes in memory that are counted, and their bound.
    memory: Cell<u64>,
    memory_bound: Cell<u64>,
    /// Bytes in files, and their bound.
    disk: Cell<u64>,
    disk_bound: Cell<u64>,
    /// The same by client.
    by_client: RefCell<BTreeMap<Network, u64>>,
    directory: RefCell<PathBuf>,
    /// Limits the log lines about files that cannot be written.
    pub noted: RateLimited,
}

impl Default for Space {
    fn default() -> Self {
        let space = Self {
            memory: Cell::new(0),
            memory_bound: Cell::new(0),
            disk: Cell::new(0),
            disk_bound: Cell::new(0),
            by_client: RefCell::default(),
            directory: RefCell::default(),
            noted: RateLimited::default(),
        };
        space.set(&HttpLimits::STANDARD, &std::env::temp_dir());
        space
    }
}

impl Space {
    /// Other bounds and another folder for the files, after a reload.
    pub fn set(&self, http: &HttpLimits, directory: &Path) {
        self.memory_bound.set(http.response_memory);
        self.disk_bound.set(http.response_spool);
        if *self.directory.borrow() != directory {
            *self.directory.borrow_mut() = directory.to_owned();
        }
    }

    /// The folder of the files.
    pub fn directory(&self) -> PathBuf {
        self.directory.borrow().clone()
    }

    /// Whether responses hold as much memory as they may.
    pub fn is_pressed(&self) -> bool {
        self.memory.get() >= self.memory_bound.get()
    }

    /// A response holds another number of counted bytes in memory.
    pub fn count(&self, before: usize, now: usize) {
        self.memory.set((self.memory.get() + now as u64).saturating_sub(before as u64));
    }

    /// Reserves bytes on disk. `false`: there are not so many left, in all or for this client, who may have `most`.
    fn reserve(&self, client: Option<Network>, most: u64, bytes: u64) -> bool {
        let sum = self.disk.get() + bytes;
        if sum > self.disk_bound.get() {
            return false;
        }
        if let Some(client) = client {
            let mut all = self.by_client.borrow_mut();
            let own = all.get(&client).copied().unwrap_or(0) + bytes;
            if own > most {
                return false;
            }
            if own > 0 {
                all.insert(client, own);
            }
        }
        self.disk.set(sum);
        true
    }

    /// Gives bytes on disk back.
    fn give_back(&self, client: Option<Network>, bytes: u64) {
        self.disk.set(self.disk.get().saturating_sub(bytes));
        let mut all = self.by_client.borrow_mut();
        if let Some(client) = client
            && let Some(own) = all.get_mut(&client)
        {
            *own = own.saturating_sub(bytes);
            if *own == 0 {
                all.remove(&client);
            }
        }
    }

    /// Bytes reserved on disk.
    pub fn on_disk(&self) -> u64 {
        self.disk.get()
    }

    /// Bytes in memory that are counted.
    pub fn in_memory(&self) -> u64 {
        self.memory.get()
    }
}

/// The share of one process group.
pub struct Share {
    /// What all groups have together.
    pub space: Rc<Space>,
    /// Request threads that wait for clients.
    pub held: Rc<HeldThreads>,
    bounds: Cell<Bounds>,
}

impl Default for Share {
    fn default() -> Self {
        Self::new(Rc::default(), Bounds::of(&ProcessGroup::named("")))
    }
}

impl Share {
    /// For a group.
    pub fn new(space: Rc<Space>, bounds: Bounds) -> Self {
        Self { space, bounds: Cell::new(bounds), held: Rc::default() }
    }

    /// Bounds of one response.
    pub fn bounds(&self) -> Bounds {
        self.bounds.get()
    }

    /// Other bounds, after a reload.
    pub fn set_bounds(&self, bounds: Bounds) {
        self.bounds.set(bounds);
    }

    /// Whether the worker of a new response gets the wide window.
    pub fn is_wide(&self) -> bool {
        self.bounds.get().memory >= WIDE_WINDOW as usize && !self.space.is_pressed()
    }

    /// Bytes that a response may hold in memory beyond the window of its worker.
    pub fn allowance(&self, window: usize) -> usize {
        if self.space.is_pressed() {
            return 0;
        }
        self.bounds.get().memory.saturating_sub(window)
    }

    /// Reserves bytes on disk for a response to a client. `false`: there are not so many left for it. A client may have a quarter of
    /// all, and always one whole response, so that others find room and an endless response reaches its bounds soon; little
    /// once a response of its was cut off.
    pub fn reserve(&self, client: Option<IpAddr>, bytes: u64) -> bool {
        let all = self.space.disk_bound.get();
        let most = match self.held.is_penitent(client) {
            true => all / PENITENT,
            false => (all / ONE_CLIENT).max(self.bounds.get().file),
        };
        self.space.reserve(client.map(Network::of), most, bytes)
    }

    /// Gives bytes on disk back.
    pub fn give_back(&self, client: Option<IpAddr>, bytes: u64) {
        self.space.give_back(client.map(Network::of), bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::held::{HeldResponse, Origin};

    #[test]
    fn a_client_has_a_quarter_of_the_disk_and_always_one_response() {
        let http = HttpLimits { response_spool: 1_000, ..HttpLimits::STANDARD };
        let space = Rc::new(Space::default());
        space.set(&http, Path::new("/tmp"));
        let share = |file| Share::new(Rc::clone(&space), Bounds { memory: 10, file });
        let (small, large) = (share(100), share(300));
        let (first, second) = (Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into()));
        assert!(small.reserve(first, 250) && !small.reserve(first, 1) && small.reserve(first, 0));
        assert!(large.reserve(first, 50) && !large.reserve(first, 1), "all groups count");
        assert!(small.reserve(second, 250) && small.reserve(None, 450) && !small.reserve(None, 1), "in all");
        for (client, bytes) in [(first, 300), (second, 250), (None, 450)] {
            small.give_back(client, bytes);
        }
        assert_eq!((space.on_disk(), space.by_client.borrow().len()), (0, 0));
        let origin = Origin { address: first, ..Origin::default() };
        small.held.punish(&HeldResponse { origin, worker: 1, id: 1, since: 0 }, 0);
        assert!(small.reserve(first, 15) && !small.reserve(first, 1) && small.reserve(second, 250));
    }
}
