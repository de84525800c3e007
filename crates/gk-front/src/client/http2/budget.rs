//! A bound on what an HTTP/2 client may ask of the server beside requests: frames that cost work and bring nothing, and requests that
//! it takes back. Pure.
//!
//! h2 bounds some floods by itself: CONTINUATION frames, empty and small DATA frames, malformed requests, requests taken back before
//! they were seen. It does not bound PING, SETTINGS, PRIORITY and WINDOW_UPDATE frames, nor requests taken back a moment later, each
//! of which has cost the server something. Requests taken back are paid from a purse of their own, against responses that were
//! completed: who completes nothing is ended after a hundred, and after fewer when it comes back.

use crate::client::http2::frames::{FrameHead, Seen, kind};

/// Points of a new connection for frames, and the most that it may have.
const MOST: u32 = 1_000;
/// The same for requests that are taken back: a page of a hundred pictures that is left at once.
const MOST_TAKEN_BACK: u32 = 100 * TAKEN_BACK;
/// The least that a client has for them which did that too often before.
const LEAST_TAKEN_BACK: u32 = 8 * TAKEN_BACK;
/// Points that a second brings.
const PER_SECOND: u32 = 50;
/// Price of a request that the client takes back: a hundred at once, a dozen a second for ever.
const TAKEN_BACK: u32 = 4;
/// Points that a response, complete, brings: browsers send a few frames beside each request, and leave pages of which they have got
/// some.
const ANSWERED: u32 = 10;
/// Points that a frame of a response brings: the client may tell for each that it took it, twice.
const SENT: u32 = 2;

/// Points that come back with time and with what the client takes.
#[derive(Debug)]
struct Purse {
    points: u32,
    most: u32,
}

impl Purse {
    fn full(most: u32) -> Self {
        Self { points: most, most }
    }

    /// `false`: there is too little in it.
    fn pay(&mut self, price: u32) -> bool {
        match self.points.checked_sub(price) {
            Some(left) => self.points = left,
            None => return false,
        }
        true
    }

    fn gain(&mut self, points: u32) {
        self.points = self.points.saturating_add(points).min(self.most);
    }
}

/// What a client has left.
#[derive(Debug)]
pub struct Budget {
    frames: Purse,
    taken_back: Purse,
    /// Milliseconds of the front's coarse clock up to which the time has been counted.
    counted: u64,
}

impl Budget {
    /// A whole one. `offences`: connections of the client that were ended lately because they had used up theirs.
    pub fn new(now: u64, offences: u32) -> Self {
        let taken_back = MOST_TAKEN_BACK.checked_shr(offences).unwrap_or(0).max(LEAST_TAKEN_BACK);
        Self { frames: Purse::full(MOST), taken_back: Purse::full(taken_back), counted: now }
    }

    /// A frame came. `false`: it was one too many.
    #[must_use]
    pub fn received(&mut self, seen: &Seen, now: u64) -> bool {
        if !seen.begins {
            return true;
        }
        self.count(now);
        self.frames.pay(price(&seen.frame))
    }

    /// The client took back a request whose response was not complete. `false`: it was one too many.
    #[must_use]
    pub fn taken_back(&mut self, now: u64) -> bool {
        self.count(now);
        self.taken_back.pay(TAKEN_BACK)
    }

    /// A frame went to the client.
    pub fn sent(&mut self, frame: &FrameHead) {
        if frame.kind == kind::DATA {
            self.frames.gain(SENT);
        }
        if frame.ends_stream() {
            self.frames.gain(ANSWERED);
            self.taken_back.gain(ANSWERED);
        }
    }

    fn count(&mut self, now: u64) {
        let seconds = now.saturating_sub(self.counted) / 1_000;
        if seconds > 0 {
            self.counted += seconds * 1_000;
            let points = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(PER_SECOND);
            self.frames.gain(points);
            self.taken_back.gain(points);
        }
    }
}

/// Price of a frame.
fn price(frame: &FrameHead) -> u32 {
    match frame.kind {
        // A request is bounded by queues and limits.
        kind::HEADERS => 0,
        kind::DATA if frame.length > 0 || frame.ends_stream() => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(kind: u8, length: u32) -> Seen {
        let frame = FrameHead { length, kind, flags: 0, stream: 1 };
        Seen { frame, payload: 0, begins: true, ends: length == 0, code: 0 }
    }

    /// How many frames of a kind pass at once.
    fn passing(kind: u8, length: u32) -> u32 {
        let mut budget = Budget::new(0, 0);
        (0..5_000).take_while(|_| budget.received(&seen(kind, length), 0)).count() as u32
    }

    #[test]
    fn frames_that_bring_nothing_run_out_and_bodies_do_not() {
        let (priority, settings, ping, window_update, unknown) = (2, 4, 6, 8, 0x42);
        for kind in [priority, settings, ping, window_update, unknown, kind::CONTINUATION] {
            assert_eq!(passing(kind, 8), MOST, "{kind}");
        }
        assert_eq!(passing(kind::DATA, 0), MOST);
        assert_eq!(passing(kind::DATA, 1), 5_000);
        assert_eq!(passing(kind::HEADERS, 10), 5_000);
    }

    #[test]
    fn a_browser_that_leaves_page_after_page_stays_and_one_that_only_takes_back_goes() {
        let leave = |pictures: u32, answered: u32, pause: u64| {
            let mut budget = Budget::new(0, 0);
            (0..100).all(|page| {
                let now = page * pause;
                let end = FrameHead { kind: kind::DATA, flags: 1, length: 0, stream: 1 };
                (0..answered).for_each(|_| budget.sent(&end));
                (0..pictures).all(|_| budget.taken_back(now))
            })
        };
        assert!(leave(100, 40, 1_000), "a page a second, of which some pictures came");
        assert!(leave(100, 0, 9_000), "a page in nine seconds, of which none came");
        assert!(!leave(300, 0, 1_000), "three hundred requests taken back a second");
        assert!(!leave(100, 10, 100));
    }

    #[test]
    fn who_only_takes_back_is_ended_after_a_hundred_and_after_fewer_each_time() {
        // What came before, and the requests taken back at once and in a second of three hundred.
        for (offences, most) in [(0, 100), (1, 50), (2, 25), (3, 12), (4, 8), (40, 8)] {
            let mut budget = Budget::new(0, offences);
            let passed = (0..300).take_while(|n| budget.taken_back(n * 1_000 / 300)).count();
            assert_eq!(passed, most, "{offences}");
            // Each response that is taken whole makes up for two and a half.
            budget.sent(&FrameHead { kind: kind::HEADERS, flags: 1, length: 9, stream: 1 });
            assert!(budget.taken_back(999) && budget.taken_back(999));
        }
    }

    #[test]
    fn a_client_may_tell_of_every_frame_that_it_took_it() {
        let mut budget = Budget::new(0, 0);
        let data = FrameHead { kind: kind::DATA, length: 1, flags: 0, stream: 1 };
        for _ in 0..100_000 {
            budget.sent(&data);
            assert!(budget.received(&seen(8, 4), 0) && budget.received(&seen(8, 4), 0));
        }
    }
}
