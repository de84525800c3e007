//! A worker: one process of a process group, run inside the group's own Python.
//!
//! * [`worker`]: start, serve, stop.
//! * [`thread`]: a request thread.
//! * [`link`]: the stream to the front that all request threads share.
//! * [`outbox`]: its sending half.
//! * [`exchange`]: one request on that stream, as the application's conversation sees it.
//! * [`groups`]: application group to interpreters; [`options`]: what the configuration says of them.
//! * [`engine`]: what the threads of the process share.
//! * [`measure`]: what requests took, on the worker's scoreboard.
//! * [`watchdog`]: timers and limits.
//! * [`python_thread`]: the thread that calls Python for the watchdog, so that a wedged GIL never stops it.
//! * [`signals`]: what a signal sent to the worker asks for.
//! * [`service`]: the other kind of worker, which runs a service script.
//! * [`slow`]: requests that take long, and the stack of a running one.
//! * [`watch`]: scripts that change on disk; [`changes`]: the same of imported modules.
//!
//! Knows no HTTP, no TLS, no configuration language.
#![forbid(unsafe_code)]

mod changes;
mod ending;
mod engine;
mod exchange;
mod groups;
mod link;
mod measure;
mod options;
mod outbox;
mod python_thread;
mod service;
mod signals;
mod slow;
mod start;
mod stop;
mod thread;
mod watch;
mod watchdog;
mod worker;

pub use worker::{run, run_measured, run_with};
