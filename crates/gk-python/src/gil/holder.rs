//! Who holds a GIL: from the holder's `PyThreadState *` to what its thread works on. Threads of this server have an entry in
//! a fixed table; of any other thread the kernel's id is read out of its thread state. No lock, no allocation: all of it
//! is called while another thread's GIL mutex is held.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Entries of the table of thread states. More threads × interpreters than that are called unknown.
const STATES: usize = 4096;
/// How far from its place an entry may stand.
const PROBES: usize = 16;
/// Threads that can have work.
const THREADS: usize = 1024;
/// A state that was deleted.
const GONE: usize = 1;

/// Holder of the GIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// It cannot be told.
    Unknown,
    /// A thread of this server; what it last said by [`super::set_work`].
    Work(u64),
    /// Another thread of the process, by the kernel's id.
    Thread(u32),
}

struct Entry {
    state: AtomicUsize,
    thread: AtomicU32,
}

static TABLE: [Entry; STATES] =
    [const { Entry { state: AtomicUsize::new(0), thread: AtomicU32::new(0) } }; STATES];
/// The work of each thread; place 0 is nobody's.
static WORK: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];
static NEXT_THREAD: AtomicU32 = AtomicU32::new(1);
/// Bytes from the start of a thread state to the kernel's thread id; 0: not known.
static ID_OFFSET: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The calling thread's place in `WORK`, 0 before it has one.
    static THREAD: Cell<u32> = const { Cell::new(0) };
}

fn thread() -> u32 {
    THREAD.with(|thread| {
        if thread.get() == 0 {
            let new = NEXT_THREAD.fetch_add(1, Ordering::Relaxed);
            thread.set(if (new as usize) < THREADS { new } else { 0 });
        }
        thread.get()
    })
}

fn places(state: usize) -> impl Iterator<Item = &'static Entry> {
    // Thread states are far apart; the low bits say nothing.
    let first = (state >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (0..PROBES).map(move |step| &TABLE[(first.wrapping_add(step)) % STATES])
}

pub(super) fn adopt(state: usize) {
    let thread = thread();
    for entry in places(state) {
        let found = entry.state.load(Ordering::Relaxed);
        if found != 0 && found != GONE && found != state {
            continue;
        }
        if found != state
            && entry.state.compare_exchange(found, GONE, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            continue;
        }
        entry.thread.store(thread, Ordering::Relaxed);
        entry.state.store(state, Ordering::Release);
        return;
    }
}

pub(super) fn abandon(state: usize) {
    if let Some(entry) = places(state).find(|entry| entry.state.load(Ordering::Relaxed) == state) {
        entry.state.store(GONE, Ordering::Release);
    }
}

pub(super) fn set_work(work: u64) {
    if let Some(word) = WORK.get(thread() as usize) {
        word.store(work, Ordering::Relaxed);
    }
}

/// The work of the calling thread.
pub(super) fn own_work() -> u64 {
    let thread = THREAD.with(Cell::get);
    if thread == 0 { 0 } else { WORK[thread as usize % THREADS].load(Ordering::Relaxed) }
}

/// The thread that owns this thread state. The state may be gone: nothing is read through its address.
pub(super) fn of_state(state: usize) -> Holder {
    if state == 0 {
        return Holder::Unknown;
    }
    for entry in places(state) {
        let found = entry.state.load(Ordering::Acquire);
        if found == state {
            let thread = entry.thread.load(Ordering::Relaxed) as usize;
            return WORK.get(thread).map_or(Holder::Unknown, |w| Holder::Work(w.load(Ordering::Relaxed)));
        }
        if found == 0 {
            break;
        }
    }
    match (ID_OFFSET.load(Ordering::Relaxed), state) {
        (0, _) => Holder::Unknown,
        (offset, state) => read_word(state.wrapping_add(offset))
            .and_then(|id| u32::try_from(id).ok())
            .filter(|id| *id != 0)
            .map_or(Holder::Unknown, Holder::Thread),
    }
}

/// Finds where a thread state has the kernel's thread id: beside `pthread_self()` of the same thread. `state` is the calling
/// thread's own. Nothing is changed when it is not found, or found elsewhere before.
pub(super) fn find_id(state: usize) {
    // Both words stand in the first quarter of the structure in all versions (3.11: 352 bytes, later ones are longer).
    const WORDS: usize = 40;
    // SAFETY: no arguments.
    let own = unsafe { libc::pthread_self() } as usize;
    let id = gk_sys::clock::thread_id() as usize;
    for word in 1..WORDS {
        let (before, here) = (read_word(state + (word - 1) * 8), read_word(state + word * 8));
        if (before, here) == (Some(own), Some(id)) {
            ID_OFFSET.store(word * 8, Ordering::Relaxed);
            return;
        }
    }
}

/// A word of this process's memory, or `None` when nothing is mapped there. A freed thread state must not be fatal: CPython
/// keeps a pointer to the last holder after it was deleted.
pub(super) fn read_word(address: usize) -> Option<usize> {
    let mut word = 0usize;
    let local = libc::iovec { iov_base: (&raw mut word).cast(), iov_len: size_of::<usize>() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: size_of::<usize>() };
    // SAFETY: no arguments.
    let process = unsafe { libc::getpid() };
    // SAFETY: one live local word is written; the kernel checks the other address.
    let got = unsafe { libc::process_vm_readv(process, &local, 1, &remote, 1, 0) };
    (got == size_of::<usize>() as isize).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_found_by_their_threads_work() {
        let of_two_threads = [0x7f00_1000_usize, 0x7f00_2000];
        set_work(7);
        adopt(of_two_threads[0]);
        std::thread::spawn(move || {
            set_work(8);
            adopt(of_two_threads[1]);
        })
        .join()
        .unwrap();
        assert_eq!(of_state(of_two_threads[0]), Holder::Work(7));
        assert_eq!(of_state(of_two_threads[1]), Holder::Work(8));
        set_work(9);
        assert_eq!((of_state(of_two_threads[0]), own_work()), (Holder::Work(9), 9));
        abandon(of_two_threads[0]);
        assert_eq!(of_state(of_two_threads[0]), Holder::Unknown);
        assert_eq!(of_state(0), Holder::Unknown);
    }

    #[test]
    fn memory_is_read_only_where_there_is_some() {
        let word = 0x1234_usize;
        assert_eq!(read_word(&raw const word as usize), Some(0x1234));
        assert_eq!(read_word(16), None);
    }
}
