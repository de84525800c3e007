//! The front's two clocks: a precise one in microseconds and a coarse one in milliseconds that the ticker advances. And the date of
//! responses while the wall clock has been set back.

use http::header::HeaderValue;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Seconds that hyper's date may be ahead of the last [`Clock::advance`]: the longest time between two of them, and the second for
/// which hyper keeps a date.
const AHEAD: f64 = 3.0;

/// Milliseconds between two calls of [`Clock::advance`] from which this process did not run: it was stopped, or the whole machine was.
const ASLEEP: u64 = 3_000;

/// Both clocks, counted from the start of the front.
#[derive(Clone)]
pub struct Clock {
    base: Instant,
    coarse: Rc<Cell<u64>>,
    /// Milliseconds in which this process did not run. The coarse clock stood still, so that no timeout counts them.
    asleep: Rc<Cell<u64>>,
    /// Epoch seconds at `base`, by the wall clock of the last [`Clock::advance`].
    epoch: Rc<Cell<f64>>,
    /// The latest time that the wall clock has had, in epoch seconds.
    latest: Rc<Cell<f64>>,
    /// See [`Clock::date`].
    date: Rc<RefCell<Option<HeaderValue>>>,
}

impl Default for Clock {
    fn default() -> Self {
        let epoch = gk_sys::clock::epoch_seconds();
        let (coarse, asleep, date) = (Rc::default(), Rc::default(), Rc::default());
        let (epoch, latest) = (Rc::new(Cell::new(epoch)), Rc::new(Cell::new(epoch)));
        Self { base: Instant::now(), coarse, asleep, epoch, latest, date }
    }
}

impl Clock {
    /// Microseconds, read from the system.
    pub fn micros(&self) -> u64 {
        self.base.elapsed().as_micros() as u64
    }

    /// A time of [`Clock::micros`] as seconds since the epoch, so that one system call serves both.
    pub fn epoch(&self, micros: u64) -> f64 {
        self.epoch.get() + micros as f64 / 1e6
    }

    /// Milliseconds as of the last [`Clock::advance`], without those in which this process did not run.
    pub fn coarse(&self) -> u64 {
        self.coarse.get()
    }

    /// The coarse clock's cell, for readers.
    pub fn coarse_cell(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.coarse)
    }

    /// The `Date` of responses, after the wall clock was set back: hyper repeats the date that it wrote last until the clock has passed
    /// it. `None` all other times, when hyper writes it.
    pub fn date(&self) -> Option<HeaderValue> {
        self.date.borrow().clone()
    }

    /// Sets the coarse clock to the present and follows changes of the wall clock.
    pub fn advance(&self) {
        self.follow(gk_sys::clock::epoch_seconds(), self.micros());
    }

    /// The wall clock has `wall` epoch seconds at a time of [`Clock::micros`].
    fn follow(&self, wall: f64, micros: u64) {
        let gap = (micros / 1_000).saturating_sub(self.asleep.get() + self.coarse.get());
        if gap >= ASLEEP {
            self.asleep.set(self.asleep.get() + gap);
        } else {
            self.coarse.set(self.coarse.get() + gap);
        }
        self.epoch.set(wall - micros as f64 / 1e6);
        let set_back = self.date.borrow().is_some();
        if wall >= self.latest.get() + if set_back { AHEAD } else { 0.0 } {
            self.latest.set(wall);
            if set_back {
                *self.date.borrow_mut() = None;
            }
            return;
        }
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(wall as u64));
        *self.date.borrow_mut() = HeaderValue::from_str(&date).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: after a machine was suspended, every request that waited got a 503 and every one that ran a 504. Met with paused
    /// containers and machines that are moved.
    #[test]
    fn the_coarse_clock_stands_still_while_the_process_does() {
        let clock = Clock::default();
        let at = |millis: u64| {
            clock.follow(0.0, millis * 1_000);
            clock.coarse()
        };
        let cases =
            [(100, 100), (1_200, 1_200), (1_100, 1_200), (61_200, 1_200), (61_300, 1_300), (64_200, 4_200)];
        for (millis, coarse) in cases {
            assert_eq!(at(millis), coarse, "{millis}");
        }
    }

    /// Reported: after the clock was set back by an hour, `Date` stood still for an hour.
    #[test]
    fn the_date_follows_a_clock_that_is_set_back() {
        let clock = Clock::default();
        let now = 1_700_000_000.0;
        clock.latest.set(now);
        let at = |wall: f64| {
            clock.follow(wall, 0);
            clock.date().map(|date| date.to_str().unwrap().to_owned())
        };
        let cases = [
            (now + 0.1, None),
            (now + 1.2, None),
            (now - 3600.0, Some("Tue, 14 Nov 2023 21:13:20 GMT")),
            (now - 3599.0, Some("Tue, 14 Nov 2023 21:13:21 GMT")),
            // hyper's date may still be ahead.
            (now + 2.0, Some("Tue, 14 Nov 2023 22:13:22 GMT")),
            (now + 4.3, None),
            (now + 4.4, None),
        ];
        for (wall, date) in cases {
            assert_eq!(at(wall).as_deref(), date, "{wall}");
        }
    }
}
