//! Request events for applications that subscribed to them. For other applications the cost is one read of a list's length
//! per request.

use crate::conversation::Conversation;
use crate::interpreter::application::Application;
use gk_python::gil::Waited;
use gk_python::{Attached, Object, PyError};
use gk_wire::log::Level;

/// Returns true if the application of this interpreter subscribed to events.
pub(crate) fn wanted(py: Attached<'_>, app: &Application) -> bool {
    app.runtime.event_callbacks.list_len(py) > 0
}

/// A request of an application with subscribers.
pub(crate) struct WatchedRequest<'p> {
    request: Object<'p>,
    /// CPU seconds of the thread before the request: user, system.
    cpu: Option<(f64, f64)>,
    /// The thread's waits for a GIL before the request.
    waited: Waited,
}

impl<'p> WatchedRequest<'p> {
    /// Publishes `request_started`.
    pub(crate) fn start(
        py: Attached<'p>,
        app: &Application,
        environ: &Object<'p>,
        application: &Object<'p>,
        start_response: &Object<'p>,
    ) -> Result<Self, PyError<'p>> {
        let (cpu, waited) = (gk_sys::usage::thread_cpu_seconds(), gk_python::gil::waited());
        let request = app.runtime.watched_request.bind(py).call(&[environ, application, start_response])?;
        Ok(Self { request, cpu, waited })
    }

    /// The application, or the object that a subscriber put in its place.
    pub(crate) fn application(&self) -> Result<Object<'p>, PyError<'p>> {
        self.request.attr("application")
    }

    /// The `start_response` for the application.
    pub(crate) fn start_response(&self) -> &Object<'p> {
        &self.request
    }

    /// Publishes `request_exception`: the application or its iterable raised `error`.
    pub(crate) fn failed(&self, error: &PyError<'p>) {
        report(self.request.call_method("failed", &[error.value()]));
    }

    /// Publishes `request_finished`, after the response was sent and `close()` called.
    pub(crate) fn finished(self, conversation: &Conversation) {
        report(
            self.measured(conversation)
                .and_then(|measured| self.request.call_method("finished", &[&measured])),
        );
    }

    fn measured(&self, conversation: &Conversation) -> Result<Object<'p>, PyError<'p>> {
        let py = self.request.py();
        let dict = py.dict()?;
        let number = |name: &str, value: u64| dict.set_item(&py.str(name)?, &py.int(value as i64)?);
        let seconds = |name: &str, value: f64| dict.set_item(&py.str(name)?, &py.float(value)?);
        let outcome = conversation.outcome();
        number("input_reads", outcome.reads)?;
        number("input_length", outcome.bytes_in)?;
        seconds("input_time", outcome.input as f64 / 1e9)?;
        number("output_writes", outcome.writes)?;
        number("output_length", outcome.bytes_out)?;
        seconds("output_time", outcome.output as f64 / 1e9)?;
        if let (Some(before), Some(now)) = (self.cpu, gk_sys::usage::thread_cpu_seconds()) {
            let (user, system) = ((now.0 - before.0).max(0.0), (now.1 - before.1).max(0.0));
            seconds("cpu_user_time", user)?;
            seconds("cpu_system_time", system)?;
            seconds("cpu_time", user + system)?;
        }
        // Where waits are not exact, those for which the server itself takes the GIL stand for all.
        let waited = gk_python::gil::waited();
        let gil = (waited.nanos - self.waited.nanos) + (waited.own - self.waited.own);
        seconds("gil_wait_time", gil as f64 / 1e9)?;
        number(
            "gil_wait_count",
            (waited.waits - self.waited.waits) + (waited.own_times - self.waited.own_times),
        )?;
        number("status", u64::from(outcome.status))?;
        Ok(dict)
    }
}

/// Logs a failure around the subscribers; their own exceptions are caught in Python.
fn report(told: Result<Object<'_>, PyError<'_>>) {
    if let Err(error) = told {
        crate::log::log(Level::Error, Some("WSGI0112"), &error.traceback());
    }
}
