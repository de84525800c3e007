//! The body of a response: empty, one piece, pieces from an engine, or a file. A body that cannot be completed ends in an
//! error, so that the client never sees a proper end.

use bytes::Bytes;
use gk_rules::content::compression::Coding;
use http_body::{Frame, SizeHint};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::answer::compressed::{self, Compressor};
use crate::answer::file_reader::FileReader;
pub use crate::answer::file_reader::Segment;
use crate::engine::{COPIED, Exchange, Failure, FileSlice, Piece};

/// The body was not completed; the sentence is for the error log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CutOff(String);

impl CutOff {
    /// The client does not take the rest.
    pub fn unsendable(error: &io::Error) -> Self {
        Self(format!("the rest of a response could not be sent: {error}"))
    }
}

enum Source<X> {
    Empty,
    Whole(Bytes),
    Engine { exchange: X, yielded: bool, most: usize },
    File(FileReader),
    Compressed(Box<CompressedBody<X>>),
}

/// A body and the compressor that it goes through.
struct CompressedBody<X> {
    body: Body<X>,
    compressor: Compressor,
    /// Pieces are to reach the client as they come.
    flush: bool,
}

/// A response body; `X` is the engine's exchange that streams it.
pub struct Body<X> {
    source: Source<X>,
    /// Exact length, where it is known and trusted.
    length: Option<u64>,
}

impl<X> Body<X> {
    /// No body.
    pub fn empty() -> Self {
        Self { source: Source::Empty, length: Some(0) }
    }

    /// One piece. `trusted`: the `Content-Length` header, if there is one, says the same length.
    pub fn whole(bytes: Bytes, trusted: bool) -> Self {
        if bytes.is_empty() && trusted {
            return Self::empty();
        }
        let length = trusted.then_some(bytes.len() as u64);
        Self { source: Source::Whole(bytes), length }
    }

    /// Pieces from an engine.
    pub fn streamed(exchange: X) -> Self {
        Self { source: Source::Engine { exchange, yielded: false, most: COPIED }, length: None }
    }

    /// The same body, compressed. A small one that is there as a whole still has a length afterwards. An error gives the body back.
    pub fn compressed(self, coding: Coding) -> Result<Self, (Self, io::Error)> {
        let mut compressor = match Compressor::new(coding) {
            Ok(compressor) => compressor,
            Err(error) => return Err((self, error)),
        };
        let flush = match &self.source {
            Source::Whole(bytes) if bytes.len() <= compressed::AT_ONCE => {
                return match compressor.all(bytes) {
                    Ok(out) => Ok(Self::whole(out.into(), true)),
                    Err(error) => Err((self, error)),
                };
            }
            source => matches!(source, Source::Engine { .. }),
        };
        let compressed = CompressedBody { body: self, compressor, flush };
        Ok(Self { source: Source::Compressed(Box::new(compressed)), length: None })
    }

    /// A part of a file.
    pub fn file(slice: FileSlice) -> Self {
        Self { source: Source::File(FileReader::new(slice)), length: None }
    }

    /// Parts of a file that is known to be a regular one, and what stands between them.
    pub fn known_file(file: OwnedFd, segments: Vec<Segment>) -> Self {
        Self { source: Source::File(FileReader::of_known(file, segments)), length: None }
    }
}

impl<X> Body<X> {
    /// Pieces of an engine may have so many bytes, not only as many as are copied.
    pub fn allow(&mut self, most: usize) {
        if let Source::Engine { most: allowed, .. } = &mut self.source {
            *allowed = most;
        }
    }

    /// Its exact length, where it is known and trusted.
    pub fn exact_length(&self) -> Option<u64> {
        self.length
    }

    /// Whether a piece of so many bytes may come.
    pub fn may_have(&self, len: usize) -> bool {
        match &self.source {
            Source::Empty => false,
            Source::Whole(bytes) => bytes.len() >= len,
            _ => true,
        }
    }
}

impl<X: Exchange> Body<X> {
    /// Whether nothing is missing if no more is taken. One piece counts as sent: hyper takes it with the head.
    pub fn is_complete(&self) -> bool {
        match &self.source {
            Source::Empty | Source::Whole(_) => true,
            Source::Engine { exchange, .. } => exchange.is_finished(),
            Source::File(reader) => reader.is_finished(),
            Source::Compressed(compressed) => compressed.compressor.is_done(),
        }
    }
}

impl<X: Exchange> CompressedBody<X> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, CutOff>>> {
        loop {
            let out = if self.compressor.is_busy() {
                ready!(self.compressor.poll_done(cx))
            } else if self.compressor.is_done() {
                return Poll::Ready(None);
            } else {
                let piece = match ready!(http_body::Body::poll_frame(Pin::new(&mut self.body), cx)) {
                    Some(Err(cut_off)) => return Poll::Ready(Some(Err(cut_off))),
                    Some(Ok(frame)) => Some(frame.into_data().unwrap_or_default()),
                    None => None,
                };
                self.compressor.take(piece, self.flush).map(Option::unwrap_or_default)
            };
            match out {
                Ok(out) if out.is_empty() => {}
                Ok(out) => return Poll::Ready(Some(Ok(out.into()))),
                Err(error) => {
                    let text = format!("a response could not be compressed: {error}");
                    return Poll::Ready(Some(Err(CutOff(text))));
                }
            }
        }
    }
}

// Nothing in it is pinned.
impl<X> Unpin for Body<X> {}

impl<X: Exchange> http_body::Body for Body<X> {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let this = &mut *self;
        loop {
            let bytes = match &mut this.source {
                Source::Empty => None,
                Source::Whole(bytes) => {
                    let bytes = std::mem::take(bytes);
                    this.source = Source::Empty;
                    (!bytes.is_empty()).then_some(bytes)
                }
                Source::Engine { exchange, yielded, most } => match ready!(exchange.poll_piece(cx, *most)) {
                    Some(Ok(Piece::Data(bytes))) => Some(bytes),
                    Some(Ok(Piece::File(slice))) => {
                        this.source = Source::File(FileReader::new(slice));
                        continue;
                    }
                    Some(Err(_)) if !std::mem::replace(yielded, true) => {
                        // Once around the event loop, so that hyper writes the pieces from before the failure.
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Some(Err(failure)) => return Poll::Ready(Some(Err(CutOff(sentence(&failure))))),
                    None => None,
                },
                Source::File(reader) => match ready!(reader.poll_read(cx)) {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        let text = format!("a file response could not be read to its end: {error}");
                        return Poll::Ready(Some(Err(CutOff(text))));
                    }
                },
                Source::Compressed(compressed) => {
                    return compressed.poll_piece(cx).map(|piece| piece.map(|bytes| bytes.map(Frame::data)));
                }
            };
            return Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))));
        }
    }

    fn is_end_stream(&self) -> bool {
        !matches!(self.source, Source::Whole(_)) && self.is_complete()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Why an engine's response was cut off.
fn sentence(failure: &Failure) -> String {
    match failure {
        Failure::Died | Failure::NotStarted | Failure::Silent => {
            "the worker ended in the middle of a response; the response was cut off".into()
        }
        Failure::TimedOut => "no more of the response came within socket-timeout; it was cut off".into(),
        Failure::Aborted(reason) => format!("the response was cut off: {reason}"),
    }
}
