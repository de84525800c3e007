//! A response body on its way to a client: counts bytes for the access log, and makes a body that was cut off look cut off.

use bytes::Bytes;
use gk_telemetry::Reason;
use gk_wire::log::Level;
use http::Response;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::answer::body::{Body, CutOff};
use crate::client::http1::straight::{self, Chunk, Straight};
use crate::client::requester::Requester;
use crate::engine::Exchange;
use crate::log::access_log::Entry;
use crate::log::answers::Answering;
use crate::request::limits::parse_length;

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
    straight: Straight,
}

/// Bytes of a body that may go past hyper: as many as its head promises, on a connection where that is worth it.
pub fn promised<X>(requester: &Requester, response: &Response<Body<X>>, delimited_by_close: bool) -> u64 {
    let headers = response.headers();
    match requester {
        Requester::Http1(conn) if response.body().may_have(straight::LEAST) && conn.is_plain() => {
            match headers.get(CONTENT_LENGTH) {
                _ if headers.contains_key(TRANSFER_ENCODING) => 0,
                Some(length) => parse_length(length.as_bytes()).unwrap_or(0),
                None if delimited_by_close => u64::MAX,
                None => response.body().exact_length().unwrap_or(0),
            }
        }
        _ => 0,
    }
}

impl<X: Exchange> OutgoingBody<X> {
    /// `ending` ends with this body; `promised` as the function of that name says it.
    pub fn new(
        requester: &Requester,
        mut body: Body<X>,
        ending: Ending,
        delimited_by_close: bool,
        promised: u64,
    ) -> Self {
        if let Requester::Http1(conn) = requester {
            // The head.
            conn.let_hyper_write();
        }
        if promised > 0 {
            body.allow(straight::MOST);
        }
        let straight = Straight::new(promised);
        Self { body, requester: requester.clone(), ending, delimited_by_close, straight }
    }

    fn count(&mut self, bytes: usize) {
        if let Some(entry) = &mut self.ending.entry {
            entry.body_bytes += bytes as u64;
        }
    }

    /// A frame of the body, for which hyper writes what it has to.
    fn passed(&mut self, bytes: Bytes) -> Frame<Chunk> {
        self.count(bytes.len());
        Frame::data(Chunk::Bytes(bytes))
    }

    /// The body went wrong.
    fn cut_off(&mut self, cut_off: &CutOff) {
        crate::note(Level::Error, Some(&self.requester.endpoints().client), &cut_off.to_string());
        if self.delimited_by_close {
            self.requester.break_off();
        }
        self.ending.answering.cut_off(Reason::BrokenOff);
        if let Some(entry) = &mut self.ending.entry {
            entry.aborted = true;
        }
    }
}

impl<X: Exchange> http_body::Body for OutgoingBody<X> {
    type Data = Chunk;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, CutOff>>> {
        let this = &mut *self;
        loop {
            if !this.straight.is_empty()
                && let Requester::Http1(conn) = &this.requester
            {
                return Poll::Ready(Some(match ready!(this.straight.poll_write(conn, cx)) {
                    Ok(count) => {
                        this.count(count);
                        Ok(Frame::data(Chunk::Sent(count)))
                    }
                    // As when hyper cannot write: the log has nothing of a client that has gone.
                    Err(error) => Err(CutOff::unsendable(&error)),
                }));
            }
            let bytes = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(cut_off)) => {
                    this.cut_off(&cut_off);
                    return Poll::Ready(Some(Err(cut_off)));
                }
                None => return Poll::Ready(None),
            };
            let part = match &this.requester {
                Requester::Http1(conn) => match this.straight.pass(bytes, conn) {
                    Some(part) => {
                        conn.let_hyper_write();
                        part
                    }
                    None => continue,
                },
                Requester::Http2 { .. } => bytes,
            };
            return Poll::Ready(Some(Ok(this.passed(part))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.straight.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<X: Exchange> Drop for OutgoingBody<X> {
    fn drop(&mut self) {
        let mut entry = self.ending.entry.take();
        let complete = self.straight.is_empty() && self.body.is_complete();
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
