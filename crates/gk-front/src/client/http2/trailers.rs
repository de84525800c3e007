//! Trailers with a pseudo-header field are malformed (RFC 9113, 8.1). h2 takes such a field off without a word, but it resets the stream
//! when the field stands behind a regular one. So each trailer section gets a regular field in front, and no trailers reach anybody. Pure.

use bytes::{BufMut, Bytes, BytesMut};

use crate::client::http2::frames::{FrameHead, HEAD, PREFACE, kind};

/// A field without a value, not kept in the table of fields (RFC 7541, 6.2.2): `x: `.
const FIELD: [u8; 4] = [0, 1, b'x', 0];
/// Longest payload of a frame, in the setting that h2 tells clients: its own default.
const LONGEST: usize = 16_384;
/// HEADERS: the payload begins with the length of its padding.
const PADDED: u8 = 0x8;
/// HEADERS: the fields come after five bytes of a priority.
const PRIORITY: u8 = 0x20;

/// Looks for trailers in the bytes of a client, in whatever pieces they come.
#[derive(Debug)]
pub struct TrailerMarks {
    /// Bytes that h2 may not have yet: the beginning of a frame's head, or of trailers.
    held: BytesMut,
    /// Bytes of the preface that are missing.
    preface: usize,
    /// Bytes of the present frame that are missing.
    left: usize,
    /// The last stream that began.
    last: u32,
}

impl TrailerMarks {
    /// For the first bytes of a connection.
    pub fn new() -> Self {
        Self { held: BytesMut::new(), preface: PREFACE.len(), left: 0, last: 0 }
    }

    /// The next bytes of the client. Returns how many of them are for h2 as they are; [`TrailerMarks::rest`] has what follows.
    /// `open`: whether a stream is; a second header block of another one is an error that h2 knows.
    pub fn pass(&mut self, bytes: &[u8], open: impl Fn(u32) -> bool) -> usize {
        let pass = if self.held.is_empty() { self.plain(bytes, open) } else { 0 };
        self.held.extend_from_slice(&bytes[pass..]);
        pass
    }

    /// What follows of the bytes given, with marks, as far as h2 may have it.
    pub fn rest(&mut self, open: impl Fn(u32) -> bool) -> Bytes {
        let mut ready = BytesMut::new();
        while !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            let plain = self.plain(&held, &open);
            self.held = held;
            ready.put(self.held.split_to(plain));
            let Some(whole) = trailers(&self.held).filter(|whole| *whole <= self.held.len()) else { break };
            mark(&self.held.split_to(whole), &mut ready);
        }
        ready.freeze()
    }

    /// Bytes before the first trailers or incomplete head.
    fn plain(&mut self, bytes: &[u8], open: impl Fn(u32) -> bool) -> usize {
        let mut at = self.preface.min(bytes.len());
        self.preface -= at;
        loop {
            let payload = self.left.min(bytes.len() - at);
            at += payload;
            self.left -= payload;
            let Some(head) = bytes[at..].first_chunk::<HEAD>() else { return at };
            let frame = FrameHead::of(*head);
            if frame.kind == kind::HEADERS {
                let has_room = frame.length as usize + FIELD.len() <= LONGEST;
                if frame.stream <= self.last && has_room && open(frame.stream) {
                    return at;
                }
                self.last = self.last.max(frame.stream);
            }
            at += HEAD;
            self.left = frame.length as usize;
        }
    }
}

impl Default for TrailerMarks {
    fn default() -> Self {
        Self::new()
    }
}

/// Length of the frame at the beginning of these bytes, whose head is complete.
fn trailers(bytes: &[u8]) -> Option<usize> {
    let head = bytes.first_chunk::<HEAD>()?;
    Some(HEAD + FrameHead::of(*head).length as usize)
}

/// Writes the frame with [`FIELD`] before its fields. One that h2 refuses stays as it is.
fn mark(frame: &[u8], out: &mut BytesMut) {
    let (head, payload) = frame.split_at(HEAD);
    let flags = FrameHead::of(head.try_into().unwrap_or_default()).flags;
    let mut at = usize::from(flags & PADDED != 0) + if flags & PRIORITY != 0 { 5 } else { 0 };
    // Changes of the table's size come before all fields (RFC 7541, 4.2): a number with a prefix of five bits.
    while payload.get(at).is_some_and(|byte| byte & 0xe0 == 0x20) {
        let number = if payload[at] & 0x1f == 0x1f {
            1 + payload[at + 1..].iter().take_while(|byte| **byte & 0x80 != 0).count()
        } else {
            0
        };
        at += 1 + number;
    }
    if at > payload.len() {
        return out.extend_from_slice(frame);
    }
    let length = (payload.len() + FIELD.len()) as u32;
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend_from_slice(&head[3..]);
    out.extend_from_slice(&payload[..at]);
    out.extend_from_slice(&FIELD);
    out.extend_from_slice(&payload[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    fn through(bytes: &[u8], cut: usize) -> Vec<u8> {
        let (mut marks, mut out) = (TrailerMarks::new(), Vec::new());
        for piece in bytes.chunks(cut) {
            let pass = marks.pass(piece, |stream| stream < 7);
            out.extend(&piece[..pass]);
            out.extend(marks.rest(|stream| stream < 7));
        }
        out
    }

    #[test]
    fn trailers_alone_get_a_mark_however_they_are_cut() {
        let field = |rest: &[u8]| [&FIELD[..], rest].concat();
        // Flags, payload, and what h2 gets.
        let cases: [(u8, &[u8], Vec<u8>); 7] = [
            (5, b"\x82", field(b"\x82")),
            (5, b"", field(b"")),
            (0xd, b"\x02\x82\0\0", [b"\x02".to_vec(), field(b"\x82\0\0")].concat()),
            (0x25, b"\0\0\0\0\x10\x82", [b"\0\0\0\0\x10".to_vec(), field(b"\x82")].concat()),
            (5, b"\x20\x3f\xe1\x1f\x82", [b"\x20\x3f\xe1\x1f".to_vec(), field(b"\x82")].concat()),
            (5, b"\x3f\xff", b"\x3f\xff".to_vec()),
            (0x25, b"\0\0", b"\0\0".to_vec()),
        ];
        for (flags, payload, wanted) in cases {
            let request = |stream| frame(kind::HEADERS, 4, stream, b"\x82\x84\x87");
            let data = |stream| frame(kind::DATA, 0, stream, &[kind::HEADERS; 40]);
            let connection = |trailers: &[u8]| {
                let end = frame(kind::HEADERS, flags, 1, trailers);
                let closed = [request(9), request(7)].concat();
                [PREFACE.to_vec(), request(1), data(1), request(3), end, data(3), request(5), closed].concat()
            };
            let (sent, wanted) = (connection(payload), connection(&wanted));
            for cut in 1..=sent.len() {
                assert_eq!(through(&sent, cut), wanted, "{payload:02x?} in pieces of {cut}");
            }
        }
    }

    #[test]
    fn one_that_has_no_room_left_stays_as_it_is() {
        for (length, more) in [(LONGEST, 0), (LONGEST - 3, 0), (LONGEST - 4, 4)] {
            let begin = [PREFACE.to_vec(), frame(kind::HEADERS, 4, 1, b"\x82")].concat();
            let bytes = [begin, frame(kind::HEADERS, 5, 1, &vec![0x82; length])].concat();
            assert_eq!(through(&bytes, 1_000).len(), bytes.len() + more, "{length}");
        }
    }
}
