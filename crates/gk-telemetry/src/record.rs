//! What a finished request took, as values. Where it is counted is `cell`'s.

use crate::scoreboard::layout::{Timed, counter, slot};
use serde::{Deserialize, Serialize};

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

/// A request like most: status 200 in one block, nothing read, on CPU all the time and for a moment only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Plain {
    /// [`Record::queue`].
    pub queue: u64,
    /// [`Record::daemon`], below a millisecond.
    pub daemon: u32,
    /// [`Record::application`].
    pub application: u32,
    /// [`Record::bytes_out`].
    pub bytes_out: u64,
}

impl Plain {
    /// [`Record::response`]: the front gave it to the queue at once.
    #[inline]
    pub(crate) fn response(&self) -> u64 {
        self.queue + self.on_cpu()
    }

    /// [`Record::on_cpu`].
    #[inline]
    pub(crate) fn on_cpu(&self) -> u64 {
        u64::from(self.daemon) + u64::from(self.application)
    }

    /// The value that a histogram gets; `None`: 0, which is counted in another way.
    pub(crate) fn timed(&self, which: Timed) -> Option<u64> {
        match which {
            Timed::Response => Some(self.response()),
            Timed::Queue => Some(self.queue),
            Timed::Application => Some(self.application.into()),
            Timed::Cpu => Some(self.on_cpu()),
            Timed::GilWait | Timed::Blocked | Timed::SingleWait => None,
        }
    }

    /// As words of shared memory.
    #[inline]
    pub(crate) fn words(self) -> [u64; slot::PLAIN_WORDS] {
        [self.queue, u64::from(self.daemon) << 32 | u64::from(self.application), self.bytes_out]
    }

    /// The opposite of [`Plain::words`].
    #[inline]
    pub(crate) fn of_words([queue, times, bytes_out]: [u64; slot::PLAIN_WORDS]) -> Self {
        Self { queue, daemon: (times >> 32) as u32, application: times as u32, bytes_out }
    }
}

/// What plain requests add to the counters of a cell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PlainSums {
    requests: u64,
    queue: u64,
    daemon: u64,
    application: u64,
    bytes_out: u64,
}

impl PlainSums {
    #[inline]
    pub(crate) fn add(&mut self, r: Plain) {
        self.requests += 1;
        self.queue = self.queue.wrapping_add(r.queue);
        self.daemon += u64::from(r.daemon);
        self.application += u64::from(r.application);
        self.bytes_out = self.bytes_out.wrapping_add(r.bytes_out);
    }

    /// To the counter with this number.
    #[inline]
    pub(crate) fn of(&self, at: usize) -> u64 {
        let on_cpu = self.daemon + self.application;
        match at {
            counter::PLAIN => self.requests,
            counter::RESPONSE => self.queue.wrapping_add(on_cpu),
            counter::QUEUE => self.queue,
            counter::DAEMON => self.daemon,
            counter::APPLICATION => self.application,
            counter::CPU => on_cpu,
            counter::BYTES_OUT => self.bytes_out,
            _ => 0,
        }
    }
}

impl From<Plain> for Record {
    fn from(plain: Plain) -> Self {
        Self {
            status: 200,
            response: plain.response(),
            queue: plain.queue,
            daemon: plain.daemon.into(),
            application: plain.application.into(),
            on_cpu: plain.on_cpu(),
            bytes_out: plain.bytes_out,
            writes: 1,
            ..Self::default()
        }
    }
}

impl Record {
    /// All waiting for the GIL.
    pub fn gil_wait(&self) -> u64 {
        self.gil_wait_app + self.gil_wait_server
    }
}
