//! A loom model of a ring and of an area: every interleaving of one writer and one reader that move bytes, sleep and wake each
//! other, with the product's own `handshake.rs` and `units.rs` over loom's atomics. Sleeping is without a time limit here, so that a lost wake-up is a
//! deadlock, which loom reports; a byte touched by both sides at once is reported too. `scripts/proofs` runs it.

#[path = "handshake.rs"]
mod handshake;
#[path = "units.rs"]
mod units;

mod atomics {
    pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
}

use handshake::{Handshake, Stretch};
use loom::cell::UnsafeCell;
use loom::sync::atomic::Ordering::Relaxed;
use loom::sync::{Arc, Condvar, Mutex};

const CAPACITY: usize = 2;

/// A ring in memory, with the socket and the futex on which its sides sleep.
struct Ring {
    written: atomics::AtomicU64,
    read: atomics::AtomicU64,
    asleep: atomics::AtomicU64,
    cramped: atomics::AtomicU32,
    bytes: [UnsafeCell<u8>; CAPACITY],
    /// Bells in the socket.
    bells: Mutex<u32>,
    bell: Condvar,
    /// The kernel's lock around the look at a futex' word.
    futex: Mutex<()>,
    woken: Condvar,
}

impl Ring {
    fn new() -> Self {
        Self {
            written: atomics::AtomicU64::new(0),
            read: atomics::AtomicU64::new(0),
            asleep: atomics::AtomicU64::new(0),
            cramped: atomics::AtomicU32::new(0),
            bytes: [UnsafeCell::new(0), UnsafeCell::new(0)],
            bells: Mutex::new(0),
            bell: Condvar::new(),
            futex: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    fn words(&self) -> Handshake<'_> {
        let Self { written, read, asleep, cramped, .. } = self;
        Handshake { written, read, asleep, cramped, capacity: CAPACITY as u64 }
    }

    /// As `Sender::send`: pushes all of it, waits for room where there is none.
    fn send(&self, bytes: std::ops::Range<u8>) {
        let words = self.words();
        for byte in bytes {
            while words.free().unwrap().len == 0 {
                while !words.has_space() {
                    self.futex_wait();
                }
            }
            let free = words.free().unwrap();
            let place = free.start as usize % CAPACITY;
            // SAFETY: a free byte is the writer's.
            self.bytes[place].with_mut(|at| unsafe { *at = byte });
            words.fill(free, 1);
            if words.takes_sleeper() {
                *self.bells.lock().unwrap() += 1;
                self.bell.notify_one();
            }
        }
    }

    /// As `Receiver::receive`: takes `count` bytes, sleeps where there are none.
    fn receive(&self, count: u8) -> Vec<u8> {
        let (words, mut got) = (self.words(), Vec::new());
        while got.len() < usize::from(count) {
            let Stretch { start, len } = words.filled().unwrap();
            if len == 0 {
                if words.may_sleep() {
                    let mut bells = self.bells.lock().unwrap();
                    while *bells == 0 {
                        bells = self.bell.wait(bells).unwrap();
                    }
                    *bells = 0;
                }
                words.awake();
                continue;
            }
            let place = start as usize % CAPACITY;
            // SAFETY: a filled byte is the reader's.
            got.push(self.bytes[place].with(|at| unsafe { *at }));
            if words.free_and_takes_waiter(Stretch { start, len }, 1) {
                let held = self.futex.lock().unwrap();
                drop(held);
                self.woken.notify_all();
            }
        }
        got
    }

    /// As the kernel: looks at the word and goes to sleep in one step, which `wake` does not come between.
    fn futex_wait(&self) {
        let held = self.futex.lock().unwrap();
        if self.cramped.load(Relaxed) == 1 {
            drop(self.woken.wait(held).unwrap());
        }
    }
}

fn all_arrive(count: u8) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let ring = Arc::new(Ring::new());
        let other = Arc::clone(&ring);
        let writer = loom::thread::spawn(move || other.send(0..count));
        assert_eq!(ring.receive(count), (0..count).collect::<Vec<u8>>());
        writer.join().unwrap();
    });
}

#[test]
fn a_reader_that_goes_to_sleep_is_woken() {
    all_arrive(2);
}

#[test]
fn a_writer_that_waits_for_room_is_woken() {
    all_arrive(4);
}

/// Two threads write blocks into an area of three units while a reader takes them and somebody wants to empty it: no unit has two
/// owners at once.
#[test]
fn a_unit_has_one_owner() {
    loom::model(|| {
        let area = Arc::new((atomics::AtomicU64::new(!0b111), [const { 0 }; 3].map(UnsafeCell::new)));
        let write = |value: u8, count| {
            let area = Arc::clone(&area);
            move || {
                let units = units::Units(&area.0);
                let bits = units.take(count)?;
                for at in (0..3).filter(|at| bits >> at & 1 == 1) {
                    // SAFETY: a unit that was taken is its taker's.
                    area.1[at].with_mut(|byte| unsafe { *byte = value });
                }
                Some((value, bits))
            }
        };
        let read = |(value, bits): (u8, u64)| {
            for at in (0..3).filter(|at| bits >> at & 1 == 1) {
                // SAFETY: a unit that was named by its writer is the reader's.
                assert_eq!(area.1[at].with(|byte| unsafe { *byte }), value);
            }
            units::Units(&area.0).give_back(bits);
        };
        let other = loom::thread::spawn(write(1, 2));
        let ours = write(2, 1);
        ours().into_iter().for_each(read);
        // Of one unit there is one free in any case.
        read(ours().unwrap());
        other.join().unwrap().into_iter().for_each(read);
    });
}
