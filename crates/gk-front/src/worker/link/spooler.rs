//! Looks after one response whose client has fallen behind: moves its bytes to a file and back, off the event loop, as its
//! [`backlog`](super::backlog) says. A client that catches up within a moment costs a timer and no file.

use bytes::Bytes;
use gk_wire::frame::ToWorkerFrame;
use gk_wire::log::Level;
use std::collections::VecDeque;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::engine::Failure;
use crate::process::descriptor_limit;
use crate::request::spool::nameless;
use crate::worker::held::{HeldResponse, HeldThread};
use crate::worker::link::Link;
use crate::worker::link::backlog::{Pace, Step, Write};
use crate::worker::link::requests::LinkRequest;

/// Time for a client to catch up before its response goes to a file.
const PATIENCE: Duration = Duration::from_millis(10);
/// Time after a write that failed, and longest wait for a change that nobody announces: memory or disk that others gave back.
const RETRY: Duration = Duration::from_secs(1);
/// The same for a response that holds a request thread.
const HELD: Duration = Duration::from_millis(100);

/// Looks after a response from now on, in a task of its own.
pub fn start(link: &Rc<Link>, id: u32) {
    let spooler = Spooler { link: Rc::clone(link), id, file: None, retry_at: None, held: None };
    if spooler.with(|request| request.backlog.watch(request.origin.address)).is_some() {
        gk_sys::event_loop::spawn(spooler.run());
    }
}

struct Spooler {
    link: Rc<Link>,
    id: u32,
    file: Option<Arc<File>>,
    retry_at: Option<Instant>,
    /// The response holds a request thread.
    held: Option<HeldThread>,
}

impl Spooler {
    /// The request, as long as its client's side lives.
    fn with<T>(&self, act: impl FnOnce(&mut LinkRequest) -> T) -> Option<T> {
        let mut requests = self.link.requests.borrow_mut();
        requests.get(self.id).filter(|request| !request.released).map(act)
    }

    async fn run(mut self) {
        let _ = self.tend().await;
        if let Some(file) = self.file {
            give_up(file);
        }
    }

    /// `None`: the client's side is gone.
    async fn tend(&mut self) -> Option<()> {
        let share = Rc::clone(&self.link.share);
        loop {
            tokio::time::sleep(PATIENCE).await;
            match self.with(|request| request.backlog.pace(request.ended, &share))? {
                Pace::Over => return self.with(|request| request.backlog.unwatch()),
                Pace::Quick => {}
                Pace::Slow => break,
            }
        }
        self.with(|request| request.backlog.engage(&share))?;
        loop {
            let writable = self.retry_at.is_none_or(|at| Instant::now() >= at);
            let step = self.with(|request| request.backlog.step(request.ended, writable, &share))?;
            match step {
                Step::Write(write) => self.write(write).await?,
                Step::Read { at, len } => self.read(at, len).await?,
                Step::Moved => self.with(LinkRequest::wake)?,
                Step::Wait { held } => self.wait(held).await?,
                Step::Done => {
                    return self.with(|request| {
                        request.backlog.unwatch();
                        request.wake();
                    });
                }
            }
            self.credit()?;
        }
    }

    /// Waits for a change. `held`: so does the worker's request thread.
    async fn wait(&mut self, held: bool) -> Option<()> {
        let (origin, ended) = self.with(|request| (request.origin, request.ended))?;
        if held && self.held.is_none() {
            let (worker, since) = (self.link.info.worker, self.link.now());
            let response = HeldResponse { origin, worker, id: self.id, since };
            self.held = Some(self.link.share.held.hold(response));
        } else if ended {
            self.held = None;
        }
        let _ = tokio::time::timeout(if held { HELD } else { RETRY }, self.changed()).await;
        Some(())
    }

    /// Waits for a change of the backlog.
    async fn changed(&self) {
        poll_fn(|cx| self.with(|request| request.backlog.poll_poked(cx)).unwrap_or(Poll::Ready(()))).await;
    }

    /// Gives the worker the credit that is due.
    fn credit(&self) -> Option<()> {
        let credit = self.with(|request| request.credit(&self.link.share))?;
        if let Some(bytes) = credit {
            self.link.queue(ToWorkerFrame::Credit { id: self.id, bytes });
        }
        Some(())
    }

    async fn write(&mut self, mut write: Write) -> Option<()> {
        let share = Rc::clone(&self.link.share);
        let job = Job {
            file: self.file.clone(),
            directory: share.space.directory(),
            pieces: std::mem::take(&mut write.pieces),
            at: write.at,
            size: write.size,
            on_disk: share.space.on_disk(),
        };
        let Ok((pieces, outcome)) = tokio::task::spawn_blocking(|| job.run()).await else {
            return self.lose("its bytes were lost on the way to a temporary file".into());
        };
        write.pieces = pieces;
        let stored = outcome.is_ok();
        match outcome {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                self.retry_at = Some(Instant::now() + RETRY);
                if share.space.noted.is_due() {
                    note(&error, &share.space.directory());
                }
            }
        }
        self.with(|request| request.backlog.wrote(write, stored, &share))
    }

    async fn read(&mut self, at: u64, len: usize) -> Option<()> {
        let share = Rc::clone(&self.link.share);
        let file = self.file.clone();
        let call = move || {
            let mut bytes = vec![0; len];
            let file = file.ok_or_else(|| io::Error::other("it is gone"))?;
            file.read_exact_at(&mut bytes, at)?;
            Ok(bytes)
        };
        match tokio::task::spawn_blocking(call).await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(bytes) => {
                let is_empty = self.with(|request| {
                    request.wake();
                    request.backlog.read(Bytes::from(bytes), &share)
                })?;
                if is_empty && let Some(file) = self.file.take() {
                    give_up(file);
                }
                Some(())
            }
            Err(error) => self.lose(format!("its temporary file could not be read back: {error}")),
        }
    }

    /// Cuts the response off, and ends the request in the worker.
    fn lose(&self, reason: String) -> Option<()> {
        let cancel = self.with(|request| {
            request.backlog.clear(&self.link.share);
            request.failure = Some(Failure::Aborted(reason));
            request.wake();
            !request.ended
        })?;
        // The client's side may not look before its client reads.
        if cancel {
            self.link.queue(ToWorkerFrame::Cancel { id: self.id });
        }
        None
    }
}

/// Closes a file that nobody reads any more. That may take a moment when it is large.
fn give_up(file: Arc<File>) {
    tokio::task::spawn_blocking(move || drop(file));
}

/// One write, off the event loop.
struct Job {
    file: Option<Arc<File>>,
    directory: PathBuf,
    pieces: VecDeque<Bytes>,
    at: u64,
    size: u64,
    /// Bytes that all responses have on disk, with those of this write.
    on_disk: u64,
}

impl Job {
    fn run(self) -> (VecDeque<Bytes>, io::Result<Arc<File>>) {
        let outcome = self.store();
        (self.pieces, outcome)
    }

    fn store(&self) -> io::Result<Arc<File>> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let file = nameless(&self.directory)?;
                if descriptor_limit::is_reserved(&file) {
                    return Err(rustix::io::Errno::MFILE.into());
                }
                Arc::new(file)
            }
        };
        let free = rustix::fs::fstatvfs(&file)?;
        // At most half of the disk's free space, so that others find room. Some file systems do not know theirs.
        if free.f_blocks != 0 && free.f_bavail.saturating_mul(free.f_frsize) < self.on_disk {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        let mut at = self.at;
        for piece in &self.pieces {
            let before_the_end = piece.len().min((self.size - at) as usize);
            file.write_all_at(&piece[..before_the_end], at)?;
            file.write_all_at(&piece[before_the_end..], 0)?;
            at = (at + piece.len() as u64) % self.size;
        }
        Ok(file)
    }
}

/// The log line for a file that cannot be written.
fn note(error: &io::Error, directory: &std::path::Path) {
    let remedy = match descriptor_limit::are_exhausted(error) {
        true => "raise the limit of open files",
        false => "make room there, or put the server root elsewhere",
    };
    let text = format!(
        "responses of slow clients cannot be kept in temporary files in {}: {error}; until then they hold request threads; {remedy}",
        directory.display()
    );
    crate::note_code(Level::Error, "GK0024", None, &text);
}
