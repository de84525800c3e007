//! The event loop, run by several threads.

use super::*;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread::{self, ThreadId};
use tokio::sync::Notify;

/// A loop whose first task appends to a list each time it is poked, and ends with the word "end".
struct Counting {
    event_loop: Arc<EventLoop>,
    poke: Arc<Notify>,
    /// Threads that polled it, with the length of its list then.
    polled: Arc<Mutex<Vec<(ThreadId, usize)>>>,
    ends: Arc<AtomicBool>,
}

fn made(begin: impl FnOnce(&Nudge) -> Beginning + Send) -> EventLoop {
    let event_loop = EventLoop::new(|| ()).unwrap();
    event_loop.begin(begin);
    event_loop
}

impl Counting {
    fn new() -> Self {
        let (poke, polled, ends) =
            (Arc::new(Notify::new()), Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let (poked, told, over) = (Arc::clone(&poke), Arc::clone(&polled), Arc::clone(&ends));
        let begin = move |nudge: &Nudge| {
            let nudge = nudge.clone();
            // Not to be used by two threads at a time.
            let list = Rc::new(RefCell::new(Vec::new()));
            let first = async move {
                loop {
                    poked.notified().await;
                    let list = Rc::clone(&list);
                    let (told, nudge) = (Arc::clone(&told), nudge.clone());
                    spawn(async move {
                        list.borrow_mut().push(());
                        told.lock().unwrap().push((thread::current().id(), list.borrow().len()));
                        nudge.now();
                    });
                    if over.load(Ordering::Acquire) {
                        return Ok(());
                    }
                }
            };
            Beginning { before_sleep: Box::new(|| ()), after_sleep: Box::new(|| ()), first: Box::pin(first) }
        };
        Self { event_loop: Arc::new(made(begin)), poke, polled, ends }
    }

    fn polls(&self) -> usize {
        self.polled.lock().unwrap().len()
    }

    fn last(&self) -> (ThreadId, usize) {
        *self.polled.lock().unwrap().last().unwrap()
    }

    /// Pokes it and runs it until it has done its work.
    fn run_once(&self) {
        let before = self.polls();
        self.poke.notify_one();
        self.event_loop.run_in_turn(true, || self.polls() > before);
    }

    fn stand_by(&self) -> thread::JoinHandle<Outcome> {
        let event_loop = Arc::clone(&self.event_loop);
        thread::spawn(move || event_loop.stand_by())
    }

    fn end(&self) {
        self.ends.store(true, Ordering::Release);
        self.poke.notify_one();
    }
}

/// Waits for something that another thread does.
fn until(ready: impl Fn() -> bool) {
    while !ready() {
        thread::yield_now();
    }
}

#[test]
fn tasks_go_on_in_the_thread_that_comes_next() {
    let counting = Arc::new(Counting::new());
    for round in 1..=3 {
        let other = Arc::clone(&counting);
        thread::spawn(move || {
            other.run_once();
            assert_eq!(other.last(), (thread::current().id(), 2 * round - 1));
        })
        .join()
        .unwrap();
        counting.run_once();
        assert_eq!(counting.last(), (thread::current().id(), 2 * round));
    }
    assert!(!counting.event_loop.is_run() && !counting.event_loop.has_ended());
}

#[test]
fn a_thread_that_waits_while_another_one_runs_it_is_told() {
    let counting = Arc::new(Counting::new());
    let (other, stop) = (Arc::clone(&counting), Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let runs = thread::spawn(move || other.event_loop.run_until(|| stopped.load(Ordering::Acquire)));
    until(|| counting.event_loop.is_run());
    counting.run_once();
    stop.store(true, Ordering::Release);
    counting.event_loop.nudge();
    runs.join().unwrap();
    counting.run_once();
    assert_eq!(counting.last(), (thread::current().id(), 2));
}

#[test]
fn the_thread_that_stands_by_begins_goes_and_comes_back_when_nobody_runs_it() {
    let counting = Counting::new();
    let standing_by = counting.stand_by();
    counting.poke.notify_one();
    until(|| counting.polls() == 1);
    assert_eq!(counting.last().0, standing_by.thread().id());
    // It goes when a thread comes that will come again.
    until(|| {
        counting.run_once();
        counting.last().0 == thread::current().id()
    });
    until(|| !counting.event_loop.is_run());
    let before = counting.polls();
    counting.poke.notify_one();
    counting.event_loop.tick();
    assert!(!counting.event_loop.is_due(Moment::now(), Duration::from_secs(3600)));
    assert_eq!(counting.polls(), before, "the first tick only looks");
    until(|| {
        counting.event_loop.tick();
        counting.polls() > before
    });
    assert_eq!(counting.last().0, standing_by.thread().id());
    // One that does not lead lets it run on.
    let before = counting.polls();
    counting.poke.notify_one();
    counting.event_loop.run_in_turn(false, || counting.polls() > before);
    assert_eq!(counting.last().0, standing_by.thread().id());
    counting.end();
    assert_eq!(standing_by.join().unwrap(), Ok(()));
    assert!(counting.event_loop.has_ended());
    // Nobody waits for a loop that has ended.
    counting.event_loop.run_until(|| false);
}

#[test]
fn the_thread_that_stands_by_ends_when_the_loop_ends_elsewhere() {
    let counting = Counting::new();
    let standing_by = counting.stand_by();
    until(|| {
        counting.run_once();
        counting.last().0 == thread::current().id()
    });
    until(|| !counting.event_loop.is_run());
    counting.end();
    counting.event_loop.run_until(|| false);
    assert_eq!(standing_by.join().unwrap(), Ok(()));
}

#[test]
fn it_stays_when_it_is_told_to() {
    let counting = Counting::new();
    counting.event_loop.stay();
    let standing_by = counting.stand_by();
    for _ in 0..10 {
        counting.run_once();
    }
    until(|| {
        counting.run_once();
        counting.last().0 == standing_by.thread().id()
    });
    counting.end();
    assert_eq!(standing_by.join().unwrap(), Ok(()));
}

#[test]
fn a_turn_handles_what_is_there() {
    let counting = Counting::new();
    counting.event_loop.take_turn();
    counting.poke.notify_one();
    counting.event_loop.take_turn();
    assert_eq!(counting.polls(), 1);
    assert!(counting.event_loop.is_due(Moment::now(), Duration::ZERO));
    // Another thread that runs it and sleeps does not keep this one.
    let (event_loop, stop) = (Arc::clone(&counting.event_loop), Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let runs = thread::spawn(move || event_loop.run_until(|| stopped.load(Ordering::Acquire)));
    until(|| counting.event_loop.is_run());
    counting.event_loop.take_turn();
    assert!(!counting.event_loop.is_due(Moment::now(), Duration::ZERO));
    stop.store(true, Ordering::Release);
    counting.event_loop.nudge();
    runs.join().unwrap();
}

#[test]
fn what_tasks_do_in_passing_wakes_those_that_watch_for_it() {
    let (sent, came) = channel();
    let begin = move |nudge: &Nudge| {
        let nudge = nudge.clone();
        let first = async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            sent.send(()).unwrap();
            nudge.passing();
            std::future::pending().await
        };
        Beginning { before_sleep: Box::new(|| ()), after_sleep: Box::new(|| ()), first: Box::pin(first) }
    };
    made(begin).watch_until(|| came.try_recv().is_ok());
}

#[test]
fn it_looks_around_before_and_after_it_sleeps() {
    let seen = Arc::new(Mutex::new(String::new()));
    let (before, after) = (Arc::clone(&seen), Arc::clone(&seen));
    let begin = move |_: &Nudge| Beginning {
        before_sleep: Box::new(move || before.lock().unwrap().push('b')),
        after_sleep: Box::new(move || after.lock().unwrap().push('a')),
        first: Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(())
        }),
    };
    made(begin).run().unwrap();
    assert!(seen.lock().unwrap().starts_with("ba"));
}

#[test]
fn a_panic_of_the_first_task_ends_it() {
    let begin = |_: &Nudge| Beginning {
        before_sleep: Box::new(|| ()),
        after_sleep: Box::new(|| ()),
        first: Box::pin(async { panic!("on purpose") }),
    };
    assert_eq!(made(begin).run(), Err("its event loop ended by a panic".to_owned()));
}
