//! The admin port: health, the dashboard, the API and the metrics, in a process of its own beside the front. Nothing here can
//! slow a request or end the front: that sends a few figures each second and hands over scoreboards, all else is read from
//! shared memory and `/proc`.
//!
//! ```text
//! front ── socket ── Feed ──▶ hub ── once a second: scoreboards + /proc ──▶ Tick ─┬─▶ streams (SSE)
//!                              │                                                 └─▶ history (thread, SQLite)
//!                              └── status, requests, metrics on request
//! ```
#![forbid(unsafe_code)]

pub mod collector;
pub mod door;
pub mod heard;
pub mod kept;
mod once_a_second;
pub mod pages;
mod process;
pub mod told;

pub use heard::feed::{Feed, News};
pub use process::{Parts, run, serve};

/// The machine's name.
pub(crate) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A line in the error log.
pub(crate) fn note(level: gk_wire::log::Level, text: &str) {
    gk_sys::log::write(level, "admin", gk_sys::log::Context { code: None, client: None }, text);
}
