//! Counting a finished request in a cell: the counters and histograms of an application group, or of one thread's share of it.
//!
//! What nearly every request has in common — status 200, no wait for a GIL, not blocked — is one addition each in the
//! cell's head, beside the sums; and one for all of it where a request is plain. So plain requests write one cache line there,
//! any other one two, and both two or three with buckets of four histograms.

use crate::histogram;
use crate::mod_wsgi_buckets;
use crate::record::{Plain, PlainSums, Record};
use crate::scoreboard::layout::{self, CELL, TWO_HISTOGRAMS, Timed, counter};
use crate::scoreboard::words::{self, add};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The words of a cell.
pub(crate) type Cell = [AtomicU64; CELL];

/// A counter of a cell's head, with the plain requests that it has one more for; `later`: those that are not in the cell yet.
#[inline]
pub(crate) fn counted(cell: &Cell, later: &PlainSums, at: usize) -> u64 {
    let count = |at: usize| cell[at].load(Relaxed).wrapping_add(later.of(at));
    match at {
        counter::REQUESTS | counter::WRITES | counter::OK | counter::NO_WAIT | counter::NOT_BLOCKED => {
            count(at).wrapping_add(count(counter::PLAIN))
        }
        _ => count(at),
    }
}

/// Counts plain requests in the calling thread's own cell.
#[inline]
pub(crate) fn count_plain(cell: &Cell, requests: impl Iterator<Item = Plain>) {
    let mut sums = PlainSums::default();
    for r in requests {
        sums.add(r);
        count_in(cell, Timed::Response, histogram::bucket_of(r.response()), true);
        count_in(cell, Timed::Queue, histogram::bucket_of(r.queue), true);
        let bucket = histogram::bucket_of(r.application.into());
        count_in(cell, Timed::Application, bucket, true);
        // Within a batch both are the same time.
        let bucket = if r.daemon == 0 { bucket } else { histogram::bucket_of(r.on_cpu()) };
        count_in(cell, Timed::Cpu, bucket, true);
    }
    for at in [
        counter::PLAIN,
        counter::RESPONSE,
        counter::QUEUE,
        counter::DAEMON,
        counter::APPLICATION,
        counter::CPU,
        counter::BYTES_OUT,
    ] {
        add(&cell[at], sums.of(at), true);
    }
}

/// Counts a request; `ALONE`: only the calling thread writes this cell.
#[inline]
pub(crate) fn count<const ALONE: bool>(cell: &Cell, r: &Record) {
    for (at, by) in [
        (counter::REQUESTS, 1),
        (counter::DAEMON, r.daemon),
        (counter::BYTES_OUT, r.bytes_out),
        (counter::WRITES, r.writes),
    ] {
        add(&cell[at], by, ALONE);
    }
    record(cell, Timed::Response, r.response, ALONE);
    record(cell, Timed::Queue, r.queue, ALONE);
    record(cell, Timed::Application, r.application, ALONE);
    record(cell, Timed::Cpu, r.on_cpu, ALONE);
    record_or_zero(cell, Timed::GilWait, counter::NO_WAIT, r.gil_wait(), ALONE);
    record_or_zero(cell, Timed::Blocked, counter::NOT_BLOCKED, r.blocked, ALONE);
    if r.status == 200 {
        add(&cell[counter::OK], 1, ALONE);
    } else {
        let status = if (100..600).contains(&r.status) { usize::from(r.status) - 99 } else { 0 };
        add(&cell[layout::STATUSES_AT + status], 1, ALONE);
    }
    let seldom = r.server | r.bytes_in | r.reads | r.input | r.output | r.runnable | u64::from(r.error);
    if seldom != 0 || r.daemon >= mod_wsgi_buckets::FIRST {
        count_seldom::<ALONE>(cell, *r);
    }
}

/// What most requests have nothing of. The record comes by value: while nobody has its address, it stays in registers.
#[cold]
fn count_seldom<const ALONE: bool>(cell: &Cell, r: Record) {
    for (at, by) in [
        (counter::SERVER, r.server),
        (counter::BYTES_IN, r.bytes_in),
        (counter::READS, r.reads),
        (counter::INPUT, r.input),
        (counter::OUTPUT, r.output),
        (counter::RUNNABLE, r.runnable),
        (counter::ERRORS, u64::from(r.error)),
    ] {
        add(&cell[at], by, ALONE);
    }
    for (phase, ns) in [r.server, r.daemon, r.input, r.output].into_iter().enumerate() {
        if ns >= mod_wsgi_buckets::FIRST {
            let at = layout::LONG_AT + phase * layout::LONG + mod_wsgi_buckets::bucket_of(ns) - 1;
            add(&cell[at], 1, ALONE);
        }
    }
}

/// Counts a value in one of a cell's histograms.
#[inline]
pub(crate) fn record(cell: &Cell, which: Timed, ns: u64, alone: bool) {
    add(&cell[which.sum()], ns, alone);
    count_in(cell, which, histogram::bucket_of(ns), alone);
}

/// The same without its sum, for a value of a known bucket.
#[inline]
fn count_in(cell: &Cell, which: Timed, bucket: usize, alone: bool) {
    let word = &words::row::<TWO_HISTOGRAMS>(cell, which.at())[which.word(bucket)];
    if word.load(Relaxed) == 0 {
        open(cell, which, bucket);
    }
    add(word, 1, alone);
}

#[inline]
fn record_or_zero(cell: &Cell, which: Timed, zeros: usize, ns: u64, alone: bool) {
    if ns == 0 {
        add(&cell[zeros], 1, alone);
    } else {
        record(cell, which, ns, alone);
    }
}

/// A bucket gets its first value: the bitmap says so before, so that none is ever missed.
#[cold]
#[inline(never)]
fn open(cell: &Cell, which: Timed, bucket: usize) {
    cell[which.bitmap()].fetch_or(1 << histogram::octave_of(bucket), Relaxed);
}
