//! The profile of threads by CPU time: programs whose split is known, on a real CPython. Each test starts Python anew, so each needs a
//! process of its own (nextest).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gk_python::gil::profile::Profile;
use gk_python::gil::{self, Named, Sample, ThreadWatch};
use gk_python::{Attached, Gil, Interpreter, ThreadStates, entry, interpreter};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::thread::Builder;
use std::time::Duration;

/// Nanoseconds of CPU time between two samples: more often than in a server, so that a test is short.
const EVERY: u64 = 4_000_000;

/// Two functions that use the CPU 3:1 by its own clock, so that other work of the machine changes nothing; each by way of a helper, in
/// pieces that are long beside the time between samples, which is 24 ms on a busy machine, and no multiples of it. `hashed`: in a
/// function of C that lets go of the GIL, imported there, as CPython 3.12 cannot end an interpreter with a GIL of its own that has it.
const PROGRAM: &std::ffi::CStr = c"
import time
some = bytes(1 << 20)
def use(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(100):
            pass
def hashed(seconds):
    import hashlib
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        hashlib.sha256(some).digest()
def heavy(by):
    by(0.3729)
def light(by):
    by(0.1243)
def both(by):
    for _ in range(4):
        heavy(by)
        light(by)
    time.sleep(0.2)
def used():
    both(use)
def hashing():
    hashed(0.4)
def deep(n):
    if n: return deep(n - 1)
    use(0.2)
def deeply():
    deep(60)
def beyond():
    deep(400)
";

/// Runs a function of the program in a profiled thread, attached to `here`, and gives what was sampled.
fn sampled(states: &mut ThreadStates, here: &Interpreter, function: &'static str) -> Vec<Vec<Named>> {
    let (samples, times) = sampled_with_times(states, here, function);
    assert_eq!(samples.len(), times.len());
    samples
}

fn sampled_with_times(
    states: &mut ThreadStates,
    here: &Interpreter,
    function: &'static str,
) -> (Vec<Vec<Named>>, Vec<Sample>) {
    let (tell, told) = channel();
    let (go, may_go) = channel::<()>();
    let inside = here.clone();
    let run = move |states: &mut ThreadStates| {
        let _watch = ThreadWatch::new();
        gil::set_work(7);
        states.attach(&inside, |py| {
            let namespace = py.run(PROGRAM, c"<program>", &[]).unwrap();
            // What is gone when names are asked for has none.
            py.import("sys").unwrap().set_attr("program", &namespace).unwrap();
            let function = namespace.item(&py.str(function).unwrap()).unwrap();
            let ready = tell.clone();
            py.detach(move || {
                ready.send(()).unwrap();
                may_go.recv().unwrap();
            });
            function.call(&[]).unwrap();
            tell.send(()).unwrap();
        });
        // CPU time of the server itself, outside of any interpreter.
        let end = gk_sys::clock::thread_cpu_nanos() + 60_000_000;
        while gk_sys::clock::thread_cpu_nanos() < end {}
    };
    let thread = ThreadStates::spawn(Builder::new(), run).unwrap();
    told.recv_timeout(Duration::from_secs(60)).unwrap();
    let mut profile = states.attach(here, |py| Profile::start(py, EVERY)).unwrap();
    go.send(()).unwrap();
    let mut samples = Vec::new();
    drain(&mut profile, &mut samples, &told);
    while !thread.is_finished() {
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(profile.take(|sample| samples.push(sample)), 0);
    }
    thread.join().unwrap();
    assert_eq!(profile.take(|sample| samples.push(sample)), 0);
    let named = states.attach(here, |py| samples.iter().map(|sample| names(py, sample)).collect());
    (named, samples)
}

/// Takes samples until the thread says that it has run.
fn drain(profile: &mut Profile, samples: &mut Vec<Sample>, told: &Receiver<()>) {
    while told.recv_timeout(Duration::from_millis(50)).is_err() {
        assert_eq!(profile.take(|sample| samples.push(sample)), 0, "nothing is lost");
    }
}

/// The stack in words, the outermost first.
fn names(py: Attached<'_>, sample: &Sample) -> Vec<Named> {
    let gone = || Named { function: "gone".to_owned(), ..Named::default() };
    let places = sample.places.iter().rev();
    places
        .map(|place| place.name(py).unwrap_or_else(gone))
        .filter(|named| named.function != "<interpreter trampoline>")
        .collect()
}

fn functions(stack: &[Named]) -> Vec<&str> {
    stack.iter().map(|named| named.function.as_str()).collect()
}

/// Runs the program and checks that the two functions have their shares, and all callers are there.
fn check(kind: Gil, function: &'static str) {
    entry::embed(|py| {
        gil::measure(py);
        let main = Interpreter::main(py);
        ThreadStates::lead(py, |states| {
            let own = (kind == Gil::Own).then(|| states.create(&main, Gil::Own).unwrap());
            let here = own.clone().unwrap_or_else(|| main.clone());
            let (stacks, samples) = sampled_with_times(states, &here, function);
            let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
            // Time that may belong to another function than its sample: that of the first sample of each, of those between which a whole
            // call has room, and of the end, which has no sample. On a busy machine the kernel takes some tens of samples in all.
            let (mut unsure, mut last) = (samples.iter().map(|sample| sample.nanos).max().unwrap(), "else");
            for (stack, sample) in stacks.iter().zip(&samples) {
                let names = functions(stack);
                let split = names.iter().find(|name| matches!(**name, "heavy" | "light")).copied();
                let key = split.unwrap_or(if sample.attached { "else" } else { "outside" });
                *sums.entry(key).or_default() += sample.nanos;
                if key != last || sample.nanos > 100_000_000 {
                    unsure += sample.nanos;
                }
                last = key;
                assert_eq!(sample.work, 7);
                if split.is_some() {
                    assert!(sample.whole, "{names:?}");
                    assert_eq!(names[..2], [function, "both"][..], "{names:?}");
                }
            }
            println!("{} samples: {sums:?}, {unsure} unsure", samples.len());
            let unsure = unsure as f64 / 1e9;
            for (name, seconds) in [("heavy", 4.0 * 0.3729), ("light", 4.0 * 0.1243)] {
                let sampled = sums.get(name).copied().unwrap_or(0) as f64 / 1e9;
                assert!(
                    (sampled - seconds).abs() <= 0.02 * seconds + unsure,
                    "{name}: {sampled} s, {unsure} s unsure"
                );
            }
            drop(here);
            if let Some(own) = own {
                states.end(&main, own).unwrap();
            }
        });
    });
}

#[test]
fn functions_have_their_shares_of_cpu_time() {
    check(Gil::Shared, "used");
}

#[test]
fn functions_under_a_gil_of_their_own_have_their_shares() {
    if interpreter::OWN_GIL {
        check(Gil::Own, "used");
    }
}

/// A frame that calls itself is there each time; of a very deep stack the innermost frames are.
#[test]
fn deep_stacks_are_read_as_far_as_there_is_room() {
    entry::embed(|py| {
        gil::measure(py);
        let main = Interpreter::main(py);
        ThreadStates::lead(py, |states| {
            let whole = sampled(states, &main, "deeply");
            let depth = |stack: &Vec<Named>| functions(stack).iter().filter(|name| **name == "deep").count();
            assert!(whole.iter().any(|stack| depth(stack) == 61 && functions(stack)[0] == "deeply"));
            assert!(whole.iter().all(|stack| depth(stack) <= 61));
            // The line is that of the call.
            let line = |stack: &Vec<Named>| {
                stack.iter().find(|named| named.function == "deep").map(|named| named.line)
            };
            assert_eq!(whole.iter().find(|stack| depth(stack) == 61).and_then(line), Some(28));
            let (stacks, samples) = sampled_with_times(states, &main, "beyond");
            let cut = stacks.iter().zip(&samples).find(|(stack, _)| depth(stack) > 150).unwrap();
            assert!(!cut.1.whole && functions(cut.0).last() == Some(&"use"), "{}", cut.0.len());
        });
    });
}

/// Threads come and go, code objects too, and Python changes its frames all the time, while samples are taken as often as the kernel
/// can: nothing of that may hurt.
#[test]
fn nothing_is_hurt_by_samples() {
    const SOURCE: &std::ffi::CStr = c"
import threading, time
def generator(n):
    for i in range(n):
        yield i
def raises(n):
    if n:
        raises(n - 1)
    raise ValueError(n)
def busy(seconds):
    thread = threading.Thread(target=sum, args=(range(100),))
    thread.start()
    thread.join()
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        exec('def f(x):\\n    return x + 1\\nfor i in range(50): f(i)', {})
        sum(generator(50))
        list(map(lambda x: x, range(50)))
        try:
            raises(20)
        except ValueError:
            pass
";
    entry::embed(|py| {
        gil::measure(py);
        let main = Interpreter::main(py);
        let busy = py.run(SOURCE, c"<busy>", &[]).unwrap().item(&py.str("busy").unwrap()).unwrap().keep();
        let busy = std::sync::Arc::new(busy);
        ThreadStates::lead(py, |states| {
            let (mut profiles, mut count) = (0, 0);
            for _ in 0..3 {
                let threads: Vec<_> = (0..2)
                    .map(|_| {
                        let (main, busy) = (main.clone(), std::sync::Arc::clone(&busy));
                        let run = move |states: &mut ThreadStates| {
                            let _watch = ThreadWatch::new();
                            states.attach(&main, |py| {
                                busy.bind(py).call(&[&py.float(0.2).unwrap()]).unwrap();
                            });
                        };
                        ThreadStates::spawn(Builder::new(), run).unwrap()
                    })
                    .collect();
                while !threads.iter().all(|thread| thread.is_finished()) {
                    let mut profile = states.attach(&main, |py| Profile::start(py, 1)).unwrap();
                    assert!(
                        states.attach(&main, |py| Profile::start(py, 1)).unwrap_err().contains("another")
                    );
                    profiles += 1;
                    for _ in 0..4 {
                        std::thread::sleep(Duration::from_millis(20));
                        let mut taken = Vec::new();
                        let _ = profile.take(|sample| taken.push(sample));
                        count += taken.len();
                        states.attach(&main, |py| taken.iter().for_each(|sample| drop(names(py, sample))));
                    }
                }
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            }
            println!("{profiles} profiles, {count} samples");
            assert!(profiles >= 3 && count >= 5, "{profiles} {count}");
        });
    });
}

#[test]
fn code_that_has_let_go_of_the_gil_has_its_caller() {
    entry::embed(|py| {
        gil::measure(py);
        let main = Interpreter::main(py);
        ThreadStates::lead(py, |states| {
            let (stacks, samples) = sampled_with_times(states, &main, "hashing");
            let there: u64 = stacks
                .iter()
                .zip(&samples)
                .filter(|(stack, _)| functions(stack).last() == Some(&"hashed"))
                .map(|(_, sample)| sample.nanos)
                .sum();
            let all: u64 = samples.iter().filter(|sample| sample.attached).map(|sample| sample.nanos).sum();
            assert!(there as f64 > 0.8 * all as f64, "{there} of {all}");
        });
    });
}
