//! The end of a worker: callbacks, request threads, interpreters, and the thread that ends the process when that takes
//! too long. Deciding to stop is `worker`'s.

use crate::python_thread::Order;
use crate::worker::Worker;
use gk_python::ThreadStates;
use gk_sys::log::plain;
use gk_wire::control::FromWorker;
use gk_wire::log::Level;
use std::time::Duration;

impl Worker {
    /// Stops: callbacks, threads, interpreters; by force when shutdown-timeout is over. The exit status.
    pub(crate) fn stop(&mut self, states: &mut ThreadStates, reason: &str) -> i32 {
        self.tell(&FromWorker::Stopping { reason: reason.to_owned() });
        plain(Level::Info, "wsgi", None, &format!("This worker is stopping: {reason}"));
        let timeout = self.engine.setup.timers.shutdown_timeout;
        if timeout > 0.0 && reaper(Duration::from_secs_f64(timeout)).is_err() {
            plain(
                Level::Warn,
                "wsgi",
                Some("WSGI0070"),
                "The thread that enforces shutdown-timeout cannot be started",
            );
        }
        for (_, group) in self.engine.groups.all() {
            states.attach(group.interpreter, |py| group.application.stopping(py, reason));
        }
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
        if let Some(thread) = self.python_thread.take() {
            thread.end();
        }
        if !self.engine.setup.destroy_interpreter {
            gk_sys::exit::now(0);
        }
        for (name, group) in self.engine.groups.all() {
            if !name.is_empty() {
                states.end(self.engine.groups.main(), group.interpreter);
            }
        }
        0
    }
}

/// Ends the process when the shutdown takes too long. No request thread is inside finalisation then: it has not begun.
fn reaper(timeout: Duration) -> std::io::Result<()> {
    std::thread::Builder::new().name("gk-reaper".to_owned()).stack_size(64 << 10).spawn(move || {
        std::thread::sleep(timeout);
        plain(Level::Info, "wsgi", None, "shutdown-timeout is over; this worker ends at once");
        gk_sys::exit::now(1);
    })?;
    Ok(())
}
