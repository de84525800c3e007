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

    /// `false`: the worker wants no more.
    async fn send_piece(&self, mut rest: &[u8], last: bool) -> bool {
        while !rest.is_empty() {
            let Some(credit) = self.credit().await else { return false };
            let (data, later) = rest.split_at(rest.len().min(CHUNK).min(credit as usize));
            rest = later;
            if let Some(request) = self.link.requests.borrow_mut().get(self.id) {
                request.upload_credit = request.upload_credit.saturating_sub(data.len() as u64);
            }
            self.link.queue(ToWorkerFrame::Body { id: self.id, end: last && rest.is_empty(), data });
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
