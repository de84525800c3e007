//! The supervisor's messages: workers come and go, another site, stop, status. A supervisor that is gone means: stop.

use gk_wire::control::{FromFront, Happened, MAX_PACKET, RequestStack, ToFront, What, decode, encode};
use gk_wire::feed::ToAdmin;
use gk_wire::log::Level;
use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

use crate::client::server;
use crate::front::Front;
use crate::process::descriptors;
use crate::process::start;
use crate::worker::facts::WorkerFacts;
use crate::worker::link::{self, Link, State};
use crate::worker::link_reader::{self, Event};
use crate::worker::link_writer;

/// The control socket.
pub struct Control {
    socket: Rc<AsyncFd<OwnedFd>>,
}

impl Control {
    /// Takes the socket.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self { socket: Rc::new(link::watched(socket)?) })
    }

    /// Says `Ready`, then acts on messages until the front has stopped.
    pub async fn serve(&self, front: &Rc<Front>) {
        self.say(&FromFront::Ready);
        let mut buffer = vec![0; MAX_PACKET];
        loop {
            let Some((message, fds)) = self.next(&mut buffer).await else {
                crate::note(Level::Crit, None, "the supervisor is gone; the front stops");
                server::stop(front, Duration::from_secs(5)).await;
                return;
            };
            match message {
                ToFront::Stop { timeout } => {
                    // Still listens while it waits: the supervisor may ask, or shorten the wait.
                    let timeout = Duration::from_secs_f64(timeout.clamp(0.0, 1e9));
                    for worker in front.links.borrow().keys() {
                        front.tell(&ToAdmin::Leaving { worker: *worker, reason: "shutdown_signal".into() });
                    }
                    let mut stop = std::pin::pin!(server::stop(front, timeout));
                    loop {
                        tokio::select! {
                            () = &mut stop => return,
                            next = self.next(&mut buffer) => match next {
                                None | Some((ToFront::Stop { timeout: 0.0 }, _)) => return,
                                Some((message, fds)) => self.act(front, message, fds),
                            },
                        }
                    }
                }
                message => self.act(front, message, fds),
            }
        }
    }

    async fn next(&self, buffer: &mut [u8]) -> Option<(ToFront, Vec<OwnedFd>)> {
        loop {
            let mut ready = self.socket.readable().await.ok()?;
            match gk_sys::descriptors::receive(self.socket.get_ref(), buffer, false) {
                Ok(got) if got.bytes == 0 => return None,
                Ok(got) => match decode(&buffer[..got.bytes]) {
                    Ok(message) => return Some((message, got.fds)),
                    Err(error) => {
                        let text = format!("a message of the supervisor is not understood: {error}");
                        crate::note(Level::Error, None, &text);
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(_) => return None,
            }
        }
    }

    fn say(&self, message: &FromFront) {
        // The next read notices a supervisor that is gone. A full socket would make this thread wait; the supervisor empties it
        // soon, for it reads as long as it lives and never waits to send (`gk_supervisor::child` keeps what does not fit).
        let _ = gk_sys::descriptors::send(self.socket.get_ref(), &encode(message), &[]);
    }

    fn act(&self, front: &Rc<Front>, message: ToFront, fds: Vec<OwnedFd>) {
        match message {
            ToFront::Worker { worker, process_group, pid, threads } => {
                let facts = WorkerFacts { worker, process_group, pid, threads };
                if let Err(why) = self.connect(front, facts, fds) {
                    self.say(&FromFront::LinkRefused { worker, why });
                }
            }
            ToFront::DrainWorker { worker, reason } => {
                front.tell(&ToAdmin::Leaving { worker, reason });
                let link = front.links.borrow().get(&worker).map(Rc::clone);
                match link {
                    Some(link) => drain(front, &link),
                    None => self.say(&FromFront::Drained { worker }),
                }
            }
            ToFront::WorkerExited { worker, how } => {
                front.tell(&ToAdmin::Exited { worker });
                let mut links = front.links.borrow_mut();
                if let Some(link) = links.get(&worker) {
                    link.set_how(how);
                    if link.state() == State::Dead {
                        links.remove(&worker);
                    } else {
                        // Children that the application forked may hold the worker's end open.
                        link.watch.shut();
                    }
                }
            }
            ToFront::Site => {
                let replaced =
                    fds.into_iter().next().ok_or_else(|| "without a setup file".to_owned()).and_then(|fd| {
                        let setup = start::read_setup(fd)?;
                        gk_sys::log::configure(setup.log.level, setup.log.json);
                        front.tell(&ToAdmin::Log(setup.log));
                        front.replace(start::site_of(setup.site)?, setup.generation)
                    });
                if let Err(why) = replaced {
                    crate::note(Level::Error, None, &format!("the new configuration is not in force: {why}"));
                }
            }
            ToFront::Status { token } => {
                self.say(&FromFront::Status { token, status: front.status() });
            }
            ToFront::GilReturned { worker, module, refused } => {
                if let Some(link) = front.links.borrow().get(&worker) {
                    let _ = link.gil_returned.set((module, refused));
                }
            }
            ToFront::Happened(happened) => front.tell(&ToAdmin::Happened(happened)),
            ToFront::Stack { worker, stack } if stack.slow => {
                front.tell(&ToAdmin::Happened(slow_request(worker, &stack)));
            }
            ToFront::Stack { worker, stack } => front.tell(&ToAdmin::Stack { worker, stack }),
            ToFront::Stop { .. } => {}
        }
    }

    /// Starts a link to a worker.
    fn connect(&self, front: &Rc<Front>, facts: WorkerFacts, fds: Vec<OwnedFd>) -> Result<(), String> {
        let mut fds = fds.into_iter();
        let (Some(socket), Some(page)) = (fds.next(), fds.next()) else {
            // The kernel gives none to a process that may have no more of them.
            let limit = descriptors::limit();
            return Err(format!(
                "its socket and page did not arrive; are as many as {limit} descriptors open?"
            ));
        };
        let worker = facts.worker;
        if let Some(admin) = front.admin.get() {
            admin.tell_worker((&facts).into(), fds.next());
        }
        let link = Link::new(facts, socket, page, front.clock.clone())
            .map_err(|error| format!("the link's socket is unusable: {error}"))?;
        front.links.borrow_mut().insert(worker, Rc::clone(&link));
        tokio::task::spawn_local(link_writer::write(Rc::clone(&link)));
        tokio::task::spawn_local(tend(Rc::clone(front), link, Rc::clone(&self.socket)));
        Ok(())
    }
}

/// Looks after a link until it ends.
async fn tend(front: Rc<Front>, link: Rc<Link>, control: Rc<AsyncFd<OwnedFd>>) {
    let pool = front.pool(&link.facts.process_group);
    let say = |message: &FromFront| {
        let _ = gk_sys::descriptors::send(control.get_ref(), &encode(message), &[]);
    };
    let worker = link.facts.worker;
    let drained = Cell::new(false);
    let tell_drained = || {
        if link.state() == State::Drained && !drained.replace(true) {
            say(&FromFront::Drained { worker });
        }
    };
    let reading = link_reader::read(Rc::clone(&link), |event| match event {
        Event::Open => match &pool {
            Some(pool) if link.state() == State::Open => pool.add(Rc::clone(&link)),
            Some(_) => {}
            None => link.drain(),
        },
        Event::Completed | Event::Returned => {
            if let Some(pool) = &pool {
                pool.pump();
            }
        }
        Event::Leaving(reason) => {
            front.tell(&ToAdmin::Leaving { worker, reason });
            drain(&front, &link);
        }
    });
    let mut reading = std::pin::pin!(reading);
    let ending = loop {
        tokio::select! {
            ending = &mut reading => break ending,
            () = link.drained.notified() => tell_drained(),
        }
    };
    let refused = link.state() == State::Greeting;
    tell_drained();
    let lost = link.died();
    if let Some(pool) = &pool {
        pool.remove(&link);
    }
    let closed = matches!(ending, link_reader::Ending::Closed);
    if refused {
        say(&FromFront::LinkRefused { worker, why: ending.to_string() });
    } else if !closed || lost > 0 {
        let text = format!(
            "the link to worker {} of process group '{}' ended with {lost} requests being served: {ending}",
            link.facts.pid, link.facts.process_group
        );
        crate::note(Level::Error, None, &text);
    }
    // The supervisor may still tell how the process ended, to those who wait for it.
    if link.known_how() {
        front.links.borrow_mut().remove(&worker);
    }
}

fn drain(front: &Front, link: &Link) {
    link.drain();
    if let Some(pool) = front.pool(&link.facts.process_group) {
        pool.note_desertion();
    }
}

/// A request that became slow, as something that happened.
fn slow_request(worker: u64, stack: &RequestStack) -> Happened {
    let RequestStack { method, path, seconds, thread, stack: frames, .. } = stack;
    Happened {
        at: gk_sys::clock::epoch_seconds(),
        what: What::SlowRequest,
        worker: Some(worker),
        text: format!("{method} {path} has been running for {seconds:.1} s in thread {thread}\n{frames}"),
        ..Happened::default()
    }
}
