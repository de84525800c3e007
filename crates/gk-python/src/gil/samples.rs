//! Samples of a thread's stack: written by a signal handler on that thread, read by another one. One writer, one reader, no lock;
//! what does not fit is counted as lost.

use super::place::Place;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Words of a thread's ring: some seconds of samples of deep stacks.
const WORDS: usize = 1 << 15;
/// Words before the places of a sample.
const HEAD: usize = 4;
/// Places of a sample; the outermost ones are left out beyond that.
const DEEPEST: usize = 192;

/// Where a thread was on CPU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// Nanoseconds of CPU time since the thread's sample before.
    pub nanos: u64,
    /// Work of the thread ([`super::set_work`]).
    pub work: u64,
    /// Its name for that, in the listener's own words ([`super::Listener::culprit`]).
    pub name: u64,
    /// It collected garbage.
    pub collecting: bool,
    /// The thread was attached to an interpreter, or let go of its GIL only in a call; otherwise there are no places.
    pub attached: bool,
    /// The stack was read up to its end.
    pub whole: bool,
    /// Its frames, the innermost first.
    pub places: Vec<Place>,
}

const COLLECTING: u64 = 1 << 32;
const ATTACHED: u64 = 1 << 33;
const WHOLE: u64 = 1 << 34;

/// The samples of a thread that were not read yet.
pub(super) struct Ring {
    words: Box<[AtomicU64]>,
    /// Words written and read so far.
    written: AtomicUsize,
    read: AtomicUsize,
    /// Nanoseconds of samples that found no room.
    lost: AtomicU64,
}

/// What the handler knows besides the places.
pub(super) struct Facts {
    pub(super) nanos: u64,
    pub(super) work: u64,
    pub(super) name: u64,
    pub(super) collecting: bool,
    pub(super) attached: bool,
}

impl Ring {
    pub(super) fn new() -> Self {
        Self {
            words: (0..WORDS).map(|_| AtomicU64::new(0)).collect(),
            written: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
        }
    }

    fn word(&self, at: usize) -> Option<&AtomicU64> {
        self.words.get(at % WORDS)
    }

    fn put(&self, at: usize, value: u64) {
        if let Some(word) = self.word(at) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Writes a sample whose places `walk` gives; that returns whether it gave all of them. For a signal handler.
    pub(super) fn write(&self, facts: &Facts, walk: impl FnOnce(&mut dyn FnMut(Place) -> bool) -> bool) {
        let begin = self.written.load(Ordering::Relaxed);
        let room = WORDS - begin.wrapping_sub(self.read.load(Ordering::Acquire)).min(WORDS);
        if room < HEAD + DEEPEST * Place::WORDS {
            self.lost.fetch_add(facts.nanos, Ordering::Relaxed);
            return;
        }
        let mut places = 0;
        let whole = walk(&mut |place| {
            if places == DEEPEST {
                return false;
            }
            let at = begin.wrapping_add(HEAD + places * Place::WORDS);
            place.words().into_iter().enumerate().for_each(|(word, value)| {
                self.put(at.wrapping_add(word), value);
            });
            places += 1;
            true
        });
        let flag = |on: bool, flag: u64| if on { flag } else { 0 };
        let flags = flag(facts.collecting, COLLECTING) | flag(facts.attached, ATTACHED) | flag(whole, WHOLE);
        self.put(begin, places as u64 | flags);
        self.put(begin.wrapping_add(1), facts.nanos);
        self.put(begin.wrapping_add(2), facts.work);
        self.put(begin.wrapping_add(3), facts.name);
        self.written.store(begin.wrapping_add(HEAD + places * Place::WORDS), Ordering::Release);
    }

    /// Takes the oldest sample. For one thread at a time.
    pub(super) fn take(&self) -> Option<Sample> {
        let at = self.read.load(Ordering::Relaxed);
        if at == self.written.load(Ordering::Acquire) {
            return None;
        }
        let get =
            |word: usize| self.word(at.wrapping_add(word)).map_or(0, |word| word.load(Ordering::Relaxed));
        let count = (get(0) as u32 as usize).min(DEEPEST);
        let place = |index: usize| {
            Place::of_words(std::array::from_fn(|word| get(HEAD + index * Place::WORDS + word)))
        };
        let sample = Sample {
            nanos: get(1),
            work: get(2),
            name: get(3),
            collecting: get(0) & COLLECTING != 0,
            attached: get(0) & ATTACHED != 0,
            whole: get(0) & WHOLE != 0,
            places: (0..count).map(place).collect(),
        };
        self.read.store(at.wrapping_add(HEAD + count * Place::WORDS), Ordering::Release);
        Some(sample)
    }

    /// Nanoseconds of samples without room since the last call.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(nanos: u64) -> Facts {
        Facts { nanos, work: 5, name: 6, collecting: false, attached: true }
    }

    fn place(code: usize) -> Place {
        Place::of_words([code as u64, 0, 0, 0])
    }

    #[test]
    fn samples_come_out_as_they_went_in_and_the_ring_goes_round() {
        let ring = Ring::new();
        for round in 0..3_000_u64 {
            let depth = (round % 40) as usize;
            ring.write(&facts(round), |each| (1..=depth).all(|code| each(place(code))));
            let sample = ring.take().unwrap();
            assert_eq!((sample.nanos, sample.work, sample.name), (round, 5, 6));
            assert!(sample.attached && sample.whole && !sample.collecting);
            assert_eq!(sample.places, (1..=depth).map(place).collect::<Vec<_>>());
        }
        assert_eq!((ring.take(), ring.take_lost()), (None, 0));
    }

    #[test]
    fn what_finds_no_room_is_counted_and_deep_stacks_are_cut() {
        let ring = Ring::new();
        for _ in 0..1_000 {
            ring.write(&facts(10), |each| (1..=1_000).all(|code| each(place(code))));
        }
        let mut kept = 0;
        while let Some(sample) = ring.take() {
            assert_eq!((sample.places.len(), sample.whole), (DEEPEST, false));
            kept += 1;
        }
        assert!(kept > 20, "{kept}");
        assert_eq!(ring.take_lost(), (1_000 - kept) * 10);
        assert_eq!(ring.take_lost(), 0);
    }
}
