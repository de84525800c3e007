//! The admin process as the front sees it: started, sent figures and events, restarted when it ends. It is a process and no
//! thread because a second thread makes each request of the first one dearer: the kernel and the C library count and lock
//! everything that two threads share. The process itself is `gk-admin`.

use gk_messages::{decode, encode};
use gk_sys::child::reap::{self, Exit};
use gk_sys::child::spawn::{Spawn, spawn};
use gk_sys::{descriptors, signal};
use gk_wire::certificates::CertificateFacts;
use gk_wire::control::{AdminProcess, FromFront, MAX_PACKET};
use gk_wire::feed::{FromAdmin, LinkFigures, ToAdmin};
use gk_wire::log::Level;
use gk_wire::setup::AdminSetup;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

mod inheritance;

use crate::process::readiness;
use inheritance::{Inheritance, introduction};

/// Messages kept while the process does not read.
const OUTBOX: usize = 1024;
/// Before the first restart. Doubles with each process that cannot start.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause before a restart.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Longest wait for the last words of a process that another server's replaces.
const LEAVE: Duration = Duration::from_secs(1);
/// Between two checks of whether the process has ended, or reads again.
const CHECK: Duration = Duration::from_millis(20);

/// Everything that the admin process starts from.
pub struct AdminStart {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its setup.
    pub setup: AdminSetup,
    /// The pages' listening socket.
    pub pages: Option<OwnedFd>,
    /// The supervisor's socket, for requests for stacks.
    pub supervisor: OwnedFd,
    /// Seconds without a sign of life after which the process is replaced; 0: never.
    pub longest_silence: u32,
    /// Longest time until its first message.
    pub longest_start: Duration,
}

/// The admin process.
pub struct Admin {
    start: AdminStart,
    socket: RefCell<Option<Rc<AsyncFd<OwnedFd>>>>,
    pid: Cell<u32>,
    outbox: RefCell<VecDeque<Message>>,
    /// The outbox is not empty, because the socket was full.
    unsent: Notify,
    /// The last exports went out, or never will.
    exported: Notify,
    /// Figures sent to the process, and those that it has answered.
    asked: Cell<u64>,
    answered: Cell<u64>,
    /// Notified with each answer.
    heard: Notify,
    /// Seconds since its last sign of life, as far as this process ran itself.
    silent: Cell<u32>,
    /// The process is to end.
    left: Notify,
    /// The server ends: no restart.
    stopping: Cell<bool>,
    /// The last figures, for a process that was restarted: it shows nothing before it has some.
    figures: RefCell<Vec<u8>>,
    /// For a process that was restarted.
    inheritance: RefCell<Inheritance>,
}

/// A packet and the descriptor that goes with it.
type Message = (Vec<u8>, Option<OwnedFd>);

impl Admin {
    /// Starts the process and waits until it answers. The error is a sentence that says why it does not.
    pub async fn start(start: AdminStart) -> Result<Rc<Self>, String> {
        let admin = Rc::new(Self {
            start,
            socket: RefCell::default(),
            pid: Cell::new(0),
            outbox: RefCell::default(),
            unsent: Notify::new(),
            exported: Notify::new(),
            left: Notify::new(),
            asked: Cell::new(0),
            answered: Cell::new(0),
            heard: Notify::new(),
            silent: Cell::new(0),
            stopping: Cell::new(false),
            figures: RefCell::default(),
            inheritance: RefCell::default(),
        });
        admin.begin().await?;
        gk_sys::event_loop::spawn(Rc::clone(&admin).tend());
        Ok(admin)
    }

    /// Sends a message, at once or as soon as the socket has room.
    pub fn tell(&self, message: &ToAdmin) {
        self.inheritance.borrow_mut().note(message, self.socket.borrow().is_some());
        self.put((encode(message), None));
    }

    /// Sends the present figures, unless older messages still wait: the next figures come soon.
    pub fn tell_figures(&self, message: &ToAdmin) {
        if self.takes_figures() {
            self.asked.set(self.asked.get() + 1);
            let figures = encode(message);
            self.figures.borrow_mut().clone_from(&figures);
            self.put((figures, None));
        }
    }

    /// Has the process told the present figures by `tell`, and waits until its pages show them, at most so long.
    pub async fn show(&self, tell: impl Fn(), limit: Duration) {
        let shown = async {
            while !self.takes_figures() {
                tokio::time::sleep(CHECK).await;
            }
            tell();
            let wanted = self.asked.get();
            while self.answered.get() < wanted {
                self.heard.notified().await;
            }
        };
        // One that hangs is replaced, and holds up nobody.
        let _ = tokio::time::timeout(limit, shown).await;
    }

    /// Whether it runs, and no message waits for it.
    pub fn takes_figures(&self) -> bool {
        self.socket.borrow().is_some() && self.outbox.borrow().is_empty()
    }

    /// Announces a worker and hands its scoreboard over.
    pub fn tell_worker(&self, link: LinkFigures, scoreboard: Option<OwnedFd>) {
        let worker = (link, scoreboard);
        self.put(introduction(&worker));
        self.inheritance.borrow_mut().add(worker.0, worker.1);
    }

    /// Tells of the certificates.
    pub fn tell_certificates(&self, facts: Vec<CertificateFacts>) {
        if self.inheritance.borrow_mut().set_certificates(&facts) {
            self.put((encode(&ToAdmin::Certificates { facts }), None));
        }
    }

    /// The server ends: waits at most `limit` for the last exports.
    pub async fn end(&self, limit: Duration) {
        self.stopping.set(true);
        if self.socket.borrow().is_none() {
            return;
        }
        let exported = self.exported.notified();
        self.tell(&ToAdmin::End);
        // After the limit the exports are lost.
        let _ = tokio::time::timeout(limit, exported).await;
    }

    /// Another server's admin process answers from now on, and has the history: this one ends.
    pub fn leave(self: Rc<Self>) {
        self.stopping.set(true);
        gk_sys::event_loop::spawn(async move {
            self.end(LEAVE).await;
            self.left.notify_one();
        });
    }

    /// Whether it ends, or has ended for good.
    pub fn is_leaving(&self) -> bool {
        self.stopping.get()
    }

    fn put(&self, message: Message) {
        let Some(socket) = self.socket.borrow().clone() else { return };
        let mut outbox = self.outbox.borrow_mut();
        if outbox.len() < OUTBOX {
            outbox.push_back(message);
        }
        if outbox.len() == 1 && !flush(&socket, &mut outbox) {
            self.unsent.notify_one();
        }
    }

    /// Starts the process and waits for its first message.
    async fn begin(&self) -> Result<(), String> {
        let (socket, pid) =
            self.spawn().map_err(|why| format!("the admin process cannot be started: {why}"))?;
        self.pid.set(pid);
        let mut buffer = vec![0; MAX_PACKET];
        let longest = self.start.longest_start;
        let first = tokio::time::timeout(longest, receive(&socket, &mut buffer)).await;
        let why = match first {
            Err(_) => {
                let seconds = longest.as_secs_f64();
                format!("the admin process (pid {pid}) was not ready within {seconds} s and is ended")
            }
            Ok(Some((FromAdmin::Ready, _))) => {
                let mut messages = self.inheritance.borrow_mut().messages();
                // What the one before it was asked will not be answered.
                self.answered.set(self.asked.get());
                let figures = self.figures.borrow().clone();
                if !figures.is_empty() {
                    self.asked.set(self.asked.get() + 1);
                    messages.push_back((figures, None));
                }
                *self.outbox.borrow_mut() = messages;
                *self.socket.borrow_mut() = Some(Rc::new(socket));
                self.unsent.notify_one();
                return Ok(());
            }
            Ok(Some((FromAdmin::Refused { why }, _))) => why,
            Ok(_) => {
                let exit = self.exit().await;
                return Err(format!("the admin process (pid {pid}) ended at once: {exit}"));
            }
        };
        self.exit().await;
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
            no_new_privileges: false,
            umask: None,
            limits: &[],
            nice: 0,
        })
        .map_err(|error| error.to_string())?;
        Ok((readiness::watch_readable(ours).map_err(failed)?, pid))
    }

    /// Talks to the process and restarts it when it ends, as long as the server runs.
    async fn tend(self: Rc<Self>) {
        let mut pause = FIRST_PAUSE;
        let mut pid = self.pid.get();
        loop {
            let socket = self.socket.borrow().clone();
            let mut failed = None;
            if let Some(socket) = socket {
                self.converse(&socket).await;
                *self.socket.borrow_mut() = None;
                // For those who wait now; the next process has not exported anything yet.
                self.exported.notify_waiters();
                failed = Some(format!("the admin process (pid {pid}) ended: {}", self.exit().await));
            }
            if self.stopping.get() {
                return;
            }
            if let Some(why) = failed {
                // It had answered, so another one will.
                pause = FIRST_PAUSE;
                log_failure(&why, pause);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            if let Err(why) = self.begin().await {
                log_failure(&why, pause);
            }
            pid = self.pid.get();
        }
    }

    /// The process and its silence, while it runs.
    pub fn life(&self) -> Option<AdminProcess> {
        let runs = self.socket.borrow().is_some();
        runs.then(|| AdminProcess { pid: self.pid.get(), silent: self.silent.get() })
    }

    /// Counts the seconds of silence until there are too many.
    async fn outlast(&self) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let silent = self.silent.get() + 1;
            self.silent.set(silent);
            let longest = self.start.longest_silence;
            if longest > 0 && silent >= longest && !self.stopping.get() {
                let pid = self.pid.get();
                let text = format!(
                    "the admin process (pid {pid}) gives no sign of life for {silent} s and is replaced"
                );
                return crate::note(Level::Error, None, &text);
            }
        }
    }

    /// Exchanges messages until the process closes its end, or gives no sign of life any more.
    async fn converse(&self, socket: &AsyncFd<OwnedFd>) {
        let mut buffer = vec![0; MAX_PACKET];
        self.silent.set(0);
        let mut outlasted = std::pin::pin!(self.outlast());
        loop {
            tokio::select! {
                () = &mut outlasted => return,
                () = self.left.notified() => return,
                received = receive(socket, &mut buffer) => match received {
                    Some((FromAdmin::Alive, _)) => {
                        self.silent.set(0);
                        self.answered.set(self.answered.get() + 1);
                        self.heard.notify_one();
                    }
                    Some((FromAdmin::Kept { workers }, Some(file))) => {
                        self.inheritance.borrow_mut().hand_on(file, &workers);
                    }
                    Some((FromAdmin::WantStack { worker, request }, _)) => {
                        let message = encode(&FromFront::WantStack { worker, request });
                        // `control` notices a supervisor that is gone.
                        let _ = descriptors::send(&self.start.supervisor, &message, &[]);
                    }
                    Some((FromAdmin::Said, _)) => self.exported.notify_one(),
                    Some(_) => {}
                    None => return,
                },
                () = self.write(socket) => {}
            }
        }
    }

    /// Writes the outbox, again and again.
    async fn write(&self, socket: &AsyncFd<OwnedFd>) {
        loop {
            let all = flush(socket, &mut self.outbox.borrow_mut());
            if all { self.unsent.notified().await } else { tokio::time::sleep(CHECK).await }
        }
    }

    /// Waits for the exit of a process that has closed its end. It is killed in case it does not end by itself.
    async fn exit(&self) -> Exit {
        let pid = self.pid.get();
        let _ = reap::signal(pid, signal::SIGKILL);
        loop {
            match reap::ended(pid) {
                Ok(None) => tokio::time::sleep(CHECK).await,
                Ok(Some(exit)) => return exit,
                Err(_) => return Exit::Status(0),
            }
        }
    }
}

/// Sends as much as the socket takes; true if that was all. Messages to a process that is gone are dropped.
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

/// The next message with its descriptor; `None` when the process has closed its end.
async fn receive(socket: &AsyncFd<OwnedFd>, buffer: &mut [u8]) -> Option<(FromAdmin, Option<OwnedFd>)> {
    loop {
        let mut ready = socket.readable().await.ok()?;
        match descriptors::receive(socket.get_ref(), buffer, false) {
            Ok(got) if got.bytes == 0 => return None,
            Ok(got) => match decode(&buffer[..got.bytes]) {
                Ok(message) => return Some((message, got.fds.into_iter().next())),
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

fn log_failure(why: &str, pause: Duration) {
    let text = format!(
        "{why}; it is started again in {} s, until then there are no pages and no exports",
        pause.as_secs()
    );
    crate::note_code(Level::Error, "GK0017", None, &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: a front whose admin process hung in its start waited for it for ever, and no other one was started. Met where the
    /// folder of the history is on a file system that does not answer.
    #[tokio::test(flavor = "current_thread")]
    async fn an_admin_process_that_never_says_anything_is_ended() {
        let (supervisor, _theirs) = descriptors::packet_pair().unwrap();
        let setup = AdminSetup {
            pages: false,
            server_root: "/".into(),
            folder: "/".into(),
            measurements: serde_json::Value::Null,
            log: gk_wire::setup::LogSetup::default(),
            front: 1,
            front_started: 0.0,
            supervisor: 1,
        };
        let start = AdminStart {
            command: ["/bin/sleep", "1000"].map(str::to_owned).to_vec(),
            setup,
            pages: None,
            supervisor,
            longest_silence: 0,
            longest_start: Duration::from_millis(50),
        };
        let refused = tokio::time::timeout(Duration::from_secs(30), Admin::start(start)).await.unwrap();
        let why = refused.err().unwrap();
        assert!(why.ends_with("was not ready within 0.05 s and is ended"), "{why}");
    }
}
