//! The last slow (or sampled) requests of a worker: a bounded ring, the oldest overwritten. A writer takes an entry by its
//! guard; where another still writes there, the request is dropped and counted.

use crate::board::Board;
use crate::finish::Record;
use crate::layout::{self, Layout, entry, header, slot};
use crate::words::{Words, add_shared};
use std::ops::Deref;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

/// Keeps a finished request.
pub(crate) fn keep<W: Deref<Target = Words>>(board: &Board<W>, index: usize, slot: &Words, r: &Record) {
    let ordinal = board.word(header::RING_HEAD).fetch_add(1, Relaxed) + 1;
    let at = Layout::entry(ordinal as usize % layout::RING);
    let words = board.range(at..at + layout::ENTRY);
    let guard = words[entry::GUARD].load(Relaxed);
    if guard & 1 == 1 || words[entry::GUARD].compare_exchange(guard, guard + 1, Acquire, Relaxed).is_err() {
        add_shared(board.word(header::LOST), 1);
        return;
    }
    fence(Release);
    words[entry::ORDINAL].store(ordinal, Relaxed);
    words[entry::THREAD].store(index as u64 + 1, Relaxed);
    let copied = [
        (entry::REQUEST, slot::REQUEST),
        (entry::START, slot::START),
        (entry::PLACE, slot::PLACE),
        (entry::LONGEST_WAIT, slot::LONGEST_WAIT),
        (entry::CULPRIT, slot::CULPRIT),
    ];
    for (to, from) in copied {
        words[to].store(slot[from].load(Relaxed), Relaxed);
    }
    for (to, from) in [(entry::METHOD, slot::METHOD), (entry::PATH, slot::PATH)] {
        for (to, from) in words[to].iter().zip(&slot[from]) {
            to.store(from.load(Relaxed), Relaxed);
        }
    }
    for (word, value) in words[entry::RECORD].iter().zip(values(r)) {
        word.store(value, Relaxed);
    }
    words[entry::GUARD].store(guard + 2, Release);
}

/// A record as words.
fn values(r: &Record) -> [u64; 19] {
    [
        r.status.into(),
        r.error.into(),
        r.response,
        r.server,
        r.queue,
        r.daemon,
        r.application,
        r.on_cpu,
        r.gil_wait_app,
        r.gil_wait_server,
        r.waits,
        r.runnable,
        r.blocked,
        r.bytes_in,
        r.bytes_out,
        r.reads,
        r.writes,
        r.input,
        r.output,
    ]
}

/// The record in such words.
pub(crate) fn record_of(words: &[AtomicU64]) -> Record {
    let at = |index: usize| words[index].load(Relaxed);
    Record {
        status: at(0) as u16,
        error: at(1) != 0,
        response: at(2),
        server: at(3),
        queue: at(4),
        daemon: at(5),
        application: at(6),
        on_cpu: at(7),
        gil_wait_app: at(8),
        gil_wait_server: at(9),
        waits: at(10),
        runnable: at(11),
        blocked: at(12),
        bytes_in: at(13),
        bytes_out: at(14),
        reads: at(15),
        writes: at(16),
        input: at(17),
        output: at(18),
    }
}
