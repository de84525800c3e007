//! A scan of the raw bytes of a request head for both `Content-Length` and `Transfer-Encoding`: hyper drops the first and does
//! not report it. Pure; reads only the starts of lines.

/// Longest line start that is compared, in bytes.
const PREFIX: usize = 18;

/// Scans the lines of one head.
#[derive(Debug, Default)]
pub struct HeadScan {
    /// A line that is not empty was seen: empty ones before the request line do not count (RFC 9112, 2.2).
    begun: bool,
    length: bool,
    encoding: bool,
    ended: bool,
    /// Start of the current line, in the bytes seen so far.
    line: [u8; PREFIX],
    filled: usize,
}

impl HeadScan {
    /// A new head begins with the next byte.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// Whether both headers were seen.
    pub fn ambiguous(&self) -> bool {
        self.length && self.encoding
    }

    /// The next bytes of the head (and of what may follow it, which is ignored).
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !self.ended && !bytes.is_empty() {
            let (line, rest, complete) = match memchr::memchr(b'\n', bytes) {
                Some(at) => (&bytes[..at], &bytes[at + 1..], true),
                None => (bytes, &[][..], false),
            };
            if self.filled == 0 && complete {
                self.line_start(line);
            } else {
                let take = line.len().min(PREFIX - self.filled);
                self.line[self.filled..self.filled + take].copy_from_slice(&line[..take]);
                self.filled += take;
                if complete {
                    let (line, filled) = (self.line, self.filled);
                    self.line_start(&line[..filled]);
                    self.filled = 0;
                }
            }
            bytes = rest;
        }
    }

    fn line_start(&mut self, line: &[u8]) {
        match line.first() {
            None => self.ended = self.begun,
            Some(b'\r') if line.len() == 1 => self.ended = self.begun,
            Some(b't' | b'T') if starts(line, b"transfer-encoding:") => self.encoding = true,
            Some(b'c' | b'C') if starts(line, b"content-length:") => self.length = true,
            _ => self.begun = true,
        }
    }
}

fn starts(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[u8] =
        b"\r\n\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-encoding: chunked\r\n\r\n";

    #[test]
    fn both_headers_are_seen_however_the_bytes_are_cut() {
        for cut in 0..BOTH.len() {
            for second in cut..BOTH.len() {
                let mut scan = HeadScan::default();
                scan.feed(&BOTH[..cut]);
                scan.feed(&BOTH[cut..second]);
                scan.feed(&BOTH[second..]);
                assert!(scan.ambiguous(), "cut at {cut} and {second}");
            }
        }
    }

    #[test]
    fn the_body_is_not_read_as_headers() {
        let mut scan = HeadScan::default();
        scan.feed(b"POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\nTransfer-Encoding: chunked\r\n");
        assert!(!scan.ambiguous());
        scan.restart();
        scan.feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(!scan.ambiguous());
    }
}
