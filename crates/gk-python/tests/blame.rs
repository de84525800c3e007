//! Waits are booked to lines: programs whose holders are known, on a real CPython. Each test starts Python anew, so each needs a
//! process of its own (nextest).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gk_python::gil::{self, Exactness, Held, Listener, Named, Place};
use gk_python::{Attached, Gil, Interpreter, ThreadStates, entry, interpreter, version};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Two functions that hold the GIL 3:1, by CPU time, so that other work of the machine changes nothing.
const PROGRAM: &std::ffi::CStr = c"
import array, threading, time
# Which of the two ran last, for the test to read at any time.
runs = array.array('Q', [0])
address = runs.buffer_info()[0]
def heavy(seconds, pause):
    runs[0] = 1
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(100):
            pass
    if pause: time.sleep(pause)
def light(seconds, pause):
    runs[0] = 2
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(100):
            pass
    if pause: time.sleep(pause)
def both(pause):
    # What lets go by itself holds on for so long that a late victim waits for nearly all of it.
    scale = 0.02 if pause else 0.002
    for _ in range(4):
        heavy(3 * scale, pause)
        light(scale, pause)
def in_a_thread(pause):
    thread = threading.Thread(target=both, args=(pause,))
    thread.start()
    thread.join()
";
/// Lines of the two pauses.
const PAUSES: [u32; 2] = [12, 19];

const VICTIM: u64 = 7;
const KEPT: usize = 1 << 15;
/// What the victim's waits were booked to: nanoseconds, whether there was a place, the place.
static HELD: [[AtomicU64; 2 + Place::WORDS]; KEPT] =
    [const { [const { AtomicU64::new(0) }; 2 + Place::WORDS] }; KEPT];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Address of the word that says which of the two runs, and the nanoseconds of waits that were seen to end while each did.
static RUNS: AtomicUsize = AtomicUsize::new(0);
static KNOWN: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

static BOOKS: Listener = Listener { culprit: |_| 0, waited: |_| (), held };

fn held(held: &Held) {
    if held.work != VICTIM {
        return;
    }
    let runs = RUNS.load(Ordering::Acquire) as *const u64;
    // SAFETY: null, or an array's content that lives until the interpreter ends.
    let which = unsafe { runs.as_ref() }.map_or(0, |which| *which);
    if held.place.is_some() {
        KNOWN[which as usize % 3].fetch_add(held.nanos, Ordering::Relaxed);
    }
    let Some(row) = HELD.get(COUNT.fetch_add(1, Ordering::Relaxed)) else { return };
    let place = held.place.map_or([0; Place::WORDS], Place::words);
    let words = [held.nanos, held.place.is_some().into()].into_iter().chain(place);
    row.iter().zip(words).for_each(|(to, word)| to.store(word, Ordering::Relaxed));
}

/// Nanoseconds by place; those that were unseen by the empty name.
fn booked(py: Attached<'_>) -> BTreeMap<(String, u32), u64> {
    let mut sums = BTreeMap::new();
    for row in HELD.iter().take(COUNT.load(Ordering::Relaxed)) {
        let [nanos, seen, place @ ..] = row.each_ref().map(|word| word.load(Ordering::Relaxed));
        let name = match Place::of_words(place) {
            _ if seen == 0 => Named::default(),
            // The code of a module ends with its import.
            place if place.is_python() => place.name(py).unwrap_or_else(gone),
            _ => Named { function: "no Python".to_owned(), ..Named::default() },
        };
        *sums.entry((name.function, name.line)).or_default() += nanos;
    }
    sums
}

fn gone() -> Named {
    Named { function: "gone".to_owned(), ..Named::default() }
}

/// Starts Python with its GIL on, also on a free-threaded build.
#[allow(clippy::disallowed_methods, reason = "CPython reads it in this process, which has one thread yet")]
fn with_gil<R>(f: impl for<'p> FnOnce(Attached<'p>) -> R + Send) -> R {
    if version::FREE_THREADED_BUILD {
        // SAFETY: this test process has one thread yet.
        unsafe { std::env::set_var("PYTHON_GIL", "1") };
    }
    entry::embed(f)
}

fn interval(py: Attached<'_>, seconds: f64) {
    let seconds = py.float(seconds).unwrap();
    py.import("sys").unwrap().call_method("setswitchinterval", &[&seconds]).unwrap();
}

/// Lets `function` hold the GIL until the victim, which wants it after short times that are never the same, was booked `enough` times.
fn contend(states: &mut ThreadStates, here: &Interpreter, function: &'static str, pause: f64, enough: usize) {
    let over = Arc::new(AtomicBool::new(false));
    let holder = {
        let (over, here) = (Arc::clone(&over), here.clone());
        let run = move |states: &mut ThreadStates| {
            states.attach(&here, |py| {
                let namespace = py.run(PROGRAM, c"<program>", &[]).unwrap();
                // What is gone when names are asked for has none.
                py.import("sys").unwrap().set_attr("program", &namespace).unwrap();
                let address = namespace.item(&py.str("address").unwrap()).unwrap();
                RUNS.store(address.index().unwrap() as usize, Ordering::Release);
                let both = namespace.item(&py.str(function).unwrap()).unwrap();
                while !over.load(Ordering::Relaxed) {
                    both.call(&[&py.float(pause).unwrap()]).unwrap();
                }
            });
        };
        ThreadStates::spawn(Builder::new(), run).unwrap()
    };
    gil::set_work(VICTIM);
    let end = Instant::now() + Duration::from_secs(60);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    while COUNT.load(Ordering::Relaxed) < enough && Instant::now() < end {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let micros = if pause > 0.0 { 50 } else { random % 1_500 };
        std::thread::sleep(Duration::from_micros(micros));
        states.attach(here, |_| ());
    }
    gil::set_work(0);
    over.store(true, Ordering::Relaxed);
    holder.join().unwrap();
}

/// Runs the program and checks that the two functions have their shares, and together nearly everything.
fn check(kind: Gil, function: &'static str, pause: f64) {
    with_gil(|py| {
        gil::install().unwrap();
        gil::listen(&BOOKS);
        let main = Interpreter::main(py);
        assert_eq!(gil::measure(py), Exactness::Exact);
        gil::note_places(py, (pause > 0.0).then_some(1_000_000)).unwrap();
        let seconds = if pause > 0.0 { 10.0 } else { 0.001 };
        interval(py, seconds);
        ThreadStates::lead(py, |states| {
            let own = (kind == Gil::Own).then(|| states.create(&main, Gil::Own).unwrap());
            if let Some(own) = &own {
                states.attach(own, |py| {
                    assert_eq!(gil::measure(py), Exactness::Exact);
                    interval(py, seconds);
                });
            }
            let here = own.as_ref().unwrap_or(&main);
            contend(states, here, function, pause, if pause > 0.0 { 160 } else { 2_500 });
            states.attach(here, |py| {
                let booked = booked(py);
                println!("{booked:?}");
                let of = |name: &str| -> u64 {
                    booked.iter().filter(|((function, _), _)| function == name).map(|(_, nanos)| nanos).sum()
                };
                let (heavy, light, all) = (of("heavy"), of("light"), booked.values().sum::<u64>());
                // On a busy machine a holder comes back from its pause before the victim is there: that is not seen.
                let seen = all - of("");
                let share = heavy as f64 / (heavy + light) as f64;
                // Known by what the program itself says, however busy the machine is; 0.75 where it is not.
                let [_, heavy_runs, light_runs] = KNOWN.each_ref().map(|word| word.load(Ordering::Relaxed));
                let known = heavy_runs as f64 / (heavy_runs + light_runs) as f64;
                println!(
                    "heavy: {share:.3}, known {known:.3}, of {:.3} of all",
                    (heavy + light) as f64 / all as f64
                );
                // What the program counts are runs; where other work stretches those of one function, its time keeps the ratio.
                let is = |wanted: f64| (share - wanted).abs() <= 0.05 * wanted;
                assert!(is(known) || is(0.75), "{share}, not {known}");
                assert!((0.4..0.95).contains(&share), "{share}");
                assert!((heavy + light) as f64 >= 0.8 * seen as f64, "{booked:?}");
                if pause > 0.0 {
                    // Each let go in its call of `sleep`.
                    let there = PAUSES.map(|line| {
                        booked.iter().filter(|((_, at), _)| *at == line).map(|(_, n)| n).sum::<u64>()
                    });
                    assert!(there.iter().sum::<u64>() as f64 >= 0.99 * (heavy + light) as f64, "{there:?}");
                }
            });
            if let Some(own) = own {
                states.end(&main, own).unwrap();
            }
        });
    });
}

#[test]
fn functions_that_are_made_to_let_go_have_their_shares() {
    check(Gil::Shared, "both", 0.0);
}

#[test]
fn functions_that_let_go_themselves_have_their_shares_and_lines() {
    check(Gil::Shared, "both", 0.001);
}

#[test]
fn functions_in_threads_of_the_application_have_their_shares() {
    // There a thread that waits for a lock takes and lets go of the GIL all the time: on a busy machine it holds it half of the time.
    if version::FREE_THREADED_BUILD {
        return;
    }
    check(Gil::Shared, "in_a_thread", 0.0);
}

#[test]
fn functions_under_a_gil_of_their_own_have_their_shares() {
    if interpreter::OWN_GIL {
        check(Gil::Own, "both", 0.0);
    }
}

/// A wait over the holds of two others is booked to both, although the thread that waits sees the end of the second alone. What is
/// booked to a function is never more than it held.
#[test]
fn a_wait_for_two_holders_is_booked_to_both() {
    const SOURCE: &std::ffi::CStr = c"
import time
def hold(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
held = [0.0, 0.0]
def first():
    begin = time.monotonic()
    hold(0.2)
    held[0] += time.monotonic() - begin
    time.sleep(0.001)
def second():
    begin = time.monotonic()
    hold(0.1)
    held[1] += time.monotonic() - begin
    time.sleep(0.001)
";
    with_gil(|py| {
        gil::listen(&BOOKS);
        assert_eq!(gil::measure(py), Exactness::Exact);
        gil::note_places(py, Some(1_000_000)).unwrap();
        interval(py, 10.0);
        let main = Interpreter::main(py);
        let namespace = py.run(SOURCE, c"<two>", &[]).unwrap().keep();
        let namespace = Arc::new(namespace);
        let run = |name: &'static str, work: u64| {
            let (main, namespace) = (main.clone(), Arc::clone(&namespace));
            let run = move |states: &mut ThreadStates| {
                gil::set_work(work);
                states.attach(&main, |py| {
                    if !name.is_empty() {
                        namespace.bind(py).item(&py.str(name).unwrap()).unwrap().call(&[]).unwrap();
                    }
                });
            };
            ThreadStates::spawn(Builder::new(), run).unwrap()
        };
        // The order in which two threads that wait get the GIL is the kernel's, so several times.
        for _ in 0..5 {
            py.detach(|| {
                let one = run("first", 1);
                std::thread::sleep(Duration::from_millis(20));
                let two = run("second", 1);
                std::thread::sleep(Duration::from_millis(20));
                let victim = run("", VICTIM);
                [one, two, victim].into_iter().for_each(|thread| thread.join().unwrap());
            });
        }
        let booked = booked(py);
        println!("{booked:?}");
        let of = |name: &str| -> f64 {
            let places = booked.iter().filter(|((function, _), _)| function == name);
            places.map(|(_, nanos)| *nanos as f64 / 1e9).sum()
        };
        let held = namespace.bind(py).item(&py.str("held").unwrap()).unwrap();
        let held = [0_i64, 1].map(|index| held.item(&py.int(index).unwrap()).unwrap().to_f64().unwrap());
        println!("known: {held:?}");
        // A holder may come back from its pause before anybody else is there: that is not seen.
        assert!(of("first") + of("second") > 0.05, "{booked:?}");
        for (name, held) in ["first", "second"].into_iter().zip(held) {
            assert!(of(name) <= 1.2 * held, "{name}: {booked:?}");
        }
    });
}

#[test]
fn what_is_gone_has_no_name() {
    with_gil(|py| {
        assert_eq!(gil::measure(py), Exactness::Exact);
        gil::note_places(py, None).unwrap();
        let none = Place::of_words([0x10, 0, 0x20, 0x30]);
        assert_eq!((none.is_python(), none.name(py)), (true, None));
        // Memory that holds something else.
        let other = [0_u64; 64];
        assert_eq!(Place::of_words([(&raw const other) as u64, 0, 0, 0]).name(py), None);
    });
}
