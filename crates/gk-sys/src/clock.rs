//! Wall clock, local offset, thread id. Values take time as an argument; processes ask here.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the epoch.
pub fn epoch_micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
}

/// Seconds since the epoch.
pub fn epoch_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Days that [`keep_zone`] looks ahead.
const AHEAD: i64 = 3653;
/// Days between two looks: no zone changes its offset and back within such a time.
const STEP: i64 = 7;
/// Seconds.
const DAY: i64 = 86_400;

static ZONE: OnceLock<Box<[(i64, i32)]>> = OnceLock::new();

/// Keeps the local time of this moment for the ten years to come, with its summer times: an application may call `tzset()` for
/// itself, and the log of one server is in one time zone. Once per process, before any code of an application runs.
pub fn keep_zone() {
    let now = epoch_seconds() as i64;
    ZONE.get_or_init(|| zone(now, system_offset));
}

/// Offsets from `now` on: (first second, offset).
fn zone(now: i64, offset: impl Fn(i64) -> i32) -> Box<[(i64, i32)]> {
    let mut found = vec![(i64::MIN, offset(now))];
    for day in (STEP..AHEAD).step_by(STEP as usize) {
        let (mut before, mut after) = (now + (day - STEP) * DAY, now + day * DAY);
        let (old, new) = (found[found.len() - 1].1, offset(after));
        if new == old {
            continue;
        }
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if offset(middle) == old { before = middle } else { after = middle }
        }
        found.push((after, new));
    }
    found.into()
}

/// Seconds that local time is ahead of UTC at that moment.
pub fn utc_offset(epoch_seconds: i64) -> i32 {
    match ZONE.get() {
        Some(zone) => {
            zone.iter().rev().find(|(from, _)| *from <= epoch_seconds).map_or(0, |(_, offset)| *offset)
        }
        None => system_offset(epoch_seconds),
    }
}

/// The C library's answer.
fn system_offset(epoch_seconds: i64) -> i32 {
    let time: libc::time_t = epoch_seconds;
    // SAFETY: `tm` is plain data for which all-zero is a valid value.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live local values; localtime_r keeps no reference to them.
    let filled = unsafe { libc::localtime_r(&time, &mut local) };
    if filled.is_null() { 0 } else { local.tm_gmtoff as i32 }
}

/// The kernel's id of the calling thread.
pub fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get() as u32
}

/// A moment of the monotonic clock, as one word: where every request asks, the differences of `std`'s pairs are felt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// This one.
    #[inline]
    pub fn now() -> Self {
        Self(monotonic_nanos())
    }

    /// Nanoseconds of the monotonic clock.
    #[inline]
    pub fn nanos(self) -> u64 {
        self.0
    }

    /// Nanoseconds since an earlier moment; 0 when that was later.
    #[inline]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Nanoseconds that have passed since.
    #[inline]
    pub fn elapsed(self) -> u64 {
        Self::now().since(self)
    }
}

/// The wall clock derived from the monotonic clock, for a thread that needs both all the time. A change of the wall clock is
/// noticed within [`WallClock::LOOK`].
#[derive(Debug, Default)]
pub struct WallClock {
    /// Nanoseconds of the monotonic clock at the last look; 0: never.
    looked: u64,
    /// Nanoseconds that it lacks to be the time since the epoch.
    ahead: u64,
}

impl WallClock {
    /// Nanoseconds between two looks.
    const LOOK: u64 = 10_000_000;

    /// Seconds since the epoch at a moment that is now or was just now.
    pub fn seconds(&mut self, at: Moment) -> f64 {
        if self.looked == 0 || at.0.saturating_sub(self.looked) > Self::LOOK {
            self.looked = at.0;
            self.ahead = (epoch_micros() * 1000).saturating_sub(monotonic_nanos());
        }
        (self.ahead + at.0) as f64 / 1e9
    }
}

/// Nanoseconds of the monotonic clock.
pub fn monotonic_nanos() -> u64 {
    nanos(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic))
}

/// Nanoseconds of CPU time that the calling thread has used.
pub fn thread_cpu_nanos() -> u64 {
    nanos(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime))
}

fn nanos(time: rustix::time::Timespec) -> u64 {
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: an application that sets TZ and calls tzset() moved the time stamps of its process's log lines.
    #[test]
    fn a_kept_zone_has_its_summer_times() {
        // A zone with an hour more in the second half of each year of 360 days.
        let half = |at: i64| if (at / (180 * DAY)) % 2 == 0 { 3600 } else { 7200 };
        let now = 1_000_000_000;
        let kept = zone(now, half);
        assert!(kept.len() > 15, "{}", kept.len());
        let of = |at: i64| kept.iter().rev().find(|(from, _)| *from <= at).unwrap().1;
        for day in 0..3000 {
            let at = now + day * DAY + day;
            assert_eq!(of(at), half(at), "day {day}");
        }
        let change = (now / (180 * DAY) + 1) * 180 * DAY;
        assert_eq!((of(change - 1), of(change)), (half(change - 1), half(change)));
        assert_eq!(zone(now, |_| 19_800).len(), 1);
    }
}
