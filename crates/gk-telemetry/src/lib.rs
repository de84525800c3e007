//! What is measured, as values: no IO, no clock, no thread. Times are arguments.
//!
//! * [`board`]: the scoreboard of one worker in a shared page, the writer's side: [`Board::waited`]. No lock and no
//!   allocation.
//! * [`writer`]: a request thread's part of it: [`SlotWriter::begin`], [`SlotWriter::finish`].
//! * [`reader`]: the same page read by the front: [`Board::sample`].
//! * [`sample`]: what a reading gives, differences of two readings, sums over workers.
//! * [`portion`]: what happened in a span of time in a process group, what charts show of it; [`label`]: what limits it.
//! * [`totals`]: a whole server at one moment, for differences of any length.
//! * [`histogram`]: mergeable log-linear histograms.
//! * [`datagram`]: mod_wsgi's telemetry format.
//! * [`route`]: which route a request path belongs to.
//!
//! ## Who writes what
//!
//! Every request thread owns one slot and writes it alone, with plain stores; what several threads write (a second
//! application group in a thread, the table of routes, the ring of slow requests) is added atomically. Everything is
//! `Relaxed` but the two stores that guard a slot. A reader therefore sees numbers that are a few nanoseconds apart, and never
//! slows a writer.
#![forbid(unsafe_code)]

pub mod board;
mod cell;
pub mod datagram;
pub mod finish;
pub mod histogram;
pub mod label;
pub mod layout;
pub mod portion;
pub mod reader;
pub mod ring;
pub mod route;
pub mod sample;
pub mod table;
pub mod totals;
mod words;
pub mod writer;

pub use board::{Board, BoardError, GilMode, Identity, Route, State, Wait};
pub use finish::{Plain, Record};
pub use histogram::Histogram;
pub use layout::Layout;
pub use portion::Portion;
pub use sample::WorkerSample;
pub use writer::{Begin, SlotWriter};
