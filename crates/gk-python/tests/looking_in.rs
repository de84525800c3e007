//! What tools that look into a process from outside find in it: a Python frame in each thread state that stays, and a main thread that
//! takes scripts. Each test starts Python anew, so each needs a process of its own (nextest).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gk_python::debugger::Waiting;
use gk_python::version::FREE_THREADED_BUILD;
use gk_python::{Gil, Interpreter, ThreadStates, entry, interpreter, outer_frame};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::thread::Builder;

/// Runs `f` detached on Python's main thread.
fn with_states(f: impl FnOnce(&mut ThreadStates, &Interpreter) + Send) {
    entry::embed(|py| {
        let main = Interpreter::main(py);
        ThreadStates::lead(py, |states| f(states, &main));
    });
}

/// Names of the functions that the interpreter's threads stand in, but for the one that asks.
const NAMES: &std::ffi::CStr = c"
import sys, threading
own = threading.get_ident()
names = sorted(frame.f_code.co_name for thread, frame in sys._current_frames().items() if thread != own)
text = ' '.join(names)
";

fn standing(states: &mut ThreadStates, interpreter: &Interpreter) -> String {
    states.attach(interpreter, |py| {
        let namespace = py.run(NAMES, c"<names>", &[]).unwrap();
        namespace.item(&py.str("text").unwrap()).unwrap().as_utf8().unwrap().to_owned()
    })
}

#[test]
fn an_idle_thread_stands_in_a_frame_of_each_interpreter_it_is_within() {
    if FREE_THREADED_BUILD {
        return;
    }
    with_states(|states, main| {
        let other = states.create(main, Gil::Shared).unwrap();
        let (told, wait) = channel();
        let (end, ended) = channel::<()>();
        let (first, second) = (main.clone(), other.handle());
        let thread = ThreadStates::spawn(Builder::new(), move |states| {
            states.within(&first, |states| {
                let second = second.upgrade().unwrap();
                states.within(&second, |states| {
                    // Attached from the depth to both.
                    let ids = [&first, &second].map(|each| states.attach(each, |py| py.interpreter_id()));
                    assert!(!states.lacks_frame(&first) && !states.lacks_frame(&second));
                    told.send(ids).unwrap();
                    ended.recv().unwrap_err();
                });
                assert!(states.lacks_frame(&second));
            });
        });
        assert_eq!(wait.recv().unwrap(), [main.id(), other.id()]);
        // One thread, whichever of its frames CPython gives.
        for interpreter in [main, &other] {
            assert_eq!(standing(states, interpreter), outer_frame::NAME);
        }
        assert!(!states.alone(&other), "a thread within has a state there");
        drop(end);
        thread.unwrap().join().unwrap();
        for interpreter in [main, &other] {
            assert_eq!(standing(states, interpreter), "");
        }
        states.end(main, other).unwrap();
    });
}

/// Reported: CPython's own profiler got no sample of a free-threaded worker, where no thread stood in a frame.
#[test]
fn without_a_gil_a_thread_stands_in_one_interpreter_only() {
    if !FREE_THREADED_BUILD {
        return;
    }
    with_states(|states, main| {
        let other = states.create(main, Gil::Shared).unwrap();
        let (told, wait) = channel();
        let (end, ended) = channel::<()>();
        let (first, second) = (main.clone(), other.handle());
        let thread = ThreadStates::spawn(Builder::new(), move |states| {
            let second = second.upgrade().unwrap();
            states.within(&first, |states| {
                let of = [&first, &second].map(|each| (states.lacks_frame(each), states.is_hidden(each)));
                // What runs in the second one cannot be seen from here.
                assert_eq!(of, [(false, false), (false, true)]);
                assert_eq!(
                    states.within(&second, |states| states.attach(&second, |py| py.interpreter_id())),
                    second.id()
                );
                told.send(()).unwrap();
                ended.recv().unwrap_err();
            });
            assert!(states.lacks_frame(&second) && !states.is_hidden(&second));
        });
        wait.recv().unwrap();
        assert_eq!(standing(states, main), outer_frame::NAME);
        drop(end);
        thread.unwrap().join().unwrap();
        assert_eq!(standing(states, main), "");
        states.end(main, other).unwrap();
    });
}

#[test]
fn a_panic_within_comes_out_as_itself() {
    with_states(|states, main| {
        let other = states.create(main, Gil::Shared).unwrap();
        let caught =
            catch_unwind(AssertUnwindSafe(|| states.within(&other, |_| std::panic::panic_any(7_u8))));
        assert_eq!(caught.unwrap_err().downcast_ref::<u8>(), Some(&7));
        assert!(states.lacks_frame(&other));
        assert_eq!(
            states.within(&other, |states| states.attach(&other, |py| py.interpreter_id())),
            other.id()
        );
        states.end(main, other).unwrap();
    });
}

#[test]
fn a_visitor_leaves_nothing_behind() {
    with_states(|states, main| {
        let other = states.create(main, Gil::Shared).unwrap();
        let (told, wait) = channel();
        let (end, ended) = channel::<()>();
        let handle = other.handle();
        let thread = ThreadStates::spawn(Builder::new(), move |states| {
            let other = handle.upgrade().unwrap();
            let caught =
                catch_unwind(AssertUnwindSafe(|| states.visit(&other, |_| panic!("the visitor's own"))));
            assert!(caught.is_err());
            let id = states.visit(&other, |py| py.interpreter_id());
            drop(other);
            told.send(id).unwrap();
            ended.recv().unwrap_err();
        });
        assert_eq!(wait.recv().unwrap(), other.id());
        assert!(states.alone(&other));
        states.end(main, other).unwrap();
        drop(end);
        thread.unwrap().join().unwrap();
    });
}

/// An object of such a frame, made by another interpreter, would be freed in the wrong memory.
#[test]
fn an_interpreter_with_its_own_gil_has_no_frame_between_requests() {
    if !interpreter::OWN_GIL {
        return;
    }
    with_states(|states, main| {
        let other = states.create(main, Gil::Own).unwrap();
        assert!(!states.lacks_frame(&other));
        let id = states.within(&other, |states| {
            assert_eq!(standing(states, main), "");
            states.attach(&other, |py| py.interpreter_id())
        });
        assert_eq!(id, other.id());
        states.end(main, other).unwrap();
    });
}

/// A script itself needs a process that Python's own program has started: tests/whole.
#[test]
fn no_script_waits_for_an_idle_main_thread() {
    with_states(|states, main| {
        let waiting = states.attach(main, Waiting::new);
        assert!(!waiting.is_there());
        waiting.run(states, main);
    });
}
