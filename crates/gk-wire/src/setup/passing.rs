//! Connections that one process of embedded mode passes on to another, in a queue that all of them have.

use serde::{Deserialize, Serialize};

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

/// Number of the word of a worker: [`room`] if it has a free thread as far as it knows, 0 if not, and after its end.
pub fn place(worker: u64) -> usize {
    (worker % WORDS as u64) as usize
}

/// The word of a worker with a free thread. Two that share a word are told apart.
pub fn room(generation: u64, worker: u64) -> u64 {
    generation << 32 | worker & u64::from(u32::MAX)
}

/// The generation in a [`room`].
pub fn generation(room: u64) -> u64 {
    room >> 32
}

/// Whether a [`room`] is of that worker.
pub fn is_of(room: u64, worker: u64) -> bool {
    room & u64::from(u32::MAX) == worker & u64::from(u32::MAX)
}
