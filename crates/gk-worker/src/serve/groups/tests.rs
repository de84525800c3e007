//! Interpreters of application groups, on a real CPython. Each test is a process of its own (nextest).

use super::*;
use gk_wire::setup::ProcessGroup;

/// Runs `test` with the groups of a process with this setup, detached, as a worker's main thread.
fn with_groups(setup: WorkerSetup, test: impl FnOnce(&Arc<Groups>, &mut ThreadStates) + Send) {
    gk_python::entry::embed(|py| {
        let main = Interpreter::main(py);
        let groups = Arc::new(Groups::new(&main, &setup, gk_wsgi::gil::enabled(py)));
        ThreadStates::lead(py, |states| {
            test(&groups, states);
            end_all(&groups, states);
        });
    });
}

/// Ends the sub-interpreters: Python ends the main one next, and no other may be left then.
fn end_all(groups: &Groups, states: &mut ThreadStates) {
    for (name, group) in groups.take_all().into_iter().filter(|(name, _)| !name.is_empty()) {
        assert!(states.alone(&group.interpreter), "{name}");
        let interpreter = Arc::into_inner(group).expect("the last owner of the group").interpreter;
        assert!(states.end(&groups.main(), interpreter).is_ok(), "{name}");
    }
}

fn one_each() -> WorkerSetup {
    WorkerSetup { group: ProcessGroup { threads: 2, ..ProcessGroup::default() }, ..WorkerSetup::default() }
}

/// Application groups and numbers of their interpreters.
fn table(groups: &Groups) -> Vec<(String, i64)> {
    groups.all().into_iter().map(|(name, group)| (name, group.interpreter.id())).collect()
}

/// `sys.modules[name] = None`, or back: `import name` fails in between.
fn block_import(groups: &Groups, states: &mut ThreadStates, name: &str, blocked: bool) {
    states.attach(&groups.main(), |py| {
        let modules = py.import("sys").unwrap().attr("modules").unwrap();
        let name = py.str(name).unwrap();
        if blocked {
            modules.set_item(&name, &py.none()).unwrap();
        } else {
            modules.call_method("pop", &[&name]).unwrap();
        }
    });
}

#[test]
fn a_group_has_one_interpreter_that_is_created_at_first_use() {
    with_groups(one_each(), |groups, states| {
        assert_eq!(table(groups), []);
        let main = groups.get(states, "").unwrap().interpreter.id();
        assert_eq!((main, table(groups)), (groups.main().id(), vec![(String::new(), main)]));
        let b = groups.get(states, "b").unwrap().interpreter.id();
        let a = groups.get(states, "a").unwrap().interpreter.id();
        assert!(a != b && a != main && b != main, "{main} {a} {b}");
        for (name, id) in [("", main), ("a", a), ("b", b)] {
            assert_eq!(groups.get(states, name).unwrap().interpreter.id(), id, "{name:?}");
        }
        assert_eq!(table(groups), [(String::new(), main), ("a".to_owned(), a), ("b".to_owned(), b)]);
        let figures = groups.figures(&[a, a]);
        let busy: Vec<_> = figures.iter().map(|f| (f.application_group.as_str(), f.busy)).collect();
        assert_eq!(busy, [("", 0), ("a", 2), ("b", 0)]);
    });
}

#[test]
fn threads_that_need_the_same_group_at_once_get_the_same_interpreter() {
    with_groups(one_each(), |groups, states| {
        groups.get(states, "").unwrap();
        let barrier = Arc::new(std::sync::Barrier::new(5));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (groups, barrier) = (Arc::clone(groups), Arc::clone(&barrier));
                let serve = move |states: &mut ThreadStates| {
                    barrier.wait();
                    let id = groups.get(states, "a").unwrap().interpreter.id();
                    barrier.wait();
                    id
                };
                ThreadStates::spawn(std::thread::Builder::new(), serve).unwrap()
            })
            .collect();
        barrier.wait();
        // CPython 3.11 ends the process when a thread attaches to an interpreter in which all thread states were deleted.
        let seat = groups.get(states, "a").unwrap();
        states.attach(&seat.interpreter, |_| ());
        drop(seat);
        barrier.wait();
        let ids: Vec<i64> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(table(groups).len(), 2);
    });
}

#[test]
fn a_group_that_cannot_be_prepared_is_refused_and_tried_again() {
    with_groups(one_each(), |groups, states| {
        block_import(groups, states, "threading", true);
        assert!(groups.get(states, "").is_none());
        assert_eq!(table(groups), []);
        block_import(groups, states, "threading", false);
        assert!(groups.get(states, "").is_some());
    });
}

#[test]
fn several_interpreters_share_the_threads_of_their_group() {
    if !gk_python::interpreter::OWN_GIL || gk_python::version::FREE_THREADED_BUILD {
        return;
    }
    with_groups(
        WorkerSetup { group: ProcessGroup { interpreters: 2, ..one_each().group }, ..one_each() },
        |groups, states| {
            assert_eq!(groups.each(states, "").unwrap().len(), 1, "the main interpreter is one");
            assert_eq!((groups.each(states, "a").unwrap().len(), groups.gil_mode()), (2, "own"));
            let parallel = groups.parallel();
            let first = groups.get(states, "a").unwrap();
            assert!(!parallel.load(Ordering::Relaxed), "requests are served under one GIL");
            let second = groups.get(states, "a").unwrap();
            assert!(parallel.load(Ordering::Relaxed), "requests are served under two GILs");
            assert_ne!(first.interpreter.id(), second.interpreter.id());
            let third = groups.get(states, "a").unwrap();
            assert_eq!(third.interpreter.id(), first.interpreter.id(), "the first one among equals");
            assert!(first.stays() && second.stays(), "two threads and one thread");
            drop(second);
            assert!(!first.stays(), "two threads and none");
            drop(third);
            assert!(first.stays(), "one thread and none");
        },
    );
}

#[test]
fn sub_interpreters_end_and_the_main_one_stays() {
    with_groups(one_each(), |groups, states| {
        for name in ["", "a", "b"] {
            let seat = groups.get(states, name).unwrap();
            states.attach(&seat.interpreter, |py| seat.application.end(py));
        }
        end_all(groups, states);
        assert_eq!(table(groups), []);
        states.attach(&groups.main(), |py| assert!(py.import("sys").is_ok()));
    });
}
