//! The front within a worker: its event loop and the thread that stands by for that, its descriptors, and the end of its control socket that
//! the worker's main thread holds.

use gk_sys::descriptors;
use gk_sys::event_loop::EventLoop;
use gk_sys::fork::{self, Withheld};
use gk_sys::log::plain;
use gk_wire::certificates::Certificates;
use gk_wire::control::{self, FromFront, ToFront};
use gk_wire::log::Level;
use gk_wire::setup::{EmbeddedSetup, FrontSetup};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Stack of the front's thread, as that of the front process's main thread.
const STACK: usize = 8 << 20;
/// A wait for `graceful-timeout=0`, practically without bound.
const WITHOUT_BOUND: f64 = (1 << 29) as f64;
/// Longest wait for the last bytes of responses when the worker ends.
const LAST_BYTES: Duration = Duration::from_secs(1);
/// Longest wait for the last lines of access logs after that.
const LAST_LINES: Duration = Duration::from_millis(600);

/// Lets the loop serve until told to stop: the front's `embedded`, which this crate does not know.
pub type FrontDoor = fn(&EventLoop, FrontSetup, Vec<OwnedFd>, OwnedFd) -> Result<(), String>;

/// What a worker in embedded mode is given at its start.
#[derive(Debug)]
pub struct EmbeddedStart {
    /// The door to the front.
    pub door: FrontDoor,
    /// Its setup.
    pub setup: EmbeddedSetup,
    /// Its descriptors.
    pub descriptors: Vec<OwnedFd>,
}

/// What the front begins with.
struct Begin {
    door: FrontDoor,
    setup: FrontSetup,
    descriptors: Vec<OwnedFd>,
    control: OwnedFd,
}

/// The front of this worker.
pub(crate) struct EmbeddedFront {
    /// Dropped before `control`.
    _withheld: Withheld,
    control: OwnedFd,
    /// What it begins with, until it does.
    begin: Option<Begin>,
    event_loop: Arc<EventLoop>,
    thread: Option<JoinHandle<Result<(), String>>>,
    /// It was told to stop.
    stopping: bool,
    /// Its socket was closed: it has ended.
    ended: bool,
    /// What it said while it ended.
    last_words: Vec<FromFront>,
    buffer: Vec<u8>,
}

/// The loop's own descriptors are not open any more.
fn broken() {
    plain(
        Level::Crit,
        "wsgi",
        None,
        "The descriptors of this process were closed, as by os.closerange in the application: the process ends, and with it its connections",
    );
    gk_sys::own_process::exit_now(1);
}

impl EmbeddedFront {
    /// Takes its descriptors. Called before the application opens anything, or forks.
    pub(crate) fn new(start: EmbeddedStart) -> io::Result<Self> {
        let EmbeddedStart { door, setup, descriptors } = start;
        let (control, theirs) = descriptors::packet_pair()?;
        // This thread never waits for the front; the front may wait for this one.
        rustix::io::ioctl_fionbio(&control, true)?;
        // Their numbers depend on the limit.
        descriptors::raise_limit();
        let descriptors = descriptors.into_iter().map(fork::withhold).collect();
        let begin = Begin { door, setup: setup.front, descriptors, control: fork::withhold(theirs) };
        Ok(Self {
            _withheld: Withheld::descriptor(&control),
            control,
            begin: Some(begin),
            event_loop: Arc::new(fork::withholding(|| EventLoop::new(broken))?),
            thread: None,
            stopping: false,
            ended: false,
            last_words: Vec::new(),
            buffer: vec![0; control::MAX_PACKET],
        })
    }

    /// Whether it serves clients, or did.
    pub(crate) fn has_begun(&self) -> bool {
        self.begin.is_none()
    }

    /// Lets it accept connections. `None`: it has begun before.
    pub(crate) fn begin(&mut self, certificates: OwnedFd) -> Result<Option<Arc<EventLoop>>, String> {
        let certificates = descriptors::read_memory_file(&mut certificates.into())
            .map_err(|e| format!("The certificates cannot be read: {e}"))?;
        let certificates: Certificates =
            gk_messages::decode(&certificates).map_err(|e| format!("The certificates are malformed: {e}"))?;
        let Some(Begin { door, setup, descriptors, control }) = self.begin.take() else { return Ok(None) };
        let event_loop = Arc::clone(&self.event_loop);
        door(&event_loop, FrontSetup { certificates, ..setup }, descriptors, control)
            .map_err(|why| format!("The front cannot serve: {why}"))?;
        let standing_by = Arc::clone(&event_loop);
        let thread = std::thread::Builder::new().name("gk-front".to_owned()).stack_size(STACK);
        let thread = thread
            .spawn(move || standing_by.stand_by())
            .map_err(|e| format!("The front's thread cannot be started: {e}"))?;
        self.thread = Some(thread);
        Ok(Some(event_loop))
    }

    /// Gives it its worker: `worker`, with socket and page of the link.
    pub(crate) fn connect(&self, worker: &ToFront, link: [OwnedFd; 2]) -> Result<(), String> {
        let [socket, page] = link;
        self.send(worker, &[socket.as_fd(), page.as_fd()])
            .map_err(|e| format!("The front cannot be given the link: {e}"))
    }

    /// Passes a message on. One that it has no room for is lost: a front that does not read gives no sign of life either.
    pub(crate) fn tell(&self, message: &ToFront, descriptors: &[OwnedFd]) {
        if self.has_begun() {
            let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
            let _ = self.send(message, &borrowed);
        }
    }

    fn send(&self, message: &ToFront, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        descriptors::send(&self.control, &gk_messages::encode(message), descriptors).map(|_| ())
    }

    /// The next message; `None`: there is none now. Its end is in [`EmbeddedFront::has_ended`].
    pub(crate) fn hear(&mut self) -> Option<FromFront> {
        while !self.ended {
            match descriptors::receive(&self.control, &mut self.buffer, false) {
                Ok(received) if received.bytes > 0 => {
                    if let Ok(message) = gk_messages::decode(&self.buffer[..received.bytes]) {
                        return Some(message);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                _ => self.ended = true,
            }
        }
        None
    }

    /// Whether it has ended, as [`EmbeddedFront::hear`] found.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether it was told to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Its control socket.
    pub(crate) fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// Tells it to accept no more, and to end when its connections have. `timeout`: seconds, 0 for no bound. `patient`: an idle
    /// connection may send one more request, since its client cannot know.
    pub(crate) fn leave(&mut self, timeout: f64, patient: bool) {
        if !self.has_begun() || std::mem::replace(&mut self.stopping, true) {
            return;
        }
        if patient {
            self.tell(&ToFront::HandedOver, &[]);
        }
        let timeout = if timeout > 0.0 { timeout } else { WITHOUT_BOUND };
        self.tell(&ToFront::Stop { timeout }, &[]);
        // Request threads may not come to run it any more.
        self.event_loop.stay();
    }

    /// Tells it to cut off its connections.
    pub(crate) fn cut(&mut self) {
        self.stopping = true;
        self.tell(&ToFront::Stop { timeout: 0.0 }, &[]);
        // Request threads may not come to run it any more.
        self.event_loop.stay();
    }

    /// Waits shortly for what the last responses and log lines need, and says why it failed, if it did. Returns its messages of that time.
    pub(crate) fn end(&mut self) -> Vec<FromFront> {
        if !self.has_begun() {
            self.begin = None;
        } else {
            self.leave(LAST_BYTES.as_secs_f64(), false);
            self.wait(LAST_BYTES);
            self.cut();
            self.wait(LAST_LINES);
        }
        // A thread that hangs ends with the process.
        if let Some(thread) = self.thread.take_if(|thread| thread.is_finished()) {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(why)) => plain(Level::Crit, "front", None, &format!("the front cannot serve: {why}")),
                // The hook has written what and where.
                Err(_) => plain(Level::Crit, "front", None, "the front's thread ended by a panic"),
            }
        }
        std::mem::take(&mut self.last_words)
    }

    fn wait(&mut self, longest: Duration) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let end = Instant::now() + longest;
        loop {
            while let Some(message) = self.hear() {
                self.last_words.push(message);
            }
            let left = end.saturating_duration_since(Instant::now());
            if self.ended || left.is_zero() {
                break;
            }
            let mut polled = [PollFd::new(&self.control, PollFlags::IN)];
            let _ = poll(&mut polled, Timespec::try_from(left).ok().as_ref());
        }
        // It closes the socket a moment before it ends.
        let end = Instant::now() + Duration::from_millis(100);
        while self.ended
            && self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
            && Instant::now() < end
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
