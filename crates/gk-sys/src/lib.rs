//! Safe wrappers of the operating system's facilities: descriptors, spawning, identity, limits, signals, a link's rings,
//! the log. Each function wraps one facility; what to do with it is decided by the callers. No policy here.

pub mod accounting;
pub mod caught;
pub mod channel;
pub mod clock;
pub mod exit;
pub mod fds;
pub mod identity;
pub mod interpose;
pub mod log;
pub mod page;
pub mod process;
pub mod reap;
pub mod signal;
pub mod spawn;
pub mod told;
pub mod usage;
pub mod words;
