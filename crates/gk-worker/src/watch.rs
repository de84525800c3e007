//! What is looked at beside the requests.
//!
//! * [`watchdog`]: timers and limits.
//! * [`slow_requests`]: requests that take long, and the stack of a running one.
//! * [`script_changes`]: scripts that change on disk; [`module_changes`]: the same of imported modules.
//! * [`python_thread`]: the thread that calls Python for all of them, so that a wedged GIL never stops the main thread.
//! * [`ending`]: what the end of the worker waits for.

pub(crate) mod ending;
pub(crate) mod module_changes;
pub(crate) mod python_thread;
pub(crate) mod script_changes;
pub(crate) mod slow_requests;
pub(crate) mod watchdog;
