//! Forks of this process that run on without exec, as applications make them: `os.fork`, `multiprocessing`, `pty.fork`.
//!
//! Such a child has one thread and a copy of everything else: the descriptors and the shared memory of the server, and locks
//! as other threads held them. It must use none of that. The handler of [`watch`] runs in the child before any other code: it
//! sets the word behind [`is_child`], and puts something empty in the place of everything that is [`Withheld`], so that the
//! parent's peers see its end although the child lives, and a child that slips through writes to nobody. The callers ask
//! [`is_child`] and decide the rest.
//!
//! `vfork` and `posix_spawn`, by which programs are started, run no handler, and their children share this memory.

use rustix::process::{Resource, getrlimit};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

/// Descriptors that can be withheld at a time: the control socket's, and those of a link and its successor.
const DESCRIPTORS: usize = 16;
/// Mappings that can be withheld at a time: the scoreboard, the page of a link and of its successor.
const MAPPINGS: usize = 8;
/// A descriptor's place that is free.
const FREE: RawFd = -1;
/// A mapping's place that is taken and not filled yet. No mapping begins here.
const TAKEN: usize = 1;

/// First number of [`withheld`], or an eighth of the limit of open files if that is less.
const HIGH: u64 = 8192;
/// Numbers that are left to the application, or half of the limit if that is less.
const LEAST: u64 = 64;

static FIRST_HIGH: OnceLock<RawFd> = OnceLock::new();
/// Children close this and all above; 0: nothing.
static CLOSED_FROM: AtomicI32 = AtomicI32::new(0);
static CHILD: AtomicBool = AtomicBool::new(false);
static OPEN: [AtomicI32; DESCRIPTORS] = [const { AtomicI32::new(FREE) }; DESCRIPTORS];
static MAPPED: [Mapping; MAPPINGS] =
    [const { Mapping { start: AtomicUsize::new(0), len: AtomicUsize::new(0) } }; MAPPINGS];

/// A mapping; `start` is 0 where the place is free.
struct Mapping {
    start: AtomicUsize,
    len: AtomicUsize,
}

/// Watches the forks of this process from now on. Once is enough.
pub fn watch() -> io::Result<()> {
    static CODE: OnceLock<i32> = OnceLock::new();
    // SAFETY: the handler makes async-signal-safe calls only, and this library is never unloaded.
    let code = *CODE.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(begin_child)) });
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

/// Whether this process is a fork of the one that called [`watch`], or a fork of such a fork. One relaxed load.
#[inline]
pub fn is_child() -> bool {
    CHILD.load(Ordering::Relaxed)
}

/// A second descriptor for the same thing, under a high number, which forked children do not get: they close all of these at once, before any other
/// code runs. It is also out of the way of applications, which use low numbers: `select` can name no others. Fails when no high number is left.
pub fn withheld(descriptor: impl AsFd) -> io::Result<OwnedFd> {
    let first = *FIRST_HIGH.get_or_init(|| {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        first_high(limit) as RawFd
    });
    let high = rustix::io::fcntl_dupfd_cloexec(descriptor, first)?;
    CLOSED_FROM.store(first, Ordering::Release);
    Ok(high)
}

/// Calls a function whose descriptors get high numbers, too: all low ones are taken meanwhile.
pub fn withholding<T>(make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let low = File::open("/dev/null")?;
    let first = withheld(&low)?.as_raw_fd();
    let mut taken = Vec::new();
    loop {
        let next = rustix::io::fcntl_dupfd_cloexec(&low, 0)?;
        if next.as_raw_fd() >= first {
            break;
        }
        taken.push(next);
    }
    make()
}

/// The first of these numbers under a limit of open files. An application needs some below.
fn first_high(limit: u64) -> u64 {
    (limit / 8).max(LEAST.min(limit / 2)).min(HIGH)
}

/// Moves a descriptor there. Where no high number is left it stays what it is.
pub fn withhold(descriptor: OwnedFd) -> OwnedFd {
    withheld(&descriptor).unwrap_or(descriptor)
}

/// While it lives, forked children do not get this. Drop it before the thing itself: a number or an address that is used
/// again would be taken from a child that has a right to it. Where all places are taken nothing is withheld.
#[derive(Debug)]
pub struct Withheld(Place);

#[derive(Debug)]
enum Place {
    None,
    Descriptor(usize),
    Mapping(usize),
}

impl Withheld {
    /// A descriptor: children have `/dev/null` under its number, so that nothing else gets the number.
    pub fn descriptor(descriptor: impl AsFd) -> Self {
        let number = descriptor.as_fd().as_raw_fd();
        let take = |place: &AtomicI32| {
            place.compare_exchange(FREE, number, Ordering::Release, Ordering::Relaxed).is_ok()
        };
        Self(OPEN.iter().position(take).map_or(Place::None, Place::Descriptor))
    }

    /// Mapped memory: children have zeros of their own there.
    pub(crate) fn mapping(start: *const c_void, len: usize) -> Self {
        let take = |place: &Mapping| {
            place.start.compare_exchange(0, TAKEN, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        let Some(at) = MAPPED.iter().position(take) else { return Self(Place::None) };
        MAPPED[at].len.store(len, Ordering::Relaxed);
        MAPPED[at].start.store(start as usize, Ordering::Release);
        Self(Place::Mapping(at))
    }
}

impl Drop for Withheld {
    fn drop(&mut self) {
        match self.0 {
            Place::None => {}
            Place::Descriptor(at) => OPEN[at].store(FREE, Ordering::Release),
            Place::Mapping(at) => MAPPED[at].start.store(0, Ordering::Release),
        }
    }
}

/// Runs in the child, inside `fork`. Each place is emptied as it is seen to: a fork of the child must find nothing, since the
/// child may use the numbers for descriptors of its own.
extern "C" fn begin_child() {
    // SAFETY: errno's address is valid for as long as the thread lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the address is valid and belongs to this thread.
    let before = unsafe { *errno };
    CHILD.store(true, Ordering::Relaxed);
    let first = CLOSED_FROM.swap(0, Ordering::Acquire);
    if first > 0 {
        // SAFETY: numbers only. What is open there is the server's, whose code does not run in the child. Without the call, which is older than
        // the systems that this runs on, the child keeps them.
        let _ = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    }
    // SAFETY: a terminated literal.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    for place in &OPEN {
        let number = place.swap(FREE, Ordering::Acquire);
        if number == FREE {
            continue;
        }
        if null >= 0 {
            // SAFETY: numbers only. The descriptor under `number` is the server's, whose code does not run in the child.
            let _ = unsafe { libc::dup3(null, number, libc::O_CLOEXEC) };
        } else {
            // SAFETY: as above.
            let _ = unsafe { libc::close(number) };
        }
    }
    if null >= 0 {
        // SAFETY: opened above, by nobody else used.
        let _ = unsafe { libc::close(null) };
    }
    for place in &MAPPED {
        let start = place.start.swap(0, Ordering::Acquire);
        if start <= TAKEN {
            continue;
        }
        let len = place.len.load(Ordering::Relaxed);
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
        // SAFETY: exactly a mapping of the server, which lives (its `Withheld` does) and stays mapped.
        let _ = unsafe { libc::mmap(start as *mut c_void, len, protection, flags, -1, 0) };
    }
    // SAFETY: the address is valid and belongs to this thread.
    unsafe { *errno = before };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::{receive, send, stream_pair};
    use crate::memory::SharedWords;
    use crate::own_process::exit_now;

    /// Reported: a child that an application forked in a request went on as a second server on its parent's rings, and the
    /// front did not see the end of a worker whose child lived.
    #[test]
    fn a_child_has_neither_the_memory_nor_the_sockets_of_its_parent() {
        watch().unwrap();
        watch().unwrap();
        let file = SharedWords::create("test", 8).unwrap();
        let words = SharedWords::map(&file).unwrap();
        let (ours, peer) = stream_pair().unwrap();
        let (told, tell) = stream_pair().unwrap();
        let withheld = [words.withhold(), Withheld::descriptor(&ours)];
        words[0].store(1, Ordering::Relaxed);
        // SAFETY: the child makes async-signal-safe calls only.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            words[0].store(2, Ordering::Relaxed);
            let mut byte = [0; 1];
            // The other end is gone when the parent's copy of it is: the child's own is closed here.
            drop(tell);
            let waited = receive(&told, &mut byte, true).is_ok();
            let sent = send(&ours, b"x", &[]).is_ok();
            exit_now(i32::from(is_child() && waited && !sent) + 40);
        }
        assert!(!is_child());
        drop((withheld, ours));
        // The child lives: it waits for `tell`.
        assert_eq!(receive(&peer, &mut [0; 1], true).unwrap().bytes, 0);
        drop(tell);
        let mut status = 0;
        // SAFETY: waits for our own child; the status is a live local value.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!((libc::WEXITSTATUS(status), words[0].load(Ordering::Relaxed)), (41, 1));
    }

    #[test]
    fn an_application_has_low_numbers_under_any_limit() {
        let first = [64, 128, 256, 1024, 4096, 65_536, 1 << 20, u64::MAX].map(first_high);
        assert_eq!(first, [32, 64, 64, 128, 512, 8192, 8192, 8192]);
    }

    #[test]
    fn a_child_has_no_descriptor_that_is_withheld_by_its_number() {
        watch().unwrap();
        let (ours, peer) = stream_pair().unwrap();
        let (told, tell) = stream_pair().unwrap();
        let high = withhold(ours);
        let another = withholding(|| File::open("/dev/null").map(OwnedFd::from)).unwrap();
        assert!(another.as_raw_fd() >= FIRST_HIGH.get().copied().unwrap());
        assert!(File::open("/dev/null").unwrap().as_raw_fd() < FIRST_HIGH.get().copied().unwrap());
        assert!(high.as_raw_fd() >= FIRST_HIGH.get().copied().unwrap() && high.as_raw_fd() > 64);
        // SAFETY: the child makes async-signal-safe calls only.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            drop(tell);
            let waited = receive(&told, &mut [0; 1], true).is_ok();
            exit_now(i32::from(waited) + 40);
        }
        drop(high);
        // The child lives, and does not hold it.
        assert_eq!(receive(&peer, &mut [0; 1], true).unwrap().bytes, 0);
        drop(tell);
        let mut status = 0;
        // SAFETY: waits for our own child; the status is a live local value.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(libc::WEXITSTATUS(status), 41);
    }

    #[test]
    fn a_childs_own_descriptors_are_left_to_its_children() {
        watch().unwrap();
        let (withheld_one, _peer) = stream_pair().unwrap();
        let number = withheld_one.as_raw_fd();
        let _withheld = Withheld::descriptor(&withheld_one);
        let (read, write) = stream_pair().unwrap();
        // SAFETY: the child makes async-signal-safe calls only.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            // SAFETY: numbers only: the child puts something of its own under the number that was withheld.
            let own = unsafe { libc::dup2(write.as_raw_fd(), number) };
            // SAFETY: as above.
            let grandchild = unsafe { libc::fork() };
            if grandchild == 0 {
                // SAFETY: one live byte.
                let wrote = unsafe { libc::write(own, [7u8].as_ptr().cast(), 1) };
                exit_now(i32::from(wrote != 1));
            }
            exit_now(0);
        }
        let mut byte = [0; 1];
        assert_eq!(receive(&read, &mut byte, true).unwrap().bytes, 1);
        assert_eq!(byte, [7]);
        let mut status = 0;
        // SAFETY: waits for our own child; the status is a live local value.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    }
}
