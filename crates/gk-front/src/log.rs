//! Access logs.

pub mod access_log;
pub mod format;
