//! A scan of a chunked body, as strict as RFC 9112 allows: no blanks behind a size, and every line ends in CR LF. hyper is lenient
//! there, and a proxy before us may read such a body otherwise. Pure.

/// The finding in some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunks {
    /// The body goes on.
    More,
    /// The body ends before this byte.
    End(usize),
    /// It is malformed at this byte.
    Malformed(usize),
}

/// A place within a chunked body.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Behind so many digits of a size.
    Size(u8),
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a line behind the last chunk.
    LastLine,
    Trailer,
    TrailerLf,
    EndLf,
}

/// Scans one chunked body.
#[derive(Debug, Clone, Copy)]
pub struct ChunkScan {
    at: At,
    /// The size read so far, then the bytes of the chunk that are missing.
    missing: u64,
}

impl Default for ChunkScan {
    fn default() -> Self {
        Self { at: At::Size(0), missing: 0 }
    }
}

impl ChunkScan {
    /// Looks at the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Chunks {
        let mut place = 0;
        while let Some(byte) = bytes.get(place).copied() {
            self.at = match (self.at, byte) {
                (At::Data, _) => {
                    let rest = bytes.len() - place;
                    let used = rest.min(usize::try_from(self.missing).unwrap_or(usize::MAX));
                    self.missing -= used as u64;
                    place += used;
                    if self.missing == 0 {
                        self.at = At::DataCr;
                    }
                    continue;
                }
                (At::Size(digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 16 => {
                    let digit = (byte as char).to_digit(16).unwrap_or(0);
                    self.missing = self.missing << 4 | u64::from(digit);
                    At::Size(digits + 1)
                }
                (At::Size(1..), b'\r') => At::SizeLf,
                (At::Size(1..), b';') => At::Extension,
                (At::Extension, b'\r') => At::SizeLf,
                (At::Extension, 1..) if byte != b'\n' => At::Extension,
                (At::SizeLf, b'\n') if self.missing == 0 => At::LastLine,
                (At::SizeLf, b'\n') => At::Data,
                (At::DataCr, b'\r') => At::DataLf,
                (At::DataLf, b'\n') => At::Size(0),
                (At::LastLine, b'\r') => At::EndLf,
                (At::Trailer, b'\r') => At::TrailerLf,
                (At::LastLine | At::Trailer, 1..) if byte != b'\n' => At::Trailer,
                (At::TrailerLf, b'\n') => At::LastLine,
                (At::EndLf, b'\n') => return Chunks::End(place + 1),
                _ => return Chunks::Malformed(place),
            };
            place += 1;
        }
        Chunks::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let table: &[(&str, Chunks)] = &[
            ("0\r\n\r\n", Chunks::End(5)),
            ("3\r\nabc\r\n0\r\n\r\nGET", Chunks::End(13)),
            ("00003;a=\"b c\"\r\n\r\n\n\r\n0;x\r\nA: b\r\nC: d\r\n\r\n", Chunks::End(39)),
            ("Ff\r\n", Chunks::More),
            ("0\r\n\n", Chunks::Malformed(3)),
            ("0\n\r\n", Chunks::Malformed(1)),
            ("3 \r\nabc\r\n", Chunks::Malformed(1)),
            (" 3\r\n", Chunks::Malformed(0)),
            ("3\t;a\r\n", Chunks::Malformed(1)),
            (";a\r\n", Chunks::Malformed(0)),
            ("\r\n", Chunks::Malformed(0)),
            ("3;a\nabc", Chunks::Malformed(3)),
            ("3\r\nabcd", Chunks::Malformed(6)),
            ("3\r\nabc\n", Chunks::Malformed(6)),
            ("0\r\nA: b\n\r\n", Chunks::Malformed(7)),
            ("0\r\nA: b\r\n\n", Chunks::Malformed(9)),
            ("0\r\n\rx", Chunks::Malformed(4)),
            ("11111111111111111\r\n", Chunks::Malformed(16)),
        ];
        for (body, wanted) in table {
            assert_eq!(ChunkScan::default().feed(body.as_bytes()), *wanted, "{body:?}");
            // Byte by byte it is the same.
            let mut scan = ChunkScan::default();
            let found = body.bytes().enumerate().find_map(|(place, byte)| match scan.feed(&[byte]) {
                Chunks::More => None,
                Chunks::End(used) => Some(Chunks::End(place + used)),
                Chunks::Malformed(_) => Some(Chunks::Malformed(place)),
            });
            assert_eq!(found.unwrap_or(Chunks::More), *wanted, "{body:?} byte by byte");
        }
    }
}
