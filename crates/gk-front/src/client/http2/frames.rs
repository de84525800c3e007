//! The heads of HTTP/2 frames in the bytes of one direction. Pure. The `h2` crate reads and writes frames; this scan is for counting:
//! what came and went for which stream, and when the last byte of a response is sent.

/// The beginning of a client's bytes (RFC 9113, 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's head.
pub const HEAD: usize = 9;

/// Types of frames.
pub mod kind {
    #![allow(missing_docs, reason = "the names of RFC 9113")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The flag of the last frame of a request or response.
pub const END_STREAM: u8 = 0x1;
/// The flag of a frame that answers another.
pub const ACK: u8 = 0x1;
/// The flag of the last frame of a header block.
pub const END_HEADERS: u8 = 0x4;

/// The head of a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameHead {
    /// Bytes of its payload.
    pub length: u32,
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// The stream that it is about; 0 for the connection.
    pub stream: u32,
}

impl FrameHead {
    /// The head in these bytes.
    pub fn of(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            // The first bit is reserved.
            stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
        }
    }

    /// Whether it ends a request or a response.
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }

    /// Whether its payload cannot be one of its type (RFC 9113, 6).
    pub fn is_of_wrong_size(&self) -> bool {
        match self.kind {
            kind::PRIORITY => self.length != 5,
            kind::RST_STREAM | kind::WINDOW_UPDATE => self.length != 4,
            kind::SETTINGS => !self.length.is_multiple_of(6) || (self.flags & ACK != 0 && self.length > 0),
            kind::PING => self.length != 8,
            kind::GOAWAY => self.length < 8,
            _ => false,
        }
    }

    fn is_of_block(&self) -> bool {
        matches!(self.kind, kind::HEADERS | kind::CONTINUATION)
    }
}

/// A frame, or a piece of it, in the bytes that were scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The frame.
    pub frame: FrameHead,
    /// Bytes of its payload in this piece.
    pub payload: usize,
    /// Its head is complete with this piece.
    pub begins: bool,
    /// It is complete with this piece.
    pub ends: bool,
    /// Of an `RST_STREAM` that is complete: its code.
    pub code: u32,
}

impl Seen {
    /// Bytes on the wire.
    pub fn bytes(&self) -> u64 {
        self.payload as u64 + if self.begins { HEAD as u64 } else { 0 }
    }
}

/// Scans the bytes of one direction, in whatever pieces they come.
#[derive(Debug, Default)]
pub struct FrameScan {
    /// Bytes of the preface that are missing.
    preface: usize,
    head: [u8; HEAD],
    filled: usize,
    frame: FrameHead,
    left: usize,
    /// [`Seen::code`], as far as it came.
    code: u32,
    /// A header block has begun and has not ended.
    in_block: bool,
}

impl FrameScan {
    /// For a client's bytes, which begin with the preface.
    pub fn of_client() -> Self {
        Self { preface: PREFACE.len(), ..Self::default() }
    }

    /// Whether a head has begun and is not complete: a frame's first bytes, or a header block.
    pub fn is_in_head(&self) -> bool {
        self.in_block || (1..HEAD).contains(&self.filled) || (self.filled == HEAD && self.frame.is_of_block())
    }

    /// Looks at the next bytes.
    pub fn feed(&mut self, bytes: &[u8], mut see: impl FnMut(Seen)) {
        let mut rest = &bytes[self.preface.min(bytes.len())..];
        self.preface -= bytes.len() - rest.len();
        while !rest.is_empty() {
            let begins = self.filled < HEAD;
            if begins {
                let take = rest.len().min(HEAD - self.filled);
                self.head[self.filled..self.filled + take].copy_from_slice(&rest[..take]);
                self.filled += take;
                rest = &rest[take..];
                if self.filled < HEAD {
                    return;
                }
                self.frame = FrameHead::of(self.head);
                self.left = self.frame.length as usize;
                self.code = 0;
            }
            let payload = rest.len().min(self.left);
            if self.frame.kind == kind::RST_STREAM {
                self.code = rest[..payload].iter().fold(self.code, |code, byte| code << 8 | u32::from(*byte));
            }
            rest = &rest[payload..];
            self.left -= payload;
            let ends = self.left == 0;
            if ends {
                self.filled = 0;
                if self.frame.is_of_block() {
                    self.in_block = self.frame.flags & END_HEADERS == 0;
                }
            }
            see(Seen { frame: self.frame, payload, begins, ends, code: self.code });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: usize) -> Vec<u8> {
        let mut bytes = (payload as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend((stream | 1 << 31).to_be_bytes());
        bytes.resize(HEAD + payload, b'x');
        bytes
    }

    #[test]
    fn a_header_block_is_open_from_its_first_byte_to_its_end() {
        let mut scan = FrameScan::of_client();
        let mut seen = 0;
        let mut feed = |bytes: &[u8]| {
            scan.feed(bytes, |_| seen += 1);
            scan.is_in_head()
        };
        assert!(!feed(PREFACE));
        let headers = frame(kind::HEADERS, 0, 1, 10);
        assert!(feed(&headers[..3]), "the first bytes of a frame");
        assert!(feed(&headers[3..12]) && feed(&headers[12..]), "a header block without its end");
        assert!(feed(&frame(kind::CONTINUATION, 0, 1, 4)));
        assert!(!feed(&frame(kind::CONTINUATION, END_HEADERS, 1, 0)));
        assert!(!feed(&frame(kind::DATA, 0, 1, 5)[..HEAD + 2]), "half of a body's frame is none of a head");
        assert_eq!(seen, 5);
    }

    #[test]
    fn the_code_of_a_reset_is_read_however_it_is_cut() {
        let mut bytes = frame(kind::RST_STREAM, 0, 5, 0);
        bytes[2] = 4;
        bytes.extend(0x0102_0307u32.to_be_bytes());
        for cut in 1..=bytes.len() {
            let (mut scan, mut codes) = (FrameScan::default(), Vec::new());
            for piece in bytes.chunks(cut) {
                scan.feed(piece, |seen| codes.extend(seen.ends.then_some(seen.code)));
            }
            assert_eq!(codes, [0x0102_0307], "{cut}");
        }
    }

    #[test]
    fn frames_of_a_fixed_size_have_it() {
        let table = [
            (kind::PRIORITY, 0, 5, true),
            (kind::PRIORITY, 0, 4, false),
            (kind::RST_STREAM, 0, 4, true),
            (kind::RST_STREAM, 0, 5, false),
            (kind::SETTINGS, 0, 0, true),
            (kind::SETTINGS, 0, 12, true),
            (kind::SETTINGS, 0, 11, false),
            (kind::SETTINGS, ACK, 0, true),
            (kind::SETTINGS, ACK, 6, false),
            (kind::PING, ACK, 8, true),
            (kind::PING, 0, 7, false),
            (kind::GOAWAY, 0, 8, true),
            (kind::GOAWAY, 0, 7, false),
            (kind::WINDOW_UPDATE, 0, 4, true),
            (kind::WINDOW_UPDATE, 0, 3, false),
            (kind::DATA, 0, 0, true),
            (0x77, 0, 1, true),
        ];
        for (kind, flags, length, fits) in table {
            let frame = FrameHead { length, kind, flags, stream: 0 };
            assert_eq!(frame.is_of_wrong_size(), !fits, "{frame:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn frames_are_found_however_the_bytes_are_cut(
            frames in proptest::collection::vec((0u8..12, 0u8..8, 0u32..9, 0usize..300), 0..20),
            cut in 1usize..400,
        ) {
            let mut bytes = PREFACE.to_vec();
            for (kind, flags, stream, length) in &frames {
                bytes.extend(frame(*kind, *flags, *stream, *length));
            }
            let mut scan = FrameScan::of_client();
            let (mut found, mut payload, mut total) = (Vec::new(), 0, 0);
            for piece in bytes.chunks(cut) {
                scan.feed(piece, |seen| {
                    payload += seen.payload;
                    total += seen.bytes();
                    if seen.ends {
                        let FrameHead { kind, flags, stream, length } = seen.frame;
                        assert_eq!(std::mem::take(&mut payload), length as usize);
                        found.push((kind, flags, stream, length as usize));
                    }
                });
            }
            proptest::prop_assert_eq!(found, frames);
            proptest::prop_assert_eq!(total as usize, bytes.len() - PREFACE.len());
        }
    }
}
