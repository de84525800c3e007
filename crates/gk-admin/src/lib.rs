//! The admin process beside the front: health, the dashboard, the API and the metrics. Nothing here can slow a request or end the
//! front, which only sends a few figures each second and hands over scoreboards; everything else is read from shared memory
//! and `/proc`.
//!
//! ```text
//! heard                               kept                     told, pages
//! front ── socket ── messages ──────▶ hub ── once a second ─┬─▶ stream (SSE)
//! scoreboards, /proc ──────────────▶   │                    ├─▶ history (thread, SQLite)
//! datagrams, OTLP of other servers ▶   │                    └─▶ mod_wsgi's datagrams
//!                                      ├── on request ────────▶ JSON, /metrics
//!                                      └── at their interval ─▶ OTLP, statsd
//! ```
//!
//! A module may use only those before it in this order: `door` (what every listener needs), `heard`, `kept`, `told`, `pages`.
//! `process` and `collector` put them together; `once_a_second` passes each second's figures on.
#![forbid(unsafe_code)]

pub mod collector;
pub mod door;
pub mod heard;
pub mod kept;
mod once_a_second;
pub mod pages;
mod process;
pub mod told;

pub use process::{Parts, run, serve};

/// The machine's name.
pub(crate) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Writes a line to the error log.
pub(crate) fn note(level: gk_wire::log::Level, text: &str) {
    gk_sys::log::write(level, "admin", gk_sys::log::Context::default(), text);
}
