//! Exceptions that left applications, by application group and type. Entries are taken as those of routes are; when all are taken, an
//! exception of a new type is in the counter of all exceptions alone.

use crate::figures::Figures;
use crate::scoreboard::board::Board;
use crate::scoreboard::layout::{self, Layout, kind, slot};
use crate::scoreboard::words::{self, Words, add_shared};
use std::ops::Deref;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

impl<W: Deref<Target = Words>> Board<W> {
    fn kind_words(&self, number: usize) -> &Words {
        let at = Layout::kind(number);
        self.range(at..at + layout::KIND)
    }

    /// An exception of that type left the application, in the request of a slot. To be called before the request ends.
    pub fn raised(&self, index: usize, name: &str) {
        let Some(slot) = self.slot(index) else { return };
        let group = slot[slot::PLACE].load(Relaxed) as u16;
        let hash = words::hash_on(u64::from(group) + 1, name.as_bytes());
        for number in 0..layout::KINDS {
            let entry = self.kind_words(number);
            match entry[kind::HASH].compare_exchange(0, hash, AcqRel, Acquire) {
                Ok(_) => {
                    words::put_text(&entry[kind::NAME], name.as_bytes());
                    entry[kind::GROUP].store(group.into(), Relaxed);
                    entry[kind::READY].store(1, Release);
                }
                Err(there) if there == hash => {}
                Err(_) => continue,
            }
            add_shared(&entry[kind::COUNT], 1);
            return slot[slot::RAISED].store(number as u64 + 1, Relaxed);
        }
    }

    /// Adds the exceptions of an application group.
    pub(crate) fn read_kinds(&self, group: usize, figures: &mut Figures) {
        for number in 0..layout::KINDS {
            let entry = self.kind_words(number);
            if entry[kind::READY].load(Acquire) == 1 && entry[kind::GROUP].load(Relaxed) as usize == group {
                figures.raise(&words::text(&entry[kind::NAME]), entry[kind::COUNT].load(Relaxed));
            }
        }
    }

    /// The name of a type by the word of a slot: one more than its entry; empty for none.
    pub(crate) fn kind_name(&self, raised: u64) -> String {
        let number = usize::try_from(raised).ok().and_then(|raised| raised.checked_sub(1));
        let entry = number.filter(|number| *number < layout::KINDS).map(|number| self.kind_words(number));
        entry.map_or_else(String::new, |entry| words::text(&entry[kind::NAME]))
    }
}
