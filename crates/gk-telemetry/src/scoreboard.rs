//! The scoreboard of one worker: a page of shared memory that its request threads write and the admin process reads.
//!
//! * [`layout`]: word offsets; `words`: access to words.
//! * [`board`]: a scoreboard is made and opened; [`waits`]: waits for a GIL are added to it.
//! * `entries`: application groups and routes, which several threads fill; `kinds`: the types of exceptions.
//! * [`plain`]: the short form of a request like most.
//! * `cell`: the counters and histograms of an application group; [`writer`]: a request thread adds to them.
//! * `times`: response times by route.
//! * [`ring`]: the last slow requests and garbage collections.
//! * [`holds`]: where in their Python code threads held a GIL while others waited.
//! * [`calls`]: where request threads used the processor, while a profile runs.
//! * [`reader`]: all of it as a [`crate::WorkerSample`].

pub mod board;
pub mod calls;
mod cell;
mod entries;
pub mod holds;
mod kinds;
pub mod layout;
pub mod plain;
pub mod reader;
pub mod ring;
pub(crate) mod times;
pub mod waits;
mod words;
pub mod writer;
