//! Who holds a GIL: from the holder's `PyThreadState *` to what its thread works on. Threads of this server have an entry in
//! a fixed table; of any other thread the kernel's id is read out of its thread state. No lock, no allocation: all of it
//! is called while another thread's GIL mutex is held.

use super::memory::{Access, read_word};
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Entries of the table of thread states. More threads × interpreters than that are called unknown.
const STATES: usize = 4096;
/// How far from its place an entry may stand.
const PROBES: usize = 16;
/// Threads that can have work.
pub(super) const THREADS: usize = 1024;
/// In the word of a thread's work: it collects garbage.
const COLLECTING: u64 = 1 << 63;
/// A state that was deleted.
const GONE: usize = 1;

/// Holder of the GIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// It cannot be told.
    Unknown,
    /// A thread of this server; what it last said by [`super::set_work`].
    Work(u64),
    /// A thread of this server that collects garbage.
    Collecting,
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

/// The calling thread's place in the table of works; 0 when it has none.
pub(super) fn own_number() -> usize {
    THREAD.with(Cell::get) as usize
}

/// The same; the thread gets one.
pub(super) fn take_number() -> usize {
    thread() as usize
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

/// Sets whether the calling thread, if it is one of this server's, collects garbage.
pub(super) fn set_collecting(on: bool) {
    let thread = THREAD.with(Cell::get) as usize;
    let Some(word) = WORK.get(thread).filter(|_| thread != 0) else { return };
    let work = word.load(Ordering::Relaxed) & !COLLECTING;
    word.store(if on { work | COLLECTING } else { work }, Ordering::Relaxed);
}

pub(super) fn set_work(work: u64) {
    if let Some(word) = WORK.get(thread() as usize) {
        word.store(work, Ordering::Relaxed);
    }
}

/// The work of the calling thread.
pub(super) fn own_work() -> u64 {
    let thread = THREAD.with(Cell::get);
    if thread == 0 { 0 } else { WORK[thread as usize % THREADS].load(Ordering::Relaxed) & !COLLECTING }
}

/// Work of the thread with that place in the table, and whether it collects garbage.
pub(super) fn work_of(number: usize) -> (u64, bool) {
    let work = WORK.get(number).map_or(0, |work| work.load(Ordering::Relaxed));
    (work & !COLLECTING, work & COLLECTING != 0)
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
            return match WORK.get(thread).map(|work| work.load(Ordering::Relaxed)) {
                None => Holder::Unknown,
                Some(work) if work & COLLECTING != 0 => Holder::Collecting,
                Some(work) => Holder::Work(work),
            };
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

/// How the memory of this thread state may be read by a thread that has its GIL. A state of this server's is deleted by its own
/// thread, which takes it out of the table before, with the GIL that it needs for both; of any other nothing is known.
pub(super) fn access(state: usize) -> Access {
    let known = places(state).any(|entry| entry.state.load(Ordering::Acquire) == state);
    if known && state > GONE { Access::Live } else { Access::Checked }
}

/// Whether the calling thread is one of this server's.
pub(super) fn is_own_thread() -> bool {
    THREAD.with(Cell::get) != 0
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
        set_collecting(true);
        assert_eq!((of_state(of_two_threads[0]), own_work()), (Holder::Collecting, 9));
        set_collecting(false);
        assert_eq!(of_state(of_two_threads[0]), Holder::Work(9));
        abandon(of_two_threads[0]);
        assert_eq!(of_state(of_two_threads[0]), Holder::Unknown);
        assert_eq!(of_state(0), Holder::Unknown);
        assert_eq!((access(0), access(GONE)), (Access::Checked, Access::Checked));
        assert_eq!((access(of_two_threads[0]), access(of_two_threads[1])), (Access::Checked, Access::Live));
    }
}
