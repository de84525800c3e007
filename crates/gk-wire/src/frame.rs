//! Frames of a link: the 12-byte header, the two directions as two enums, encoding and decoding. What stands inside
//! a request or a response head lives in `request` and `response`; sockets and buffers' fates live in the processes.
//!
//! Header, little-endian: `u32` payload length, `u32` request id (0 where no request is meant), `u8` kind,
//! `u8` flags, `u16` reserved (0).

use bytes::{BufMut, BytesMut};

/// Bytes of a frame header.
pub const HEADER_LEN: usize = 12;
/// Longest payload; a longer length field is an error and ends the link.
pub const MAX_PAYLOAD: usize = 1 << 20;
/// Largest piece of a body that one `Body` or `Data` frame carries, in bytes.
pub const CHUNK: usize = 64 * 1024;
/// Smallest piece of a body that goes through a block of the link's memory instead of its ring, in bytes.
pub const BLOCK_LEAST: usize = 32 * 1024;
/// Body bytes each side may send per request before it has to wait for `Credit`.
pub const INITIAL_WINDOW: u32 = 256 * 1024;
/// The same for the response to a request with [`WIDE`].
pub const WIDE_WINDOW: u32 = 1024 * 1024;
/// Flag of `Request` (no body follows), `Body`, `Data`, `Head` and both blocks: nothing more of this body follows.
pub const END: u8 = 1;
/// Flag of `Head`: an error page the worker made itself (the application produced no response).
pub const WORKER_ERROR: u8 = 2;
/// Flag of `Head`: the response has a `Content-Length` that the application or the worker gave.
pub const HAS_LENGTH: u8 = 4;
/// Flag of `Request`: the front keeps [`WIDE_WINDOW`] bytes of the response.
pub const WIDE: u8 = 8;

/// Why bytes are not a frame of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Length field above [`MAX_PAYLOAD`].
    #[error("a frame of {0} bytes is longer than the protocol allows ({MAX_PAYLOAD})")]
    TooLong(usize),
    /// A kind this direction does not have.
    #[error("frame kind {0} does not exist in this direction: the other side is another version")]
    UnknownKind(u8),
    /// The payload is shorter or longer than its fields.
    #[error("the payload of a {0} frame is malformed")]
    Malformed(&'static str),
    /// The other side speaks another protocol version.
    #[error(
        "protocol version {theirs} of package {package} does not match {ours}: install the same gilkeeper version on both sides"
    )]
    Version {
        /// Theirs.
        theirs: u16,
        /// Ours.
        ours: u16,
        /// Their package version.
        package: String,
    },
}

/// A decoded header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Payload bytes that follow.
    pub len: usize,
    /// Request id, 0 for none.
    pub id: u32,
    /// Kind number.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
}

impl Header {
    /// Reads a header; `None` when fewer than [`HEADER_LEN`] bytes are there yet.
    pub fn decode(bytes: &[u8]) -> Result<Option<Header>, WireError> {
        let Some(head) = bytes.first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let [l0, l1, l2, l3, i0, i1, i2, i3, kind, flags, _, _] = *head;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if len > MAX_PAYLOAD {
            return Err(WireError::TooLong(len));
        }
        Ok(Some(Header { len, id: u32::from_le_bytes([i0, i1, i2, i3]), kind, flags }))
    }

    /// Writes the header.
    pub fn encode(self, out: &mut BytesMut) {
        out.put_u32_le(self.len as u32);
        out.put_u32_le(self.id);
        out.put_u8(self.kind);
        out.put_u8(self.flags);
        out.put_u16_le(0);
    }
}

/// A whole frame at the start of some bytes: its header, its payload, and how many bytes it took.
pub type Split<'a> = (Header, &'a [u8], usize);

/// The next whole frame at the start of `bytes`. `None`: not all there yet.
pub fn split(bytes: &[u8]) -> Result<Option<Split<'_>>, WireError> {
    let Some(header) = Header::decode(bytes)? else { return Ok(None) };
    let end = HEADER_LEN + header.len;
    Ok(bytes.get(HEADER_LEN..end).map(|payload| (header, payload, end)))
}

/// Starts a frame whose payload length is not known yet; [`finish`] fills it in.
pub fn begin(out: &mut BytesMut, kind: u8, flags: u8, id: u32) -> usize {
    let at = out.len();
    Header { len: 0, id, kind, flags }.encode(out);
    at
}

/// Ends the frame begun at `at`.
pub fn finish(out: &mut BytesMut, at: usize) {
    let len = (out.len() - at - HEADER_LEN) as u32;
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

/// Sets a flag of the frame that begins with these bytes.
pub fn flag(frame: &mut [u8], flag: u8) {
    frame[9] |= flag;
}

/// Where a block lies in the memory of the link that its sender writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its first byte.
    pub offset: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Place {
    fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let (offset, len) = payload
            .split_first_chunk::<4>()
            .and_then(|(offset, rest)| Some((*offset, <[u8; 4]>::try_from(rest).ok()?)))
            .ok_or(WireError::Malformed("Block"))?;
        Ok(Self { offset: u32::from_le_bytes(offset), len: u32::from_le_bytes(len) })
    }

    fn encode(self, out: &mut BytesMut, kind: u8, end: bool, id: u32) {
        Header { len: 8, id, kind, flags: u8::from(end) }.encode(out);
        out.put_u32_le(self.offset);
        out.put_u32_le(self.len);
    }
}

/// Kind numbers, front to worker.
pub mod to_worker {
    /// JSON [`super::Hello`].
    pub const HELLO: u8 = 1;
    /// JSON `request::Profile`; the header's id is the profile's number.
    pub const PROFILE: u8 = 2;
    /// `request::RequestView`.
    pub const REQUEST: u8 = 3;
    /// Bytes of the request body.
    pub const BODY: u8 = 4;
    /// `u32` bytes of the response body the front has room for again.
    pub const CREDIT: u8 = 5;
    /// The client is gone: the response is not wanted any more.
    pub const CANCEL: u8 = 6;
    /// Nothing follows on this link.
    pub const DRAIN: u8 = 7;
    /// [`super::Place`] of bytes of the request body.
    pub const BLOCK: u8 = 8;
}

/// Kind numbers, worker to front.
pub mod to_front {
    /// JSON [`super::Welcome`].
    pub const WELCOME: u8 = 64;
    /// `response::HeadView`.
    pub const HEAD: u8 = 65;
    /// Bytes of the response body.
    pub const DATA: u8 = 66;
    /// `u64` offset and `u64` length; one file descriptor rides on this frame. It is the whole body.
    pub const FILE: u8 = 67;
    /// `u32` bytes of the request body the application has taken.
    pub const CREDIT: u8 = 68;
    /// The response cannot be completed (UTF-8 reason): it must not look complete to the client.
    pub const ABORT: u8 = 69;
    /// The worker wants to leave (UTF-8 reason).
    pub const LEAVING: u8 = 70;
    /// The worker gives a request back that was not given to the application: it may go to another worker.
    pub const RETURN: u8 = 71;
    /// The application reads the request body again, from its beginning. The worker has received all of it.
    pub const REWIND: u8 = 72;
    /// [`super::Place`] of bytes of the response body.
    pub const BLOCK: u8 = 73;
    /// A request of another front has ended: the front asked to be told (`page::WANTED`).
    pub const ROOM: u8 = 74;
    /// `u64` number of bytes of the response body that stay where they are, as front and worker are one process.
    pub const LENT: u8 = 75;
}

/// A frame that the front sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is described at its kind number in `to_worker`")]
pub enum ToWorkerFrame<'a> {
    Hello(&'a [u8]),
    Profile { number: u32, json: &'a [u8] },
    Request { id: u32, end: bool, wide: bool, payload: &'a [u8] },
    Body { id: u32, end: bool, data: &'a [u8] },
    Block { id: u32, end: bool, place: Place },
    Credit { id: u32, bytes: u32 },
    Cancel { id: u32 },
    Drain,
}

impl<'a> ToWorkerFrame<'a> {
    /// Reads one split frame.
    pub fn decode(header: Header, payload: &'a [u8]) -> Result<Self, WireError> {
        let (id, end) = (header.id, header.flags & END != 0);
        Ok(match header.kind {
            to_worker::HELLO => Self::Hello(payload),
            to_worker::PROFILE => Self::Profile { number: id, json: payload },
            to_worker::REQUEST => Self::Request { id, end, wide: header.flags & WIDE != 0, payload },
            to_worker::BODY => Self::Body { id, end, data: payload },
            to_worker::BLOCK => Self::Block { id, end, place: Place::decode(payload)? },
            to_worker::CREDIT => Self::Credit { id, bytes: credit(payload)? },
            to_worker::CANCEL => Self::Cancel { id },
            to_worker::DRAIN => Self::Drain,
            other => return Err(WireError::UnknownKind(other)),
        })
    }

    /// Writes the frame. (`Request` is written in place by `request::RequestWriter` on the hot path.)
    pub fn encode(&self, out: &mut BytesMut) {
        use to_worker as kind;
        match *self {
            Self::Hello(json) => put(out, kind::HELLO, 0, 0, json),
            Self::Profile { number, json } => put(out, kind::PROFILE, 0, number, json),
            Self::Request { id, end, wide, payload } => {
                put(out, kind::REQUEST, u8::from(end) | if wide { WIDE } else { 0 }, id, payload);
            }
            Self::Body { id, end, data } => put(out, kind::BODY, u8::from(end), id, data),
            Self::Block { id, end, place } => place.encode(out, kind::BLOCK, end, id),
            Self::Credit { id, bytes } => put(out, kind::CREDIT, 0, id, &bytes.to_le_bytes()),
            Self::Cancel { id } => put(out, kind::CANCEL, 0, id, &[]),
            Self::Drain => put(out, kind::DRAIN, 0, 0, &[]),
        }
    }
}

/// A frame that the worker sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is described at its kind number in `to_front`")]
pub enum ToFrontFrame<'a> {
    Welcome(&'a [u8]),
    Head { id: u32, flags: u8, payload: &'a [u8] },
    Data { id: u32, end: bool, data: &'a [u8] },
    Block { id: u32, end: bool, place: Place },
    Lent { id: u32, end: bool, number: u64 },
    File { id: u32, offset: u64, len: u64 },
    Credit { id: u32, bytes: u32 },
    Abort { id: u32, reason: &'a str },
    Leaving { reason: &'a str },
    Return { id: u32 },
    Rewind { id: u32 },
    Room,
}

impl<'a> ToFrontFrame<'a> {
    /// Reads one split frame.
    pub fn decode(header: Header, payload: &'a [u8]) -> Result<Self, WireError> {
        let id = header.id;
        Ok(match header.kind {
            to_front::WELCOME => Self::Welcome(payload),
            to_front::HEAD => Self::Head { id, flags: header.flags, payload },
            to_front::DATA => Self::Data { id, end: header.flags & END != 0, data: payload },
            to_front::BLOCK => {
                Self::Block { id, end: header.flags & END != 0, place: Place::decode(payload)? }
            }
            to_front::LENT => {
                let number = payload.try_into().map_err(|_| WireError::Malformed("Lent"))?;
                Self::Lent { id, end: header.flags & END != 0, number: u64::from_le_bytes(number) }
            }
            to_front::FILE => {
                let (offset, len) = payload
                    .split_first_chunk::<8>()
                    .and_then(|(offset, rest)| Some((*offset, <[u8; 8]>::try_from(rest).ok()?)))
                    .ok_or(WireError::Malformed("File"))?;
                Self::File { id, offset: u64::from_le_bytes(offset), len: u64::from_le_bytes(len) }
            }
            to_front::CREDIT => Self::Credit { id, bytes: credit(payload)? },
            to_front::ABORT => Self::Abort { id, reason: text(payload, "Abort")? },
            to_front::LEAVING => Self::Leaving { reason: text(payload, "Leaving")? },
            to_front::RETURN => Self::Return { id },
            to_front::REWIND => Self::Rewind { id },
            to_front::ROOM => Self::Room,
            other => return Err(WireError::UnknownKind(other)),
        })
    }

    /// Writes the frame. (`Head` is written in place by `response::HeadWriter` on the hot path.)
    pub fn encode(&self, out: &mut BytesMut) {
        use to_front as kind;
        match *self {
            Self::Welcome(json) => put(out, kind::WELCOME, 0, 0, json),
            Self::Head { id, flags, payload } => put(out, kind::HEAD, flags, id, payload),
            Self::Data { id, end, data } => put(out, kind::DATA, u8::from(end), id, data),
            Self::Block { id, end, place } => place.encode(out, kind::BLOCK, end, id),
            Self::Lent { id, end, number } => put(out, kind::LENT, u8::from(end), id, &number.to_le_bytes()),
            Self::File { id, offset, len } => {
                Header { len: 16, id, kind: kind::FILE, flags: END }.encode(out);
                out.put_u64_le(offset);
                out.put_u64_le(len);
            }
            Self::Credit { id, bytes } => put(out, kind::CREDIT, 0, id, &bytes.to_le_bytes()),
            Self::Abort { id, reason } => put(out, kind::ABORT, 0, id, reason.as_bytes()),
            Self::Leaving { reason } => put(out, kind::LEAVING, 0, 0, reason.as_bytes()),
            Self::Return { id } => put(out, kind::RETURN, 0, id, &[]),
            Self::Rewind { id } => put(out, kind::REWIND, 0, id, &[]),
            Self::Room => put(out, kind::ROOM, 0, 0, &[]),
        }
    }
}

/// First frame of the front.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hello {
    /// [`crate::PROTOCOL_VERSION`] of the sender.
    pub protocol: u16,
    /// [`crate::PACKAGE_VERSION`] of the sender.
    pub package: String,
    /// Process id of the front.
    pub pid: u32,
}

/// First frame of the worker.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Welcome {
    /// [`crate::PROTOCOL_VERSION`] of the sender.
    pub protocol: u16,
    /// [`crate::PACKAGE_VERSION`] of the sender.
    pub package: String,
    /// `major.minor.micro`, with `t` for a free-threaded build.
    pub python: String,
    /// `shared`, `own` or `free-threading`.
    pub gil_mode: String,
    /// Process id of the worker.
    pub pid: u32,
    /// Request threads.
    pub threads: u32,
    /// Process group's name.
    pub process_group: String,
}

/// Compares the other side's protocol version with ours.
pub fn check_version(theirs: u16, package: &str) -> Result<(), WireError> {
    let ours = crate::PROTOCOL_VERSION;
    if theirs == ours {
        Ok(())
    } else {
        Err(WireError::Version { theirs, ours, package: package.to_owned() })
    }
}

fn put(out: &mut BytesMut, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    out.reserve(HEADER_LEN + payload.len());
    Header { len: payload.len(), id, kind, flags }.encode(out);
    out.extend_from_slice(payload);
}

fn credit(payload: &[u8]) -> Result<u32, WireError> {
    payload.try_into().map(u32::from_le_bytes).map_err(|_| WireError::Malformed("Credit"))
}

fn text<'a>(payload: &'a [u8], what: &'static str) -> Result<&'a str, WireError> {
    std::str::from_utf8(payload).map_err(|_| WireError::Malformed(what))
}
