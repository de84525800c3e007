//! The request body, received whole before any worker sees the request: in memory up to a limit, then in a file without a
//! name. It can be read from the start as often as needed. Slow clients cost time only here.

use bytes::Bytes;
use gk_wire::log::Level;
use http_body::Body as _;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::client::incoming::IncomingBody;
use crate::process::descriptor_limit;
use crate::request::refusal::Refusal;

/// Bytes written to the file at once.
const WRITE: usize = 128 * 1024;
/// Bytes that go to the file first, where the body is too long for memory.
const EARLY: usize = 64 * 1024;
/// Bytes of a piece that is kept as it came: smaller ones would hold more memory than their own.
const KEPT: usize = 32 * 1024;
/// Bytes read from the file at once.
const READ: usize = 256 * 1024;

/// Bounds of one body, and the place for its file.
pub struct SpoolLimits<'a> {
    /// Largest body in bytes (`LimitRequestBody`), 0 = any number.
    pub max: u64,
    /// Bytes kept in memory.
    pub memory: usize,
    /// Directory of the files.
    pub directory: &'a Path,
}

/// A complete body. Clones share it.
#[derive(Clone)]
pub enum SpooledBody {
    /// No body.
    Empty,
    /// In memory.
    Memory(Bytes),
    /// In memory, in several pieces of so many bytes in all.
    Pieces(Rc<[Bytes]>, usize),
    /// In a file of that length.
    File(Arc<File>, u64),
}

/// Receives the body. `client` is for log lines. Memory is taken as bytes come, not by the length that the client promises.
pub async fn receive(
    mut body: IncomingBody,
    limits: &SpoolLimits<'_>,
    client: &str,
) -> Result<SpooledBody, Refusal> {
    let promised = body.size_hint().exact();
    let expected = promised.map_or(usize::MAX, |length| length as usize);
    // One that will not stay in memory anyway goes to its file early: while it comes slowly it holds less.
    let first = match promised.is_some_and(|length| length > limits.memory as u64) {
        true => limits.memory.min(EARLY),
        false => limits.memory,
    };
    let mut memory = Vec::new();
    // Large pieces of a body that surely stays in memory, each with the small ones before it.
    let mut pieces = Vec::new();
    let stays = promised.is_some_and(|length| length <= limits.memory as u64);
    let mut file: Option<Arc<File>> = None;
    let failed = |error| no_space(&error, limits.directory, client);
    let (mut length, mut written) = (0u64, 0u64);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(mut data) = frame?.into_data() else { continue };
        length += data.len() as u64;
        if limits.max != 0 && length > limits.max {
            return Err(Refusal::TooLarge);
        }
        let is_first = file.is_none() && memory.is_empty() && pieces.is_empty();
        if is_first && body.is_end_stream() && data.len() <= limits.memory {
            return Ok(SpooledBody::Memory(data));
        }
        if stays && data.len() >= KEPT {
            if !memory.is_empty() {
                pieces.push(Bytes::from(std::mem::take(&mut memory)));
            }
            pieces.push(data);
            continue;
        }
        while !data.is_empty() {
            let room = if file.is_some() { WRITE } else { first.max(1) };
            if memory.len() < room {
                fill(&mut memory, &mut data, room.min(expected));
                continue;
            }
            let open = match &file {
                Some(file) => Arc::clone(file),
                None => create(limits.directory, failed).await?,
            };
            written += memory.len() as u64;
            memory = store(Arc::clone(&open), memory, failed).await?;
            file = Some(open);
        }
    }
    let Some(file) = file else {
        if pieces.is_empty() {
            return Ok(SpooledBody::Memory(memory.into()));
        }
        if !memory.is_empty() {
            pieces.push(memory.into());
        }
        return Ok(SpooledBody::Pieces(pieces.into(), length as usize));
    };
    if !memory.is_empty() {
        written += memory.len() as u64;
        store(Arc::clone(&file), memory, failed).await?;
    }
    Ok(SpooledBody::File(file, written))
}

/// Most bytes by which the memory of a body grows at once: a slow body holds little more than what has come.
const GROWTH: usize = 32 * 1024;

/// Moves bytes to `memory` until it holds `room`. It grows in doubles at first, and never beyond that.
fn fill(memory: &mut Vec<u8>, data: &mut Bytes, room: usize) {
    let take = data.len().min(room.saturating_sub(memory.len()).max(1));
    let needed = memory.len() + take;
    if memory.capacity() < needed {
        let capacity = (memory.capacity() + memory.capacity().min(GROWTH)).min(room).max(needed);
        memory.reserve_exact(capacity - memory.len());
    }
    memory.extend_from_slice(&data.split_to(take));
}

/// The refusal for a failed write of the temporary file, mostly for lack of space. The log says where, and the remedy.
fn no_space(error: &io::Error, directory: &Path, client: &str) -> Refusal {
    let remedy = match descriptor_limit::are_exhausted(error) {
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

/// Opens the temporary file.
async fn create(directory: &Path, failed: impl FnOnce(io::Error) -> Refusal) -> Result<Arc<File>, Refusal> {
    let directory = directory.to_owned();
    off_thread(move || nameless(&directory), failed).await.map(Arc::new)
}

/// Appends to the temporary file; returns the emptied buffer.
async fn store(
    file: Arc<File>,
    mut bytes: Vec<u8>,
    failed: impl FnOnce(io::Error) -> Refusal,
) -> Result<Vec<u8>, Refusal> {
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

/// Count of the names of [`nameless`], so that two in one microsecond differ.
static NAMES: AtomicU64 = AtomicU64::new(0);

/// A file without a name, or one that loses its name at once.
pub fn nameless(directory: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat, unlink};
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match openat(CWD, directory, flags | OFlags::TMPFILE, Mode::RUSR | Mode::WUSR) {
        Ok(fd) => Ok(File::from(fd)),
        // Some file systems have no nameless files.
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

impl SpooledBody {
    /// Whether there is no body.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Memory(bytes) => bytes.is_empty(),
            Self::Pieces(..) | Self::File(..) => false,
        }
    }

    /// Number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Pieces(_, length) => *length as u64,
            Self::File(_, length) => *length,
        }
    }

    /// All of the bytes, if they are in memory.
    pub fn in_memory(&self) -> &[Bytes] {
        match self {
            Self::Memory(bytes) => std::slice::from_ref(bytes),
            Self::Pieces(pieces, _) => pieces,
            Self::Empty | Self::File(..) => &[],
        }
    }

    /// The bytes from `at` on: of a piece from memory, or one step's worth from a file.
    pub async fn piece(&self, at: u64) -> Result<Bytes, Refusal> {
        match self {
            Self::Empty => Ok(Bytes::new()),
            Self::Memory(bytes) => Ok(bytes.slice(at as usize..)),
            Self::Pieces(pieces, _) => {
                let mut before = at as usize;
                for piece in pieces.iter() {
                    if before < piece.len() {
                        return Ok(piece.slice(before..));
                    }
                    before -= piece.len();
                }
                Ok(Bytes::new())
            }
            Self::File(file, length) => {
                read(Arc::clone(file), at, READ.min((length - at) as usize)).await.map(Bytes::from)
            }
        }
    }
}

/// Reads `want` bytes of the temporary file.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_with_the_bytes_that_come_and_not_beyond_its_room() {
        let mut memory = Vec::new();
        let mut most = 0;
        while memory.len() < 100_000 {
            let mut data = Bytes::from(vec![b'x'; 7_000]);
            while !data.is_empty() && memory.len() < 100_000 {
                fill(&mut memory, &mut data, 100_000);
            }
            most = most.max(memory.capacity());
            assert!(
                memory.capacity() <= 7_000.max((2 * memory.len()).min(memory.len() + GROWTH)),
                "{} for {}",
                memory.capacity(),
                memory.len()
            );
        }
        assert_eq!((memory.len(), most), (100_000, 100_000));
    }
}
