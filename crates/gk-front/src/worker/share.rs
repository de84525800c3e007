//! The share that responses of slow clients have of memory and disk: bounds per response, which a process group sets, and bounds
//! in all, which the server sets. Counts only; the bytes are in `link/backlog`, the files in `link/spooler`.
//!
//! A response above its bounds holds a request thread for its client. These are counted by the client's address, so that no
//! address holds the last thread of a process group.

use gk_config::site::{HttpLimits, ProcessGroup};
use gk_wire::frame::WIDE_WINDOW;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::log::rate_limited::RateLimited;

/// Bytes of a response in memory that nobody counts: a small response costs no bookkeeping.
pub const UNCOUNTED: usize = 64 * 1024;

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

    /// Reserves bytes on disk. `false`: there are not so many left.
    pub fn reserve(&self, bytes: u64) -> bool {
        let sum = self.disk.get() + bytes;
        let fits = sum <= self.disk_bound.get();
        if fits {
            self.disk.set(sum);
        }
        fits
    }

    /// Gives bytes on disk back.
    pub fn give_back(&self, bytes: u64) {
        self.disk.set(self.disk.get().saturating_sub(bytes));
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
    bounds: Cell<Bounds>,
    /// Request threads that wait for clients, by address.
    held: RefCell<BTreeMap<IpAddr, u32>>,
    /// An address of which one response is to be cut off.
    excess: Cell<Option<IpAddr>>,
}

impl Default for Share {
    fn default() -> Self {
        Self::new(Rc::default(), Bounds::of(&ProcessGroup::named("")))
    }
}

impl Share {
    /// For a group.
    pub fn new(space: Rc<Space>, bounds: Bounds) -> Self {
        Self { space, bounds: Cell::new(bounds), held: RefCell::default(), excess: Cell::new(None) }
    }

    /// Bounds of one response.
    pub fn bounds(&self) -> Bounds {
        self.bounds.get()
    }

    /// Other bounds, after a reload.
    pub fn set_bounds(&self, bounds: Bounds) {
        self.bounds.set(bounds);
    }

    /// A request thread waits for a client of this address, until the value is dropped.
    pub fn hold(self: &Rc<Self>, client: IpAddr) -> HeldThread {
        *self.held.borrow_mut().entry(client).or_default() += 1;
        HeldThread { share: Rc::clone(self), client }
    }

    /// Whether any request thread waits for a client.
    pub fn holds_any(&self) -> bool {
        !self.held.borrow().is_empty()
    }

    /// Whether clients of this address hold all of a group's `threads` but one. Of a single thread none is left to others.
    pub fn is_barred(&self, client: Option<IpAddr>, threads: u32) -> bool {
        let most = threads.saturating_sub(1).max(1);
        client.is_some_and(|client| self.held.borrow().get(&client).is_some_and(|held| *held >= most))
    }

    /// Asks for the end of one response, if a single address holds all of a group's `threads` while another one waits.
    pub fn relieve(&self, threads: u32) {
        let held = self.held.borrow();
        let all = held.iter().find(|(_, held)| **held >= threads.max(2));
        self.excess.set(all.map(|(client, _)| *client));
    }

    /// Whether a response to this address is the one to be cut off. Says so once.
    pub fn is_excess(&self, client: Option<IpAddr>) -> bool {
        let excess = client.is_some() && self.excess.get() == client;
        if excess {
            self.excess.set(None);
        }
        excess
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
}

/// A request thread that waits for a client.
pub struct HeldThread {
    share: Rc<Share>,
    client: IpAddr,
}

impl Drop for HeldThread {
    fn drop(&mut self) {
        let mut all = self.share.held.borrow_mut();
        if let Some(held) = all.get_mut(&self.client) {
            *held -= 1;
            if *held == 0 {
                all.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_holds_all_threads_but_one_is_barred() {
        let share = Rc::new(Share::default());
        let (slow, other): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        assert!(!share.holds_any() && !share.is_barred(Some(slow), 4));
        let mut held: Vec<_> = (0..2).map(|_| share.hold(slow)).collect();
        assert!(share.holds_any() && !share.is_barred(Some(slow), 4));
        held.push(share.hold(slow));
        let barred =
            [(Some(slow), 4, true), (Some(other), 4, false), (None, 4, false), (Some(slow), 5, false)];
        for (client, threads, wanted) in barred {
            assert_eq!(share.is_barred(client, threads), wanted, "{client:?} of {threads}");
        }
        // Others wait, and there is a thread for them.
        share.relieve(4);
        assert!(!share.is_excess(Some(slow)));
        held.push(share.hold(slow));
        share.relieve(4);
        assert!(!share.is_excess(Some(other)) && share.is_excess(Some(slow)) && !share.is_excess(Some(slow)));
        drop(held);
        assert!(!share.holds_any());
    }

    #[test]
    fn the_only_thread_of_a_group_is_nobodys_reserve() {
        let share = Rc::new(Share::default());
        let client = [127, 0, 0, 1].into();
        assert!(!share.is_barred(Some(client), 1));
        let _held = share.hold(client);
        assert!(share.is_barred(Some(client), 1));
        share.relieve(1);
        assert!(!share.is_excess(Some(client)), "it is not cut off");
    }
}
