//! A scan of the bytes of requests as they come: where the request line is, where the request ends, whether its head has both
//! `Content-Length` and `Transfer-Encoding` (hyper drops the first and does not report it), and whether the lines of a chunked
//! body are well-formed where hyper is lenient. Pure. What hyper refuses in any case is not followed.

use crate::client::http1::chunks::{ChunkScan, Chunks};
use crate::request::target;

/// Longest start of a line that is kept while the rest of it comes: that of a Content-Length.
const PREFIX: usize = 48;
/// Longest request line that is waited for; of a longer one hyper gets the bytes as they come.
const LONGEST_LINE: usize = 16 * 1024;
/// Bytes of a request line that are kept for the log.
pub const SHOWN: usize = 256;
/// Bytes of `HTTP/1.1`.
const VERSION: usize = 8;

/// The finding in some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// All of them belong to the request, and there is nothing to change.
    Nothing,
    /// The request ends before this byte.
    End(usize),
    /// A request line in this range (without its newline) has bytes that must be encoded. [`RequestScan::pass_line`] goes on.
    OddLine(usize, usize),
    /// A request line begins at this byte, and its end is not there yet. The scan goes on with the same bytes and more.
    PartLine(usize),
    /// The body is malformed at this byte.
    Malformed(usize),
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Before or within the request line.
    Line,
    /// Within a request line that hyper gets as it comes.
    LongLine,
    /// Within the header fields.
    Fields,
    /// Within a body of which so many bytes are missing.
    Body(u64),
    Chunks(ChunkScan),
    /// The request is complete.
    Complete,
    /// Not followed: hyper refuses the request, or it is the last one of its connection.
    Lost,
}

/// Scans one request after another.
pub struct RequestScan {
    state: State,
    length: Option<u64>,
    /// A length that is malformed, or cut off by the end of `line`.
    bad_length: bool,
    encoding: bool,
    /// Bytes of the body so far, as they came.
    body: u64,
    /// Start of the current header line, where it came in several pieces.
    line: [u8; PREFIX],
    filled: usize,
    shown: [u8; SHOWN],
    shown_bytes: usize,
    /// The end of the request line.
    version: [u8; VERSION],
}

impl Default for RequestScan {
    fn default() -> Self {
        Self {
            state: State::Line,
            length: None,
            bad_length: false,
            encoding: false,
            body: 0,
            line: [0; PREFIX],
            filled: 0,
            shown: [0; SHOWN],
            shown_bytes: 0,
            version: [0; VERSION],
        }
    }
}

impl RequestScan {
    /// Whether the head has both headers about the length of the body, or a length that cannot be followed. What hyper takes of these
    /// is refused later.
    pub fn is_ambiguous(&self) -> bool {
        self.bad_length || (self.encoding && self.length.is_some())
    }

    /// Bytes of the body so far, with the framing of chunks.
    pub fn body_bytes(&self) -> u64 {
        self.body
    }

    /// The first bytes of the request line.
    pub fn shown(&self) -> &[u8] {
        &self.shown[..self.shown_bytes]
    }

    /// Whether the request line is of another major version of HTTP, which is none of HTTP/1.
    pub fn is_of_other_version(&self) -> bool {
        matches!(self.version, [b'H', b'T', b'T', b'P', b'/', b'2'..=b'9', b'.', b'0'..=b'9'])
    }

    /// The request line is given to hyper as it is now; the next bytes are those behind its newline.
    pub fn pass_line(&mut self, line: &[u8]) {
        self.show(line);
        self.state = State::Fields;
    }

    /// Nothing more is followed.
    pub fn lose(&mut self, line: &[u8]) {
        self.show(line);
        self.state = State::Lost;
    }

    /// Looks at the next bytes. Those behind [`Found::End`] are the next request's.
    pub fn feed(&mut self, bytes: &[u8]) -> Found {
        if let State::Complete = self.state {
            self.restart();
        }
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.state {
                State::Line => match self.request_line(rest) {
                    Ok(used) => at += used,
                    Err(Found::OddLine(start, end)) => return Found::OddLine(at + start, at + end),
                    Err(Found::PartLine(start)) => return Found::PartLine(at + start),
                    Err(found) => return found,
                },
                State::LongLine => match memchr::memchr(b'\n', rest) {
                    Some(length) => {
                        at += length + 1;
                        self.state = State::Fields;
                    }
                    None => return Found::Nothing,
                },
                State::Fields => at += self.fields(rest),
                State::Body(missing) => {
                    let used = rest.len().min(usize::try_from(*missing).unwrap_or(usize::MAX));
                    *missing -= used as u64;
                    self.body += used as u64;
                    at += used;
                    if *missing == 0 {
                        self.state = State::Complete;
                    }
                }
                State::Chunks(chunks) => match chunks.feed(rest) {
                    Chunks::More => {
                        self.body += rest.len() as u64;
                        return Found::Nothing;
                    }
                    Chunks::Malformed(byte) => {
                        self.state = State::Lost;
                        return Found::Malformed(at + byte);
                    }
                    Chunks::End(used) => {
                        at += used;
                        self.state = State::Complete;
                    }
                },
                State::Complete => return Found::End(at),
                State::Lost => return Found::Nothing,
            }
        }
        Found::Nothing
    }

    /// Forgets the last request; its first bytes stay until those of the next are there.
    fn restart(&mut self) {
        self.state = State::Line;
        (self.length, self.bad_length, self.encoding, self.filled) = (None, false, false, 0);
        self.body = 0;
    }

    /// Empty lines before it do not count (RFC 9112, 2.2). Returns the bytes used.
    fn request_line(&mut self, bytes: &[u8]) -> Result<usize, Found> {
        let Some(start) = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')) else {
            return Ok(bytes.len());
        };
        let Some(length) = memchr::memchr(b'\n', &bytes[start..]) else {
            let line = &bytes[start..];
            let control = |byte: &u8| *byte < b' ' && *byte != b'\r';
            if line.iter().any(control) {
                // No request line: hyper refuses it.
                self.lose(line);
                return Ok(bytes.len());
            }
            if line.len() < LONGEST_LINE {
                return Err(Found::PartLine(start));
            }
            self.show(line);
            self.state = State::LongLine;
            return Ok(bytes.len());
        };
        let line = &bytes[start..start + length];
        if target::is_odd(line) {
            return Err(Found::OddLine(start, start + length));
        }
        self.pass_line(line);
        Ok(start + length + 1)
    }

    /// Looks at header lines, up to the empty one. Returns the bytes used.
    fn fields(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && matches!(self.state, State::Fields) {
            let rest = &bytes[at..];
            let Some(length) = memchr::memchr(b'\n', rest) else {
                self.keep(rest);
                return bytes.len();
            };
            if self.filled == 0 {
                self.field(&rest[..length]);
            } else {
                self.keep(&rest[..length]);
                let (line, filled) = (self.line, self.filled);
                self.filled = 0;
                self.field(&line[..filled]);
            }
            at += length + 1;
        }
        at
    }

    /// Keeps the start of a line.
    fn keep(&mut self, part: &[u8]) {
        let take = part.len().min(PREFIX - self.filled);
        self.line[self.filled..self.filled + take].copy_from_slice(&part[..take]);
        self.filled += take;
    }

    fn field(&mut self, line: &[u8]) {
        match line.first() {
            None => self.end_head(),
            Some(b'\r') if line.len() == 1 => self.end_head(),
            Some(b't' | b'T') if starts(line, b"transfer-encoding:") => self.encoding = true,
            Some(b'c' | b'C') if starts(line, b"content-length:") => {
                // A line of which only the start was kept has a length that no number has.
                match number(line[b"content-length:".len()..].trim_ascii()).filter(|_| line.len() < PREFIX) {
                    Some(length) => self.length = Some(length),
                    None => self.bad_length = true,
                }
            }
            _ => {}
        }
    }

    fn end_head(&mut self) {
        self.state = match self.length {
            _ if self.is_ambiguous() => State::Lost,
            _ if self.encoding => State::Chunks(ChunkScan::default()),
            Some(missing) if missing > 0 => State::Body(missing),
            _ => State::Complete,
        };
    }

    fn show(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.shown_bytes = line.len().min(SHOWN);
        self.shown[..self.shown_bytes].copy_from_slice(&line[..self.shown_bytes]);
        self.version = line.last_chunk().copied().unwrap_or_default();
    }
}

fn starts(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
