//! A request body, received whole before any worker sees the request: in memory up to a limit, then in a file without
//! a name. It can be read from the start as often as needed. Slow clients wait here and nowhere else.

use bytes::{Bytes, BytesMut};
use gk_wire::log::Level;
use http_body::Body as _;
use hyper::body::Incoming;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::answer::reply::Refusal;
use crate::client::connection::{Conn, Phase};
use crate::process::descriptors;
use crate::worker::exchange::Uplink;

/// Bytes moved per step between file and memory.
const STEP: usize = 256 * 1024;
/// Largest piece per `Body` frame.
const PIECE: usize = gk_wire::frame::CHUNK;

/// Where and how much.
pub struct Limits<'a> {
    /// Most body bytes (`LimitRequestBody`), 0 = any number.
    pub most: u64,
    /// Bytes kept in memory.
    pub memory: usize,
    /// Directory of the files.
    pub directory: &'a Path,
}

/// A complete body. Clones share it.
#[derive(Clone)]
pub enum Spooled {
    /// None at all.
    Empty,
    /// In memory.
    Memory(Bytes),
    /// In a file of that length.
    File(Arc<File>, u64),
}

/// Receives the body. When it is there, the connection waits for us and no longer for the client.
pub async fn receive(body: Incoming, limits: &Limits<'_>, conn: &Conn) -> Result<Spooled, Refusal> {
    conn.enter(Phase::Body);
    let received = collect(body, limits, &conn.ends.client).await;
    conn.enter(Phase::Serving);
    if received.is_ok() {
        conn.linger.set(false);
    }
    received
}

async fn collect(mut body: Incoming, limits: &Limits<'_>, client: &str) -> Result<Spooled, Refusal> {
    let expected = body.size_hint().exact().unwrap_or(0) as usize;
    let mut memory = BytesMut::new();
    let mut file: Option<Arc<File>> = None;
    let unkept = |error| unkept(&error, limits.directory, client);
    let (mut length, mut written) = (0u64, 0u64);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|error| why(&error))?.into_data() else { continue };
        length += data.len() as u64;
        if limits.most != 0 && length > limits.most {
            return Err(Refusal::TooLarge);
        }
        if file.is_none() && memory.is_empty() && body.is_end_stream() {
            return Ok(Spooled::Memory(data));
        }
        if memory.is_empty() && file.is_none() {
            memory.reserve(expected.min(limits.memory).max(data.len()));
        }
        memory.extend_from_slice(&data);
        let bound = if file.is_some() { STEP } else { limits.memory.max(1) };
        if memory.len() > bound {
            let open = match &file {
                Some(file) => Arc::clone(file),
                None => create(limits.directory, unkept).await?,
            };
            written += memory.len() as u64;
            memory = store(Arc::clone(&open), memory, unkept).await?;
            file = Some(open);
        }
    }
    let Some(file) = file else { return Ok(Spooled::Memory(memory.freeze())) };
    if !memory.is_empty() {
        written += memory.len() as u64;
        store(Arc::clone(&file), memory, unkept).await?;
    }
    Ok(Spooled::File(file, written))
}

/// What a failed read of the client means.
fn why(error: &hyper::Error) -> Refusal {
    // What hyper does not understand in a body, or misses at its end, it puts into an error of these kinds too.
    let malformed = |error: &io::Error| {
        use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
        matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
    };
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    let broken = cause.is_some_and(|cause| !malformed(cause));
    if broken || error.is_closed() || error.is_incomplete_message() || error.is_canceled() {
        Refusal::Gone
    } else {
        Refusal::Bad("The request body is malformed.")
    }
}

/// No room, in most cases: says where and what helps.
fn unkept(error: &io::Error, directory: &Path, client: &str) -> Refusal {
    let remedy = match descriptors::are_lacking(error) {
        true => "raise the limit of open files",
        false => "make room there, or put the server root elsewhere",
    };
    let text = format!(
        "a request body could not be kept in a temporary file in {}: {error}; {remedy}",
        directory.display()
    );
    crate::note_code(Level::Error, "GK0013", Some(client), &text);
    Refusal::NoSpace
}

async fn create(directory: &Path, failed: impl FnOnce(io::Error) -> Refusal) -> Result<Arc<File>, Refusal> {
    let directory = directory.to_owned();
    off_thread(move || nameless(&directory), failed).await.map(Arc::new)
}

async fn store(
    file: Arc<File>,
    mut bytes: BytesMut,
    failed: impl FnOnce(io::Error) -> Refusal,
) -> Result<BytesMut, Refusal> {
    let call = move || {
        (&*file).write_all(&bytes)?;
        bytes.clear();
        Ok(bytes)
    };
    off_thread(call, failed).await
}

/// Runs a call that may wait for a disk.
async fn off_thread<T: Send + 'static>(
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
    failed: impl FnOnce(io::Error) -> Refusal,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(call).await {
        Ok(value) => value.map_err(failed),
        Err(_) => Err(Refusal::Internal),
    }
}

/// Names given by [`nameless`]: two of one microsecond differ.
static NAMES: AtomicU64 = AtomicU64::new(0);

/// A file that has no name from the start, or loses it at once.
fn nameless(directory: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat, unlink};
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match openat(CWD, directory, flags | OFlags::TMPFILE, Mode::RUSR | Mode::WUSR) {
        Ok(fd) => Ok(File::from(fd)),
        // Not every file system knows nameless files.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
            let count = NAMES.fetch_add(1, Ordering::Relaxed);
            let unique = format!("body-{}-{}-{count}", std::process::id(), gk_sys::clock::epoch_micros());
            let path = directory.join(unique);
            let fd = openat(CWD, &path, flags | OFlags::CREATE | OFlags::EXCL, Mode::RUSR | Mode::WUSR)?;
            unlink(&path)?;
            Ok(File::from(fd))
        }
        Err(error) => Err(error.into()),
    }
}

impl Spooled {
    /// Whether there is no body.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Memory(bytes) => bytes.is_empty(),
            Self::File(..) => false,
        }
    }

    /// Sends the whole body to a worker, within its credit. Returns early when the worker is done with
    /// the request before it has all of it.
    pub async fn send(self, uplink: Uplink) -> Result<(), Refusal> {
        match self {
            Self::Empty => Ok(()),
            Self::Memory(bytes) => {
                send_slice(&uplink, &bytes, true).await;
                Ok(())
            }
            Self::File(file, length) => {
                let mut at = 0;
                while at < length {
                    let file = Arc::clone(&file);
                    let want = STEP.min((length - at) as usize);
                    let piece = read(file, at, want).await?;
                    at += piece.len() as u64;
                    if !send_slice(&uplink, &piece, at == length).await {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

async fn send_slice(uplink: &Uplink, mut rest: &[u8], last: bool) -> bool {
    while !rest.is_empty() {
        let Some(credit) = uplink.credit().await else { return false };
        let (now, later) = rest.split_at(rest.len().min(PIECE).min(credit as usize));
        rest = later;
        uplink.send(now, last && rest.is_empty());
    }
    true
}

async fn read(file: Arc<File>, at: u64, want: usize) -> Result<Vec<u8>, Refusal> {
    let call = move || {
        let mut piece = vec![0; want];
        file.read_exact_at(&mut piece, at)?;
        Ok(piece)
    };
    let failed = |error| {
        let text = format!("a request body could not be read back from its temporary file: {error}");
        crate::note(Level::Error, None, &text);
        Refusal::NoSpace
    };
    off_thread(call, failed).await
}
