//! Access logs, the error logs of hosts, spans of traces, and a limit on how often the error log repeats itself.

pub mod access_log;
pub mod answers;
pub mod format;
pub mod host_log;
pub mod rate_limited;
pub mod spans;
pub mod writer;
