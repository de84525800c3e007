//! One request over one link, from the client's side: wait for the head, take the body piece by piece, let go.
//! Dropping an [`Exchange`] cancels what the worker has not ended.

use bytes::Bytes;
use gk_wire::frame::{INITIAL_WINDOW, ToWorkerFrame};
use http::HeaderMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::head::{self, ResponseHead};
use crate::link::Link;
use crate::slots::{Failure, FileBody};

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

/// A request in a worker.
pub struct Exchange {
    link: Rc<Link>,
    id: u32,
}

impl Exchange {
    /// For a request just begun on a link.
    pub fn new(link: Rc<Link>, id: u32) -> Self {
        Self { link, id }
    }

    /// The link it is on.
    pub fn link(&self) -> &Rc<Link> {
        &self.link
    }

    /// Waits for the head.
    pub async fn head(&self) -> Result<(), Failure> {
        poll_fn(|cx| self.poll_head(cx)).await
    }

    fn poll_head(&self, cx: &Context<'_>) -> Poll<Result<(), Failure>> {
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
    pub fn poll_chunk(&self, cx: &Context<'_>) -> Poll<Option<Result<Piece, Failure>>> {
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

    /// Takes and drops the rest of the body (for `HEAD`).
    pub async fn discard(self) {
        while let Some(Ok(_)) = poll_fn(|cx| self.poll_chunk(cx)).await {}
    }

    /// Sends one piece of the request body, when the worker's credit and the link's buffer allow. The piece must not be
    /// longer than the credit returned by [`Exchange::upload_credit`].
    pub fn send_body(&self, data: &[u8], end: bool) {
        if let Some(slot) = self.link.slots.borrow_mut().get(self.id) {
            slot.upload_credit = slot.upload_credit.saturating_sub(data.len() as u64);
        }
        self.link.queue(ToWorkerFrame::Body { id: self.id, end, data });
    }

    /// Waits until some body bytes may be sent, and says how many. `None`: the worker does not want any more.
    pub async fn upload_credit(&self) -> Option<u64> {
        self.link.room().await;
        poll_fn(|cx| {
            let mut slots = self.link.slots.borrow_mut();
            let slot = slots.get(self.id).expect("a slot lives as long as its exchange");
            if slot.ended {
                return Poll::Ready(None);
            }
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
