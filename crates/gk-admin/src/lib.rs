//! The admin port: health, the dashboard, the API and the metrics, on a thread of its own in the front's process. Nothing
//! here can slow a request: the data thread puts down a few figures each second and hands over scoreboards, all else is read
//! from shared memory and `/proc`.
//!
//! ```text
//! data thread ── Feed ──▶ hub ── once a second: scoreboards + /proc ──▶ Tick ─┬─▶ streams (SSE)
//!                          │                                                 └─▶ history (thread, SQLite)
//!                          └── status, requests, metrics on request
//! ```
#![forbid(unsafe_code)]

pub mod assets;
pub mod body;
pub mod events;
pub mod feed;
pub mod guard;
pub mod history;
pub mod hub;
pub mod prometheus;
pub mod query;
pub mod rows;
pub mod server;
pub mod tick;
pub mod totals;
pub mod tracked;

pub use feed::{Feed, FrontFigures, LinkFigures, News};
pub use server::{Options, start};

/// A line in the error log.
pub(crate) fn note(level: gk_wire::log::Level, text: &str) {
    gk_sys::log::write(level, "admin", gk_sys::log::Context { code: None, client: None }, text);
}
