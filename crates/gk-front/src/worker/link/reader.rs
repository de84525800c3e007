//! The reading half of a link: takes frames from the ring, applies them to their requests, and notices the worker's end.

use gk_sys::memory::channel::Receiver;
use gk_wire::frame::{self, ToFrontFrame, ToWorkerFrame, Welcome, WireError, check_version, to_front};
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::unix::AsyncFd;

use crate::process::readiness::watch_readable;
use crate::worker::link::Link;
use crate::worker::link::requests::{BadFrame, Elsewhere, words};
use crate::worker::link::spooler;

/// Smallest read buffer in bytes. It grows to hold a longest frame.
const BUFFER: usize = 256 * 1024;

/// Events of a link, for its owner.
pub enum LinkEvent {
    /// The handshake is done.
    Open,
    /// Requests ended; there may be room.
    Completed,
    /// The worker returned requests that no thread began.
    Returned,
    /// The worker wants to leave.
    Leaving(String),
}

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkEnd {
    /// The stream ended: the worker closed it or died.
    #[error("the worker closed the link")]
    Closed,
    /// The socket failed.
    #[error("reading from the link failed: {0}")]
    Io(#[from] io::Error),
    /// The worker does not speak our protocol.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// It sent frames in a wrong order.
    #[error("{0}")]
    Protocol(String),
    /// It sent descriptors without the frames that they belong to.
    #[error("the worker sent more descriptors than it has responses to send")]
    Descriptors,
    /// It has changed the counters of the ring that this process writes.
    #[error("the worker damaged the ring of its requests")]
    Damaged,
}

/// Reads until the link ends.
pub async fn read(link: Rc<Link>, mut on: impl FnMut(LinkEvent)) -> LinkEnd {
    let receiver = link.receiver().ok_or_else(|| LinkEnd::Protocol("the link is read already".into()));
    let reader = receiver.and_then(Reader::new);
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(ending) => return ending,
    };
    loop {
        match reader.turn(&link, &mut on).await {
            Ok(()) => {}
            Err(ending) => return ending,
        }
    }
}

impl From<BadFrame> for LinkEnd {
    fn from(bad: BadFrame) -> Self {
        match bad {
            BadFrame::Wire(error) => Self::Wire(error),
            BadFrame::Protocol(text) => Self::Protocol(text),
        }
    }
}

struct Reader {
    receiver: Receiver,
    /// The receiver's socket.
    bell: AsyncFd<Arc<OwnedFd>>,
    buffer: Vec<u8>,
    filled: usize,
    /// The other end is gone.
    ended: bool,
    greeted: bool,
}

impl Reader {
    fn new(receiver: Receiver) -> Result<Self, LinkEnd> {
        let bell = watch_readable(Arc::clone(receiver.socket()))?;
        Ok(Self { receiver, bell, buffer: vec![0; BUFFER], filled: 0, ended: false, greeted: false })
    }

    /// Waits until there may be bytes: the worker's bell, or this process's own check before it sleeps.
    async fn wait(&mut self, link: &Link) -> Result<(), LinkEnd> {
        poll_fn(|cx| {
            if link.poll_poked(cx) {
                return Poll::Ready(Ok(()));
            }
            let Poll::Ready(ready) = self.bell.poll_read_ready(cx) else { return Poll::Pending };
            let mut ready = ready?;
            match self.receiver.listen(false) {
                Ok(ended) => self.ended = ended,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            if self.receiver.has_more() {
                ready.retain_ready();
            } else {
                ready.clear_ready();
            }
            // The bell may mean that there is room in the other ring.
            link.room_came.notify_one();
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Waits for bytes, takes them, and handles every complete frame.
    async fn turn(&mut self, link: &Rc<Link>, on: &mut impl FnMut(LinkEvent)) -> Result<(), LinkEnd> {
        self.wait(link).await?;
        if link.is_damaged() {
            return Err(LinkEnd::Damaged);
        }
        self.check_descriptors(link)?;
        let got = self.receiver.pull(&mut self.buffer[self.filled..])?;
        if let Some(nudge) = &link.nudge {
            nudge.passing();
        }
        if got == 0 {
            return if self.ended { Err(LinkEnd::Closed) } else { Ok(()) };
        }
        if self.ended {
            link.wake_reader();
        }
        self.filled += got;
        let (mut at, mut ended, mut returned, mut leaving, mut room) = (0, 0, 0, None, false);
        let outcome = loop {
            match frame::split(&self.buffer[at..self.filled]) {
                Ok(Some((header, payload, used))) => {
                    if !self.greeted && header.kind != to_front::WELCOME {
                        break Err(LinkEnd::Protocol("the first frame of a worker must be Welcome".into()));
                    }
                    match ToFrontFrame::decode(header, payload)? {
                        ToFrontFrame::Welcome(json) => {
                            if std::mem::replace(&mut self.greeted, true) {
                                break Err(LinkEnd::Protocol("a second Welcome on one link".into()));
                            }
                            welcome(json)?;
                            link.open();
                            on(LinkEvent::Open);
                        }
                        ToFrontFrame::Leaving { reason } => leaving = Some(words(reason).to_owned()),
                        ToFrontFrame::Room => room = true,
                        ToFrontFrame::Return { id } => {
                            returned += u32::from(link.requests.borrow_mut().give_back(id)?)
                        }
                        frame => {
                            let receiver = &mut self.receiver;
                            let mut requests = link.requests.borrow_mut();
                            let piece = |of| match of {
                                Elsewhere::Block(place) => link.blocks.receive(place),
                                Elsewhere::Lent(number) => link.blocks.borrow(number),
                            };
                            let applied = requests.apply(frame, link.now(), || receiver.file(), piece)?;
                            drop(requests);
                            ended += u32::from(applied.ended);
                            if let Some(bytes) = applied.credit {
                                link.queue(ToWorkerFrame::Credit { id: header.id, bytes });
                            }
                            if applied.lags {
                                spooler::start(link, header.id);
                            }
                        }
                    }
                    at += used;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        self.keep_rest(at);
        if room {
            link.room_told();
        }
        if ended > 0 || room {
            link.completed(ended);
            on(LinkEvent::Completed);
        }
        if returned > 0 {
            link.returned(returned);
            on(LinkEvent::Returned);
        }
        if let Some(reason) = leaving {
            on(LinkEvent::Leaving(reason));
        }
        outcome.and_then(|()| self.check_descriptors(link))
    }

    /// Each response that has not ended may have one descriptor whose frame is still to come.
    fn check_descriptors(&self, link: &Link) -> Result<(), LinkEnd> {
        if self.receiver.held() > link.in_flight() as usize { Err(LinkEnd::Descriptors) } else { Ok(()) }
    }

    /// Moves an incomplete frame to the start of the buffer and makes room for its rest.
    fn keep_rest(&mut self, at: usize) {
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        if self.filled == self.buffer.len() {
            self.buffer.resize(frame::HEADER_LEN + frame::MAX_PAYLOAD, 0);
        } else if self.filled == 0 && self.buffer.len() > BUFFER {
            self.buffer.truncate(BUFFER);
            self.buffer.shrink_to_fit();
        }
    }
}

fn welcome(json: &[u8]) -> Result<(), LinkEnd> {
    let welcome: Welcome = gk_messages::decode(json).map_err(|_| WireError::Malformed("Welcome"))?;
    check_version(welcome.protocol, &welcome.package)?;
    Ok(())
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
