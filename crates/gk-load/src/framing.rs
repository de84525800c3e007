//! Finds the end of a response: head, length, chunks, or the end of the connection. Takes bytes as they arrive, keeps no body and
//! knows no socket.

use memchr::memchr;

/// Longest head, in bytes.
const LONGEST_HEAD: usize = 64 << 10;
const HEADERS: usize = 96;

/// A complete head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// The connection ends after this response.
    pub close: bool,
}

/// Result of taking bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// More bytes are needed; all given bytes are used.
    More,
    /// The response is complete; this many of the given bytes belong to it.
    Done(Head, usize),
    /// This is no HTTP response.
    Malformed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyState {
    Head,
    /// Bytes of the body still to come.
    Length(u64),
    /// In a chunk's size line.
    Size,
    /// Bytes of a chunk still to come, its line end included.
    Chunk(u64),
    /// In the trailer.
    Trailer,
    UntilClose,
}

/// Reads one response after the other.
#[derive(Debug)]
pub struct Framing {
    state: BodyState,
    head: Head,
    /// The beginning of an incomplete head or line.
    kept: Vec<u8>,
    /// Values of `Set-Cookie` headers, if they are collected.
    pub cookies: Option<Vec<String>>,
}

impl Framing {
    /// `cookies`: collect `Set-Cookie` values.
    pub fn new(cookies: bool) -> Self {
        Self {
            state: BodyState::Head,
            head: Head::default(),
            kept: Vec::new(),
            cookies: cookies.then(Vec::new),
        }
    }

    /// Resets for a new connection.
    pub fn reset(&mut self) {
        self.state = BodyState::Head;
        self.kept.clear();
    }

    /// Whether part of the current response has arrived.
    pub fn begun(&self) -> bool {
        self.state != BodyState::Head || !self.kept.is_empty()
    }

    /// Takes bytes. `head_only`: this is the response to a HEAD request.
    pub fn feed(&mut self, bytes: &[u8], head_only: bool) -> Step {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match self.state {
                BodyState::Head => match self.head(rest, head_only) {
                    Ok(Some(used)) => {
                        at += used;
                        if self.state == BodyState::Length(0) {
                            return self.done(at);
                        }
                    }
                    Ok(None) => return Step::More,
                    Err(()) => return Step::Malformed,
                },
                BodyState::Length(left) => {
                    if (rest.len() as u64) < left {
                        self.state = BodyState::Length(left - rest.len() as u64);
                        return Step::More;
                    }
                    return self.done(at + left as usize);
                }
                BodyState::UntilClose => return Step::More,
                BodyState::Chunk(left) => {
                    if (rest.len() as u64) < left {
                        self.state = BodyState::Chunk(left - rest.len() as u64);
                        return Step::More;
                    }
                    at += left as usize;
                    self.state = BodyState::Size;
                }
                BodyState::Size | BodyState::Trailer => {
                    let Some(end) = memchr(b'\n', rest) else {
                        self.kept.extend_from_slice(rest);
                        return if self.kept.len() > LONGEST_HEAD { Step::Malformed } else { Step::More };
                    };
                    at += end + 1;
                    self.kept.extend_from_slice(&rest[..end]);
                    let line = self.kept.trim_ascii();
                    if self.state == BodyState::Trailer {
                        let last = line.is_empty();
                        self.kept.clear();
                        if last {
                            return self.done(at);
                        }
                        continue;
                    }
                    let Some(size) = size(line) else { return Step::Malformed };
                    self.state =
                        if size == 0 { BodyState::Trailer } else { BodyState::Chunk(size.saturating_add(2)) };
                    self.kept.clear();
                }
            }
        }
    }

    /// The connection has ended. `Some`: this completes the response.
    pub fn end(&mut self) -> Option<Head> {
        let complete = self.state == BodyState::UntilClose;
        self.reset();
        complete.then_some(Head { close: true, ..self.head })
    }

    fn done(&mut self, used: usize) -> Step {
        self.state = BodyState::Head;
        Step::Done(self.head, used)
    }

    /// Reads a head. Returns how many of `bytes` belong to it, `None` while it is incomplete.
    fn head(&mut self, bytes: &[u8], head_only: bool) -> Result<Option<usize>, ()> {
        if self.kept.is_empty() {
            return match self.parse(bytes, head_only)? {
                Some(used) => Ok(Some(used)),
                None => {
                    self.kept.extend_from_slice(bytes);
                    self.short_enough()
                }
            };
        }
        let before = self.kept.len();
        let mut all = std::mem::take(&mut self.kept);
        all.extend_from_slice(bytes);
        let parsed = self.parse(&all, head_only)?;
        self.kept = all;
        match parsed {
            Some(used) => {
                self.kept.clear();
                Ok(Some(used.saturating_sub(before)))
            }
            None => self.short_enough(),
        }
    }

    fn short_enough(&self) -> Result<Option<usize>, ()> {
        if self.kept.len() > LONGEST_HEAD { Err(()) } else { Ok(None) }
    }

    fn parse(&mut self, bytes: &[u8], head_only: bool) -> Result<Option<usize>, ()> {
        let mut used = 0;
        loop {
            match self.one(&bytes[used..], head_only)? {
                // An interim response: the real one follows.
                Some((status, more)) if (100..200).contains(&status) && status != 101 => used += more,
                Some((_, more)) => return Ok(Some(used + more)),
                None => return Ok(None),
            }
        }
    }

    /// Reads one head; returns its status and its length in bytes. An interim one changes nothing.
    fn one(&mut self, bytes: &[u8], head_only: bool) -> Result<Option<(u16, usize)>, ()> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let used = match response.parse(bytes) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(()),
        };
        let status = response.code.unwrap_or(0);
        let mut close = response.version == Some(0);
        let (mut length, mut chunked) = (None, false);
        for header in response.headers.iter() {
            // Length first: most headers are none of these.
            match header.name.len() {
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    let text = std::str::from_utf8(header.value).map_err(drop)?;
                    length = Some(text.trim().parse::<u64>().map_err(drop)?);
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    chunked = header.value.trim_ascii().to_ascii_lowercase().ends_with(b"chunked");
                }
                10 if header.name.eq_ignore_ascii_case("connection") => {
                    let value = header.value.trim_ascii();
                    close = (close || value.eq_ignore_ascii_case(b"close"))
                        && !value.eq_ignore_ascii_case(b"keep-alive");
                }
                10 if header.name.eq_ignore_ascii_case("set-cookie") => {
                    if let Some(cookies) = &mut self.cookies {
                        cookies.push(String::from_utf8_lossy(header.value).into_owned());
                    }
                }
                _ => {}
            }
        }
        if (100..200).contains(&status) && status != 101 {
            return Ok(Some((status, used)));
        }
        self.state = match (head_only || status == 204 || status == 304, chunked, length) {
            (true, ..) => BodyState::Length(0),
            (false, true, _) => BodyState::Size,
            (false, false, Some(length)) => BodyState::Length(length),
            (false, false, None) => BodyState::UntilClose,
        };
        self.head = Head { status, close };
        Ok(Some((status, used)))
    }
}

/// A chunk's size line without extensions.
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or(line).trim_ascii();
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CASES: [(&[u8], bool, u16, bool); 7] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, false),
        (b"HTTP/1.1 204 No Content\r\n\r\n", false, 204, false),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: 1\r\n\r\n", false, 200, false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", true, 200, false),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", false, 200, true),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", false, 503, true),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", false, 200, false),
    ];

    #[test]
    fn whole_responses_end_where_they_should() {
        for (bytes, head_only, status, close) in CASES {
            let twice = [bytes, bytes].concat();
            let mut framing = Framing::new(false);
            let wanted = Step::Done(Head { status, close }, bytes.len());
            assert_eq!(framing.feed(&twice, head_only), wanted, "{}", String::from_utf8_lossy(bytes));
            assert!(!framing.begun());
            assert_eq!(framing.feed(&twice[bytes.len()..], head_only), wanted);
        }
    }

    proptest! {
        #[test]
        fn and_so_do_responses_in_pieces(case in 0..CASES.len(), piece in 1usize..40) {
            let (bytes, head_only, status, close) = CASES[case];
            let mut framing = Framing::new(false);
            let mut done = None;
            for part in bytes.chunks(piece) {
                prop_assert!(done.is_none());
                match framing.feed(part, head_only) {
                    Step::More => {}
                    Step::Done(head, used) => {
                        prop_assert_eq!(used, part.len());
                        done = Some(head);
                    }
                    Step::Malformed => prop_assert!(false),
                }
            }
            prop_assert_eq!(done, Some(Head { status, close }));
        }

        #[test]
        fn nonsense_does_not_hang_or_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Framing::new(true).feed(&bytes, false);
        }
    }

    #[test]
    fn many_interim_responses_are_read_one_after_the_other() {
        let mut bytes = b"HTTP/1.1 103 Early\r\n\r\n".repeat(40_000);
        bytes.extend_from_slice(b"HTTP/1.1 204 No\r\n\r\n");
        let mut framing = Framing::new(false);
        assert_eq!(framing.feed(&bytes, false), Step::Done(Head { status: 204, close: false }, bytes.len()));
    }

    #[test]
    fn the_end_of_the_connection_ends_a_body_without_length() {
        let mut framing = Framing::new(true);
        assert_eq!(
            framing.feed(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\n\r\nsome", false),
            Step::More
        );
        assert_eq!(framing.end(), Some(Head { status: 200, close: true }));
        assert_eq!(framing.cookies.as_deref(), Some(&["a=b; Path=/".to_owned()][..]));
        assert_eq!(framing.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", false), Step::More);
        assert_eq!(framing.end(), None);
        assert_eq!(framing.feed(b"SSH-2.0-x\r\n\r\n", false), Step::Malformed);
    }
}
