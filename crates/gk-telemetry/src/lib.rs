//! What is measured, as values: no IO, no clock, no thread. Times are arguments.
//!
//! * [`figures`]: every figure that is measured of a request, one row each.
//! * [`scoreboard`]: a worker's page of shared memory, its writers and its reader.
//! * [`sample`]: what a reading gives, differences of two readings, sums over workers.
//! * [`portion`]: what happened in a span of time in a process group, what charts show of it; [`label`]: what limits it.
//! * [`totals`]: a whole server at one moment, for differences of any length.
//! * [`histogram`]: mergeable log-linear histograms; [`mod_wsgi_buckets`]: mod_wsgi's wider buckets.
//! * [`datagram`]: mod_wsgi's telemetry format.
//! * [`route`]: the route of a request path.
//!
//! ## Who writes what
//!
//! Every request thread owns one slot and writes it alone, with plain stores; what several threads write (a second
//! application group in a thread, the table of routes, the ring of slow requests) is added atomically. Everything is
//! `Relaxed` but the two stores that guard a slot. A reader therefore sees numbers that are a few nanoseconds apart, and never
//! slows a writer.
#![forbid(unsafe_code)]

pub mod datagram;
pub mod figures;
pub mod histogram;
pub mod label;
pub mod mod_wsgi_buckets;
pub mod portion;
pub mod route;
pub mod sample;
pub mod scoreboard;
pub mod totals;

pub use figures::{Figures, Record};
pub use histogram::Histogram;
pub use portion::Portion;
pub use sample::{GilMode, State, WorkerSample};
pub use scoreboard::board::{Board, BoardError, Identity, Route, Wait};
pub use scoreboard::layout::Layout;
pub use scoreboard::plain::Plain;
pub use scoreboard::writer::{Begin, SlotWriter};
