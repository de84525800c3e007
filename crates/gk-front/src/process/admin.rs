//! The admin process as the front sees it: started, told the figures and the news, started anew when it ends. It is a process
//! and no thread because a second thread costs each request of the first one: the kernel and the C library count and lock what
//! several threads could share. What it does is `gk-admin`'s.

use gk_sys::child::reap::{self, Exit};
use gk_sys::child::spawn::{Spawn, spawn};
use gk_sys::{descriptors, signal};
use gk_wire::control::{FromFront, MAX_PACKET, decode, encode};
use gk_wire::feed::{FromAdmin, LinkFigures, ToAdmin};
use gk_wire::log::Level;
use gk_wire::setup::AdminSetup;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::worker::link;

/// Messages kept for a process that does not read.
const OUTBOX: usize = 1024;
/// Before it is started anew: the first time, and at most. One that has lived that long begins with the first again.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Between two looks at whether it has ended, or reads again.
const LOOK: Duration = Duration::from_millis(20);

/// What it is started from.
pub struct Start {
    /// Program and arguments.
    pub command: Vec<String>,
    /// What it is told.
    pub setup: AdminSetup,
    /// The pages' listening socket.
    pub pages: Option<OwnedFd>,
    /// The supervisor's socket: what stacks are asked of.
    pub supervisor: OwnedFd,
}

/// The admin process.
pub struct Admin {
    start: Start,
    socket: RefCell<Option<Rc<AsyncFd<OwnedFd>>>>,
    pid: Cell<u32>,
    outbox: RefCell<VecDeque<Message>>,
    /// Something waits in the outbox, and the socket took no more.
    waits: Notify,
    /// It has said its last, or can say nothing any more.
    said: Notify,
    ended: Cell<bool>,
    /// The workers there are, for a process started anew.
    workers: RefCell<BTreeMap<u64, (LinkFigures, Option<OwnedFd>)>>,
}

/// A packet with the descriptor that rides along.
type Message = (Vec<u8>, Option<OwnedFd>);

impl Admin {
    /// Starts it and waits until it answers. The sentence says why it does not.
    pub async fn start(start: Start) -> Result<Rc<Self>, String> {
        let admin = Rc::new(Self {
            start,
            socket: RefCell::default(),
            pid: Cell::new(0),
            outbox: RefCell::default(),
            waits: Notify::new(),
            said: Notify::new(),
            ended: Cell::new(false),
            workers: RefCell::default(),
        });
        admin.begin().await?;
        tokio::task::spawn_local(Rc::clone(&admin).tend());
        Ok(admin)
    }

    /// Tells it something, now or as soon as there is room.
    pub fn tell(&self, message: &ToAdmin) {
        if let ToAdmin::Exited { worker } = message {
            self.workers.borrow_mut().remove(worker);
        }
        self.put((encode(message), None));
    }

    /// Tells it the present, unless something waits that it has not read: the next one comes soon.
    pub fn tell_figures(&self, message: &ToAdmin) {
        if self.outbox.borrow().is_empty() {
            self.put((encode(message), None));
        }
    }

    /// Tells it of a worker and hands its scoreboard over.
    pub fn tell_worker(&self, link: LinkFigures, scoreboard: Option<OwnedFd>) {
        self.put(introduction(&link, scoreboard.as_ref()));
        self.workers.borrow_mut().insert(link.worker, (link, scoreboard));
    }

    /// The server ends: waits until it has said its last, at most so long.
    pub async fn end(&self, most: Duration) {
        self.ended.set(true);
        if self.socket.borrow().is_none() {
            return;
        }
        let said = self.said.notified();
        self.tell(&ToAdmin::End);
        // One that takes too long is not waited for.
        let _ = tokio::time::timeout(most, said).await;
    }

    fn put(&self, message: Message) {
        let Some(socket) = self.socket.borrow().clone() else { return };
        let mut outbox = self.outbox.borrow_mut();
        if outbox.len() < OUTBOX {
            outbox.push_back(message);
        }
        if outbox.len() == 1 && !flush(&socket, &mut outbox) {
            self.waits.notify_one();
        }
    }

    /// Starts the process and waits for its first word.
    async fn begin(&self) -> Result<(), String> {
        let (socket, pid) =
            self.spawn().map_err(|why| format!("the admin process cannot be started: {why}"))?;
        self.pid.set(pid);
        let mut buffer = vec![0; MAX_PACKET];
        let why = match hear(&socket, &mut buffer).await {
            Some(FromAdmin::Ready) => {
                let workers = self.workers.borrow();
                let known =
                    workers.values().map(|(link, scoreboard)| introduction(link, scoreboard.as_ref()));
                *self.outbox.borrow_mut() = known.collect();
                *self.socket.borrow_mut() = Some(Rc::new(socket));
                self.waits.notify_one();
                return Ok(());
            }
            Some(FromAdmin::Refused { why }) => why,
            _ => {
                let exit = self.gone().await;
                return Err(format!("the admin process (pid {pid}) ended at once: {exit}"));
            }
        };
        self.gone().await;
        Err(why)
    }

    fn spawn(&self) -> Result<(AsyncFd<OwnedFd>, u32), String> {
        let [program, args @ ..] = self.start.command.as_slice() else {
            return Err("no command is known".into());
        };
        let failed = |error: io::Error| error.to_string();
        let (ours, theirs) = descriptors::packet_pair().map_err(failed)?;
        rustix::io::ioctl_fionbio(&ours, true).map_err(|error| failed(error.into()))?;
        let setup =
            descriptors::memory_file("gilkeeper-setup", &encode(&self.start.setup)).map_err(failed)?;
        let mut given = vec![theirs.as_fd(), setup.as_fd()];
        given.extend(self.start.pages.as_ref().map(AsFd::as_fd));
        let errors = io::stderr();
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let env: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let pid = spawn(&Spawn {
            program: Path::new(program),
            args: &args,
            env: &env,
            fds: &given,
            stdout: errors.as_fd(),
            stderr: errors.as_fd(),
            identity: None,
            chroot: None,
            directory: None,
            umask: None,
            limits: &[],
            nice: 0,
        })
        .map_err(|error| error.to_string())?;
        Ok((link::watched(ours).map_err(failed)?, pid))
    }

    /// Talks with it, and starts it anew when it ends, as long as the server runs.
    async fn tend(self: Rc<Self>) {
        let mut pause = AGAIN.0;
        let mut begun = Instant::now();
        let mut pid = self.pid.get();
        loop {
            let socket = self.socket.borrow().clone();
            let mut failed = None;
            if let Some(socket) = socket {
                self.converse(&socket).await;
                *self.socket.borrow_mut() = None;
                // Only for who waits now: the next process has not said anything yet.
                self.said.notify_waiters();
                failed = Some(format!("the admin process (pid {pid}) ended: {}", self.gone().await));
            }
            if self.ended.get() {
                return;
            }
            if begun.elapsed() > AGAIN.1 {
                pause = AGAIN.0;
            }
            if let Some(why) = failed {
                lament(&why, pause);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AGAIN.1);
            begun = Instant::now();
            if let Err(why) = self.begin().await {
                lament(&why, pause);
            }
            pid = self.pid.get();
        }
    }

    /// Until it has closed its end.
    async fn converse(&self, socket: &AsyncFd<OwnedFd>) {
        let mut buffer = vec![0; MAX_PACKET];
        loop {
            tokio::select! {
                heard = hear(socket, &mut buffer) => match heard {
                    Some(FromAdmin::WantStack { worker, request }) => {
                        let message = encode(&FromFront::WantStack { worker, request });
                        // A supervisor that is gone is noticed by its own reader.
                        let _ = descriptors::send(&self.start.supervisor, &message, &[]);
                    }
                    Some(FromAdmin::Said) => self.said.notify_one(),
                    Some(_) => {}
                    None => return,
                },
                () = self.write(socket) => {}
            }
        }
    }

    /// Writes what waits, and what will.
    async fn write(&self, socket: &AsyncFd<OwnedFd>) {
        loop {
            let all = flush(socket, &mut self.outbox.borrow_mut());
            if all { self.waits.notified().await } else { tokio::time::sleep(LOOK).await }
        }
    }

    /// It has closed its end, so it is ending, or it will not: how it went.
    async fn gone(&self) -> Exit {
        let pid = self.pid.get();
        let _ = reap::signal(pid, signal::SIGKILL);
        loop {
            match reap::ended(pid) {
                Ok(None) => tokio::time::sleep(LOOK).await,
                Ok(Some(exit)) => return exit,
                Err(_) => return Exit::Status(0),
            }
        }
    }
}

fn introduction(link: &LinkFigures, scoreboard: Option<&OwnedFd>) -> Message {
    // Without its scoreboard a worker is shown with what else is known of it.
    let scoreboard = scoreboard.and_then(|scoreboard| scoreboard.try_clone().ok());
    (encode(&ToAdmin::Worker(link.clone())), scoreboard)
}

/// Sends what the socket takes; whether that was all. To one that is gone nothing is sent.
fn flush(socket: &AsyncFd<OwnedFd>, outbox: &mut VecDeque<Message>) -> bool {
    while let Some((packet, descriptor)) = outbox.front() {
        let descriptors: Vec<BorrowedFd<'_>> = descriptor.iter().map(AsFd::as_fd).collect();
        match descriptors::send(socket.get_ref(), packet, &descriptors) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Ok(_) | Err(_) => drop(outbox.pop_front()),
        }
    }
    true
}

/// Its next message; `None`: it has closed its end.
async fn hear(socket: &AsyncFd<OwnedFd>, buffer: &mut [u8]) -> Option<FromAdmin> {
    loop {
        let mut ready = socket.readable().await.ok()?;
        match descriptors::receive(socket.get_ref(), buffer, false) {
            Ok(got) if got.bytes == 0 => return None,
            Ok(got) => match decode(&buffer[..got.bytes]) {
                Ok(message) => return Some(message),
                Err(error) => {
                    let text = format!("a message of the admin process is not understood: {error}");
                    crate::note(Level::Error, None, &text);
                }
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(_) => return None,
        }
    }
}

fn lament(why: &str, pause: Duration) {
    let text = format!(
        "{why}; it is started again in {} s, until then there are no pages and no exports",
        pause.as_secs()
    );
    crate::note_code(Level::Error, "GK0017", None, &text);
}
