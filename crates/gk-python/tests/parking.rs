//! Waits for locks where there is no GIL are told apart: programs whose answer is known, on a real free-threaded CPython. Each test starts
//! Python anew, so each needs a process of its own (nextest). Elsewhere there is nothing to test.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gk_python::gil::parking::{self, Parked, Parkings};
use gk_python::gil::{self, Exactness, ThreadWatch};
use gk_python::{Attached, Interpreter, ThreadStates, entry, version};
use gk_sys::clock::{Moment, thread_cpu_nanos};
use std::sync::{Arc, Barrier};
use std::thread::Builder;

const PROGRAM: &std::ffi::CStr = c"
import _thread, gc, time
shared, block = [], (None,) * 20_000
def append(seconds):
    end = time.monotonic() + seconds
    add, extend = shared.append, shared.extend
    while time.monotonic() < end:
        for _ in range(200):
            add(None)
        extend(block)
        if len(shared) > 1_000_000:
            shared.clear()
meets = {}
def count(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number in range(200):
            meets[number] = number
much = []
def collect(seconds):
    much.extend([[] for _ in range(100_000)])
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        gc.collect()
def compute(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(200):
            pass
lock = _thread.allocate_lock()
rounds, asks, waiter, told = [0], [0], [], [0.0]
def blocked():
    with open('/proc/thread-self/schedstat') as file:
        runnable = int(file.read().split()[1]) / 1e9
    return time.monotonic() - time.thread_time() - runnable
def sleeps(thread):
    with open(f'/proc/self/task/{thread}/stat') as file:
        return file.read().rpartition(')')[2].split()[0] == 'S'
def hold(seconds):
    while not waiter:
        time.sleep(0.001)
    end = time.monotonic() + seconds
    while rounds[0] < 5 or time.monotonic() < end:
        with lock:
            rounds[0] += 1
            while asks[0] != rounds[0] or not sleeps(waiter[0]):
                time.sleep(0.001)
            time.sleep(0.01)
    rounds[0] = -1
def want(seconds):
    waiter.append(_thread.get_native_id())
    seen = 0
    while seen >= 0:
        before = blocked()
        asks[0] = seen
        if seen:
            with lock:
                pass
            told[0] += blocked() - before
        while rounds[0] == seen:
            time.sleep(0.001)
        seen = rounds[0]
";

/// What a thread did: nanoseconds of its waits by kind, and of its time neither on CPU nor on the run queue.
#[derive(Debug, Clone, Copy)]
struct Did {
    parked: Parkings,
    blocked: u64,
    wall: u64,
}

impl Did {
    fn of(&self, kind: Parked) -> f64 {
        self.parked[kind as usize] as f64 / 1e9
    }

    fn sum(&self) -> f64 {
        self.parked.iter().sum::<u64>() as f64 / 1e9
    }
}

/// Nanoseconds of the calling thread that are neither CPU time nor on the run queue, from its beginning on.
struct Blocked {
    watch: ThreadWatch,
    cpu: u64,
    delay: u64,
    begun: Moment,
}

impl Blocked {
    fn from_now() -> Self {
        let watch = ThreadWatch::new();
        let delay = watch.run_delay().unwrap_or(0);
        Self { watch, cpu: thread_cpu_nanos(), delay, begun: Moment::now() }
    }

    /// These, and all that passed.
    fn until_now(&self) -> (u64, u64) {
        let wall = self.begun.elapsed();
        let ran = thread_cpu_nanos() - self.cpu + self.watch.run_delay().unwrap_or(0) - self.delay;
        (wall.saturating_sub(ran), wall)
    }
}

/// What threads did, and how long one without Python that computed beside them was blocked: the machine under this one took that time.
struct Run {
    did: Vec<Did>,
    taken: f64,
    /// Seconds that the program says it was blocked for `lock`.
    told: f64,
}

/// Runs these functions side by side, each in a watched thread.
fn run(py: Attached<'_>, functions: &[&'static str], seconds: f64) -> Run {
    assert_eq!(gil::measure(py), Exactness::NoGil);
    parking::establish(py).unwrap();
    let namespace = Arc::new(py.run(PROGRAM, c"<program>", &[]).unwrap().keep());
    let main = Interpreter::main(py);
    let together = Arc::new(Barrier::new(functions.len() + 1));
    let threads: Vec<_> = functions
        .iter()
        .map(|&function| {
            let (main, namespace, together) = (main.clone(), Arc::clone(&namespace), Arc::clone(&together));
            let run = move |states: &mut ThreadStates| {
                let clock = Blocked::from_now();
                together.wait();
                states.attach(&main, |py| {
                    let function = namespace.bind(py).item(&py.str(function).unwrap()).unwrap();
                    let (parked, begun) = (parking::parkings(), clock.until_now());
                    function.call(&[&py.float(seconds).unwrap()]).unwrap();
                    let (ended, now) = (clock.until_now(), parking::parkings());
                    let parked = std::array::from_fn(|kind| now[kind] - parked[kind]);
                    Did { parked, blocked: ended.0.saturating_sub(begun.0), wall: ended.1 - begun.1 }
                })
            };
            ThreadStates::spawn(Builder::new(), run).unwrap()
        })
        .collect();
    let (did, taken) = py.detach(|| {
        together.wait();
        let clock = Blocked::from_now();
        while clock.begun.elapsed() < (seconds * 1e9) as u64 {
            std::hint::spin_loop();
        }
        let taken = clock.until_now().0 as f64 / 1e9;
        (threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>(), taken)
    });
    let told = namespace.bind(py).item(&py.str("told").unwrap()).unwrap();
    let told = told.item(&py.int(0).unwrap()).unwrap().to_f64().unwrap();
    for (function, did) in functions.iter().zip(&did) {
        println!("{function}: {did:?}");
    }
    println!("taken: {taken:.4} s, told: {told:.4} s");
    Run { did, taken, told }
}

/// Within a tenth of what is known, and what the machine under this one takes from computing threads.
fn all_are(run: &Run, did: &[Did], kind: Parked) {
    let of: f64 = did.iter().map(|did| did.of(kind)).sum();
    let sum: f64 = did.iter().map(Did::sum).sum();
    let blocked: f64 = did.iter().map(|did| did.blocked as f64 / 1e9).sum();
    let slack = 0.1 * blocked + did.len() as f64 * (2.0 * run.taken + 0.002);
    println!("{kind:?}: {of:.4} s of {sum:.4} s, blocked for {blocked:.4} s, slack {slack:.4} s");
    assert!((of - blocked).abs() <= slack && sum - of <= slack, "{did:?}");
}

#[test]
fn threads_that_append_to_one_list_wait_for_its_lock() {
    if version::FREE_THREADED_BUILD {
        entry::embed(|py| {
            let run = run(py, &["append"; 4], 1.0);
            all_are(&run, &run.did, Parked::List);
        });
    }
}

#[test]
fn threads_that_write_to_one_dict_wait_for_its_lock() {
    if version::FREE_THREADED_BUILD {
        entry::embed(|py| {
            let run = run(py, &["count"; 4], 1.0);
            all_are(&run, &run.did, Parked::Dict);
        });
    }
}

#[test]
fn collections_pause_all_threads() {
    if version::FREE_THREADED_BUILD {
        entry::embed(|py| {
            let run = run(py, &["collect", "compute", "compute"], 1.0);
            all_are(&run, &run.did[1..], Parked::World);
            // One that stands on the run queue meanwhile does not notice a pause.
            assert!(run.did.iter().map(|did| did.of(Parked::World)).sum::<f64>() > 0.005, "{:?}", run.did);
            let collects = &run.did[0];
            assert!(
                collects.sum() - collects.of(Parked::World) <= 0.1 * collects.sum() + 0.002,
                "{collects:?}"
            );
        });
    }
}

#[test]
fn a_lock_that_another_thread_holds_is_waited_for() {
    if version::FREE_THREADED_BUILD {
        entry::embed(|py| {
            let run = run(py, &["hold", "want"], 1.0);
            // It sleeps beside, too, which is blocked and no lock.
            let (lock, sum) = (run.did[1].of(Parked::Lock), run.did[1].sum());
            assert!(run.told >= 0.05 && (lock - run.told).abs() <= 0.1 * run.told, "{lock} {}", run.told);
            assert!(sum - lock <= 0.1 * lock, "{:?}", run.did);
            assert!(run.did[0].sum() <= 0.1 * lock, "{:?}", run.did);
        });
    }
}

#[test]
fn independent_threads_wait_for_nothing() {
    if version::FREE_THREADED_BUILD {
        entry::embed(|py| {
            let run = run(py, &["compute"; 3], 0.5);
            assert!(run.did.iter().map(Did::sum).sum::<f64>() < 0.005, "{:?}", run.did);
            assert!(run.did.iter().all(|did| did.wall >= 500_000_000));
        });
    }
}

#[test]
fn a_python_with_a_gil_has_none_of_this() {
    if !version::FREE_THREADED_BUILD {
        entry::embed(|py| assert!(parking::establish(py).unwrap_err().contains("GIL")));
    }
}
