//! A response head on the wire: the writer the worker fills in place and the view the front reads. Bodies are `Data`
//! or `File` frames. Whether a header is legal was decided where the application called `start_response`.

use crate::fields::{Reader, put_bytes};
use crate::frame::{self, WireError};
use bytes::{BufMut, BytesMut};

/// Most headers of a response: the maps that HTTP libraries keep them in end somewhere beyond.
pub const MAX_HEADERS: u16 = 16_384;

/// Pairs in wire form: headers collected before the head's other facts are known, environ entries that many requests share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    bytes: Vec<u8>,
    count: u16,
}

impl Headers {
    /// With room for the headers of an ordinary response.
    pub fn with_room() -> Self {
        Self { bytes: Vec::with_capacity(240), count: 0 }
    }

    /// The bytes and how many pairs they are.
    pub(crate) fn wire(&self) -> (&[u8], u16) {
        (&self.bytes, self.count)
    }

    /// Returns true if a `Head` frame has space for them, a reason phrase of `reason` bytes, and one header of the server.
    pub fn fit(&self, reason: usize) -> bool {
        const REST: usize = 256;
        self.count <= MAX_HEADERS && self.bytes.len() + reason + REST <= frame::MAX_PAYLOAD
    }

    /// Adds one.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        for text in [name, value] {
            self.bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
            self.bytes.extend_from_slice(text);
        }
        self.count += 1;
    }
}

/// Writes one `Head` frame in place.
pub struct HeadWriter<'o> {
    out: &'o mut BytesMut,
    frame_at: usize,
    count_at: usize,
    count: u16,
}

impl<'o> HeadWriter<'o> {
    /// Starts the frame. `flags`: `frame::END` when there is no body, `frame::WORKER_ERROR`, `frame::HAS_LENGTH`.
    /// `application_seconds`: from the call of the application to this moment.
    pub fn begin(
        out: &'o mut BytesMut,
        id: u32,
        flags: u8,
        status: u16,
        reason: &[u8],
        application_seconds: f32,
    ) -> Self {
        let frame_at = frame::begin(out, frame::to_front::HEAD, flags, id);
        out.put_u16_le(status);
        out.put_f32_le(application_seconds);
        put_bytes(out, reason);
        let count_at = out.len();
        out.put_u16_le(0);
        Self { out, frame_at, count_at, count: 0 }
    }

    /// One header.
    pub fn header(&mut self, name: &[u8], value: &[u8]) {
        put_bytes(self.out, name);
        put_bytes(self.out, value);
        self.count += 1;
    }

    /// Headers that were collected before.
    pub fn headers(&mut self, headers: &Headers) {
        self.out.extend_from_slice(&headers.bytes);
        self.count += headers.count;
    }

    /// Ends the frame.
    pub fn finish(self) {
        self.out[self.count_at..self.count_at + 2].copy_from_slice(&self.count.to_le_bytes());
        frame::finish(self.out, self.frame_at);
    }
}

/// A response head as the front reads it, borrowed from the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadView<'a> {
    /// Three-digit status.
    pub status: u16,
    /// Seconds from the call of the application to the head.
    pub application_seconds: f32,
    /// Reason phrase, may be empty.
    pub reason: &'a [u8],
    count: u16,
    headers: &'a [u8],
}

impl<'a> HeadView<'a> {
    /// Reads the payload of a `Head` frame.
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader { rest: payload, what: "Head" };
        let status = u16::from_le_bytes(r.array()?);
        let application_seconds = f32::from_le_bytes(r.array()?);
        let reason = r.bytes()?;
        let count = u16::from_le_bytes(r.array()?);
        let headers = r.rest;
        for _ in 0..count {
            r.bytes()?;
            r.bytes()?;
        }
        if !r.rest.is_empty() {
            return Err(WireError::Malformed("Head"));
        }
        Ok(Self { status, application_seconds, reason, count, headers })
    }

    /// Headers in the application's order and spelling.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut r = Reader { rest: self.headers, what: "Head" };
        (0..self.count).map_while(move |_| Some((r.bytes().ok()?, r.bytes().ok()?)))
    }
}
