//! The HTTP front: accepts, routes, queues, dispatches to workers, answers. One data thread on which everything is
//! `Rc`; the admin pages have a process of their own ([`process::admin`]). No Python, and no knowledge of how workers are started.
//!
//! The tour: [`service::serve`] shows a request's path from top to bottom. A request passes through the modules in this order.
//! `process` starts them, `front` holds what their tasks share, `log` records each request.
//!
//! ```text
//! client ── hyper ── service ── request: limits → route → spool ── worker: pool → link ══ worker process
//!             ▲                                                                             │
//!             └──────────────── answer: response, body ◀──────── worker: exchange ◀─────────┘
//! ```
#![forbid(unsafe_code)]

pub mod access;
pub mod answer;
pub mod client;
pub mod engine;
pub mod front;
pub mod log;
pub mod process;
pub mod request;
pub mod service;
pub mod worker;

pub use front::Logs;
use gk_wire::printable::line;
pub use process::start::{Parts, embedded, run, serve};

/// Value of `SERVER_SOFTWARE` and of the `Server` header.
pub const SOFTWARE: &str = concat!("gilkeeper/", env!("CARGO_PKG_VERSION"));

/// Writes a line to the error log, without a code. It is one line whatever a request or a worker put in it.
pub(crate) fn note(level: gk_wire::log::Level, client: Option<&str>, text: &str) {
    write(level, "front", None, client, text);
}

/// Writes a line to the error log, with its code; one line as well.
pub(crate) fn note_code(level: gk_wire::log::Level, code: &str, client: Option<&str>, text: &str) {
    write(level, "wsgi", Some(code), client, text);
}

/// A line about a client goes to the log of the host that it asked.
fn write(level: gk_wire::log::Level, module: &str, code: Option<&str>, client: Option<&str>, text: &str) {
    log::host_log::with(|log, request| {
        let log = log.filter(|_| client.is_some());
        gk_sys::log::write(level, module, gk_sys::log::Context { code, client, request, log }, &line(text));
    });
}
