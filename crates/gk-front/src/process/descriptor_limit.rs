//! The limit on open descriptors, and the reserve that connections leave to files, bodies on disk and the links of new
//! workers. Connections wait for a descriptor in `client/accept.rs`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Descriptors that no connection takes; a quarter of the limit where that is less.
const RESERVE: u64 = 128;
/// Raises the soft limit to the hard one. Shells and service managers set 1024 because of `select`, which nothing here calls.
/// The admin process, the front's only child, inherits the limit.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    // Up to the hard limit this cannot fail; if it does, the old limit stays.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// The limit; read each time, because it may be changed from outside.
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Whether a connection just accepted took a descriptor of the reserve. The kernel gives the lowest free number, so all below
/// it are open.
pub fn is_reserved(connection: impl AsFd) -> bool {
    let (number, limit) = (connection.as_fd().as_raw_fd() as u64, limit());
    number + 1 + RESERVE.min(limit / 4) > limit
}

/// Whether a call failed for lack of a descriptor, in this process or in the system.
pub fn are_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = Errno::from_io_error(error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE))
}
