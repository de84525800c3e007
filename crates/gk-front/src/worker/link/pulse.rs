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

/// Milliseconds for which a worker begins nothing although a request waits in it, before that is taken back.
const UNTAKEN: u64 = 150;
/// Milliseconds without a beat after which a worker with requests counts as silent.
const SILENT: u64 = 1_000;

/// The last look at a worker's page.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pulse {
    /// Words of the page.
    begun: u64,
    beat: u64,
    /// Coarse time of the last change, or of the last look without requests, in milliseconds. `None` before the first look.
    since: Option<u64>,
    /// Requests were taken back, and the worker has not seen that.
    taken_back: bool,
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
    /// A look at the words of the page.
    fn look(&mut self, begun: u64, beat: u64, has_requests: bool, now: u64) -> Sign {
        if !has_requests || (begun, beat) != (self.begun, self.beat) {
            (self.begun, self.beat, self.since) = (begun, beat, None);
        }
        let still = now.saturating_sub(*self.since.get_or_insert(now));
        match still {
            // Without a first beat it has begun nothing, and nothing can be lost in it.
            SILENT.. if beat != 0 => Sign::Silent,
            UNTAKEN.. => Sign::Idles,
            _ => Sign::Lives,
        }
    }
}

impl Link {
    /// Whether requests were taken back from the worker, and it has not gone on since: nothing is given to it. One that is silent and
    /// has room gets the next request, which tells.
    pub(crate) fn is_away(&self) -> bool {
        self.pulse.get().taken_back && !self.has_returned()
    }

    /// Whether the worker has seen that requests were taken back.
    fn has_returned(&self) -> bool {
        let returned = self.watch.word(STARTED).load(Ordering::Acquire) & TAKEN_BACK == 0;
        if returned {
            self.pulse.set(Pulse { taken_back: false, ..self.pulse.get() });
        }
        returned
    }

    /// Looks whether the worker runs. Called a few times a second.
    pub(crate) fn look(&self) -> Sign {
        let has_requests = self.in_flight() > 0 && self.state() != LinkState::Greeting;
        let word = |index| self.watch.word(index).load(Ordering::Acquire);
        let mut pulse = self.pulse.get();
        let sign = pulse.look(word(STARTED) & !TAKEN_BACK, word(BEAT), has_requests, self.now());
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
        self.pulse.set(Pulse { taken_back: true, ..self.pulse.get() });
        let count = self.requests.borrow_mut().take_back(begun);
        self.returned(count);
        // Of no request: it only makes a thread look that would otherwise sleep on.
        self.queue(ToWorkerFrame::Credit { id: 0, bytes: 0 });
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_with_requests_in_which_nothing_moves_is_silent() {
        let mut pulse = Pulse::default();
        // Begun, beat, has requests, time.
        let looks = [
            (7, 5, false, 10_000, Sign::Lives),
            (7, 5, true, 10_100, Sign::Lives),
            (7, 5, true, 10_200, Sign::Idles),
            (8, 5, true, 10_300, Sign::Lives),
            (8, 9, true, 10_500, Sign::Lives),
            (8, 9, true, 11_400, Sign::Idles),
            (8, 9, true, 11_500, Sign::Silent),
            (8, 10, true, 11_600, Sign::Lives),
            (8, 10, false, 99_000, Sign::Lives),
        ];
        for (begun, beat, has_requests, now, sign) in looks {
            assert_eq!(pulse.look(begun, beat, has_requests, now), sign, "{now}");
        }
        // One that has never beaten has nothing to lose.
        let mut pulse = Pulse::default();
        assert_eq!(pulse.look(0, 0, true, 0), Sign::Lives);
        assert_eq!(pulse.look(0, 0, true, 60_000), Sign::Idles);
    }
}
