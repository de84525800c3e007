//! Owners, handles and ends of interpreters on a real CPython; what cannot be done in an interpreter that has ended. Each test
//! starts Python anew, so each needs a process of its own (nextest).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gk_python::{Gil, Interpreter, Kept, StillUsed, ThreadStates, entry};
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

#[test]
fn a_handle_gives_no_owner_of_an_ended_interpreter() {
    with_states(|states, main| {
        let other = states.create(main, Gil::Shared).unwrap();
        let (handle, id) = (other.handle(), other.id());
        assert_eq!(handle.upgrade().map(|owner| owner.id()), Some(id));
        assert_eq!(states.attach(&other, |py| py.interpreter_id()), id);
        states.end(main, other).unwrap();
        assert!(handle.upgrade().is_none());
    });
}

#[test]
fn an_interpreter_is_not_ended_while_it_has_another_owner() {
    with_states(|states, main| {
        let other = states.create(main, Gil::Shared).unwrap();
        let second = other.clone();
        let StillUsed(other) = states.end(main, other).unwrap_err();
        assert_eq!(states.attach(&second, |py| py.interpreter_id()), other.id());
        drop(second);
        states.end(main, other).unwrap();
    });
}

#[test]
fn an_interpreter_is_not_ended_while_another_thread_has_a_state_in_it() {
    with_states(|states, main| {
        let other = states.create(main, Gil::Shared).unwrap();
        let (attached, wait) = channel();
        let (end, ended) = channel::<()>();
        let handle = other.handle();
        let thread = ThreadStates::spawn(Builder::new(), move |states| {
            states.attach(&handle.upgrade().unwrap(), |_| ());
            attached.send(()).unwrap();
            ended.recv().unwrap_err();
        });
        wait.recv().unwrap();
        let StillUsed(other) = states.end(main, other).unwrap_err();
        drop(end);
        thread.unwrap().join().unwrap();
        states.end(main, other).unwrap();
    });
}

/// A thread of the application's own: CPython would end the process.
#[test]
fn an_interpreter_is_not_ended_while_a_daemon_thread_runs_in_it() {
    const SOURCE: &std::ffi::CStr = c"
import threading
go_on = threading.Event()
thread = threading.Thread(target=go_on.wait, daemon=True)
thread.start()
def end():
    go_on.set()
    thread.join()
";
    with_states(|states, main| {
        let other = states.create(main, Gil::Shared).unwrap();
        let namespace = states.attach(&other, |py| py.run(SOURCE, c"<daemon>", &[]).unwrap().keep());
        let StillUsed(other) = states.end(main, other).unwrap_err();
        states.attach(&other, |py| {
            let namespace = namespace.bind(py);
            namespace.item(&py.str("end").unwrap()).unwrap().call(&[]).unwrap();
        });
        // Its thread state outlives the thread by a moment.
        while !states.alone(&other) {
            std::thread::yield_now();
        }
        states.end(main, other).unwrap();
    });
}

#[test]
fn the_main_interpreter_is_ended_by_python_alone() {
    with_states(|states, main| {
        assert!(states.end(main, main.clone()).is_err());
        let other = states.create(main, Gil::Shared).unwrap();
        assert!(states.create(&other, Gil::Shared).is_err());
        states.end(main, other).unwrap();
    });
}

#[test]
fn python_is_not_finalised_while_the_main_interpreter_has_an_owner() {
    let mut left = None;
    let embedded = catch_unwind(AssertUnwindSafe(|| entry::embed(|py| left = Some(Interpreter::main(py)))));
    assert!(embedded.is_err());
    // So it still lives for its owner.
    let left = left.unwrap();
    let id =
        ThreadStates::spawn(Builder::new(), move |states| states.attach(&left, |py| py.interpreter_id()));
    assert_eq!(id.unwrap().join().unwrap(), gk_python::interpreter::MAIN);
}

#[test]
fn python_is_not_finalised_while_a_sub_interpreter_has_an_owner() {
    let (owner, left) = std::sync::mpsc::channel();
    let embedded = catch_unwind(AssertUnwindSafe(|| {
        entry::embed(move |py| {
            let main = Interpreter::main(py);
            ThreadStates::lead(py, move |states| {
                owner.send(states.create(&main, Gil::Shared).unwrap()).unwrap();
            });
        });
    }));
    assert!(embedded.is_err());
    let left = left.recv().unwrap();
    let expected = left.id();
    let id =
        ThreadStates::spawn(Builder::new(), move |states| states.attach(&left, |py| py.interpreter_id()));
    assert_eq!(id.unwrap().join().unwrap(), expected);
}

/// A later interpreter often gets the address of an ended one.
#[test]
fn a_kept_object_is_refused_by_a_later_interpreter_at_the_same_address() {
    with_states(|states, main| {
        let mut kept: Vec<(Kept, i64)> = Vec::new();
        for _ in 0..4 {
            let other = states.create(main, Gil::Shared).unwrap();
            states.attach(&other, |py| {
                for (old, _) in &kept {
                    let bound = catch_unwind(AssertUnwindSafe(|| drop(old.bind(py))));
                    assert!(bound.is_err());
                }
                kept.push((py.str("an object of this one").unwrap().keep(), py.interpreter_id()));
                assert_eq!(kept.last().unwrap().0.bind(py).display(), "an object of this one");
            });
            states.end(main, other).unwrap();
        }
        let ids: std::collections::BTreeSet<i64> = kept.iter().map(|(_, id)| *id).collect();
        assert_eq!(ids.len(), kept.len());
    });
}

#[test]
fn a_thread_started_inside_an_attachment_attaches_for_itself() {
    with_states(|states, main| {
        let other = states.create(main, Gil::Shared).unwrap();
        let (inner, owner) = (other.clone(), main.clone());
        let id = states.attach(main, |py| {
            let thread = ThreadStates::spawn(Builder::new(), move |states| {
                states.attach(&owner, |_| ());
                states.attach(&inner, |py| py.interpreter_id())
            });
            py.detach(|| thread.unwrap().join().unwrap())
        });
        assert_eq!(id, other.id());
        states.end(main, other).unwrap();
    });
}
