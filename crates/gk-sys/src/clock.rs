//! Wall clock, local offset, thread id. Values take time as an argument; processes ask here.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the epoch.
pub fn epoch_micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
}

/// Seconds since the epoch.
pub fn epoch_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Seconds that local time is ahead of UTC at that moment.
pub fn utc_offset(epoch_seconds: i64) -> i32 {
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
