//! A response on its way into a stream: its head without what belongs to connections, and its body as fast as the client takes it.
//! A body that is broken off ends in a reset and never in an end of the stream.

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{Response, StatusCode, Version};
use http_body::Body;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use crate::client::http2::stream::Http2Stream;
use crate::request::limits::parse_length;

/// Fields that an HTTP/2 response must not have (RFC 9113, 8.2.2).
const OF_CONNECTIONS: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    TE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Sends a response. `bodiless`: it answers a `HEAD`; `longest`: most bytes of one DATA frame, 0 = any number.
pub async fn send<B>(
    stream: &Http2Stream,
    mut respond: SendResponse<Bytes>,
    response: Response<B>,
    bodiless: bool,
    longest: usize,
) where
    B: Body + Unpin,
    Bytes: From<B::Data>,
{
    let (head, body) = response.into_parts();
    let mut head = Response::from_parts(head, ());
    *head.version_mut() = Version::HTTP_2;
    head.extensions_mut().clear();
    let bodiless = bodiless || matches!(head.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let headers = head.headers_mut();
    OF_CONNECTIONS.iter().for_each(|name| drop(headers.remove(name)));
    if let (false, Some(length)) =
        (bodiless || headers.contains_key(CONTENT_LENGTH), body.size_hint().exact())
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let promised = promised(headers).filter(|_| !bodiless);
    let is_empty = body.is_end_stream() && promised.is_none_or(|length| length == 0);
    // Who cannot be sent the head is gone.
    let Ok(to) = respond.send_response(head, bodiless || is_empty) else { return };
    if bodiless || is_empty {
        return;
    }
    let mut outgoing = Outgoing { stream, to, piece: Bytes::new(), promised, longest };
    let mut body = pin!(body);
    poll_fn(|cx| outgoing.poll(body.as_mut().get_mut(), cx)).await;
}

/// The promised length of a body.
fn promised(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH).and_then(|length| parse_length(length.as_bytes()))
}

/// A body being sent.
struct Outgoing<'a> {
    stream: &'a Http2Stream,
    to: SendStream<Bytes>,
    /// Bytes that the client has no room for yet.
    piece: Bytes,
    /// Bytes that the head promises and that were not sent.
    promised: Option<u64>,
    longest: usize,
}

impl Outgoing<'_> {
    /// Ready when nothing more is sent, for whatever reason.
    fn poll<B: Body + Unpin>(&mut self, body: &mut B, cx: &mut Context<'_>) -> Poll<()>
    where
        Bytes: From<B::Data>,
    {
        loop {
            if let Some(reason) = self.stream.poll_cut(cx) {
                self.to.send_reset(reason);
                return Poll::Ready(());
            }
            // The client has taken back the request, or the connection has ended.
            if self.to.poll_reset(cx).is_ready() {
                return Poll::Ready(());
            }
            if self.piece.is_empty() {
                match ready!(std::pin::Pin::new(&mut *body).poll_frame(cx)) {
                    Some(Ok(frame)) => self.take(frame.into_data().map(Bytes::from).unwrap_or_default()),
                    Some(Err(_)) => {
                        self.to.send_reset(Reason::INTERNAL_ERROR);
                        return Poll::Ready(());
                    }
                    None => {
                        self.end();
                        return Poll::Ready(());
                    }
                }
            } else {
                let Some(room) = ready!(self.poll_room(cx)) else { return Poll::Ready(()) };
                let part = self.piece.split_to(room.min(self.piece.len()));
                let ends = self.piece.is_empty() && (self.promised == Some(0) || self.is_whole(body));
                if self.to.send_data(part, ends).is_err() || ends {
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Whether the body has ended, with all bytes that were promised.
    fn is_whole<B: Body>(&self, body: &B) -> bool {
        body.is_end_stream() && self.promised.is_none_or(|left| left == 0)
    }

    /// The next piece of the body. Bytes beyond the promised length are dropped.
    fn take(&mut self, mut piece: Bytes) {
        if let Some(left) = &mut self.promised {
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
        }
        self.to.reserve_capacity(piece.len());
        self.piece = piece;
    }

    /// The number of bytes that may be sent now. `None`: the stream has ended.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        loop {
            let room = self.to.capacity();
            if room > 0 {
                self.stream.flows(true);
                return Poll::Ready(Some(if self.longest == 0 { room } else { room.min(self.longest) }));
            }
            match self.to.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(None),
                Poll::Pending => {
                    self.stream.flows(false);
                    return Poll::Pending;
                }
            }
        }
    }

    /// The body has no more bytes.
    fn end(&mut self) {
        // Who has gone needs no end.
        match self.promised {
            Some(left) if left > 0 => self.to.send_reset(Reason::INTERNAL_ERROR),
            _ => drop(self.to.send_data(Bytes::new(), true)),
        }
    }
}
