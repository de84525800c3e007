//! A worker: one process of a process group, run inside the group's own Python.
//!
//! * [`worker`]: start and serve; [`preload`]: the imports before that; [`stop`]: the end.
//! * [`thread`]: a request thread.
//! * [`link`]: the stream to the front that all request threads share.
//! * [`exchange`]: one request on that stream, as the application's conversation sees it.
//! * [`groups`]: application group to interpreter.
//! * [`engine`]: what the threads of the process share.
//! * [`watchdog`]: timers and limits.
//! * [`python_thread`]: the thread that calls Python for the watchdog, so that a wedged GIL never stops it.
//!
//! Knows no HTTP, no TLS, no configuration language.
#![forbid(unsafe_code)]

mod engine;
mod exchange;
mod groups;
mod link;
mod preload;
mod python_thread;
mod stop;
mod thread;
mod watchdog;
mod worker;

pub use worker::{run, run_with};
