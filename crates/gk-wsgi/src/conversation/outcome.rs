//! The figures of a request: how it ended, what it read and wrote.

use gk_sys::clock::Moment;

/// What a request came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// The status that went out; 0: none did.
    pub status: u16,
    /// The application failed, or there was none.
    pub error: bool,
    /// The application's part began, where that was later than the request was taken: a script was loaded first.
    pub application_start: Option<Moment>,
    /// Bytes of the request body that the application read.
    pub bytes_in: u64,
    /// Reads of it.
    pub reads: u64,
    /// Nanoseconds inside the reads.
    pub input: u64,
    /// Bytes of the response body.
    pub bytes_out: u64,
    /// Blocks of it.
    pub writes: u64,
    /// Nanoseconds in which sending them waited for the front.
    pub output: u64,
}
