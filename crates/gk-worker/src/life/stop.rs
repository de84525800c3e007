//! The end of a worker: callbacks, request threads, interpreters, and the thread that ends the process when that takes
//! too long. Deciding to stop is `worker`'s.

use crate::life::worker::Worker;
use crate::serve::groups::Group;
use crate::watch::ending::{Step, describe};
use crate::watch::python_thread::Order;
use gk_python::ThreadStates;
use gk_sys::log::plain;
use gk_wire::control::FromWorker;
use gk_wire::log::Level;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// How long a thread state may outlive the thread that Python has already joined.
const LINGERING: Duration = Duration::from_millis(500);

impl Worker {
    /// Stops: subscribers, request threads, the application's threads, its atexit functions, interpreters; by force when
    /// shutdown-timeout is over. The exit status.
    pub(crate) fn stop(&mut self, states: &mut ThreadStates, reason: &str) -> i32 {
        self.tell(&FromWorker::Stopping { reason: reason.to_owned() });
        plain(Level::Info, "wsgi", None, &format!("This worker is stopping: {reason}"));
        let timeout = self.engine.setup.timers.shutdown_timeout;
        if reaper(timeout, self.python_thread.as_ref().map(|thread| thread.orders())).is_err() {
            plain(
                Level::Warn,
                "wsgi",
                Some("WSGI0070"),
                "The thread that enforces shutdown-timeout cannot be started",
            );
        }
        for (name, group) in self.engine.groups.all() {
            self.ending.enter(Step::Subscribers(name));
            states.attach(&group.interpreter, |py| group.application.stopping(py, reason));
        }
        self.ending.leave();
        if self.engine.busy() > 0 {
            self.order(Order::Stacks(format!(
                "Requests are still running while this worker stops ({reason})"
            )));
        }
        self.engine.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                plain(Level::Warn, "wsgi", Some("WSGI0071"), "A request thread ended by a panic");
            }
        }
        if !self.engine.setup.destroy_interpreter {
            gk_sys::own_process::exit_now(0);
        }
        self.end_interpreters(states);
        0
    }

    /// Returns with only the main interpreter left, for Python itself to finalise. Where a daemon thread stands in the way
    /// of that, the process ends here: CPython aborts when it finds one in a sub-interpreter, and ends or hangs it at any
    /// place of its code in the main one.
    fn end_interpreters(&mut self, states: &mut ThreadStates) {
        let mut all = self.engine.groups.all();
        // The main interpreter last.
        all.sort_by_key(|(name, _)| name.is_empty());
        for (name, group) in &all {
            self.ending.enter(Step::Threads(name.clone(), Arc::clone(group)));
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

/// Whether no other thread is left in the interpreter.
pub(crate) fn alone(states: &mut ThreadStates, group: &Group) -> bool {
    let deadline = Instant::now() + LINGERING;
    while !states.alone(&group.interpreter) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Says what the shutdown waits for when half its time is over, calls the atexit functions when most of it is, and then ends
/// the process. `timeout`: seconds, 0 without end. No thread is inside finalisation at that time: it has not begun.
fn reaper(timeout: f64, orders: Option<Sender<Order>>) -> std::io::Result<()> {
    const PATIENCE: f64 = 10.0;
    let run = move || {
        let wait = |seconds: f64| std::thread::sleep(Duration::from_secs_f64(seconds));
        let order = |order| orders.as_ref().map(|orders| orders.send(order));
        if timeout <= 0.0 {
            wait(PATIENCE);
            order(Order::HeldUp);
            return;
        }
        wait(timeout * 0.5);
        order(Order::HeldUp);
        wait(timeout * 0.3);
        order(Order::EndFunctions);
        wait(timeout * 0.2);
        plain(Level::Info, "wsgi", None, "shutdown-timeout is over; this worker ends at once");
        gk_sys::own_process::exit_now(1);
    };
    std::thread::Builder::new().name("gk-reaper".to_owned()).stack_size(64 << 10).spawn(run)?;
    Ok(())
}
