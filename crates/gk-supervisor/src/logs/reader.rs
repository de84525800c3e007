//! The thread that empties the pipes of all processes and hands whole lines to the logs. It never waits for a log, so no process
//! ever waits for one.

use super::hosts::HostLogs;
use super::sink::Sink;
use gk_sys::descriptors::out_of_the_way;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes read at once.
const PIECE: usize = 64 << 10;
/// Pieces that a full pipe can hold. A process that outlives the server may write for ever.
const ALL: usize = 32;
/// Longest line; a longer one is cut.
const LONGEST: usize = 64 << 10;
/// Time after which the beginning of a line is written without its end.
const PATIENCE: Duration = Duration::from_secs(1);

/// The thread.
pub(super) struct Reader {
    sources: Sender<Source>,
    /// Sources so far.
    count: Cell<u64>,
    wake: OwnedFd,
    thread: JoinHandle<()>,
}

/// A process's pipe.
struct Source {
    /// From 1.
    number: u64,
    pipe: OwnedFd,
    sink: Arc<Sink>,
    /// The logs that its lines may be addressed to.
    hosts: Option<HostLogs>,
    /// The beginning of a line.
    rest: Vec<u8>,
    /// When it came.
    since: Instant,
}

impl Reader {
    pub(super) fn start() -> io::Result<Self> {
        let (woken, wake) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let woken = out_of_the_way(woken);
        let (sources, new) = channel();
        let thread = std::thread::Builder::new().name("logs".into()).stack_size(256 << 10);
        let thread = thread.spawn(move || run(&new, &woken))?;
        Ok(Self { sources, count: Cell::new(0), wake, thread })
    }

    /// A new pipe into a log: its writing end. It is read until every copy of that is closed. `hosts`: the logs that lines may be
    /// addressed to.
    pub(super) fn pipe(&self, sink: &Arc<Sink>, hosts: Option<&HostLogs>) -> io::Result<OwnedFd> {
        let (pipe, end) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let (pipe, rest) = (out_of_the_way(pipe), Vec::new());
        let number = self.count.get() + 1;
        self.count.set(number);
        let (sink, hosts) = (Arc::clone(sink), hosts.cloned());
        let source = Source { number, pipe, sink, hosts, rest, since: Instant::now() };
        self.sources.send(source).map_err(|_| io::Error::other("the thread of the logs is gone"))?;
        self.wake();
        Ok(end)
    }

    fn wake(&self) {
        // A full pipe wakes it as well.
        let _ = rustix::io::write(&self.wake, b".");
    }

    /// Hands on what is in the pipes, and ends the thread.
    pub(super) fn finish(self) {
        drop(self.sources);
        let _ = rustix::io::write(&self.wake, b".");
        let _ = self.thread.join();
    }
}

fn run(new: &Receiver<Source>, woken: &OwnedFd) {
    let mut sources: Vec<Source> = Vec::new();
    let mut buffer = vec![0; PIECE];
    loop {
        let ready = wait(&sources, woken);
        let mut over = false;
        if ready[0] {
            while rustix::io::read(woken, &mut buffer[..]).is_ok_and(|count| count == buffer.len()) {}
            over = take(new, &mut sources);
        }
        let mut ready = ready.into_iter().skip(1);
        // New ones have nothing yet.
        sources.retain_mut(|source| {
            let open = !(ready.next().unwrap_or(false) || over) || source.read(&mut buffer, over);
            if !open || source.is_late() {
                source.end_line();
            } else if source.rest.len() > LONGEST {
                source.cut_line();
            }
            open
        });
        if over {
            return sources.iter_mut().for_each(Source::end_line);
        }
    }
}

/// Takes new sources; true when no more will come.
fn take(new: &Receiver<Source>, sources: &mut Vec<Source>) -> bool {
    loop {
        match new.try_recv() {
            Ok(source) => sources.push(source),
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => return true,
        }
    }
}

/// Waits until something is to be done; tells which descriptors are ready, `woken` first.
fn wait(sources: &[Source], woken: &OwnedFd) -> Vec<bool> {
    let mut fds = vec![PollFd::new(woken, PollFlags::IN)];
    fds.extend(sources.iter().map(|source| PollFd::new(&source.pipe, PollFlags::IN)));
    let begun = sources.iter().filter(|source| !source.rest.is_empty()).map(|source| source.since).min();
    let timeout = begun.map(|begun| {
        let left = PATIENCE.saturating_sub(begun.elapsed()) + Duration::from_millis(1);
        Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 })
    });
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) => fds.iter().map(|fd| !fd.revents().is_empty()).collect(),
        Err(_) => vec![false; fds.len()],
    }
}

impl Source {
    /// Reads once, or `all` that the pipe can hold, and hands whole lines on. False at the end: nobody holds the other end.
    fn read(&mut self, buffer: &mut [u8], all: bool) -> bool {
        for _ in 0..if all { ALL } else { 1 } {
            match rustix::io::read(&self.pipe, &mut *buffer) {
                Ok(0) => return false,
                Ok(count) => self.take(&buffer[..count]),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            return self.keep(bytes);
        };
        let (lines, rest) = bytes.split_at(end + 1);
        if self.rest.is_empty() {
            self.push(lines);
        } else {
            self.rest.extend_from_slice(lines);
            self.push(&self.rest);
            self.rest.clear();
        }
        self.keep(rest);
    }

    fn push(&self, lines: &[u8]) {
        match &self.hosts {
            Some(hosts) => hosts.push(&self.sink, self.number, lines),
            None => self.sink.push(self.number, lines),
        }
    }

    fn keep(&mut self, rest: &[u8]) {
        if self.rest.is_empty() {
            self.since = Instant::now();
        }
        self.rest.extend_from_slice(rest);
    }

    fn is_late(&self) -> bool {
        !self.rest.is_empty() && self.since.elapsed() >= PATIENCE
    }

    /// Hands on the beginning of a line as a line. What is left of it goes where that went.
    fn cut_line(&mut self) {
        let address = gk_wire::log::address(&self.rest).to_vec();
        self.end_line();
        self.keep(&address);
    }

    /// Hands on the beginning of a line as a line.
    fn end_line(&mut self) {
        if !self.rest.is_empty() {
            self.rest.push(b'\n');
            self.push(&self.rest);
            self.rest.clear();
        }
    }
}
