//! A bound on what an HTTP/2 client may ask of the server beside requests: frames that cost work and bring nothing, and requests that
//! it takes back. Pure.
//!
//! h2 bounds some floods by itself: CONTINUATION frames, empty and small DATA frames, malformed requests, requests taken back before
//! they were seen. It does not bound PING, SETTINGS, PRIORITY and WINDOW_UPDATE frames, nor requests taken back a moment later, each
//! of which has cost a worker something.

use crate::client::http2::frames::{FrameHead, Seen, kind};

/// Points of a new connection, and the most that it may have.
const MOST: u32 = 1_000;
/// Points that a second brings.
const PER_SECOND: u32 = 50;
/// Price of a request that the client takes back: some 250 at once, a dozen a second for ever. A browser that leaves a page of a
/// hundred pictures stays below.
const TAKEN_BACK: u32 = 4;
/// Points that a response, complete, brings: browsers send a few frames beside each request.
const ANSWERED: u32 = 10;
/// Points that a frame of a response brings: the client may tell for each that it took it, twice.
const SENT: u32 = 2;

/// What a client has left.
#[derive(Debug)]
pub struct Budget {
    points: u32,
    /// Milliseconds of the front's coarse clock up to which the time has been counted.
    counted: u64,
}

impl Budget {
    /// A whole one.
    pub fn new(now: u64) -> Self {
        Self { points: MOST, counted: now }
    }

    /// A frame came. `false`: it was one too many.
    #[must_use]
    pub fn received(&mut self, seen: &Seen, now: u64) -> bool {
        !seen.begins || self.pay(price(&seen.frame), now)
    }

    /// The client took back a request whose response was not complete. `false`: it was one too many.
    #[must_use]
    pub fn taken_back(&mut self, now: u64) -> bool {
        self.pay(TAKEN_BACK, now)
    }

    /// A frame went to the client.
    pub fn sent(&mut self, frame: &FrameHead) {
        if frame.kind == kind::DATA {
            self.gain(SENT);
        }
        if frame.ends_stream() {
            self.gain(ANSWERED);
        }
    }

    fn pay(&mut self, price: u32, now: u64) -> bool {
        let seconds = now.saturating_sub(self.counted) / 1_000;
        if seconds > 0 {
            self.counted += seconds * 1_000;
            self.gain(u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(PER_SECOND));
        }
        match self.points.checked_sub(price) {
            Some(left) => self.points = left,
            None => return false,
        }
        true
    }

    fn gain(&mut self, points: u32) {
        self.points = self.points.saturating_add(points).min(MOST);
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
        Seen { frame, payload: 0, begins: true, ends: length == 0 }
    }

    /// How many frames of a kind pass at once.
    fn passing(kind: u8, length: u32) -> u32 {
        let mut budget = Budget::new(0);
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
            let mut budget = Budget::new(0);
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
    fn a_client_may_tell_of_every_frame_that_it_took_it() {
        let mut budget = Budget::new(0);
        let data = FrameHead { kind: kind::DATA, length: 1, flags: 0, stream: 1 };
        for _ in 0..100_000 {
            budget.sent(&data);
            assert!(budget.received(&seen(8, 4), 0) && budget.received(&seen(8, 4), 0));
        }
    }
}
