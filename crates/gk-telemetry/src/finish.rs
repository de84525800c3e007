//! The end of a request on the scoreboard: [`Board::finish`] with its [`Record`].

use crate::board::{Board, Route, State, record};
use crate::datagram::buckets;
use crate::layout::{self, Timed, counter, header, route, slot};
use crate::ring;
use crate::words::{Words, add, add_alone, add_shared};
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::sync::atomic::Ordering::Relaxed;

/// What a finished request took. All times are nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// HTTP status; 0 when there was none.
    pub status: u16,
    /// The application raised, or gave no proper response.
    pub error: bool,
    /// The front had the head → the application is done.
    pub response: u64,
    /// The front had the head → the queue.
    pub server: u64,
    /// The queue → a request thread.
    pub queue: u64,
    /// A request thread → the application.
    pub daemon: u64,
    /// Inside the application.
    pub application: u64,
    /// On CPU.
    pub on_cpu: u64,
    /// Waiting for the GIL inside the application.
    pub gil_wait_app: u64,
    /// Waiting for the GIL at the server's own acquire points (mod_wsgi's `gil_wait_time`).
    pub gil_wait_server: u64,
    /// How many waits these were.
    pub waits: u64,
    /// Runnable, but not running, outside the waits.
    pub runnable: u64,
    /// None of the above: database, network, locks, sleep.
    pub blocked: u64,
    /// Body bytes the application read.
    pub bytes_in: u64,
    /// Body bytes it gave.
    pub bytes_out: u64,
    /// Reads of the body.
    pub reads: u64,
    /// Pieces it gave.
    pub writes: u64,
    /// Time inside the reads.
    pub input: u64,
    /// Time inside the writes.
    pub output: u64,
}

impl Record {
    /// All waiting for the GIL.
    pub fn gil_wait(&self) -> u64 {
        self.gil_wait_app + self.gil_wait_server
    }
}

/// Indexes into a slot's pending figures.
mod pending {
    pub(super) const REQUESTS: usize = 0;
    pub(super) const ERRORS: usize = 1;
    pub(super) const RESPONSE: usize = 2;
    pub(super) const CPU: usize = 3;
    pub(super) const GIL: usize = 4;
    pub(super) const BLOCKED: usize = 5;
}

/// Which word of a route a pending figure belongs to.
pub(crate) const PENDING_TO_ROUTE: [usize; 6] =
    [route::REQUESTS, route::ERRORS, route::RESPONSE, route::CPU, route::GIL, route::BLOCKED];

impl<W: Deref<Target = Words>> Board<W> {
    /// A slot's request is over; called on the slot's thread. The slot is idle afterwards.
    pub fn finish(&self, index: usize, r: &Record) {
        let Some(slot) = self.slot(index) else { return };
        let place = slot[slot::PLACE].load(Relaxed);
        let (group, route) = (place as u16, Route((place >> 16) as u16));
        let (cell, alone) = self.cell_of(index, group);
        // Which of the two it is, is decided once, not for each of thirty words.
        if alone {
            count::<true>(cell, r)
        } else {
            count::<false>(cell, r)
        }
        let gil_wait = r.gil_wait();
        if slot[slot::PENDING_ROUTE].load(Relaxed) != u64::from(route.0) {
            self.settle(slot);
            slot[slot::PENDING_ROUTE].store(route.0.into(), Relaxed);
        }
        let waiting = &slot[slot::PENDING];
        add_alone(&waiting[pending::REQUESTS], 1);
        add_alone(&waiting[pending::ERRORS], u64::from(r.error));
        add_alone(&waiting[pending::RESPONSE], r.response);
        add_alone(&waiting[pending::CPU], r.on_cpu);
        add_alone(&waiting[pending::GIL], gil_wait);
        add_alone(&waiting[pending::BLOCKED], r.blocked);

        let slow = self.word(header::SLOW).load(Relaxed);
        let kept = (slow != 0 && r.application >= slow)
            || r.response >= self.word(header::FLOOR).load(Relaxed)
            || r.error;
        if kept {
            ring::keep(self, index, slot, r);
        }
        add_alone(&slot[slot::COMPLETED], 1);
        add_alone(&slot[slot::BUSY], r.daemon + r.application);
        self.guarded(slot, || slot[slot::STATE].store(State::Idle as u64, Relaxed));
    }

    /// Gives a slot's pending figures to their route.
    fn settle(&self, slot: &Words) {
        let route = slot[slot::PENDING_ROUTE].load(Relaxed) as usize;
        let entry = self.route_words(route);
        for (word, to) in slot[slot::PENDING].iter().zip(PENDING_TO_ROUTE) {
            add_shared(&entry[to], word.load(Relaxed));
            word.store(0, Relaxed);
        }
    }
}

/// Counts a request in a cell; `ALONE`: only the calling thread writes there.
fn count<const ALONE: bool>(cell: &Words, r: &Record) {
    for (at, by) in [
        (counter::REQUESTS, 1),
        (counter::ERRORS, u64::from(r.error)),
        (counter::BYTES_IN, r.bytes_in),
        (counter::BYTES_OUT, r.bytes_out),
        (counter::READS, r.reads),
        (counter::WRITES, r.writes),
        (counter::INPUT, r.input),
        (counter::OUTPUT, r.output),
        (counter::SERVER, r.server),
        (counter::DAEMON, r.daemon),
        (counter::RUNNABLE, r.runnable),
    ] {
        add(&cell[at], by, ALONE);
    }
    let status = if (100..600).contains(&r.status) { usize::from(r.status) - 99 } else { 0 };
    add(&cell[layout::COUNTERS + status], 1, ALONE);
    record(cell, Timed::Response, r.response, ALONE);
    record(cell, Timed::Queue, r.queue, ALONE);
    record(cell, Timed::Application, r.application, ALONE);
    record(cell, Timed::Cpu, r.on_cpu, ALONE);
    record(cell, Timed::GilWait, r.gil_wait(), ALONE);
    record(cell, Timed::Blocked, r.blocked, ALONE);
    for (phase, ns) in [r.server, r.daemon, r.input, r.output].into_iter().enumerate() {
        // Nearly always they are short, and then there is nothing to do.
        if ns >= buckets::FIRST {
            let at = layout::LONG_AT + phase * layout::LONG + buckets::bucket_of(ns) - 1;
            add(&cell[at], 1, ALONE);
        }
    }
}
