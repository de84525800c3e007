//! The messages between Gilkeeper's processes. Values and bytes only: no socket, no clock, no thread.
//!
//! * [`frame`], [`request`], [`response`]: the **link** between the front and one worker, many requests at once.
//! * [`control`]: JSON messages between the supervisor and a child, one per packet.
//! * [`happened`]: what happens to a server, for its pages.
//! * [`certificates`]: certificates and keys for the front.
//! * [`feed`]: JSON messages between the front and the admin process.
//! * [`queue`]: the figures of a process group's queue.
//! * [`setup`]: the setup that a child gets when it starts.
//! * [`passing`]: connections that go from one process to another.
//! * [`admin`]: requests of the command line to a running server.
//! * [`handover`]: an upgrade, between the old server and the new one.
//! * [`page`]: the layout of the one page of memory a link's two ends share.
//! * [`log`]: one log record and its written forms.
//! * [`printable`]: foreign text, made safe for a terminal or a log.
//!
//! ## A request on a link
//!
//! ```text
//! front                                   worker
//!   Hello ────────────────────────────────▶
//!   ◀──────────────────────────── Welcome      versions are compared, a mismatch closes the link
//!   Profile(p) ───────────────────────────▶    once per profile: script, callable, application group
//!   Request(id, p, has body) ─────────────▶
//!   Body(id)* … Body(id, END) ────────────▶    within the worker's credit
//!   ◀─────────────────────────── Credit(id)
//!   ◀───────────────────────────── Head(id)
//!   ◀───── Data(id)* … Data(id, END) │ File(id)
//!   Credit(id) ───────────────────────────▶    within the front's credit
//!   …
//!   ◀────────────────────────────── Leaving    the worker wants to go (limit reached, timer)
//!   Drain ────────────────────────────────▶    the last frame: nothing follows
//!   ◀─────────────────────────── end of stream, after every request before it was served
//! ```
//!
//! The protocol version is one number; both ends refuse another one. Unknown kinds are errors, also from our own
//! children: after an upgrade the other side may be another version.
#![forbid(unsafe_code)]

pub mod admin;
pub mod control;
pub mod feed;
mod fields;
pub mod frame;
pub mod handover;
pub mod happened;
pub mod log;
pub mod page;
pub mod printable;
pub mod queue;
pub mod request;
pub mod response;
pub mod setup;
pub use setup::{certificates, passing};

/// Version of everything in this crate; both ends of a link must have the same.
pub const PROTOCOL_VERSION: u16 = 5;

/// Version of the package, compared in the handshake to say which side to upgrade.
pub const PACKAGE_VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
