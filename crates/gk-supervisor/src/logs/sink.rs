//! One log: a bounded queue of lines, and a thread that writes them. The thread alone waits when the log takes nothing.

use super::colours;
use super::frames::Frames;
use super::place::{Place, one_file};
use super::terminal::Folding;
use gk_sys::log::{WholeLines, count, plain, tell_lost};
use gk_sys::memory::SharedWords;
use gk_wire::log::Level;
use gk_wire::printable::page;
use gk_wire::setup::{LOST_ACCESS_LINES, LOST_ERROR_LINES};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Most bytes that wait for a log.
pub(super) const MOST: usize = 1 << 20;
/// Stack of a thread that writes.
const STACK: usize = 128 << 10;

/// What a log is for. It decides where the loss of lines is told of.
#[derive(Debug, Clone)]
pub(super) enum Role {
    /// The error log, which tells of its own losses.
    Error,
    /// The error log of a virtual host, with this name in messages of the error log.
    Host(String),
    /// An access log, likewise.
    Access(String),
}

impl Role {
    /// The log in words; `None` for the error log.
    fn named(&self) -> Option<String> {
        match self {
            Self::Error => None,
            Self::Host(name) => Some(format!("error log {name}")),
            Self::Access(name) => Some(format!("access log {name}")),
        }
    }
}

/// A log. Its thread ends when this is dropped and everything is written.
pub(super) struct Sink {
    shared: Arc<Shared>,
}

struct Shared {
    role: Role,
    lost: Arc<SharedWords>,
    queue: Mutex<Queue>,
    /// There is something to do.
    changed: Condvar,
    /// Nothing is left to do.
    done: Condvar,
    /// The error log knows that lines are being lost.
    told: AtomicBool,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<u8>,
    /// Bytes of each source among them.
    shares: Vec<(u64, usize)>,
    /// Lines that found no place.
    refused: u64,
    reopen: bool,
    /// Another place from now on.
    moved: Option<Place>,
    /// The thread writes, and perhaps waits.
    busy: bool,
    closing: bool,
}

impl Queue {
    /// Whether lines of a source find a place, and books them. One that floods leaves a half to the others, where there may be
    /// others: an access log has the front alone.
    fn takes(&mut self, source: u64, bytes: usize, is_shared: bool) -> bool {
        let total = self.waiting.len() + bytes;
        let at = self.shares.iter().position(|(of, _)| *of == source).unwrap_or(self.shares.len());
        if at == self.shares.len() {
            self.shares.push((source, 0));
        }
        let share = &mut self.shares[at].1;
        let flood = is_shared && total > MOST / 2 && *share + bytes > MOST / 4;
        let takes = self.waiting.is_empty() || (total <= MOST && !flood);
        if takes {
            *share += bytes;
        }
        takes
    }
}

impl Sink {
    pub(super) fn start(place: Place, role: Role, lost: Arc<SharedWords>) -> io::Result<Self> {
        let queue = Mutex::new(Queue { reopen: true, ..Queue::default() });
        let (changed, done, told) = (Condvar::new(), Condvar::new(), AtomicBool::new(false));
        let shared = Arc::new(Shared { role, lost, queue, changed, done, told });
        let (file, lines) = (None, WholeLines::default());
        let (terminal, lost) = (false, 0);
        let (folding, frames, colours) = (Folding::default(), Frames::default(), colours::wanted());
        let writer = Writer {
            shared: Arc::clone(&shared),
            place,
            file,
            terminal,
            colours,
            folding,
            frames,
            lines,
            lost,
        };
        let thread = std::thread::Builder::new().name("log".into()).stack_size(STACK);
        thread.spawn(move || writer.run())?;
        Ok(Self { shared })
    }

    /// Takes whole lines of a source, or counts them as lost. Never waits for the log.
    pub(super) fn push(&self, source: u64, lines: &[u8]) {
        let is_shared = !matches!(self.shared.role, Role::Access(_));
        let mut queue = self.shared.lock();
        if !queue.takes(source, lines.len(), is_shared) {
            let lost = count(lines);
            queue.refused += lost;
            drop(queue);
            self.shared.count(lost);
            return self.shared.tell_of_loss("nobody takes them; look at the program that should read it");
        }
        queue.waiting.extend_from_slice(lines);
        drop(queue);
        self.shared.changed.notify_one();
    }

    /// Has the file opened anew, before anything else is written.
    pub(super) fn reopen(&self) {
        self.shared.lock().reopen = true;
        self.shared.changed.notify_one();
    }

    /// Writes elsewhere from now on.
    pub(super) fn move_to(&self, place: Place) {
        let mut queue = self.shared.lock();
        (queue.moved, queue.reopen) = (Some(place), true);
        drop(queue);
        self.shared.changed.notify_one();
    }

    /// Waits until everything is written, at most until `end`.
    pub(super) fn finish(&self, end: Instant) {
        let mut queue = self.shared.lock();
        while queue.busy || !queue.waiting.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            queue = self.shared.done.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_one();
    }
}

/// Work for the thread beside a batch of lines.
struct Turn {
    reopen: bool,
    moved: Option<Place>,
    refused: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work and puts the waiting lines into `batch`, which is empty. `None`: the log is not needed any more.
    fn next(&self, batch: &mut Vec<u8>) -> Option<Turn> {
        let mut queue = self.lock();
        queue.busy = false;
        self.done.notify_all();
        while queue.waiting.is_empty() && !queue.reopen && queue.refused == 0 {
            if queue.closing {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.busy = true;
        std::mem::swap(&mut queue.waiting, batch);
        queue.shares.clear();
        let reopen = std::mem::take(&mut queue.reopen);
        Some(Turn { reopen, moved: queue.moved.take(), refused: std::mem::take(&mut queue.refused) })
    }

    /// Adds to the figures of lost lines.
    fn count(&self, lost: u64) {
        let access = matches!(self.role, Role::Access(_));
        let word = if access { LOST_ACCESS_LINES } else { LOST_ERROR_LINES };
        self.lost[word].fetch_add(lost, Ordering::Relaxed);
    }

    /// Says once in the error log that another log loses lines.
    fn tell_of_loss(&self, why: &str) {
        let Some(name) = self.role.named() else { return };
        if !self.told.swap(true, Ordering::Relaxed) {
            let text = format!(
                "the {name} cannot be written, so its lines are lost: {why}. Requests are served as before"
            );
            plain(Level::Error, "supervisor", Some("GK0015"), &text);
        }
    }
}

/// The thread of a log.
struct Writer {
    shared: Arc<Shared>,
    place: Place,
    /// `None`: it could not be opened yet.
    file: Option<File>,
    /// It is a terminal, to which text of applications must do nothing.
    terminal: bool,
    /// Its reader wants colours.
    colours: bool,
    folding: Folding,
    frames: Frames,
    lines: WholeLines,
    /// Lines of an access log that were lost since the error log was told.
    lost: u64,
}

impl Writer {
    fn run(mut self) {
        let mut batch = Vec::new();
        while let Some(Turn { reopen, moved, refused }) = self.shared.next(&mut batch) {
            if let Some(place) = moved {
                self.place = place;
            }
            if reopen || self.file.is_none() {
                self.open();
            }
            if self.terminal {
                let folded = self.folding.fold(&String::from_utf8_lossy(&batch));
                let folded = self.frames.without_own(&folded);
                let shown = page(&folded);
                batch = if self.colours {
                    colours::paint(&shown).into_bytes()
                } else {
                    shown.as_bytes().to_vec()
                };
            }
            self.write(&batch, refused);
            batch.clear();
            // After a flood the memory goes back.
            batch.shrink_to(MOST / 16);
        }
    }

    fn open(&mut self) {
        match self.place.open() {
            Ok(file) => {
                if !self.file.as_ref().is_some_and(|old| one_file(old, &file)) {
                    self.lines = self.lines.elsewhere();
                }
                self.terminal = file.is_terminal();
                self.file = Some(file);
            }
            Err(why) if self.file.is_some() => {
                let text = format!(
                    "the log {} cannot be opened, so it goes on in the file that was open: {why}",
                    self.place
                );
                plain(Level::Error, "supervisor", None, &text);
            }
            // An error log without a file has nowhere to say so.
            Err(why) => self.shared.tell_of_loss(&format!("it cannot be opened: {why}")),
        }
    }

    fn write(&mut self, batch: &[u8], refused: u64) {
        let Self { shared, file, lines, lost: untold, .. } = self;
        let own = matches!(shared.role, Role::Error);
        let tell = |lost: u64, line: &mut String| {
            if own {
                tell_lost("supervisor", lost, line);
            }
        };
        let (lost, outcome) = match file {
            Some(file) => lines.put(&mut Patient(file), batch, tell),
            None => {
                lines.lose(count(batch));
                (count(batch), Err(io::ErrorKind::NotFound.into()))
            }
        };
        shared.count(lost);
        match (outcome, file) {
            (Ok(()), Some(file)) if own && refused > 0 => {
                // They would have come after these.
                lines.lose(refused);
                let _ = lines.put(&mut Patient(file), b"", tell);
            }
            _ if own => lines.lose(refused),
            (Err(why), _) => {
                *untold += lost + refused;
                shared.tell_of_loss(&format!("{why}; make room there"));
            }
            (Ok(()), _) => {
                *untold += refused;
                if !batch.is_empty() && *untold > 0 {
                    let Some(name) = shared.role.named() else { return };
                    shared.told.store(false, Ordering::Relaxed);
                    let text = format!("the {name} is written again; {untold} lines were lost");
                    plain(Level::Warn, "supervisor", Some("GK0015"), &text);
                    *untold = 0;
                }
            }
        }
    }
}

/// A file that is waited for, also where another program has made the terminal or pipe that it shares with us refuse to wait.
struct Patient<'a>(&'a File);

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let _ = poll(&mut [PollFd::new(self.0, PollFlags::OUT)], None);
                }
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: an access log lost lines while half of its queue was empty. Met with disks that pause.
    #[test]
    fn only_a_log_of_several_sources_keeps_room_from_one_of_them() {
        for (is_shared, room) in [(false, MOST), (true, MOST / 2)] {
            let mut queue = Queue::default();
            while queue.takes(1, 1024, is_shared) {
                queue.waiting.extend_from_slice(&[b'x'; 1024]);
            }
            assert_eq!(queue.waiting.len(), room);
            assert_eq!(queue.takes(2, 1024, is_shared), is_shared);
        }
    }
}
