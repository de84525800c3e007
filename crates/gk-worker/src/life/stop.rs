//! The end of a worker: callbacks, request threads, interpreters, and the thread that ends the process if that takes too
//! long. The decision to stop is made in `worker`.

use crate::life::worker::Worker;
use crate::serve::engine::Engine;
use crate::serve::groups::GroupInterpreter;
use crate::watch::ending::{EndStep, Ending, describe};
use crate::watch::python_thread::{Order, running};
use gk_python::ThreadStates;
use gk_sys::log::plain;
use gk_wire::control::FromWorker;
use gk_wire::log::Level;
use gk_wire::setup::duration;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// Longest time that a thread state may outlive a thread that Python has already joined.
const LINGERING: Duration = Duration::from_millis(500);

impl Worker {
    /// The server stops: tells the application at once, so that its streams and threads may end by themselves. On a thread of its
    /// own, because a subscriber may take long, and this one reads messages while requests are served.
    pub(crate) fn announce_stop(&mut self, reason: &str) {
        if self.announcing.is_some() {
            return;
        }
        let reason = self.leaving.as_ref().map_or(reason, |(reason, _)| reason).to_owned();
        let (engine, ending) = (Arc::clone(&self.engine), Arc::clone(&self.ending));
        let builder = std::thread::Builder::new().name("gk-stopping".to_owned()).stack_size(8 << 20);
        let telling =
            ThreadStates::spawn(builder, move |states| tell_subscribers(states, &engine, &ending, &reason));
        match telling {
            Ok(thread) => self.announcing = Some(thread),
            Err(error) => {
                let text =
                    format!("The application hears of the stop only when its requests have ended: {error}");
                plain(Level::Warn, "wsgi", None, &text);
            }
        }
    }

    /// Stops: subscribers, request threads, the application's threads, its atexit functions, interpreters; by force when
    /// shutdown-timeout is over. Returns the exit status.
    pub(crate) fn stop(&mut self, states: &mut ThreadStates, reason: &str) -> i32 {
        self.tell(&FromWorker::Stopping { reason: reason.to_owned() });
        plain(Level::Info, "wsgi", None, &format!("This worker is stopping: {reason}"));
        let timeout = self.engine.setup.group.shutdown_timeout;
        if reaper(
            timeout,
            Arc::clone(&self.engine),
            self.python_thread.as_ref().map(|thread| thread.orders()),
        )
        .is_err()
        {
            plain(
                Level::Warn,
                "wsgi",
                Some("WSGI0070"),
                "The thread that enforces shutdown-timeout cannot be started",
            );
        }
        if let Some(telling) = self.announcing.take() {
            // A panic there is in the log, and whoever was not told is told here.
            let _ = telling.join();
        }
        tell_subscribers(states, &self.engine, &self.ending, reason);
        self.give_waiting_back(reason);
        if let Some(front) = &mut self.embedded {
            match reason {
                "shutdown_signal" => front.cut(),
                _ => front.leave(timeout, false),
            }
        }
        if self.engine.busy() > 0 {
            // What stops it at once has shown them already.
            let shown = self.leaving.is_none() && reason.ends_with("_timeout");
            let level = if shown { Level::Notice } else { Level::Warn };
            let text = format!(
                "Requests are still running while this worker stops ({reason}); they have {timeout} s (shutdown-timeout)"
            );
            self.order(Order::Stacks(level, text));
        }
        self.engine.intake.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                plain(Level::Warn, "wsgi", Some("WSGI0071"), "A request thread ended by a panic");
            }
        }
        self.end_front();
        if !self.engine.setup.destroy_interpreter {
            gk_sys::own_process::exit_now(0);
        }
        self.end_interpreters(states);
        0
    }

    /// Requests that wait for new code go back to the front, which is told first, so that it does not send them here again.
    fn give_waiting_back(&self, reason: &str) {
        if self.leaving.is_none() {
            self.announce_leave(reason);
        }
        self.engine.reloads.leave();
    }

    /// Ends the sub-interpreters and returns, so that Python itself finalises the main one. If a daemon thread still runs,
    /// the process ends here: CPython aborts if it finds one in a sub-interpreter, and in the main interpreter it ends or
    /// hangs the thread anywhere in its code.
    fn end_interpreters(&mut self, states: &mut ThreadStates) {
        let mut all = self.engine.groups.all();
        // The main interpreter last.
        all.sort_by_key(|(name, _)| name.is_empty());
        for (name, group) in &all {
            self.ending.enter(EndStep::Threads(name.clone(), Arc::clone(group)));
            states.attach(&group.interpreter, |py| group.application.end(py));
        }
        self.ending.leave();
        if let Some(thread) = self.python_thread.take() {
            thread.end();
        }
        let (mut whole, main) = (true, self.engine.groups.main());
        drop(all);
        let mut all = self.engine.groups.take_all();
        all.sort_by_key(|(name, _)| name.is_empty());
        for (name, group) in all {
            if !alone(states, &group) {
                whole = false;
                let names = states.attach(&group.interpreter, |py| group.application.daemon_threads(py));
                let text = format!("{}: threads still run at its end: {names}", describe(&name));
                plain(Level::Info, "wsgi", None, &text);
            } else if !group.interpreter.can_end() {
                // Its threads and atexit functions are over.
                whole = false;
            } else if !name.is_empty() {
                let group = Arc::into_inner(group);
                whole &= group.is_some_and(|group| states.end(&main, group.interpreter).is_ok());
            }
        }
        if !whole {
            gk_sys::own_process::exit_now(0);
        }
    }
}

/// Calls the functions given to `subscribe_shutdown` and `subscribe_events`, once in each interpreter.
fn tell_subscribers(states: &mut ThreadStates, engine: &Engine, ending: &Ending, reason: &str) {
    for (name, group) in engine.groups.all() {
        if !group.told_of_end.swap(true, Ordering::Relaxed) {
            ending.enter(EndStep::Subscribers(name));
            states.attach(&group.interpreter, |py| group.application.stopping(py, reason));
        }
    }
    ending.leave();
}

/// Returns true when no other thread is left in the interpreter, false if one is after `LINGERING`.
pub(crate) fn alone(states: &mut ThreadStates, group: &GroupInterpreter) -> bool {
    let deadline = Instant::now() + LINGERING;
    while !states.alone(&group.interpreter) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Starts the thread that bounds the shutdown. At half the time it logs what the shutdown waits for, at four fifths it breaks
/// off responses that are sent piece by piece and calls the atexit functions, at the end it ends the process. `timeout`: seconds, 0 for no limit. Finalisation has not
/// begun at any of these times, so no thread is inside it.
fn reaper(timeout: f64, engine: Arc<Engine>, orders: Option<Sender<Order>>) -> std::io::Result<()> {
    const PATIENCE: f64 = 10.0;
    let run = move || {
        let wait = |seconds: f64| std::thread::sleep(duration(seconds));
        let order = |order| orders.as_ref().map(|orders| orders.send(order));
        if timeout <= 0.0 {
            wait(PATIENCE);
            order(Order::HeldUp);
            engine.break_off();
            return;
        }
        wait(timeout * 0.5);
        order(Order::HeldUp);
        wait(timeout * 0.3);
        engine.break_off();
        order(Order::EndFunctions);
        wait(timeout * 0.2);
        let text = format!(
            "shutdown-timeout is over ({timeout} s); this worker ends at once, in its request threads: {}",
            running(&engine)
        );
        plain(Level::Warn, "wsgi", None, &text);
        gk_sys::own_process::exit_now(1);
    };
    std::thread::Builder::new().name("gk-reaper".to_owned()).stack_size(64 << 10).spawn(run)?;
    Ok(())
}
