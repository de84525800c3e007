//! Timers that count a thread's CPU time: each time a thread has used so much, it gets a signal. Callers decide what the handler does.

use std::io;
use std::sync::OnceLock;

/// A handler, as the kernel calls it.
pub type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// A timer on the CPU clock of one thread of this process. It ends when it is dropped; a signal that is under way comes nevertheless.
#[derive(Debug)]
pub struct CpuTimer {
    id: libc::timer_t,
}

// SAFETY: an identifier that the kernel knows for the whole process; any thread may use it.
unsafe impl Send for CpuTimer {}

/// Takes a real-time signal that nobody uses for this handler, once per process: later calls give the same number, and the handler of
/// the first one. System calls of the application are restarted, not interrupted.
///
/// The handler is called on any thread at any instruction, so it may do only what a signal handler may do.
pub fn take_signal(handler: Handler) -> Result<i32, String> {
    static SIGNAL: OnceLock<Result<i32, String>> = OnceLock::new();
    SIGNAL.get_or_init(|| install(handler)).clone()
}

fn install(handler: Handler) -> Result<i32, String> {
    // From the highest on: programs that use some begin with the lowest.
    for signal in (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev() {
        // SAFETY: `sigaction` is plain data for which all-zero is a valid value.
        let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: the present action is written into a live local value; none is set.
        let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &mut before) };
        if asked != 0 || before.sa_sigaction != libc::SIG_DFL {
            continue;
        }
        // SAFETY: as above.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        // SAFETY: the action is a live local value; its handler has the signature that SA_SIGINFO asks for, and stays loaded.
        if unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) } == 0 {
            return Ok(signal);
        }
    }
    Err("every real-time signal of this process has a handler".to_owned())
}

/// The number that came with the timer whose signal this is; `None`: the signal came from elsewhere.
pub fn value(info: &libc::siginfo_t) -> Option<usize> {
    // SAFETY: a timer's record has a value.
    (info.si_code == libc::SI_TIMER).then(|| unsafe { info.si_value() }.sival_ptr as usize)
}

impl CpuTimer {
    /// Sends `signal` with `value` to the thread of this process with the kernel's id `thread`, each time it has used `every`
    /// nanoseconds of CPU time, for the first time after `first`.
    pub fn start(thread: u32, signal: i32, value: usize, first: u64, every: u64) -> io::Result<Self> {
        // SAFETY: `sigevent` is plain data for which all-zero is a valid value.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        event.sigev_notify_thread_id = thread.cast_signed();
        event.sigev_value = libc::sigval { sival_ptr: value as *mut libc::c_void };
        let mut id: libc::timer_t = std::ptr::null_mut();
        // SAFETY: both are live local values; a clock of a thread that is gone is refused.
        if unsafe { libc::timer_create(clock_of(thread), &mut event, &mut id) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let timer = Self { id };
        timer.set(first, every)?;
        Ok(timer)
    }

    /// Sets when it comes next, in nanoseconds of CPU time from now on, and then again and again.
    pub fn set(&self, first: u64, every: u64) -> io::Result<()> {
        let time = |nanos: u64| libc::timespec {
            tv_sec: (nanos / 1_000_000_000).cast_signed(),
            tv_nsec: (nanos % 1_000_000_000).cast_signed(),
        };
        let setting = libc::itimerspec { it_interval: time(every), it_value: time(first.max(1)) };
        // SAFETY: a timer that lives as long as this value; the setting is a live local value, the old one is not asked for.
        match unsafe { libc::timer_settime(self.id, 0, &setting, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for CpuTimer {
    fn drop(&mut self) {
        // SAFETY: a timer of this value, which is not used any more.
        let _ = unsafe { libc::timer_delete(self.id) };
    }
}

/// Nanoseconds of CPU time that a thread of this process has used; `None`: there is no such thread.
pub fn cpu_nanos(thread: u32) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a live local value is written; an unknown clock is refused.
    let read = unsafe { libc::clock_gettime(clock_of(thread), &mut time) } == 0;
    read.then(|| time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned())
}

/// The CPU clock of a thread, as `pthread_getcpuclockid` makes it: the id's complement, and what kind of clock it is.
fn clock_of(thread: u32) -> libc::clockid_t {
    const OF_A_THREAD: i32 = 4;
    const TIME_ON_CPU: i32 = 2;
    (!thread.cast_signed() << 3) | OF_A_THREAD | TIME_ON_CPU
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static CAME: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

    extern "C" fn count(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: the kernel gives a handler with SA_SIGINFO a valid record.
        let info = unsafe { info.as_ref() };
        if let Some(came) = info.and_then(value).and_then(|value| CAME.get(value)) {
            came.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn use_cpu(nanos: u64) {
        let end = crate::clock::thread_cpu_nanos() + nanos;
        while crate::clock::thread_cpu_nanos() < end {}
    }

    #[test]
    fn only_a_thread_that_uses_its_cpu_gets_the_signal() {
        let signal = take_signal(count).unwrap();
        assert_eq!(take_signal(count).unwrap(), signal);
        let me = crate::clock::thread_id();
        let (tell, told) = std::sync::mpsc::channel();
        let (over, wait) = std::sync::mpsc::channel::<()>();
        let idle = std::thread::spawn(move || {
            tell.send(crate::clock::thread_id()).unwrap();
            let _ = wait.recv();
        });
        let idle_id = told.recv().unwrap();
        let timers = [(me, 0), (idle_id, 1)]
            .map(|(thread, value)| CpuTimer::start(thread, signal, value, 1_000_000, 5_000_000).unwrap());
        let before = cpu_nanos(me).unwrap();
        use_cpu(300_000_000);
        let used = cpu_nanos(me).unwrap() - before;
        let came = CAME[0].load(Ordering::Relaxed) as u64;
        // The kernel looks at each of its own ticks, which may be 10 ms long.
        assert!((used / 20_000_000..=used / 5_000_000 + 2).contains(&came), "{came} in {used} ns");
        assert_eq!(CAME[1].load(Ordering::Relaxed), 0);
        drop(timers);
        let came = CAME[0].load(Ordering::Relaxed);
        use_cpu(50_000_000);
        assert_eq!(CAME[0].load(Ordering::Relaxed), came);
        drop(over);
        idle.join().unwrap();
        // A signal that anybody sends means nothing.
        // SAFETY: sends a signal that has a handler to the calling thread.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
        assert_eq!(CAME[0].load(Ordering::Relaxed), came);
        assert_eq!(cpu_nanos(u32::MAX >> 4), None);
    }
}
