//! A plain request: the few numbers in which it differs from other plain requests.

use crate::figures::{Record, Timed, counter};
use crate::scoreboard::layout::slot;

/// A request like most: status 200, one piece of body, nothing read, on CPU for a short time and never off it.
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
    /// [`Record::response`]: the front put it into the queue at once.
    #[inline]
    pub(crate) fn response(&self) -> u64 {
        self.queue.wrapping_add(self.cpu())
    }

    /// [`Record::cpu`].
    #[inline]
    pub(crate) fn cpu(&self) -> u64 {
        u64::from(self.daemon) + u64::from(self.application)
    }

    /// The value that a histogram gets; `None`: 0, which has a counter of its own.
    pub(crate) fn timed(&self, which: Timed) -> Option<u64> {
        match which {
            Timed::Response => Some(self.response()),
            Timed::Queue => Some(self.queue),
            Timed::Application => Some(self.application.into()),
            Timed::Cpu => Some(self.cpu()),
            _ => None,
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

/// Sums of plain requests for the counters of a cell.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainSums {
    requests: u64,
    queue: u64,
    daemon: u64,
    application: u64,
    bytes_out: u64,
}

impl PlainSums {
    /// Adds a request.
    #[inline]
    pub(crate) fn add(&mut self, r: Plain) {
        self.requests += 1;
        self.queue = self.queue.wrapping_add(r.queue);
        self.daemon += u64::from(r.daemon);
        self.application += u64::from(r.application);
        self.bytes_out = self.bytes_out.wrapping_add(r.bytes_out);
    }

    /// The words of a cell's head that plain requests add to, and what these add.
    #[inline]
    pub(crate) fn words(&self) -> [(usize, u64); 7] {
        let cpu = self.daemon + self.application;
        [
            (counter::PLAIN, self.requests),
            (Timed::Response.sum(), self.queue.wrapping_add(cpu)),
            (Timed::Queue.sum(), self.queue),
            (counter::DAEMON, self.daemon),
            (Timed::Application.sum(), self.application),
            (Timed::Cpu.sum(), cpu),
            (counter::BYTES_OUT, self.bytes_out),
        ]
    }

    /// The addition of these requests to one word.
    #[inline]
    pub(crate) fn of(&self, at: usize) -> u64 {
        self.words().into_iter().find(|(word, _)| *word == at).map_or(0, |(_, by)| by)
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
            cpu: plain.cpu(),
            bytes_out: plain.bytes_out,
            writes: 1,
            ..Self::default()
        }
    }
}
