//! How many descriptors the front may have open, and how many of them connections leave alone: files, bodies on disk and the
//! links of new workers need some too. Who waits for one is in `server`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// Descriptors that no connection takes, where the limit is large enough; else a quarter of it.
const RESERVE: u64 = 128;
/// Between two lines of the log about the same want.
const SELDOM: Duration = Duration::from_secs(60);

/// Raises the soft limit to the hard one: shells and service managers give 1024 for the sake of `select`, which nothing here
/// calls. The admin process, its only child, inherits it.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    // Below the hard limit this cannot fail; if it does, the limit is what it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// The limit, as somebody may change it while we run.
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Whether a connection just accepted is among the last descriptors there are. The kernel gives the lowest number that is
/// free: all below this one are open.
pub fn is_of_reserve(connection: impl AsFd) -> bool {
    let (number, limit) = (connection.as_fd().as_raw_fd() as u64, limit());
    number + 1 + RESERVE.min(limit / 4) > limit
}

/// Whether a call failed for want of a descriptor: this process may have no more, or the system has none.
pub fn are_lacking(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = Errno::from_io_error(error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE))
}

/// When something was last said.
#[derive(Debug, Default)]
pub struct Seldom(Cell<Option<Instant>>);

impl Seldom {
    /// Whether to say it now.
    pub fn now(&self) -> bool {
        let again = self.0.get().is_none_or(|last| last.elapsed() >= SELDOM);
        if again {
            self.0.set(Some(Instant::now()));
        }
        again
    }
}
