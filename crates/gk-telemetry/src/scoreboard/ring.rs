//! The last slow or sampled requests of a worker and its last garbage collections: rings that overwrite the oldest entry. A
//! writer takes an entry by its guard; while another thread still writes it, the request is dropped and counted.

use crate::figures::Record;
use crate::sample::Collection;
use crate::scoreboard::board::Board;
use crate::scoreboard::layout::{self, Layout, collection, entry, header, slot};
use crate::scoreboard::words::{Words, add_shared};
use std::ops::Deref;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::fence;

/// Copies a finished request from its slot and record into the ring of slow and sampled ones, and into that for traces.
pub(crate) fn keep<W: Deref<Target = Words>>(
    board: &Board<W>,
    index: usize,
    slot: &Words,
    r: &Record,
    (noted, traced): (bool, bool),
) {
    if traced {
        let ordinal = board.word(header::TRACED_HEAD).fetch_add(1, Relaxed) + 1;
        copy(board, board.layout.traced(ordinal as usize % layout::TRACED), ordinal, index, slot, r);
    }
    if noted {
        let ordinal = board.word(header::RING_HEAD).fetch_add(1, Relaxed) + 1;
        copy(board, Layout::entry(ordinal as usize % layout::RING), ordinal, index, slot, r);
    }
    // The next request of the slot raised nothing yet.
    slot[slot::RAISED].store(0, Relaxed);
}

fn copy<W: Deref<Target = Words>>(
    board: &Board<W>,
    at: usize,
    ordinal: u64,
    index: usize,
    slot: &Words,
    r: &Record,
) {
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
        (entry::RAISED, slot::RAISED),
    ];
    for (to, from) in copied {
        words[to].store(slot[from].load(Relaxed), Relaxed);
    }
    for (to, from) in [(entry::METHOD, slot::METHOD), (entry::PATH, slot::PATH)] {
        for (to, from) in words[to].iter().zip(&slot[from]) {
            to.store(from.load(Relaxed), Relaxed);
        }
    }
    for (to, from) in words[entry::ID].iter().zip(board.id(index)) {
        to.store(from.load(Relaxed), Relaxed);
    }
    for (word, value) in words[entry::RECORD].iter().zip(r.words()) {
        word.store(value, Relaxed);
    }
    words[entry::GUARD].store(guard + 2, Release);
}

impl<W: Deref<Target = Words>> Board<W> {
    /// A garbage collection is over.
    pub fn collected(&self, group: u16, one: &Collection) {
        use crate::scoreboard::layout::group as at;
        let entry = self.group_words(group);
        add_shared(&entry[at::GC_PAUSE], one.pause);
        entry[at::GC_LONGEST].fetch_max(one.pause, Relaxed);
        add_shared(&entry[at::COLLECTIONS.start + usize::from(one.generation.min(2))], 1);
        add_shared(&entry[at::COLLECTED], one.collected);
        add_shared(&entry[at::UNCOLLECTABLE], one.uncollectable);
        let ordinal = self.word(header::COLLECTIONS_HEAD).fetch_add(1, Relaxed) + 1;
        let words = self.collection(ordinal);
        // Two collections write one entry at once only when 64 others begin and end meanwhile.
        words[collection::ORDINAL].store(0, Relaxed);
        fence(Release);
        words[collection::START].store(one.start, Relaxed);
        words[collection::PAUSE].store(one.pause, Relaxed);
        words[collection::PLACE].store(u64::from(group) | u64::from(one.generation) << 16, Relaxed);
        words[collection::COLLECTED].store(one.collected, Relaxed);
        words[collection::UNCOLLECTABLE].store(one.uncollectable, Relaxed);
        words[collection::ORDINAL].store(ordinal, Release);
    }

    /// The garbage collections after that ordinal that are still in the ring, and the ordinal of the last one.
    pub fn collections(&self, after: u64) -> (Vec<Collection>, u64) {
        let head = self.word(header::COLLECTIONS_HEAD).load(Relaxed);
        let first = after.saturating_add(1).max(head.saturating_sub(layout::COLLECTIONS as u64 - 1));
        let read = |ordinal: u64| {
            let words = self.collection(ordinal);
            let load = |index: usize| words[index].load(Relaxed);
            let there = words[collection::ORDINAL].load(Acquire);
            let one = Collection {
                start: load(collection::START),
                pause: load(collection::PAUSE),
                generation: (load(collection::PLACE) >> 16) as u8,
                collected: load(collection::COLLECTED),
                uncollectable: load(collection::UNCOLLECTABLE),
            };
            fence(Acquire);
            (there == ordinal && load(collection::ORDINAL) == ordinal).then_some(one)
        };
        ((first..=head).filter_map(read).collect(), head)
    }

    fn collection(&self, ordinal: u64) -> &Words {
        let at = Layout::collection(ordinal as usize % layout::COLLECTIONS);
        self.range(at..at + layout::COLLECTION)
    }
}
