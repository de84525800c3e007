//! Whether a worker runs, as far as the page tells that it shares with the front. A process that was stopped, or gets no processor, does
//! not end, and keeps every request that it was given. The supervisor finds that out after seconds; the page tells it at once: a
//! worker that runs begins a request within a moment or returns it, and its beat goes on whatever Python does.
//!
//! Requests that no thread has begun are taken back, by exchange with the word in which the worker says what it begins: so none
//! is begun twice, whenever the worker goes on.

use gk_wire::frame::ToWorkerFrame;
use gk_wire::page::{BEAT, STARTED, TAKEN_BACK, VOID};
use std::sync::atomic::Ordering;

use crate::worker::link::{Link, LinkState};

/// Milliseconds, and looks, for which a worker begins nothing although a request waits in it, before that is taken back.
const UNTAKEN: (u64, u32) = (150, 2);
/// The same without a beat, after which a worker with requests counts as silent.
const SILENT: (u64, u32) = (1_000, 8);

/// How long something has been as it is. It counts looks as well as time: a front that is busy itself looks late, and what waited for
/// its own next turn has not waited for the worker.
#[derive(Debug, Clone, Copy)]
struct Stillness {
    /// Coarse time of the first look, in milliseconds.
    since: u64,
    /// Looks after that.
    looks: u32,
}

impl Stillness {
    /// One more look, or the first.
    fn seen(before: Option<Self>, now: u64) -> Self {
        before.map_or(Self { since: now, looks: 0 }, |still| Self { looks: still.looks + 1, ..still })
    }

    fn lasts(self, now: u64, (millis, looks): (u64, u32)) -> bool {
        now.saturating_sub(self.since) >= millis && self.looks >= looks
    }
}

/// The last look at a worker's page.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pulse {
    /// Words of the page.
    begun: u64,
    beat: u64,
    /// Since the last change, or the last look without requests.
    still: Option<Stillness>,
    /// Since then with a request that was there at the first look, and that nobody began.
    untaken: Option<Stillness>,
    /// Requests were taken back, and the worker has not seen that.
    away: Option<Away>,
}

/// A worker that does not see that requests were taken back from it.
#[derive(Debug, Clone, Copy)]
struct Away {
    still: Stillness,
    /// The requests.
    count: u32,
    /// Somebody was told.
    told: bool,
}

/// What a look tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It runs, or has no request.
    Lives,
    /// It begins nothing.
    Idles,
    /// Nothing has moved in it for a second.
    Silent,
}

impl Pulse {
    /// A look at the words of the page. `has_requests`: the worker has not ended all; `given`: ordinal of the last one.
    fn look(&mut self, begun: u64, beat: u64, has_requests: bool, given: u64, now: u64) -> Sign {
        if !has_requests || (begun, beat) != (self.begun, self.beat) {
            (self.begun, self.beat, self.still, self.untaken) = (begun, beat, None, None);
        }
        let still = Stillness::seen(self.still, now);
        self.still = Some(still);
        // Without one, the worker has nothing to begin: its answers wait for the front, or the front's next turn will give it some.
        let untaken = (has_requests && given > begun).then(|| Stillness::seen(self.untaken, now));
        self.untaken = untaken;
        // Without a first beat it has begun nothing, and nothing can be lost in it.
        if still.lasts(now, SILENT) && beat != 0 {
            Sign::Silent
        } else if untaken.is_some_and(|untaken| untaken.lasts(now, UNTAKEN)) {
            Sign::Idles
        } else {
            Sign::Lives
        }
    }
}

impl Link {
    /// Whether requests were taken back from the worker, and it has not gone on since: nothing is given to it. One that is silent and
    /// has room gets the next request, which tells.
    pub(crate) fn is_away(&self) -> bool {
        self.pulse.get().away.is_some() && !self.has_returned()
    }

    /// Whether the worker has seen that requests were taken back.
    fn has_returned(&self) -> bool {
        let returned = self.watch.word(STARTED).load(Ordering::Acquire) & TAKEN_BACK == 0;
        if returned {
            self.pulse.set(Pulse { away: None, ..self.pulse.get() });
        }
        returned
    }

    /// The requests that were taken back from a worker that has not gone on for a second since; once. One that only got no processor for
    /// a moment is not worth a word.
    pub(crate) fn stays_away(&self) -> Option<u32> {
        if !self.is_away() {
            return None;
        }
        let (mut pulse, now) = (self.pulse.get(), self.now());
        let away = pulse.away.as_mut()?;
        away.still = Stillness::seen(Some(away.still), now);
        let due = !away.told && away.still.lasts(now, SILENT);
        away.told |= due;
        let count = away.count;
        self.pulse.set(pulse);
        due.then_some(count)
    }

    /// Looks whether the worker runs. Called a few times a second.
    pub(crate) fn look(&self) -> Sign {
        let has_requests = self.in_flight() > 0 && self.state() != LinkState::Greeting;
        let word = |index| self.watch.word(index).load(Ordering::Acquire);
        let mut pulse = self.pulse.get();
        let begun = word(STARTED) & !TAKEN_BACK;
        let sign = pulse.look(begun, word(BEAT), has_requests, self.ordinal.get(), self.now());
        self.pulse.set(pulse);
        sign
    }

    /// Takes the requests back that no thread of the worker has begun; they go to others. Returns their number.
    pub(crate) fn take_back(&self) -> u32 {
        let started = self.watch.word(STARTED);
        let begun = started.load(Ordering::Acquire);
        if begun & TAKEN_BACK != 0 || !self.requests.borrow_mut().has_unbegun(begun) {
            return 0;
        }
        self.watch.word(VOID).store(self.ordinal.get(), Ordering::Release);
        let mark = begun | TAKEN_BACK;
        if started.compare_exchange(begun, mark, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // It runs after all.
            return 0;
        }
        let count = self.requests.borrow_mut().take_back(begun);
        let away = Away { still: Stillness::seen(None, self.now()), count, told: false };
        self.pulse.set(Pulse { away: Some(away), ..self.pulse.get() });
        self.returned(count);
        // Of no request: it only makes a thread look that would otherwise sleep on.
        self.queue(ToWorkerFrame::Credit { id: 0, bytes: 0 });
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at a worker, one after the other: begun, beat, whether it has requests, the last one given, the time.
    fn signs(pulse: &mut Pulse, looks: &[(u64, u64, bool, u64, u64, Sign)]) {
        for (begun, beat, has_requests, given, now, sign) in looks.iter().copied() {
            assert_eq!(pulse.look(begun, beat, has_requests, given, now), sign, "{now}");
        }
    }

    #[test]
    fn a_worker_with_requests_in_which_nothing_moves_is_silent() {
        let mut pulse = Pulse::default();
        signs(
            &mut pulse,
            &[
                (7, 5, false, 7, 10_000, Sign::Lives),
                (7, 5, true, 8, 10_100, Sign::Lives),
                (7, 5, true, 8, 10_200, Sign::Lives),
                (7, 5, true, 9, 10_300, Sign::Idles),
                (8, 5, true, 9, 10_400, Sign::Lives),
                (8, 9, true, 9, 10_600, Sign::Lives),
                (8, 9, true, 9, 10_700, Sign::Lives),
                (8, 9, true, 9, 10_800, Sign::Idles),
            ],
        );
        for now in (10_900..11_600).step_by(100) {
            signs(&mut pulse, &[(8, 9, true, 9, now, Sign::Idles)]);
        }
        signs(
            &mut pulse,
            &[
                (8, 9, true, 9, 11_600, Sign::Silent),
                (8, 10, true, 9, 11_700, Sign::Lives),
                (8, 10, false, 9, 99_000, Sign::Lives),
            ],
        );
        // One that has never beaten has nothing to lose.
        let mut pulse = Pulse::default();
        signs(&mut pulse, &[(0, 0, true, 1, 0, Sign::Lives), (0, 0, true, 1, 30_000, Sign::Lives)]);
        signs(&mut pulse, &[(0, 0, true, 1, 60_000, Sign::Idles)]);
    }

    /// Reported: a worker that a flood of requests kept busy was taken for a stopped one. Met where the front was busier than the
    /// workers: its answers waited to be read, and the next request had only just been given to it.
    #[test]
    fn a_worker_that_has_begun_all_that_it_got_is_not_idle_however_late_its_front_looks() {
        let mut pulse = Pulse::default();
        signs(
            &mut pulse,
            &[
                // Its answers are not read yet.
                (7, 5, true, 7, 1_000, Sign::Lives),
                (7, 5, true, 7, 1_400, Sign::Lives),
                // One came, and the front was late.
                (7, 5, true, 8, 1_800, Sign::Lives),
                (7, 5, true, 8, 2_200, Sign::Lives),
                (8, 5, true, 9, 2_201, Sign::Lives),
                (8, 5, true, 9, 2_602, Sign::Lives),
                // Nothing for two looks after the first is not to be mistaken.
                (8, 5, true, 9, 2_603, Sign::Idles),
            ],
        );
    }
}
