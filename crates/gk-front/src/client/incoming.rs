//! A request body as its protocol hands it over, and what a failure to receive it means.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::request::refusal::Refusal;

/// A request body on its way in.
pub enum IncomingBody {
    /// From hyper.
    Http1(Incoming),
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
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
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
