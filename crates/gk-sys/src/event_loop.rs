//! An event loop that threads take turns to run. A thread that waits for something runs the loop until that is there; then it goes, and the
//! loop's tasks stay as they are until a thread runs them on.
//!
//! Tasks hold values that two threads must not use at a time (`Rc`, `Cell`). They do not: tokio's runtime for one thread lets one thread at a
//! time run tasks, and passes them on as a lock does. No other code has parts of these values: the loop's first task is made by a function
//! that can be sent to another thread, so it takes none along; tasks that are spawned come from tasks. One thing is left to the eye: what
//! a task puts into a `thread_local!` must be gone from there when its poll ends.
//!
//! Usually the threads that run the loop do so one after the other, each while it has nothing else to do. When none has come for a while, as
//! all are at work, the thread of [`EventLoop::stand_by`] steps in.

use crate::clock::Moment;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    /// A task of an [`EventLoop`] is being polled on this thread.
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
}

/// Threads for calls that block, at most.
const BLOCKING: usize = 16;

/// Looks of [`EventLoop::take_turn`] at most.
const LOOKS: u32 = 32;

/// What the loop's first task gives; with it the loop ends.
pub type Outcome = Result<(), String>;

/// What a loop begins with.
pub struct Beginning {
    /// Called when no task is ready, before the thread sleeps.
    pub before_sleep: Box<dyn Fn()>,
    /// Called when it is awake again.
    pub after_sleep: Box<dyn Fn()>,
    /// The first task.
    pub first: Pin<Box<dyn Future<Output = Outcome>>>,
}

/// Wakes threads that run a loop or wait for it: they look whether what they wait for is there.
#[derive(Clone, Debug, Default)]
pub struct Nudge(Arc<Waiting>);

/// The loop.
pub struct EventLoop {
    /// `None`: it has ended, and its tasks are dropped. Threads that run it or wait for it read this meanwhile.
    runtime: RwLock<Option<Runtime>>,
    broken: fn(),
    hooks: Arc<OnceLock<Confined<Hooks>>>,
    waiting: Arc<Waiting>,
    end: Arc<End>,
    standby: Mutex<Standby>,
    needed: Condvar,
    /// The thread of [`EventLoop::stand_by`] runs it.
    stands_in: AtomicBool,
    /// It may go.
    relieved: AtomicBool,
    /// [`Waiting::turns`] at the last tick.
    ticked: AtomicU64,
    /// Nanoseconds of the clock when a thread last left it.
    left: AtomicU64,
    /// How often it had nothing left to do.
    rests: Arc<AtomicU64>,
}

/// Threads that run the loop or wait for it.
#[derive(Debug, Default)]
struct Waiting {
    wakers: Mutex<Vec<(Who, Waker)>>,
    /// Number of these threads.
    threads: AtomicU32,
    /// How often one has come.
    turns: AtomicU64,
    /// Threads that wait for something that the loop's tasks do in passing, and do not tell of unless asked.
    watchers: AtomicU32,
}

/// A thread that runs the loop or waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// It waits for something; the number of its turn.
    Waits(u64),
    /// It stands by.
    StandsBy,
}

#[derive(Debug, Default)]
struct End {
    /// `None` in an ended loop: its first task ended by a panic.
    outcome: Mutex<Option<Outcome>>,
    ended: AtomicBool,
}

#[derive(Debug, Default)]
struct Standby {
    needed: bool,
    /// Nobody else will come.
    stays: bool,
}

/// Of [`Beginning`].
struct Hooks {
    before_sleep: Box<dyn Fn()>,
    after_sleep: Box<dyn Fn()>,
}

/// A value that only the thread that runs the loop uses.
struct Confined<T>(T);

// SAFETY: made where the loop begins, by a function that has nothing of its caller's, or in a task; used by the thread that runs the loop's tasks,
// which is one at a time, and tokio hands them over with acquire and release. What is dropped with the runtime is dropped by its only owner.
unsafe impl<T> Send for Confined<T> {}
// SAFETY: as above: the hooks of the runtime are called by the thread that runs the tasks.
unsafe impl<T> Sync for Confined<T> {}

impl<F: Future> Future for Confined<F> {
    type Output = Confined<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the whole and never moved out of it.
        let future = unsafe { self.map_unchecked_mut(|confined| &mut confined.0) };
        let _in_task = InTask::enter();
        future.poll(cx).map(Confined)
    }
}

/// While it lives, this thread polls a task.
struct InTask(bool);

impl InTask {
    fn enter() -> Self {
        Self(IN_TASK.replace(true))
    }
}

impl Drop for InTask {
    fn drop(&mut self) {
        IN_TASK.set(self.0);
    }
}

/// Starts a task of the loop whose task calls this.
///
/// # Panics
/// Elsewhere, unless tokio's `spawn_local` is possible there.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    if IN_TASK.get() {
        let task = Confined(task);
        tokio::spawn(async move {
            task.await;
        });
    } else {
        tokio::task::spawn_local(task);
    }
}

impl EventLoop {
    /// Makes a loop without tasks. `broken` is called when it cannot go on, as its descriptors were closed by somebody else.
    pub fn new(broken: fn()) -> io::Result<Self> {
        let rests = Arc::<AtomicU64>::default();
        let (resting, hooks) = (Arc::clone(&rests), Arc::<OnceLock<Confined<Hooks>>>::default());
        let (before, after) = (Arc::clone(&hooks), Arc::clone(&hooks));
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(BLOCKING)
            .on_thread_park(move || {
                resting.fetch_add(1, Ordering::Relaxed);
                before.get().into_iter().for_each(|hooks| (hooks.0.before_sleep)());
            })
            .on_thread_unpark(move || after.get().into_iter().for_each(|hooks| (hooks.0.after_sleep)()))
            .build()?;
        Ok(Self {
            runtime: RwLock::new(Some(runtime)),
            broken,
            hooks,
            waiting: Arc::default(),
            end: Arc::default(),
            standby: Mutex::new(Standby { needed: true, stays: false }),
            needed: Condvar::new(),
            stands_in: AtomicBool::new(false),
            relieved: AtomicBool::new(false),
            ticked: AtomicU64::new(0),
            left: AtomicU64::new(0),
            rests,
        })
    }

    /// Gives it its first task, once; nothing of it runs yet.
    pub fn begin(&self, begin: impl FnOnce(&Nudge) -> Beginning + Send) {
        let nudge = Nudge(Arc::clone(&self.waiting));
        let Beginning { before_sleep, after_sleep, first } = begin(&nudge);
        let _ = self.hooks.set(Confined(Hooks { before_sleep, after_sleep }));
        let (first, ending) = (Confined(first), Ending { end: Arc::clone(&self.end), nudge });
        self.with_runtime(|runtime| {
            runtime.spawn(async move {
                let Confined(outcome) = first.await;
                *ending.end.outcome() = Some(outcome);
                drop(ending);
            });
        });
    }

    /// Runs it to its end, on this thread alone.
    pub fn run(self) -> Outcome {
        self.run_until(|| false);
        self.end()
    }

    /// Runs it, or lets another thread run it, until `ready` or the end of the loop. `ready` is asked again after a [`Nudge`].
    pub fn run_until(&self, ready: impl Fn() -> bool) {
        self.run_as(false, ready);
    }

    fn run_as(&self, stands_by: bool, ready: impl Fn() -> bool) {
        let turn = self.waiting.enter(stands_by);
        let over = || ready() || self.has_ended();
        self.block_on(poll_fn(|cx| {
            if over() {
                return Poll::Ready(());
            }
            turn.wake(cx.waker());
            // It may have come meanwhile.
            if over() { Poll::Ready(()) } else { Poll::Pending }
        }));
        self.leave();
    }

    /// A thread has left the loop.
    fn leave(&self) {
        self.left.store(Moment::now().nanos(), Ordering::Relaxed);
        if self.has_ended() {
            // The thread that stands by drops the tasks.
            let _asleep = self.standby();
            self.needed.notify_one();
        }
    }

    fn with_runtime(&self, f: impl FnOnce(&Runtime)) {
        self.runtime.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(f);
    }

    /// Drops the tasks of a loop that has ended, when all threads have left it: their sockets close.
    fn end(&self) -> Outcome {
        let runtime = self.runtime.write().unwrap_or_else(PoisonError::into_inner).take();
        // A disk that does not answer must not delay the exit.
        runtime.into_iter().for_each(Runtime::shutdown_background);
        self.end.take()
    }

    fn block_on(&self, future: impl Future<Output = ()>) {
        // Panics of tasks end in tokio; this is the runtime's own.
        let run = || self.with_runtime(|runtime| runtime.block_on(future));
        let outcome = catch_unwind(AssertUnwindSafe(run));
        if let Err(panic) = outcome {
            (self.broken)();
            resume_unwind(panic);
        }
    }

    /// Runs it until it has handled what is there, and has looked for more. Only if no other thread does.
    pub fn take_turn(&self) {
        if self.is_run() {
            return;
        }
        let (from, mut looks) = (self.rests.load(Ordering::Relaxed), 0);
        let _turn = self.waiting.enter(false);
        self.block_on(poll_fn(|cx| {
            looks += 1;
            // The bound is for the case that another thread has come meanwhile and runs it.
            if self.rests.load(Ordering::Relaxed) - from >= 2 || looks > LOOKS {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        self.leave();
    }

    /// Whether no thread runs it, and none has for so long.
    pub fn is_due(&self, now: Moment, after: Duration) -> bool {
        !self.is_run()
            && u128::from(now.nanos().saturating_sub(self.left.load(Ordering::Relaxed))) > after.as_nanos()
    }

    /// The same for a thread that does so each time it has nothing else to do. `leads`: it will be back soon, so the thread that stands by
    /// need not run the loop.
    pub fn run_in_turn(&self, leads: bool, ready: impl Fn() -> bool) {
        if leads && self.stands_in.load(Ordering::Acquire) {
            self.relieved.store(true, Ordering::Release);
            self.waiting.wake(true);
        }
        self.run_until(ready);
    }

    /// The same for a thread that waits for what tasks do in passing: `ready` is asked after each [`Nudge::passing`], too.
    pub fn watch_until(&self, ready: impl Fn() -> bool) {
        self.waiting.watchers.fetch_add(1, Ordering::SeqCst);
        self.run_until(ready);
        self.waiting.watchers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Runs the loop whenever nobody else does, to its end.
    pub fn stand_by(&self) -> Outcome {
        loop {
            {
                let mut standby = self.standby();
                while !standby.needed && !standby.stays && !self.has_ended() {
                    standby = self.needed.wait(standby).unwrap_or_else(PoisonError::into_inner);
                }
                standby.needed = false;
            }
            self.relieved.store(false, Ordering::Release);
            self.stands_in.store(true, Ordering::Release);
            self.run_as(true, || self.relieved.load(Ordering::Acquire) && !self.standby().stays);
            self.stands_in.store(false, Ordering::Release);
            if self.has_ended() {
                return self.end();
            }
        }
    }

    /// Called each millisecond while threads may be at work: the thread that stands by steps in if none has run the loop since the last call.
    pub fn tick(&self) {
        let turns = self.waiting.turns.load(Ordering::Acquire);
        let alone = self.waiting.threads.load(Ordering::Acquire) == 0;
        if self.ticked.swap(turns, Ordering::Relaxed) == turns && alone {
            self.standby().needed = true;
            self.needed.notify_one();
        }
    }

    /// From now on the thread that stands by runs the loop, as others will not come again.
    pub fn stay(&self) {
        self.standby().stays = true;
        self.needed.notify_one();
    }

    /// Whether a thread runs it or waits for it.
    pub fn is_run(&self) -> bool {
        self.waiting.threads.load(Ordering::Relaxed) > 0
    }

    /// Wakes those that wait for it.
    pub fn nudge(&self) {
        self.waiting.wake(false);
    }

    /// Whether its first task has ended.
    pub fn has_ended(&self) -> bool {
        self.end.ended.load(Ordering::Acquire)
    }

    fn standby(&self) -> MutexGuard<'_, Standby> {
        self.standby.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Nudge {
    /// Something has come that a thread may wait for.
    pub fn now(&self) {
        self.0.wake(false);
    }

    /// The same for what [`EventLoop::watch_until`] waits for.
    pub fn passing(&self) {
        if self.0.watchers.load(Ordering::SeqCst) > 0 {
            self.0.wake(false);
        }
    }
}

impl Waiting {
    fn enter(&self, stands_by: bool) -> Turn<'_> {
        self.threads.fetch_add(1, Ordering::AcqRel);
        let number = self.turns.fetch_add(1, Ordering::AcqRel);
        Turn { waiting: self, who: if stands_by { Who::StandsBy } else { Who::Waits(number) } }
    }

    fn wakers(&self) -> MutexGuard<'_, Vec<(Who, Waker)>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those that wait for something, and the one that stands by if `all`.
    fn wake(&self, all: bool) {
        let wakers = self.wakers();
        let woken = wakers.iter().filter(|(who, _)| all || *who != Who::StandsBy);
        woken.for_each(|(_, waker)| waker.wake_by_ref());
    }
}

/// One thread's wait.
struct Turn<'a> {
    waiting: &'a Waiting,
    who: Who,
}

impl Turn<'_> {
    fn wake(&self, waker: &Waker) {
        let mut wakers = self.waiting.wakers();
        match wakers.iter_mut().find(|(who, _)| *who == self.who) {
            Some((_, kept)) => kept.clone_from(waker),
            None => wakers.push((self.who, waker.clone())),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.waiting.wakers().retain(|(who, _)| *who != self.who);
        self.waiting.threads.fetch_sub(1, Ordering::AcqRel);
    }
}

impl End {
    fn outcome(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Outcome {
        self.outcome().take().unwrap_or_else(|| Err("its event loop ended by a panic".to_owned()))
    }
}

/// Ends the loop when it is dropped: with its first task, however that ends.
struct Ending {
    end: Arc<End>,
    nudge: Nudge,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.end.ended.store(true, Ordering::Release);
        self.nudge.0.wake(true);
    }
}

#[cfg(test)]
mod tests;
