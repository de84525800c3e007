//! Profile of the request threads by CPU time: every 20 ms that a thread has used the processor it gets a signal, and notes in the handler
//! where it stands, with all callers. The handler runs on the thread itself, so the stack stands still; what is just being changed is
//! read through the kernel, which fails where there is nothing ([`place::walk`]). It allocates nothing, takes no lock, touches no Python
//! object and no thread-local variable: reaching one for the first time may allocate. So it works in every GIL mode, and where the thread has
//! let go of its GIL.
//!
//! While no profile runs there is no timer. A thread then pays for two stores when it attaches and detaches.

use super::holder::{self, Holder, THREADS};
use super::samples::{Facts, Ring, Sample};
use super::{blame, hook, offsets, place};
use crate::attached::Attached;
use gk_sys::clock;
use gk_sys::cpu_timer::{self, CpuTimer};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Nanoseconds of CPU time between two samples of a thread.
pub const EVERY: u64 = 20_000_000;

/// What a thread and its signal handler share. In a cache line of its own: it is written each time the thread attaches.
#[repr(align(64))]
struct Seat {
    /// The thread state that it is attached with; 0: none.
    state: AtomicUsize,
    /// The kernel's id of a thread that is profiled; 0: it is none.
    thread: AtomicU32,
    /// CPU time at its last sample.
    last: AtomicU64,
    /// Made for the first profile, and kept: a signal may be under way when a profile ends.
    ring: OnceLock<Ring>,
}

static SEATS: [Seat; THREADS] = [const {
    Seat {
        state: AtomicUsize::new(0),
        thread: AtomicU32::new(0),
        last: AtomicU64::new(0),
        ring: OnceLock::new(),
    }
}; THREADS];
/// A profile runs.
static RUNS: AtomicBool = AtomicBool::new(false);

fn own_seat() -> Option<&'static Seat> {
    SEATS.get(holder::own_number()).filter(|_| holder::own_number() != 0)
}

/// The calling thread is attached with this state; 0: no more.
#[inline]
pub(crate) fn attached_with(state: usize) {
    if let Some(seat) = own_seat() {
        seat.state.store(state, Ordering::Relaxed);
    }
}

/// The calling thread is profiled from now on whenever a profile runs, or no more.
pub(super) fn take_part(on: bool) {
    let seat = SEATS.get(holder::take_number()).filter(|_| holder::own_number() != 0);
    if let Some(seat) = seat {
        seat.thread.store(if on { clock::thread_id() } else { 0 }, Ordering::Release);
    }
}

/// Whether the calling thread takes part.
pub(super) fn takes_part() -> bool {
    own_seat().is_some_and(|seat| seat.thread.load(Ordering::Relaxed) != 0)
}

/// The thread state that the calling thread is attached with; 0: none.
pub(super) fn own_state() -> usize {
    own_seat().map_or(0, |seat| seat.state.load(Ordering::Relaxed))
}

/// A profile that runs. There is one at a time; it ends when it is dropped.
#[derive(Debug)]
pub struct Profile {
    signal: i32,
    every: u64,
    /// By thread: seat and kernel's id.
    timers: Vec<(usize, u32, CpuTimer)>,
    random: u64,
}

impl Profile {
    /// Begins one: a sample every `every` nanoseconds of CPU time. The sentence says why that is not possible. For a thread that is
    /// attached to an interpreter.
    pub fn start(py: Attached<'_>, every: u64) -> Result<Self, String> {
        // Python code runs in here, so it comes before the profile counts as running.
        blame::verified(py)?;
        let signal = cpu_timer::take_signal(sampled)?;
        if RUNS.swap(true, Ordering::AcqRel) {
            return Err("another profile runs".to_owned());
        }
        let mut profile = Self {
            signal,
            every: every.max(1_000_000),
            timers: Vec::new(),
            random: clock::monotonic_nanos() | 1,
        };
        match profile.arm() {
            // One that has ended meanwhile is no reason.
            Err(why) if profile.timers.is_empty() => Err(why),
            _ => Ok(profile),
        }
    }

    /// Gives what was sampled so far to `each`. Returns the nanoseconds that found no room. To be called a few times a second: what waits
    /// longer than some seconds is lost.
    pub fn take(&mut self, mut each: impl FnMut(Sample)) -> u64 {
        let mut lost = 0;
        for ring in SEATS.iter().filter_map(|seat| seat.ring.get()) {
            while let Some(sample) = ring.take() {
                each(sample);
            }
            lost += ring.take_lost();
        }
        // A new phase each time: a program that does the same again and again must not meet its samples at the same place.
        let (mut random, every) = (self.random, self.every);
        self.timers.retain(|(seat, thread, timer)| {
            random = next(random);
            serves(*seat, *thread) && timer.set(1 + random % every, every).is_ok()
        });
        self.random = random;
        let _ = self.arm();
        lost
    }

    /// Starts timers of threads that have none. The sentence is the last failure.
    fn arm(&mut self) -> Result<(), String> {
        let mut result = Ok(());
        for (index, seat) in SEATS.iter().enumerate() {
            let thread = seat.thread.load(Ordering::Acquire);
            if thread == 0 || self.timers.iter().any(|(known, ..)| *known == index) {
                continue;
            }
            let Some(used) = cpu_timer::cpu_nanos(thread) else { continue };
            seat.ring.get_or_init(Ring::new);
            seat.last.store(used, Ordering::Relaxed);
            self.random = next(self.random);
            match CpuTimer::start(thread, self.signal, index, 1 + self.random % self.every, self.every) {
                Ok(timer) => self.timers.push((index, thread, timer)),
                Err(why) => result = Err(format!("a thread's CPU time cannot be watched: {why}")),
            }
        }
        result
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.timers.clear();
        // What comes now is nobody's.
        for ring in SEATS.iter().filter_map(|seat| seat.ring.get()) {
            while ring.take().is_some() {}
        }
        RUNS.store(false, Ordering::Release);
    }
}

fn serves(seat: usize, thread: u32) -> bool {
    SEATS.get(seat).is_some_and(|seat| seat.thread.load(Ordering::Acquire) == thread)
}

/// Marsaglia's shifts.
fn next(mut random: u64) -> u64 {
    random ^= random << 13;
    random ^= random >> 7;
    random ^ random << 17
}

/// The handler.
extern "C" fn sampled(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: errno's address is valid for as long as the thread lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the address is valid and belongs to this thread.
    let before = unsafe { *errno };
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid record.
    if let Some(number) = unsafe { info.as_ref() }.and_then(cpu_timer::value) {
        sample(number);
    }
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// Notes where the calling thread, which has this seat, stands.
fn sample(number: usize) {
    let Some(seat) = SEATS.get(number) else { return };
    let (Some(ring), Some(at)) = (seat.ring.get(), offsets::found()) else { return };
    // The timer is for this thread; a profile that has ended wants nothing.
    if !RUNS.load(Ordering::Acquire) || seat.thread.load(Ordering::Relaxed) != clock::thread_id() {
        return;
    }
    let used = clock::thread_cpu_nanos();
    let nanos = used.saturating_sub(seat.last.swap(used, Ordering::Relaxed));
    let (work, collecting) = holder::work_of(number);
    let state = seat.state.load(Ordering::Relaxed);
    let facts =
        Facts { nanos, work, name: hook::named(Holder::Work(work)), collecting, attached: state != 0 };
    ring.write(&facts, |each| state == 0 || place::walk(state, at, each));
}
