//! One request over one link, from the client's side: wait for the head, take the body piece by piece, let go.
//! Dropping an [`Exchange`] cancels what the worker has not ended.

use bytes::Bytes;
use gk_wire::frame::{INITIAL_WINDOW, ToWorkerFrame};
use http::HeaderMap;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::answer::reply::Refusal;
use crate::request::spool::Spooled;
use crate::worker::head::{self, ResponseHead};
use crate::worker::link::Link;
use crate::worker::slots::{Failure, FileBody};

/// What came first.
pub struct Begun {
    /// The head.
    pub head: ResponseHead,
    /// The body as far as it is known already.
    pub body: Early,
}

/// A response body at the moment its head is taken.
pub enum Early {
    /// It is all there.
    Whole(Bytes),
    /// A file.
    File(FileBody),
    /// More is to come.
    More,
}

/// Most bytes of an unwanted response that are taken for the worker.
const DISCARD: usize = 16 << 20;
/// How long that may take.
const DISCARD_FOR: Duration = Duration::from_secs(30);

/// The sending of a request body.
type Upload = Pin<Box<dyn Future<Output = Result<(), Refusal>>>>;

/// A request in a worker.
pub struct Exchange {
    link: Rc<Link>,
    id: u32,
    /// What of the request body the worker has not got yet. It goes on while the response comes.
    upload: RefCell<Option<Upload>>,
}

impl Exchange {
    /// For a request just begun on a link.
    pub fn new(link: Rc<Link>, id: u32) -> Self {
        Self { link, id, upload: RefCell::new(None) }
    }

    /// Sends a request body whenever the exchange is asked for the head or for a piece of the response.
    pub fn upload(&self, body: Spooled) {
        let uplink = Uplink { link: Rc::clone(&self.link), id: self.id };
        *self.upload.borrow_mut() = Some(Box::pin(body.send(uplink)));
    }

    fn poll_upload(&self, cx: &mut Context<'_>) {
        let mut upload = self.upload.borrow_mut();
        let Some(Poll::Ready(sent)) = upload.as_mut().map(|upload| upload.as_mut().poll(cx)) else { return };
        *upload = None;
        // The error log has the cause.
        if sent.is_err()
            && let Some(slot) = self.link.slots.borrow_mut().get(self.id)
        {
            let reason = "the request body could not be read back from its temporary file";
            slot.failure.get_or_insert_with(|| Failure::Aborted(reason.into()));
        }
    }

    /// The link it is on.
    pub fn link(&self) -> &Rc<Link> {
        &self.link
    }

    /// Waits for the head.
    pub async fn head(&self) -> Result<(), Failure> {
        poll_fn(|cx| self.poll_head(cx)).await
    }

    fn poll_head(&self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.poll_upload(cx);
        let mut slots = self.link.slots.borrow_mut();
        let slot = slots.get(self.id).expect("a slot lives as long as its exchange");
        if slot.has_head {
            return Poll::Ready(Ok(()));
        }
        if let Some(failure) = &slot.failure {
            return Poll::Ready(Err(failure.clone()));
        }
        slot.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Takes the head, for which [`Exchange::head`] waited, and what there is of the body. `headers` is emptied and gets the
    /// response's.
    pub fn begun(&self, headers: &mut HeaderMap) -> Begun {
        let mut slots = self.link.slots.borrow_mut();
        let slot = slots.get(self.id).expect("a slot lives as long as its exchange");
        slot.has_head = false;
        let head = head::response(&slot.head, slot.head_flags, headers)
            .expect("the reader of the link took it apart once before");
        let body = if let Some(file) = slot.file.take() {
            Early::File(file)
        } else if slot.ended && slot.failure.is_none() && slot.chunks.len() <= 1 {
            Early::Whole(slot.chunks.pop_front().unwrap_or_default())
        } else {
            Early::More
        };
        Begun { head, body }
    }

    /// The next piece of the body; `None` at its end. Taking a piece lets the worker send more.
    pub fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Failure>>> {
        self.poll_upload(cx);
        let mut slots = self.link.slots.borrow_mut();
        let slot = slots.get(self.id).expect("a slot lives as long as its exchange");
        if let Some(chunk) = slot.chunks.pop_front() {
            slot.buffered -= chunk.len();
            slot.taken += chunk.len() as u32;
            slot.since = self.link.clock.coarse();
            let credit =
                (!slot.ended && slot.taken >= INITIAL_WINDOW / 4).then(|| std::mem::take(&mut slot.taken));
            drop(slots);
            if let Some(bytes) = credit {
                self.link.queue(ToWorkerFrame::Credit { id: self.id, bytes });
            }
            return Poll::Ready(Some(Ok(Piece::Data(chunk))));
        }
        if let Some(file) = slot.file.take() {
            return Poll::Ready(Some(Ok(Piece::File(file))));
        }
        if let Some(failure) = &slot.failure {
            return Poll::Ready(Some(Err(failure.clone())));
        }
        if slot.ended {
            return Poll::Ready(None);
        }
        slot.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether everything was taken and nothing went wrong.
    pub fn is_finished(&self) -> bool {
        let mut slots = self.link.slots.borrow_mut();
        slots.get(self.id).is_none_or(|slot| {
            slot.ended && slot.chunks.is_empty() && slot.file.is_none() && slot.failure.is_none()
        })
    }

    /// Takes and drops the rest of the body (for `HEAD`). A response without an end is cancelled.
    pub async fn discard(self) {
        let taking = async {
            let mut left = DISCARD;
            while let Some(Ok(Piece::Data(bytes))) = poll_fn(|cx| self.poll_chunk(cx)).await
                && bytes.len() <= left
            {
                left -= bytes.len();
            }
        };
        let _ = tokio::time::timeout(DISCARD_FOR, taking).await;
    }
}

/// The way of a request body to its worker. It may outlive the exchange, and leads nowhere then.
pub struct Uplink {
    link: Rc<Link>,
    id: u32,
}

impl Uplink {
    /// Sends one piece. It must not be longer than [`Uplink::credit`] said.
    pub fn send(&self, data: &[u8], end: bool) {
        if let Some(slot) = self.link.slots.borrow_mut().get(self.id) {
            slot.upload_credit = slot.upload_credit.saturating_sub(data.len() as u64);
        }
        self.link.queue(ToWorkerFrame::Body { id: self.id, end, data });
    }

    /// Waits until some body bytes may be sent, and says how many. `None`: the worker does not want any more.
    pub async fn credit(&self) -> Option<u64> {
        self.link.room().await;
        poll_fn(|cx| {
            let mut slots = self.link.slots.borrow_mut();
            let Some(slot) = slots.get(self.id).filter(|slot| !slot.ended && !slot.released) else {
                return Poll::Ready(None);
            };
            if slot.upload_credit > 0 {
                return Poll::Ready(Some(slot.upload_credit));
            }
            slot.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// A piece of a response body.
pub enum Piece {
    /// Bytes.
    Data(Bytes),
    /// The rest is a file.
    File(FileBody),
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.link.release(self.id);
    }
}
