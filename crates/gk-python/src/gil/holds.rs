//! Whom a wait is booked to, down to the line. A GIL counts its *holds*: each time another thread takes it, the number grows. A thread
//! that waits books the parts of its wait to the holds that they fell into. The thread that takes the GIL next after a wait notes when the
//! hold before ended and where its holder stands ([`Place`]). So a wait over many holds is booked to the places of all of them,
//! although its thread saw the end of the last one only. A hold of which nobody took a note stays unseen: the next holder came
//! without a wait, or its wait was shorter than the threshold.
//!
//! Notes are written and read with the GIL's mutex held. The charges of a wait are cells of its thread.

use super::place::Place;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Holds of a GIL that are remembered.
const NOTES: usize = 16;
/// Holds that one wait is booked to; what falls into further ones is unseen.
const CHARGES: usize = 12;
/// Stands for the number of a hold that is not known.
const UNSEEN: u64 = u64::MAX;
/// The culprit is the one in the note.
const NOTED: u64 = u64::MAX;

/// The end of a hold. All words are zero before it is used.
pub(super) struct Note {
    /// One more than the hold's number.
    hold: AtomicU64,
    ended: AtomicU64,
    culprit: AtomicU64,
    /// 1 when there is a place.
    seen: AtomicU64,
    place: [AtomicU64; Place::WORDS],
}

impl Note {
    const fn none() -> Self {
        Self {
            hold: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            culprit: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            place: [const { AtomicU64::new(0) }; Place::WORDS],
        }
    }
}

/// The last holds of a GIL.
pub(super) struct Notes([Note; NOTES]);

impl Notes {
    pub(super) const fn none() -> Self {
        Self([const { Note::none() }; NOTES])
    }

    /// The hold's number `hold` ends now.
    pub(super) fn put(&self, hold: u64, now: u64, culprit: u64, place: Option<Place>) {
        let note = &self.0[hold as usize % NOTES];
        note.hold.store(hold.wrapping_add(1), Ordering::Relaxed);
        note.ended.store(now, Ordering::Relaxed);
        note.culprit.store(culprit, Ordering::Relaxed);
        note.seen.store(place.is_some().into(), Ordering::Relaxed);
        if let Some(place) = place {
            for (word, value) in note.place.iter().zip(place.words()) {
                word.store(value, Ordering::Relaxed);
            }
        }
    }

    fn of(&self, hold: u64) -> Option<&Note> {
        let note = &self.0[hold as usize % NOTES];
        (note.hold.load(Ordering::Relaxed) == hold.wrapping_add(1)).then_some(note)
    }

    /// When that hold ended, if that is within the span.
    fn end(&self, hold: u64, from: u64, to: u64) -> Option<u64> {
        let ended = self.of(hold)?.ended.load(Ordering::Relaxed);
        (from <= ended && ended <= to).then_some(ended)
    }
}

/// A finished wait, as far as it fell into one hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Nanoseconds.
    pub nanos: u64,
    /// Where the holder stood when it let go; `None`: unseen.
    pub place: Option<Place>,
    /// Holder, in the listener's own words.
    pub culprit: u64,
    /// Work of the waiting thread ([`super::set_work`]).
    pub work: u64,
}

/// The beginning of a part of a wait: time, hold, and its holder.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartBegin {
    pub(super) at: u64,
    pub(super) hold: u64,
    pub(super) culprit: u64,
}

#[derive(Clone, Copy)]
struct Charge {
    hold: u64,
    nanos: u64,
    culprit: u64,
}

/// What the present wait of a thread is booked to.
pub(super) struct Charges {
    count: Cell<usize>,
    each: [Cell<Charge>; CHARGES],
}

impl Charges {
    pub(super) const fn none() -> Self {
        let each = [const { Cell::new(Charge { hold: UNSEEN, nanos: 0, culprit: 0 }) }; CHARGES];
        Self { count: Cell::new(0), each }
    }

    fn add(&self, hold: u64, nanos: u64, culprit: u64) {
        let count = self.count.get();
        if let Some(last) = count.checked_sub(1).and_then(|last| self.each.get(last)) {
            let charge = last.get();
            // The last place takes what has none.
            if charge.hold == hold || count == CHARGES {
                let hold = if charge.hold == hold { hold } else { UNSEEN };
                last.set(Charge { hold, nanos: charge.nanos.wrapping_add(nanos), ..charge });
                return;
            }
        }
        if let Some(place) = self.each.get(count) {
            place.set(Charge { hold, nanos, culprit });
            self.count.set(count + 1);
        }
    }

    /// Books a part of a wait that ends `now`, in the hold number `hold`, of a GIL with these notes.
    pub(super) fn part(&self, notes: &Notes, begin: PartBegin, now: u64, hold: u64) {
        let (mut from, mut first, mut culprit) = (begin.at, begin.hold, begin.culprit);
        if hold.wrapping_sub(first) >= NOTES as u64 {
            self.add(UNSEEN, now.saturating_sub(from), culprit);
            return;
        }
        for one in begin.hold..hold {
            // Without a note nobody knows where this hold ends and the next one begins.
            let Some(ended) = notes.end(one, from, now) else { continue };
            self.add(if one == first { one } else { UNSEEN }, ended - from, culprit);
            (from, first, culprit) = (ended, one + 1, NOTED);
        }
        self.add(if hold == first { hold } else { UNSEEN }, now.saturating_sub(from), culprit);
    }

    /// The holder of that hold let go and took the GIL again, before anybody else could. Where it let go is not known, so what was booked
    /// to the hold so far stays unseen.
    pub(super) fn lose(&self, hold: u64) {
        let last = self.count.get().checked_sub(1).and_then(|last| self.each.get(last));
        if let Some(place) = last.filter(|place| place.get().hold == hold) {
            place.set(Charge { hold: UNSEEN, ..place.get() });
        }
    }

    /// Tells what the wait, which has ended, is booked to.
    pub(super) fn settle(&self, notes: &Notes, work: u64, tell: impl Fn(&Held)) {
        for charge in
            self.each.iter().take(self.count.take()).map(Cell::get).filter(|charge| charge.nanos > 0)
        {
            let note = if charge.hold == UNSEEN { None } else { notes.of(charge.hold) };
            let seen = note.filter(|note| note.seen.load(Ordering::Relaxed) != 0);
            let place = seen
                .map(|note| Place::of_words(note.place.each_ref().map(|word| word.load(Ordering::Relaxed))));
            let noted = || note.map_or(NOTED, |note| note.culprit.load(Ordering::Relaxed));
            let culprit = if charge.culprit == NOTED { noted() } else { charge.culprit };
            tell(&Held { nanos: charge.nanos, place, culprit, work });
        }
    }

    /// Forgets the wait.
    pub(super) fn clear(&self) {
        self.count.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn place(code: usize) -> Place {
        Place { code, ..Place::default() }
    }

    fn settled(charges: &Charges, notes: &Notes) -> Vec<(usize, u64, u64)> {
        let told = RefCell::new(Vec::new());
        charges.settle(notes, 7, |held| {
            assert_eq!(held.work, 7);
            told.borrow_mut().push((held.place.map_or(0, |place| place.code), held.nanos, held.culprit));
        });
        told.into_inner()
    }

    #[test]
    fn a_wait_is_booked_to_every_hold_that_it_fell_into() {
        let (notes, charges) = (Notes::none(), Charges::none());
        // Two parts in hold 5; in the second one it ends at 130, and hold 6 begins, which ends with the wait.
        charges.part(&notes, PartBegin { at: 0, hold: 5, culprit: 50 }, 100, 5);
        notes.put(5, 130, 50, Some(place(0x50)));
        charges.part(&notes, PartBegin { at: 100, hold: 5, culprit: 50 }, 200, 6);
        notes.put(6, 200, 60, Some(place(0x60)));
        assert_eq!(settled(&charges, &notes), [(0x50, 130, 50), (0x60, 70, 60)]);
        assert_eq!(settled(&charges, &notes), []);
    }

    #[test]
    fn a_hold_without_a_note_is_unseen_and_so_is_what_cannot_be_told_from_it() {
        let (notes, charges) = (Notes::none(), Charges::none());
        // Nobody saw the end of 5; that of 6 was seen at 150.
        notes.put(6, 150, 60, Some(place(0x60)));
        charges.part(&notes, PartBegin { at: 0, hold: 5, culprit: 50 }, 200, 7);
        notes.put(7, 200, 70, None);
        assert_eq!(settled(&charges, &notes), [(0, 150, 50), (0, 50, 70)]);
    }

    #[test]
    fn a_holder_that_let_go_and_came_back_was_not_seen() {
        let (notes, charges) = (Notes::none(), Charges::none());
        charges.part(&notes, PartBegin { at: 0, hold: 5, culprit: 50 }, 100, 5);
        charges.lose(5);
        charges.part(&notes, PartBegin { at: 100, hold: 5, culprit: 50 }, 130, 5);
        notes.put(5, 130, 50, Some(place(0x50)));
        assert_eq!(settled(&charges, &notes), [(0, 100, 50), (0x50, 30, 50)]);
    }

    #[test]
    fn notes_of_another_time_count_for_nothing() {
        let (notes, charges) = (Notes::none(), Charges::none());
        notes.put(5, 10, 50, Some(place(0x50)));
        charges.part(&notes, PartBegin { at: 100, hold: 5, culprit: 51 }, 200, 6);
        assert_eq!(settled(&charges, &notes), [(0, 100, 51)]);
        // More holds than are remembered.
        charges.part(&notes, PartBegin { at: 0, hold: 5, culprit: 51 }, 10, 5 + NOTES as u64);
        assert_eq!(settled(&charges, &notes), [(0, 10, 51)]);
    }

    #[test]
    fn a_wait_over_more_holds_than_there_are_places_keeps_its_length() {
        let (notes, charges) = (Notes::none(), Charges::none());
        for hold in 0..40 {
            charges.part(&notes, PartBegin { at: hold * 10, hold, culprit: hold }, hold * 10 + 10, hold);
        }
        let told = settled(&charges, &notes);
        assert_eq!((told.len(), told.iter().map(|(_, nanos, _)| nanos).sum::<u64>()), (CHARGES, 400));
    }
}
