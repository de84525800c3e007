//! A response body that is compressed on its way: gzip, Brotli, zstd. A piece that the application sends is flushed, so that a
//! stream stays one; large pieces are compressed off the event loop.

use bytes::Bytes;
use flate2::write::GzEncoder;
use gk_rules::content::compression::Coding;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// Bytes that are compressed at once on the event loop; more takes longer than a request may stop the others.
pub const AT_ONCE: usize = 8 * 1024;
/// gzip's level, as mod_deflate has it.
const GZIP_LEVEL: u32 = 6;
/// Brotli's quality and window, as mod_brotli has them.
const BROTLI_QUALITY: u32 = 5;
const BROTLI_WINDOW: u32 = 18;
/// zstd's level and window. The strategies of levels above 4 are not compiled: `CFLAGS` in `.cargo/config.toml`.
const ZSTD_LEVEL: i32 = 3;
const ZSTD_WINDOW: u32 = 18;

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL))),
            Coding::Brotli => {
                let writer = brotli::CompressorWriter::new(Vec::new(), 4096, BROTLI_QUALITY, BROTLI_WINDOW);
                Self::Brotli(Box::new(writer))
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(ZSTD_WINDOW)?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Takes bytes; gives those that are ready.
    fn take(&mut self, bytes: &[u8], flush: bool) -> io::Result<Vec<u8>> {
        fn run(writer: &mut dyn Write, bytes: &[u8], flush: bool) -> io::Result<()> {
            writer.write_all(bytes)?;
            if flush { writer.flush() } else { Ok(()) }
        }
        Ok(match self {
            Self::Gzip(encoder) => {
                run(encoder, bytes, flush)?;
                std::mem::take(encoder.get_mut())
            }
            Self::Brotli(encoder) => {
                run(encoder, bytes, flush)?;
                std::mem::take(encoder.get_mut())
            }
            Self::Zstd(encoder) => {
                run(encoder, bytes, flush)?;
                std::mem::take(encoder.get_mut())
            }
        })
    }

    /// The last bytes.
    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

/// What an encoder is asked for.
enum Step {
    Piece(Bytes, bool),
    End,
}

impl Step {
    /// The same with bytes of its own: a large piece may lie in memory that a worker shares, and an encoder looks at it more than once.
    fn copied(self) -> Self {
        match self {
            Self::Piece(bytes, flush) => Self::Piece(Bytes::copy_from_slice(&bytes), flush),
            Self::End => Self::End,
        }
    }
}

/// The encoder after a step, unless it was the last, and the bytes.
type Stepped = io::Result<(Option<Encoder>, Vec<u8>)>;

fn step(mut encoder: Encoder, step: &Step) -> Stepped {
    match step {
        Step::Piece(bytes, flush) => encoder.take(bytes, *flush).map(|out| (Some(encoder), out)),
        Step::End => encoder.finish().map(|out| (None, out)),
    }
}

/// A compression under way.
pub struct Compressor {
    encoder: Option<Encoder>,
    job: Option<JoinHandle<Stepped>>,
    /// The last bytes were given.
    ended: bool,
}

impl Compressor {
    /// Begins.
    pub fn new(coding: Coding) -> io::Result<Self> {
        Ok(Self { encoder: Some(Encoder::new(coding)?), job: None, ended: false })
    }

    /// Compresses a body that is there as a whole.
    pub fn all(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let Some(mut encoder) = self.encoder.take() else { return Ok(Vec::new()) };
        let mut out = encoder.take(bytes, false)?;
        out.extend(encoder.finish()?);
        self.ended = true;
        Ok(out)
    }

    /// Whether all bytes were given.
    pub fn is_done(&self) -> bool {
        self.ended && self.job.is_none()
    }

    /// Whether a piece is being compressed: [`Compressor::poll_done`] gives its bytes.
    pub fn is_busy(&self) -> bool {
        self.job.is_some()
    }

    /// Takes a piece, or the end; the bytes, or none if they come later. `flush`: the client is to have them at once.
    pub fn take(&mut self, piece: Option<Bytes>, flush: bool) -> io::Result<Option<Vec<u8>>> {
        let Some(encoder) = self.encoder.take() else { return Ok(Some(Vec::new())) };
        self.ended = piece.is_none();
        let wanted = piece.map_or(Step::End, |bytes| Step::Piece(bytes, flush));
        if let Step::Piece(bytes, _) = &wanted
            && bytes.len() > AT_ONCE
        {
            self.job = Some(tokio::task::spawn_blocking(move || step(encoder, &wanted.copied())));
            return Ok(None);
        }
        let (encoder, out) = step(encoder, &wanted)?;
        self.encoder = encoder;
        Ok(Some(out))
    }

    /// The bytes of the piece that is being compressed.
    pub fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        let Some(job) = &mut self.job else { return Poll::Ready(Ok(Vec::new())) };
        let done = ready!(Pin::new(job).poll(cx));
        self.job = None;
        let (encoder, out) = done.map_err(io::Error::other)??;
        self.encoder = encoder;
        Poll::Ready(Ok(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Gzip => drop(flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out)),
            Coding::Brotli => drop(brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out)),
            Coding::Zstd => drop(zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut out)),
        }
        out
    }

    #[test]
    fn a_flushed_piece_is_readable_before_the_end() {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let mut compressor = Compressor::new(coding).unwrap();
            let mut sent = compressor.take(Some(Bytes::from_static(b"first ")), true).unwrap().unwrap();
            assert_eq!(decoded(coding, &sent), b"first ", "{coding:?}");
            sent.extend(compressor.take(Some(Bytes::from_static(b"second")), true).unwrap().unwrap());
            sent.extend(compressor.take(None, false).unwrap().unwrap());
            assert!(compressor.is_done());
            assert_eq!(decoded(coding, &sent), b"first second", "{coding:?}");
        }
    }
}
