//! Measurements as values: no IO, no clock, no thread. Times are arguments.
//!
//! * [`answered`]: answers as clients got them, the server's own included.
//! * [`figures`]: every figure that is measured of a request, one row each.
//! * [`scoreboard`]: a worker's page of shared memory, its writers and its reader.
//! * [`sample`]: a reading of a scoreboard, differences of two readings, sums over workers.
//! * [`portion`]: one process group in a span of time, and the points of charts; [`label`]: its limit, in words.
//! * [`profile`]: the functions in which request threads used the processor, with their callers.
//! * [`totals`]: a whole server at one moment, for differences of any length.
//! * [`histogram`]: mergeable log-linear histograms; [`mod_wsgi_buckets`]: mod_wsgi's wider buckets.
//! * [`datagram`]: mod_wsgi's telemetry format.
//! * [`route`]: the route of a request path; `saturating`: additions of untrusted numbers.
//!
//! ## Who writes what
//!
//! Every request thread owns one slot and writes it alone, with plain stores. Words that several threads write (cells of a second
//! application group in a thread, routes, the ring of slow requests) get atomic additions. All accesses are `Relaxed` but those
//! to guards and to words that announce others. So a reader sees numbers that are a few nanoseconds apart, and never slows a
//! writer. For each word: [`scoreboard::layout`].
#![forbid(unsafe_code)]

pub mod answered;
pub mod datagram;
pub mod figures;
pub mod histogram;
pub mod label;
pub mod mod_wsgi_buckets;
pub mod portion;
pub mod profile;
pub mod route;
pub mod sample;
mod saturating;
pub mod scoreboard;
pub mod totals;

pub use answered::{Answered, Reason};
pub use figures::{Figures, Record};
pub use histogram::Histogram;
pub use portion::Portion;
pub use profile::Profile;
pub use sample::{GilMode, ThreadStage, WorkerSample};
pub use scoreboard::board::{Board, BoardError, Identity, Route};
pub use scoreboard::calls::CallTree;
pub use scoreboard::holds::{HoldEntry, HoldPlace};
pub use scoreboard::layout::Layout;
pub use scoreboard::plain::Plain;
pub use scoreboard::waits::Wait;
pub use scoreboard::writer::{Begin, SlotWriter};
