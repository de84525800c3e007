//! Connections that one process of embedded mode passes on to another, in a queue that all of them have.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Most bytes of a [`Passed`].
pub const MOST_PASSED: usize = 4096;
/// Words of the shared memory in which each process says whether it has a free thread.
pub const WORDS: usize = 512;

/// A connection without TLS on which a request has arrived, and nothing of it was read. Descriptor: [the socket].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// Address of the listener that accepted it.
    pub listener: String,
    /// Requests that were begun on it.
    pub requests: u64,
}

/// The words of all processes.
pub fn places() -> Range<usize> {
    0..WORDS
}

/// The word of a worker: 1 if it has a free thread as far as it knows, 0 if not, and after its end.
pub fn place(worker: u64) -> usize {
    (worker % WORDS as u64) as usize
}
