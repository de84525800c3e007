//! A request body as its protocol hands it over, and what a failure to receive it means.

use bytes::Bytes;
use h2::RecvStream;
use http::header::{CONTENT_LENGTH, EXPECT, HeaderMap};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::client::http2::stream::Http2Stream;
use crate::request::limits::parse_length;
use crate::request::refusal::Refusal;

/// A request body on its way in.
pub enum IncomingBody {
    /// From hyper.
    Http1(Incoming),
    /// From a stream of h2.
    Http2(ReceivedBody),
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = Refusal;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Refusal>>> {
        match self.get_mut() {
            Self::Http1(body) => {
                let frame = Pin::new(body).poll_frame(cx);
                frame.map(|frame| frame.map(|frame| frame.map_err(|error| refusal(&error))))
            }
            Self::Http2(body) => body.poll_data(cx).map(|data| data.map(|data| data.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.promised.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// The refusal for a failed read of an HTTP/1 client.
fn refusal(error: &hyper::Error) -> Refusal {
    // hyper reports a body that is malformed or too short as an error of one of these kinds too.
    let malformed = |error: &io::Error| {
        use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
        matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
    };
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    let broken = cause.is_some_and(|cause| !malformed(cause));
    if broken || error.is_closed() || error.is_incomplete_message() || error.is_canceled() {
        Refusal::ClientGone
    } else {
        Refusal::Bad("The request body is malformed.")
    }
}

/// The body of a request of HTTP/2. Its bytes give the client room for more as they are taken.
pub struct ReceivedBody {
    body: RecvStream,
    stream: Rc<Http2Stream>,
    /// `Content-Length`.
    promised: Option<u64>,
    /// The client waits for a 100.
    expects_continue: bool,
}

impl ReceivedBody {
    /// `headers`: those of the request.
    pub fn new(body: RecvStream, headers: &HeaderMap, stream: Rc<Http2Stream>) -> Self {
        let promised = headers.get(CONTENT_LENGTH).and_then(|length| parse_length(length.as_bytes()));
        Self { body, stream, promised, expects_continue: headers.contains_key(EXPECT) }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        if self.stream.is_late() {
            return Poll::Ready(Some(Err(Refusal::TooSlow)));
        }
        let data = self.body.poll_data(cx);
        let waits = std::mem::take(&mut self.expects_continue);
        match data {
            Poll::Pending => {
                if waits {
                    self.stream.expects_continue.set(true);
                }
                Poll::Pending
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Ok(bytes))) => {
                // Of a stream that has ended nothing has to be given back.
                let _ = self.body.flow_control().release_capacity(bytes.len());
                Poll::Ready(Some(Ok(bytes)))
            }
            // Reset by the client, or by h2 as its length is not the one that was said.
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(Refusal::ClientGone))),
        }
    }
}
