//! The HTTP front: accepts, routes, queues, dispatches to workers, answers. One data thread on which everything is
//! `Rc`; the admin pages have a process of their own ([`admin`]). No Python, and no knowledge of how workers are started.
//!
//! The tour: [`service::serve`] shows a request's path from top to bottom. Around it: `server` (sockets, connections,
//! timeouts), `control` (the supervisor's messages), `front` (what the tasks share).
//!
//! ```text
//! client ── server ── connection::Conn ── hyper ── service ── limits → route → spool → pool ─┐
//!                                       ▲                                              link ══ worker
//!                                       └──────────── body ◀── exchange ◀── slots ◀──────┘
//! ```
#![forbid(unsafe_code)]

pub mod access_log;
pub mod admin;
pub mod balance;
pub mod body;
pub mod clock;
pub mod connection;
pub mod control;
pub mod descriptors;
pub mod exchange;
pub mod files;
pub mod framing;
pub mod front;
pub mod hash;
pub mod head;
mod known;
pub mod limits;
pub mod link;
pub mod link_reader;
mod link_writer;
pub mod log_format;
pub mod owner;
pub mod path;
pub mod pool;
pub mod profiles;
pub mod proxy_trust;
pub mod reply;
pub mod response;
pub mod route;
pub mod server;
pub mod service;
mod sleep;
pub mod slots;
pub mod spool;
pub mod start;
pub mod worker_facts;

pub use start::{Parts, run, serve};

/// `SERVER_SOFTWARE` and the `Server` header.
pub const SOFTWARE: &str = concat!("gilkeeper/", env!("CARGO_PKG_VERSION"));

/// A line in the error log, without a code.
pub(crate) fn note(level: gk_wire::log::Level, client: Option<&str>, text: &str) {
    gk_sys::log::write(level, "front", gk_sys::log::Context { code: None, client }, text);
}

/// A line in the error log with its code.
pub(crate) fn note_code(level: gk_wire::log::Level, code: &str, client: Option<&str>, text: &str) {
    gk_sys::log::write(level, "wsgi", gk_sys::log::Context { code: Some(code), client }, text);
}
