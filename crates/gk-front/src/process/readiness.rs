//! Registers sockets that are not tokio's own with the event loop.

use std::io;
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a socket for bytes to read. Only readability: a registered interest in writability would wake this process each
/// time the other end takes something out of the socket.
#[expect(
    deprecated,
    reason = "its replacement is unsafe; a descriptor that is owned cannot be closed behind the registration's back"
)]
pub fn watch_readable<T: AsRawFd>(socket: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}
