//! A worker: one process of a process group, run inside the group's own Python.
//!
//! * [`life`]: start, serve, stop; also the worker that runs a service script.
//! * [`serve`]: request threads, the link to the front, interpreters.
//! * [`watch`]: limits, slow requests, changed files: checks that run beside the requests.
//! * [`measure`]: what requests took, on the worker's scoreboard.
//!
//! Knows no HTTP, no TLS, no configuration language.
#![forbid(unsafe_code)]

mod life;
mod measure;
mod serve;
mod watch;

pub use life::{EmbeddedStart, FrontDoor, run, run_measured, run_with};
