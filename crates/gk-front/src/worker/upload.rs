//! Sends a request body to its worker, within the credit that the worker gives.

use gk_wire::frame::{CHUNK, ToWorkerFrame};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::request::refusal::Refusal;
use crate::request::spool::SpooledBody;
use crate::worker::link::Link;

/// The way of one request's body to its worker. It may outlive the exchange; then it ends at the next piece.
pub struct Upload {
    link: Rc<Link>,
    id: u32,
}

impl Upload {
    /// For a request on a link.
    pub fn new(link: Rc<Link>, id: u32) -> Self {
        Self { link, id }
    }

    /// Sends the whole body. Returns early when the worker ends the request before it has all of it.
    pub async fn send(self, body: SpooledBody) -> Result<(), Refusal> {
        if self.send_whole(&body) {
            return Ok(());
        }
        let (mut at, length) = (0, body.len());
        while at < length {
            let piece = body.piece(at).await?;
            at += piece.len() as u64;
            if !self.send_piece(&piece, at == length).await {
                break;
            }
        }
        Ok(())
    }

    /// Sends a body that is in memory as one block, if it may be one.
    fn send_whole(&self, body: &SpooledBody) -> bool {
        let pieces = body.in_memory();
        let mut requests = self.link.requests.borrow_mut();
        let Some(request) =
            requests.get(self.id).filter(|request| !pieces.is_empty() && !request.ended && !request.released)
        else {
            return false;
        };
        let length = body.len();
        if length > request.upload_credit {
            return false;
        }
        let Some(mut block) = self.link.blocks.draft(length as usize) else { return false };
        request.upload_credit -= length;
        drop(requests);
        pieces.iter().for_each(|piece| block.write(piece));
        self.link.queue(ToWorkerFrame::Block { id: self.id, end: true, place: block.hand_over() });
        let _ = self.link.push();
        true
    }

    /// `false`: the worker wants no more.
    async fn send_piece(&self, mut rest: &[u8], last: bool) -> bool {
        while !rest.is_empty() {
            let Some(credit) = self.credit().await else { return false };
            let most = rest.len().min(credit as usize);
            let block = self.link.blocks.draft(most);
            let (data, later) = rest.split_at(if block.is_some() { most } else { most.min(CHUNK) });
            rest = later;
            if let Some(request) = self.link.requests.borrow_mut().get(self.id) {
                request.upload_credit = request.upload_credit.saturating_sub(data.len() as u64);
            }
            let (id, end) = (self.id, last && rest.is_empty());
            self.link.queue(match block {
                Some(mut block) => {
                    block.write(data);
                    ToWorkerFrame::Block { id, end, place: block.hand_over() }
                }
                None => ToWorkerFrame::Body { id, end, data },
            });
            // A worker that is awake may have begun the request already. The writing task meets the same error.
            let _ = self.link.push();
        }
        true
    }

    /// Waits until body bytes may be sent, and returns how many. `None`: the worker wants no more.
    async fn credit(&self) -> Option<u64> {
        self.link.space().await;
        poll_fn(|cx| {
            let mut requests = self.link.requests.borrow_mut();
            let Some(request) = requests.get(self.id).filter(|request| !request.ended && !request.released)
            else {
                return Poll::Ready(None);
            };
            if request.upload_credit > 0 {
                return Poll::Ready(Some(request.upload_credit));
            }
            request.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}
