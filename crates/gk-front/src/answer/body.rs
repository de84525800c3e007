//! A response body as hyper takes it: nothing, one piece, pieces from a worker, or a file. A body that cannot be
//! completed ends in an error, so that the client never sees a proper end.

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

use crate::client::connection::Conn;
use crate::log::access_log::Entry;
use crate::worker::exchange::{Exchange, Piece};
use crate::worker::slots::{Failure, FileBody};

/// Bytes of a file per read.
const STEP: u64 = 128 * 1024;

/// The body was not completed. The error log says why.
#[derive(Debug, thiserror::Error)]
#[error("the response was cut off")]
pub struct CutOff;

enum Source {
    Nothing,
    Whole(Bytes),
    Worker { exchange: Exchange, yielded: bool },
    File(FileReader),
}

/// The body.
pub struct ResponseBody {
    source: Source,
    /// Exact length, where it is known and trusted.
    length: Option<u64>,
    conn: Rc<Conn>,
    entry: Option<Box<Entry>>,
    /// The end of the connection is the end of the body (HTTP/1.0 without a length).
    delimited_by_close: bool,
}

impl ResponseBody {
    fn new(conn: &Rc<Conn>, source: Source, length: Option<u64>) -> Self {
        Self { source, length, conn: Rc::clone(conn), entry: None, delimited_by_close: false }
    }

    /// No body.
    pub fn nothing(conn: &Rc<Conn>) -> Self {
        Self::new(conn, Source::Nothing, Some(0))
    }

    /// One piece. `trusted`: its length is that of the `Content-Length` header, if there is one.
    pub fn whole(conn: &Rc<Conn>, bytes: Bytes, trusted: bool) -> Self {
        if bytes.is_empty() && trusted {
            return Self::nothing(conn);
        }
        let length = trusted.then_some(bytes.len() as u64);
        Self::new(conn, Source::Whole(bytes), length)
    }

    /// From a worker. `length`: that of the `Content-Length` header.
    pub fn worker(conn: &Rc<Conn>, exchange: Exchange) -> Self {
        Self::new(conn, Source::Worker { exchange, yielded: false }, None)
    }

    /// A part of a file.
    pub fn file(conn: &Rc<Conn>, body: FileBody) -> Self {
        Self::new(conn, Source::File(FileReader::new(body)), None)
    }

    /// The access-log entry that ends with this body.
    pub fn set_logged(&mut self, entry: Option<Box<Entry>>) {
        self.entry = entry;
    }

    /// Whether the body ends where the connection ends.
    pub fn set_delimited_by_close(&mut self, yes: bool) {
        self.delimited_by_close = yes;
    }

    fn cut_off(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        if let Source::Worker { yielded, .. } = &mut self.source
            && !std::mem::replace(yielded, true)
        {
            // Once round the loop, so that hyper writes out what came before the failure.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.delimited_by_close {
            self.conn.reset_on_close();
        }
        if let Some(entry) = &mut self.entry {
            entry.aborted = true;
        }
        Poll::Ready(Some(Err(CutOff)))
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let this = &mut *self;
        loop {
            let next = match &mut this.source {
                Source::Nothing => None,
                Source::Whole(bytes) => {
                    let bytes = std::mem::take(bytes);
                    this.source = Source::Nothing;
                    (!bytes.is_empty()).then_some(bytes)
                }
                Source::Worker { exchange, .. } => match ready!(exchange.poll_chunk(cx)) {
                    Some(Ok(Piece::Data(bytes))) => Some(bytes),
                    Some(Ok(Piece::File(file))) => {
                        this.source = Source::File(FileReader::new(file));
                        continue;
                    }
                    Some(Err(failure)) => {
                        let result = this.cut_off(cx);
                        if result.is_ready() {
                            note_failure(&failure, &this.conn);
                        }
                        return result;
                    }
                    None => None,
                },
                Source::File(reader) => match ready!(reader.poll_read(cx)) {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        let text = format!("a file response could not be read to its end: {error}");
                        crate::note(gk_wire::log::Level::Error, Some(&this.conn.ends.client), &text);
                        return this.cut_off(cx);
                    }
                },
            };
            let Some(bytes) = next else { return Poll::Ready(None) };
            if let Some(entry) = &mut this.entry {
                entry.body_bytes += bytes.len() as u64;
            }
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Nothing => true,
            Source::Whole(_) => false,
            Source::Worker { exchange, .. } => exchange.is_finished(),
            Source::File(reader) => reader.is_finished(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(entry) = &mut self.entry {
            entry.aborted |= match &self.source {
                Source::Nothing | Source::Whole(_) => false,
                Source::Worker { exchange, .. } => !exchange.is_finished(),
                Source::File(reader) => !reader.is_finished(),
            };
        }
        if let Some(entry) = self.entry.take() {
            self.conn.park_entry(entry);
        }
        self.conn.end_response();
    }
}

/// The line about a response that was cut off by its worker.
fn note_failure(failure: &Failure, conn: &Conn) {
    let text = match failure {
        Failure::Died | Failure::NotStarted => {
            "the worker ended in the middle of a response; the response was cut off".to_owned()
        }
        Failure::Late => "no more of the response came within socket-timeout; it was cut off".to_owned(),
        Failure::Aborted(reason) => format!("the response was cut off: {reason}"),
    };
    crate::note(gk_wire::log::Level::Error, Some(&conn.ends.client), &text);
}

/// Reads a file in steps, off the event loop.
struct FileReader {
    file: Arc<File>,
    at: u64,
    left: u64,
    job: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl FileReader {
    fn new(body: FileBody) -> Self {
        Self { file: Arc::new(File::from(body.file)), at: body.offset, left: body.len, job: None }
    }

    fn is_finished(&self) -> bool {
        self.left == 0 && self.job.is_none()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.is_finished() {
            return Poll::Ready(Ok(None));
        }
        let (file, at, want) = (Arc::clone(&self.file), self.at, self.left.min(STEP) as usize);
        let job = self.job.get_or_insert_with(|| {
            tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; want];
                let got = file.read_at(&mut piece, at)?;
                piece.truncate(got);
                Ok(piece)
            })
        });
        let result = ready!(Pin::new(job).poll(cx));
        self.job = None;
        let piece = result.map_err(io::Error::other)??;
        if piece.is_empty() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter")));
        }
        self.at += piece.len() as u64;
        self.left -= piece.len() as u64;
        Poll::Ready(Ok(Some(piece.into())))
    }
}
