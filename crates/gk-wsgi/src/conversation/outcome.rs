//! The figures of a request: how it ended, what it read and wrote.

use gk_sys::clock::Moment;

/// Figures of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Status sent; 0 if none was.
    pub status: u16,
    /// The application failed, or there was none.
    pub error: bool,
    /// Start of the application's part, if it was later than the request was taken because a script was loaded first.
    pub application_start: Option<Moment>,
    /// Bytes of the request body read by the application.
    pub bytes_in: u64,
    /// Number of reads.
    pub reads: u64,
    /// Nanoseconds in reads.
    pub input: u64,
    /// Bytes of the response body.
    pub bytes_out: u64,
    /// Blocks of the response body.
    pub writes: u64,
    /// Nanoseconds that sending waited for the front; with subscribers to events, nanoseconds of sending.
    pub output: u64,
}
