//! The scoreboard of one worker: a page of shared memory that its request threads write and the admin process reads.
//!
//! * [`layout`]: word offsets; `words`: access to words.
//! * [`board`]: a scoreboard is made and opened; [`waits`]: waits for a GIL are added to it.
//! * `entries`: application groups and routes, which several threads fill.
//! * [`plain`]: the short form of a request like most.
//! * `cell`: the counters and histograms of an application group; [`writer`]: a request thread adds to them.
//! * [`ring`]: the last slow requests and garbage collections.
//! * [`reader`]: all of it as a [`crate::WorkerSample`].

pub mod board;
mod cell;
mod entries;
pub mod layout;
pub mod plain;
pub mod reader;
pub mod ring;
pub mod waits;
mod words;
pub mod writer;
