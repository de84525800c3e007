//! The reading half of a link: frames come in, requests' slots are filled, their tasks woken. As many frames per look into the
//! ring as there are; the worker's end is seen here.

use bytes::Bytes;
use gk_sys::memory::channel::{Carried, Receiver};
use gk_wire::frame::{self, INITIAL_WINDOW, ToFrontFrame, Welcome, WireError, check_version};
use gk_wire::response::HeadView;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::unix::AsyncFd;

use crate::worker::link::watched;
use crate::worker::link::{FIRST_KIND, Link};
use crate::worker::slots::{Failure, FileBody};

/// Bytes of the read buffer at least. It grows to hold one longest frame if one comes.
const BUFFER: usize = 256 * 1024;

/// Why a response is not there whose file could not be taken over.
const NO_DESCRIPTOR: &str = "its file could not be handed over, as the front has as many descriptors open as its limit allows \
                             (raise the limit on open files, ulimit -n, or turn WSGIEnableSendfile off)";

/// What happened on a link, for its owner.
pub enum Event {
    /// The handshake is done.
    Open,
    /// Requests ended; there may be room.
    Completed,
    /// The worker gave requests back.
    Returned,
    /// The worker wants to leave.
    Leaving(String),
}

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub enum Ending {
    /// The stream ended: the worker closed it or died.
    #[error("the worker closed the link")]
    Closed,
    /// The socket failed.
    #[error("reading from the link failed: {0}")]
    Io(#[from] io::Error),
    /// The worker does not speak our protocol.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// It sent something it may not send.
    #[error("{0}")]
    Protocol(String),
}

/// Reads until the link ends.
pub async fn read(link: Rc<Link>, mut on: impl FnMut(Event)) -> Ending {
    let receiver = link.receiver().ok_or_else(|| Ending::Protocol("the link is read already".into()));
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
    fn new(receiver: Receiver) -> Result<Self, Ending> {
        // Only readability: a registered interest in writability would wake this process each time the worker takes a bell
        // out of the socket.
        let bell = watched(Arc::clone(receiver.socket()))?;
        Ok(Self { receiver, bell, buffer: vec![0; BUFFER], filled: 0, ended: false, greeted: false })
    }

    /// Waits until somebody says that there are bytes: the bell, or this process's own look before it sleeps.
    async fn wait(&mut self, link: &Link) -> Result<(), Ending> {
        poll_fn(|cx| {
            if link.poked(cx) {
                return Poll::Ready(Ok(()));
            }
            let Poll::Ready(ready) = self.bell.poll_read_ready(cx) else { return Poll::Pending };
            let mut ready = ready?;
            match self.receiver.listen(false) {
                Ok(ended) => self.ended = ended,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            ready.clear_ready();
            // Some bells say that there is room.
            link.room_came.notify_one();
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Waits for bytes, takes them, handles every whole frame.
    async fn turn(&mut self, link: &Link, on: &mut impl FnMut(Event)) -> Result<(), Ending> {
        self.wait(link).await?;
        let got = self.receiver.pull(&mut self.buffer[self.filled..])?;
        if got == 0 {
            return if self.ended { Err(Ending::Closed) } else { Ok(()) };
        }
        if self.ended {
            link.wake_reader();
        }
        self.filled += got;
        let (mut at, mut ended, mut returned, mut leaving) = (0, 0, 0, None);
        let outcome = loop {
            match frame::split(&self.buffer[at..self.filled]) {
                Ok(Some((header, payload, used))) => {
                    if !self.greeted && header.kind != FIRST_KIND {
                        break Err(Ending::Protocol("the first frame of a worker must be Welcome".into()));
                    }
                    match ToFrontFrame::decode(header, payload)? {
                        ToFrontFrame::Welcome(json) => {
                            if std::mem::replace(&mut self.greeted, true) {
                                break Err(Ending::Protocol("a second Welcome on one link".into()));
                            }
                            welcome(json)?;
                            link.open();
                            on(Event::Open);
                        }
                        ToFrontFrame::Leaving { reason } => leaving = Some(reason.to_owned()),
                        ToFrontFrame::Return { id } => returned += u32::from(give_back(link, id)),
                        frame => ended += u32::from(apply(link, frame, &mut self.receiver)?),
                    }
                    at += used;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        self.keep_rest(at);
        if ended > 0 {
            link.completed(ended);
            on(Event::Completed);
        }
        if returned > 0 {
            link.returned(returned);
            on(Event::Returned);
        }
        if let Some(reason) = leaving {
            on(Event::Leaving(reason));
        }
        outcome
    }

    /// Moves a cut frame to the start of the buffer and makes room for the rest of it.
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

fn welcome(json: &[u8]) -> Result<(), Ending> {
    let welcome: Welcome = serde_json::from_slice(json).map_err(|_| WireError::Malformed("Welcome"))?;
    check_version(welcome.protocol, &welcome.package)?;
    Ok(())
}

/// The worker gives a request back. `true`: it counted as in flight until now.
fn give_back(link: &Link, id: u32) -> bool {
    let mut slots = link.slots.borrow_mut();
    let Some(slot) = slots.get(id).filter(|slot| !slot.ended) else { return false };
    slot.ended = true;
    slot.failure.get_or_insert(Failure::NotStarted);
    slot.wake();
    slots.settle(id);
    true
}

/// Applies a frame of one request. `true`: it was the last one.
fn apply(link: &Link, frame: ToFrontFrame<'_>, receiver: &mut Receiver) -> Result<bool, Ending> {
    let mut slots = link.slots.borrow_mut();
    let id = match frame {
        ToFrontFrame::Head { id, .. }
        | ToFrontFrame::Data { id, .. }
        | ToFrontFrame::File { id, .. }
        | ToFrontFrame::Credit { id, .. }
        | ToFrontFrame::Abort { id, .. } => id,
        ToFrontFrame::Welcome(_) | ToFrontFrame::Leaving { .. } | ToFrontFrame::Return { .. } => {
            return Ok(false);
        }
    };
    let Some(slot) = slots.get(id).filter(|slot| !slot.ended) else {
        // Credit for a request that ended before its body was used up is in order, and one that ended may be ended
        // once more; anything else is not.
        return match frame {
            ToFrontFrame::Credit { .. } | ToFrontFrame::Abort { .. } => Ok(false),
            _ => Err(Ending::Protocol(format!("a frame for request {id}, which is not in flight"))),
        };
    };
    slot.heard(link.clock.coarse());
    match frame {
        ToFrontFrame::Data { .. } | ToFrontFrame::File { .. } if !slot.headed => {
            return Err(Ending::Protocol(format!("a body without a head for request {id}")));
        }
        ToFrontFrame::Head { flags, payload, .. } => {
            if slot.headed {
                return Err(Ending::Protocol(format!("a second head for request {id}")));
            }
            // Its connection's task makes a response of it; here it must only be whole.
            HeadView::decode(payload)?;
            slot.head.extend_from_slice(payload);
            (slot.head_flags, slot.has_head, slot.headed) = (flags, true, true);
            slot.ended = flags & frame::END != 0;
        }
        ToFrontFrame::Data { end, data, .. } => {
            slot.ended = end;
            if !slot.released && !data.is_empty() {
                slot.buffered += data.len();
                if slot.buffered > 2 * INITIAL_WINDOW as usize {
                    return Err(Ending::Protocol(format!("request {id} exceeds its window")));
                }
                slot.chunks.push_back(Bytes::copy_from_slice(data));
            }
        }
        ToFrontFrame::File { offset, len, .. } => {
            match receiver.file() {
                Some(Carried::File(file)) => slot.file = Some(FileBody { file, offset, len }),
                Some(Carried::Lost) => {
                    // A head that nobody has seen yet gives way to an error page.
                    slot.has_head = false;
                    slot.failure = Some(Failure::Aborted(NO_DESCRIPTOR.to_owned()));
                }
                None => return Err(Ending::Protocol("a File frame without its descriptor".into())),
            }
            slot.ended = true;
        }
        ToFrontFrame::Credit { bytes, .. } => slot.upload_credit += u64::from(bytes),
        ToFrontFrame::Abort { reason, .. } => {
            slot.failure = Some(Failure::Aborted(reason.to_owned()));
            slot.ended = true;
        }
        ToFrontFrame::Welcome(_) | ToFrontFrame::Leaving { .. } | ToFrontFrame::Return { .. } => {}
    }
    slot.wake();
    let ended = slot.ended;
    if ended {
        slots.settle(id);
    }
    Ok(ended)
}

#[cfg(test)]
#[path = "link_reader_tests.rs"]
mod tests;
