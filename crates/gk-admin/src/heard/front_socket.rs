//! The socket to the front: JSON messages, one per packet.

use crate::note;
use gk_messages::{decode, encode};
use gk_sys::descriptors;
use gk_wire::control::MAX_PACKET;
use gk_wire::feed::{FromAdmin, ToAdmin};
use gk_wire::log::Level;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The socket to the front.
#[derive(Clone)]
pub(crate) struct FrontSocket(Arc<AsyncFd<OwnedFd>>);

impl FrontSocket {
    #[expect(
        deprecated,
        reason = "its replacement is unsafe; a descriptor that is owned cannot be closed behind the registration's back"
    )]
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self(Arc::new(AsyncFd::with_interest(socket, Interest::READABLE)?)))
    }

    pub(crate) fn send(&self, message: &FromAdmin) {
        // The front reads all the time. A request for a stack that does not fit is lost and has to be repeated by hand.
        let _ = descriptors::send(self.0.get_ref(), &encode(message), &[]);
    }

    /// Sends a message with a descriptor. Returns false if the front's socket is full.
    pub(crate) fn send_file(&self, message: &FromAdmin, file: &OwnedFd) -> bool {
        descriptors::send(self.0.get_ref(), &encode(message), &[file.as_fd()]).is_ok()
    }

    /// The next message and the descriptor that came with it; `None` when the front is gone.
    pub(crate) async fn receive(&self) -> Option<(ToAdmin, Option<OwnedFd>)> {
        let mut buffer = vec![0; MAX_PACKET];
        loop {
            let mut ready = self.0.readable().await.ok()?;
            match descriptors::receive(self.0.get_ref(), &mut buffer, false) {
                Ok(got) if got.bytes == 0 => return None,
                Ok(got) => match decode(&buffer[..got.bytes]) {
                    Ok(message) => return Some((message, got.fds.into_iter().next())),
                    Err(error) => {
                        note(Level::Error, &format!("a message of the front is not understood: {error}"));
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(_) => return None,
            }
        }
    }
}
