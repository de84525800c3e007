//! A response body on its way to a client: counts bytes for the access log, and makes a body that was cut off look cut off.

use bytes::Bytes;
use gk_telemetry::Reason;
use gk_wire::log::Level;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::answer::body::{Body, CutOff};
use crate::client::requester::Requester;
use crate::engine::Exchange;
use crate::log::access_log::Entry;
use crate::log::answers::Answering;

/// What ends with a response.
pub struct Ending {
    /// Its access-log entry, if it is logged.
    pub entry: Option<Box<Entry>>,
    /// Its place in the figures.
    pub answering: Answering,
}

/// The body of a response to one request, as hyper takes it.
pub struct OutgoingBody<X: Exchange> {
    body: Body<X>,
    requester: Requester,
    ending: Ending,
    /// The end of the connection is the end of the body (HTTP/1.0 without a length).
    delimited_by_close: bool,
}

impl<X: Exchange> OutgoingBody<X> {
    /// `ending` ends with this body.
    pub fn new(requester: &Requester, body: Body<X>, ending: Ending, delimited_by_close: bool) -> Self {
        Self { body, requester: requester.clone(), ending, delimited_by_close }
    }
}

impl<X: Exchange> http_body::Body for OutgoingBody<X> {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(entry), Some(bytes)) = (&mut this.ending.entry, frame.data_ref()) {
                    entry.body_bytes += bytes.len() as u64;
                }
            }
            Some(Err(cut_off)) => {
                crate::note(Level::Error, Some(&this.requester.endpoints().client), &cut_off.to_string());
                if this.delimited_by_close {
                    this.requester.break_off();
                }
                this.ending.answering.cut_off(Reason::BrokenOff);
                if let Some(entry) = &mut this.ending.entry {
                    entry.aborted = true;
                }
            }
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<X: Exchange> Drop for OutgoingBody<X> {
    fn drop(&mut self) {
        let mut entry = self.ending.entry.take();
        let complete = self.body.is_complete();
        if !complete && !self.ending.answering.is_cut_off() {
            let unread = self.requester.is_given_up();
            self.ending.answering.cut_off(if unread { Reason::Unread } else { Reason::ClientGone });
        }
        if let Some(entry) = &mut entry {
            entry.aborted |= !complete;
        }
        self.requester.end_response(entry);
    }
}
