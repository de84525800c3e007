//! A file on its way into a response, in steps. What is in memory is read at once; what is not is read on another thread, so that a
//! disk stops nobody.

use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

use crate::engine::FileSlice;

/// Bytes per read.
const STEP: u64 = 128 * 1024;
/// Reads in a row without a turn for the others: about 200 microseconds.
const IN_A_ROW: u32 = 4;

/// A part of a body that is made of a file.
pub enum Segment {
    /// Bytes between its parts.
    Bytes(Bytes),
    /// A part of the file.
    File {
        /// First byte.
        at: u64,
        /// Number of bytes.
        len: u64,
    },
}

/// Reads a file.
pub struct FileReader {
    file: Arc<File>,
    at: u64,
    left: u64,
    /// What follows the present part, the last first.
    rest: Vec<Segment>,
    /// It is known to be a regular file.
    regular: bool,
    /// It is of a file system that says what is in memory.
    at_once: bool,
    in_a_row: u32,
    /// The buffer of the piece before, to be used again when nobody holds it any more.
    buffer: Bytes,
    job: Option<JoinHandle<io::Result<BytesMut>>>,
}

impl FileReader {
    /// One part of a file that nobody has looked at.
    pub fn new(slice: FileSlice) -> Self {
        Self { at: slice.offset, left: slice.len, regular: false, ..Self::of_known(slice.file, Vec::new()) }
    }

    /// Parts of a regular file.
    pub fn of_known(file: OwnedFd, mut segments: Vec<Segment>) -> Self {
        segments.reverse();
        Self {
            file: Arc::new(File::from(file)),
            at: 0,
            left: 0,
            rest: segments,
            regular: true,
            at_once: true,
            in_a_row: 0,
            buffer: Bytes::new(),
            job: None,
        }
    }

    /// Whether nothing is left to read.
    pub fn is_finished(&self) -> bool {
        self.left == 0 && self.rest.is_empty() && self.job.is_none()
    }

    /// The next piece; `None` at the end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.left == 0 && self.job.is_none() {
            match self.rest.pop() {
                None => return Poll::Ready(Ok(None)),
                Some(Segment::Bytes(bytes)) => return Poll::Ready(Ok(Some(bytes))),
                Some(Segment::File { at, len }) => (self.at, self.left) = (at, len),
            }
        }
        if self.job.is_none() && self.regular && self.at_once {
            if self.in_a_row >= IN_A_ROW {
                self.in_a_row = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(piece) = self.read_at_once() {
                self.in_a_row += 1;
                return Poll::Ready(self.passed(piece));
            }
        }
        let want = self.left.min(STEP) as usize;
        let (file, at, regular) = (Arc::clone(&self.file), self.at, self.regular);
        if self.job.is_none() {
            let mut piece = self.room(want);
            self.regular = true;
            self.job = Some(tokio::task::spawn_blocking(move || {
                // Reading anything else may never return, and this thread serves all groups.
                if !regular && !file.metadata()?.is_file() {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
                }
                let got = file.read_at(&mut piece, at)?;
                piece.truncate(got);
                Ok(piece)
            }));
        }
        let Some(job) = &mut self.job else { return Poll::Ready(Ok(None)) };
        let result = ready!(Pin::new(job).poll(cx));
        self.job = None;
        self.in_a_row = 0;
        let piece = result.map_err(io::Error::other)??;
        Poll::Ready(self.passed(piece))
    }

    /// A piece that is in memory. `None`: it must be waited for.
    fn read_at_once(&mut self) -> Option<BytesMut> {
        let mut piece = self.room(self.left.min(STEP) as usize);
        let read = preadv2(&*self.file, &mut [IoSliceMut::new(&mut piece)], self.at, ReadWriteFlags::NOWAIT);
        match read {
            Ok(got) => {
                piece.truncate(got);
                Some(piece)
            }
            Err(error) => {
                self.at_once = error == Errno::AGAIN;
                self.buffer = piece.freeze();
                None
            }
        }
    }

    /// A buffer of this many bytes.
    fn room(&mut self, want: usize) -> BytesMut {
        let mut room = std::mem::take(&mut self.buffer).try_into_mut().unwrap_or_default();
        room.resize(want, 0);
        room
    }

    fn passed(&mut self, piece: BytesMut) -> io::Result<Option<Bytes>> {
        if piece.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
        }
        self.at += piece.len() as u64;
        self.left -= piece.len() as u64;
        let piece = piece.freeze();
        if self.left > 0 {
            self.buffer = piece.clone();
        }
        Ok(Some(piece))
    }
}
