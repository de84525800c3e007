//! Checks that run beside the requests.
//!
//! * [`watchdog`]: timers and limits; [`freezes`]: times that they do not count.
//! * [`slow_requests`]: slow requests, and the stack of a running request.
//! * [`script_changes`]: changed script files; [`module_changes`]: changed files of imported modules;
//!   [`folders`]: changed files below folders, told by the kernel.
//! * [`python_thread`]: the thread that calls Python for all of these, so that a blocked GIL never stops the main thread.
//! * [`startup`]: the import that a start waits for; [`ending`]: the step that the end of the worker waits for.

pub(crate) mod ending;
pub(crate) mod folders;
pub(crate) mod freezes;
pub(crate) mod module_changes;
pub(crate) mod python_thread;
pub(crate) mod script_changes;
pub(crate) mod slow_requests;
pub(crate) mod startup;
pub(crate) mod watchdog;
