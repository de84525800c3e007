//! Counting a finished request in a cell: the counters and histograms of an application group, or of one thread's share of it.
//!
//! Status 200, no wait for a GIL and not blocked are what nearly every request has: one addition each in the cell's head, beside
//! the sums, and one for all three in a plain request. So a plain request writes one cache line of the head, any other request
//! two, and both write two or three lines with buckets of four histograms.

use crate::figures::{Long, OF_EACH_PLAIN, Record, Timed, counter};
use crate::histogram;
use crate::mod_wsgi_buckets;
use crate::scoreboard::layout::{self, CELL, TWO_HISTOGRAMS};
use crate::scoreboard::plain::{Plain, PlainSums};
use crate::scoreboard::words::{self, add};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The words of a cell.
pub(crate) type Cell = [AtomicU64; CELL];

/// A counter of a cell's head, plain requests included. `later`: plain requests that are not in the cell yet.
#[inline]
pub(crate) fn counted(cell: &Cell, later: &PlainSums, at: usize) -> u64 {
    let count = |at: usize| cell[at].load(Relaxed).wrapping_add(later.of(at));
    if OF_EACH_PLAIN.contains(&at) { count(at).wrapping_add(count(counter::PLAIN)) } else { count(at) }
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
        // Without time before the application, CPU and application time are the same.
        let bucket = if r.daemon == 0 { bucket } else { histogram::bucket_of(r.cpu()) };
        count_in(cell, Timed::Cpu, bucket, true);
    }
    for (at, by) in sums.words() {
        add(&cell[at], by, true);
    }
}

/// Counts a request. `ALONE`: only the calling thread writes this cell.
#[inline]
pub(crate) fn count<const ALONE: bool>(cell: &Cell, r: &Record) {
    r.each_often(|at, by| add(&cell[at], by, ALONE));
    r.each_duration(|which, ns| match which.zeros() {
        Some(zeros) if ns == 0 => add(&cell[zeros], 1, ALONE),
        _ => record(cell, which, ns, ALONE),
    });
    if r.status == 200 {
        add(&cell[counter::OK], 1, ALONE);
    } else {
        let status = if (100..600).contains(&r.status) { usize::from(r.status) - 99 } else { 0 };
        add(&cell[layout::STATUSES_AT + status], 1, ALONE);
    }
    if r.any_seldom() != 0 || r.daemon >= mod_wsgi_buckets::FIRST {
        count_seldom::<ALONE>(cell, *r);
    }
}

/// Counts the figures that are zero in most requests. The record comes by value: while nobody has its address, it stays in
/// registers.
#[cold]
fn count_seldom<const ALONE: bool>(cell: &Cell, r: Record) {
    r.each_seldom(|at, by| add(&cell[at], by, ALONE));
    for phase in Long::ALL {
        let ns = phase.of(&r);
        if ns >= mod_wsgi_buckets::FIRST {
            let at = layout::LONG_AT + phase.place(mod_wsgi_buckets::bucket_of(ns));
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

/// Counts a value in its bucket, without its sum.
#[inline]
fn count_in(cell: &Cell, which: Timed, bucket: usize, alone: bool) {
    let word = &words::row::<TWO_HISTOGRAMS>(cell, which.at())[which.word(bucket)];
    if word.load(Relaxed) == 0 {
        open(cell, which, bucket);
    }
    add(word, 1, alone);
}

/// Marks the doubling of a bucket that gets its first value, before it does: a reader skips unmarked ones.
#[cold]
#[inline(never)]
fn open(cell: &Cell, which: Timed, bucket: usize) {
    cell[which.bitmap()].fetch_or(1 << histogram::octave_of(bucket), Relaxed);
}
