//! The supervisor's messages: workers come and go, another site, stop, status. When the supervisor is gone, the front stops.

use gk_messages::{decode, encode};
use gk_sys::{descriptors, fork};
use gk_wire::control::{FromFront, Happened, LinkFault, MAX_PACKET, RequestStack, ToFront, What};
use gk_wire::feed::{LinkFigures, ToAdmin};
use gk_wire::log::{Area, Level};
use gk_wire::setup::duration;
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

use crate::client::drain;
use crate::front::Front;
use crate::process::{descriptor_limit, readiness, setup};
use crate::worker::info::{WorkerExit, WorkerInfo};
use crate::worker::link::reader::{self, LinkEnd, LinkEvent};
use crate::worker::link::{Link, LinkState, writer};

/// Between two looks at whether every process group is served.
const LOOK: Duration = Duration::from_secs(1);
/// Time between two looks whether requests still need a group that is gone.
const LEFT_OVER: Duration = Duration::from_millis(50);
/// Longest wait for the pages to say so.
const SHOWN: Duration = Duration::from_secs(2);

/// Why the front stops where nobody has told it to.
const NO_SUPERVISOR: &str = "the supervisor is gone; the front stops";
/// The same within a worker: an application that closes descriptors closes those of the main thread, too. When the supervisor is gone, that
/// thread says `Stop`.
const NO_MAIN_THREAD: &str = "the control socket within this process was closed, as by os.closerange in the application: its connections end";

/// The control socket.
pub struct Control {
    socket: Rc<AsyncFd<OwnedFd>>,
    /// Access logs of the next site.
    logs: RefCell<Vec<OwnedFd>>,
    /// Whether the application is in this process.
    embedded: bool,
}

impl Control {
    /// Takes the socket. `embedded`: the application is in this process, and its children are not to get what comes through it.
    pub fn new(socket: OwnedFd, embedded: bool) -> io::Result<Self> {
        Ok(Self { socket: Rc::new(readiness::watch_readable(socket)?), logs: RefCell::default(), embedded })
    }

    /// Sends `Ready`, then acts on messages until the front has stopped.
    pub async fn serve(&self, front: &Rc<Front>) {
        self.send(&FromFront::Ready);
        gk_sys::event_loop::spawn(say_serving(Rc::clone(front), Rc::clone(&self.socket)));
        let counted = Rc::clone(front);
        gk_sys::event_loop::spawn(async move { counted.life.count().await });
        let mut buffer = vec![0; MAX_PACKET];
        loop {
            let Some((message, fds)) = self.next(&mut buffer).await else {
                let why = if front.embedded.get() { NO_MAIN_THREAD } else { NO_SUPERVISOR };
                crate::note(Level::Crit, None, why);
                drain::begin(front);
                drain::end(front, Duration::from_secs(5), |_| {}).await;
                return;
            };
            match message {
                ToFront::Stop { timeout } => {
                    // Listens while it waits: the supervisor may ask for the status or shorten the wait.
                    let timeout = duration(timeout);
                    let admin_stays = front.admin.get().is_some_and(|admin| !admin.is_leaving());
                    for worker in front.links.borrow().keys().filter(|_| admin_stays) {
                        front.tell(&ToAdmin::Leaving { worker: *worker, reason: "shutdown_signal".into() });
                    }
                    drain::begin(front);
                    let longer = |time: Duration| {
                        self.send(&FromFront::EndsWithin { seconds: time.as_secs_f64() });
                    };
                    let mut end = std::pin::pin!(drain::end(front, timeout, longer));
                    let mut closed = std::pin::pin!(drain::closed(front));
                    let mut told = false;
                    loop {
                        tokio::select! {
                            biased;
                            () = &mut closed, if !told => {
                                told = true;
                                self.send(&FromFront::AcceptsNoMore);
                            }
                            () = &mut end => return,
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

    /// The supervisor's next message; `None` when it is gone.
    async fn next(&self, buffer: &mut [u8]) -> Option<(ToFront, Vec<OwnedFd>)> {
        loop {
            let mut ready = self.socket.readable().await.ok()?;
            match descriptors::receive(self.socket.get_ref(), buffer, false) {
                Ok(got) if got.bytes == 0 => return None,
                Ok(got) => match decode(&buffer[..got.bytes]) {
                    Ok(message) if self.embedded => {
                        return Some((message, got.fds.into_iter().map(fork::withhold).collect()));
                    }
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

    /// Sends to the supervisor.
    fn send(&self, message: &FromFront) {
        // The next read notices a supervisor that is gone. A full socket makes this thread wait, but not for long: the supervisor
        // reads as long as it lives and never waits to send (`gk_supervisor::child` keeps what does not fit).
        let _ = descriptors::send(self.socket.get_ref(), &encode(message), &[]);
    }

    /// Tells what is new since the last time, when the front has ended.
    pub fn tell_rest(&self, front: &Front) {
        front.tell_figures();
        self.tell_embedded(front);
    }

    /// Figures and spans of a front within a worker, which has no admin process.
    fn tell_embedded(&self, front: &Front) {
        if front.embedded.get() {
            self.send(&FromFront::EmbeddedFigures { figures: front.embedded_figures() });
            front.embedded_spans().into_iter().for_each(|spans| self.send(&FromFront::EmbeddedSpans(spans)));
        }
    }

    /// Acts on a message.
    fn act(&self, front: &Rc<Front>, message: ToFront, fds: Vec<OwnedFd>) {
        match message {
            ToFront::Worker { worker, process_group, pid, threads, imported } => {
                let info = WorkerInfo { worker, process_group, pid, threads, imported };
                if info.is_this_process() {
                    front.own_group.borrow_mut().clone_from(&info.process_group);
                    front.number_requests_of(worker);
                    front.passing.get().into_iter().for_each(|passing| passing.begin(worker));
                }
                if let Err(why) = self.connect(front, info, fds) {
                    self.send(&FromFront::LinkRefused { worker, why });
                }
            }
            ToFront::DrainWorker { worker, reason } => {
                front.tell(&ToAdmin::Leaving { worker, reason });
                let link = front.links.borrow().get(&worker).map(Rc::clone);
                match link {
                    Some(link) => leave(front, &link),
                    None => self.send(&FromFront::Drained { worker }),
                }
                self.send(&FromFront::GivesNoMore { worker });
            }
            ToFront::WorkerExited { worker, how, died } => {
                front.tell(&ToAdmin::Exited { worker });
                front.others.ended(worker);
                let mut links = front.links.borrow_mut();
                if let Some(link) = links.get(&worker) {
                    link.set_exit(WorkerExit { how, died });
                    if link.state() == LinkState::Dead {
                        links.remove(&worker);
                    } else {
                        // Children that the application forked may hold the worker's end open.
                        link.watch.shut();
                    }
                }
            }
            ToFront::AccessLogs => self.logs.borrow_mut().extend(fds),
            ToFront::Site { configuration } => {
                let refused = self.replace(front, fds).err();
                if let Some(why) = &refused {
                    crate::note(Level::Error, None, &format!("the new configuration is not in force: {why}"));
                }
                if configuration != 0 {
                    self.send(&FromFront::Site { configuration, refused });
                }
            }
            ToFront::Certificates => {
                let read = fds.into_iter().next().ok_or_else(|| "without their file".to_owned());
                match read.and_then(setup::certificates) {
                    Ok(new) => {
                        let (number, refused) = (new.number, front.replace_certificates(&new).err());
                        if let Some(admin) = front.admin.get().filter(|_| refused.is_none()) {
                            admin.tell_certificates(new.facts);
                        }
                        self.send(&FromFront::Certificates { number, refused });
                    }
                    Err(why) => self.send(&FromFront::Certificates { number: 0, refused: Some(why) }),
                }
            }
            ToFront::Status { token } => {
                self.send(&FromFront::Status { token, status: front.status() });
            }
            ToFront::GilReturned { worker, module, refused } => {
                if let Some(link) = front.links.borrow().get(&worker) {
                    let _ = link.gil_returned.set((module, refused));
                }
            }
            ToFront::Ping { silent } => {
                front.life.heard(silent.into_iter().map(|one| (one.worker, one.seconds)).collect());
                self.send(&FromFront::Alive);
                self.tell_embedded(front);
            }
            ToFront::EmbeddedFigures { worker, figures } => front.others.told(worker, figures),
            ToFront::EmbeddedSpans(spans) => front.keep_spans(spans),
            ToFront::Happened(happened) => front.tell(&ToAdmin::Happened(happened)),
            ToFront::Stack { worker, stack } if stack.slow => {
                front.tell(&ToAdmin::Happened(slow_request(worker, &stack)));
            }
            ToFront::Stack { worker, stack } => front.tell(&ToAdmin::Stack { worker, stack }),
            ToFront::Drain { on } => {
                front.draining.set(on);
                front.tell_figures();
            }
            ToFront::HandedOver => {
                front.is_patient.set(true);
                if let Some(admin) = front.admin.get() {
                    Rc::clone(admin).leave();
                }
            }
            ToFront::Stop { .. } => {}
        }
    }

    /// Puts another site in force. After an error everything is as before.
    fn replace(&self, front: &Rc<Front>, fds: Vec<OwnedFd>) -> Result<(), String> {
        let logs = self.logs.take();
        let new = setup::read(fds.into_iter().next().ok_or("without a setup file")?)?;
        front.replace(setup::site(new.site)?, new.generation, logs, &new.certificates)?;
        gk_sys::log::configure(&new.log, Area::Front);
        front.tell(&ToAdmin::Log(new.log));
        if let Some(admin) = front.admin.get() {
            admin.tell_certificates(new.certificates.facts);
        }
        Ok(())
    }

    /// Starts a link to a worker.
    fn connect(&self, front: &Rc<Front>, info: WorkerInfo, fds: Vec<OwnedFd>) -> Result<(), String> {
        let mut fds = fds.into_iter();
        let (Some(socket), Some(page)) = (fds.next(), fds.next()) else {
            // The kernel drops descriptors that would exceed the limit.
            let limit = descriptor_limit::limit();
            return Err(format!(
                "its socket and page did not arrive; are as many as {limit} descriptors open?"
            ));
        };
        let worker = info.worker;
        if let Some(admin) = front.admin.get() {
            let mut told = LinkFigures::from(&info);
            if front.fronts().as_ref() == Some(&info.process_group) {
                told.threads = 0;
            }
            admin.tell_worker(told, fds.next());
        }
        let share = front.share(&info.process_group);
        let link = Link::new(info, socket, page, front.clock.clone(), share, front.sleep.nudge.as_ref())
            .map_err(|error| format!("the link's socket is unusable: {error}"))?;
        front.sleep.watch(&link);
        front.links.borrow_mut().insert(worker, Rc::clone(&link));
        gk_sys::event_loop::spawn(writer::write(Rc::clone(&link)));
        gk_sys::event_loop::spawn(tend(Rc::clone(front), link, Rc::clone(&self.socket)));
        Ok(())
    }
}

/// Tells the supervisor once that every process group is served, when the pages say the same.
async fn say_serving(front: Rc<Front>, control: Rc<AsyncFd<OwnedFd>>) {
    while !front.is_served() {
        // Mostly a link opens; the rest comes by the clock.
        let _ = tokio::time::timeout(LOOK, front.link_opened.notified()).await;
    }
    if let Some(admin) = front.admin.get() {
        admin.show(|| front.tell_figures(), SHOWN).await;
    }
    let _ = descriptors::send(control.get_ref(), &encode(&FromFront::Serving), &[]);
}

/// Looks after a link until it ends.
async fn tend(front: Rc<Front>, link: Rc<Link>, control: Rc<AsyncFd<OwnedFd>>) {
    let pool = front.pool(&link.info.process_group);
    let send = |message: &FromFront| {
        let _ = descriptors::send(control.get_ref(), &encode(message), &[]);
    };
    let worker = link.info.worker;
    let drained = Cell::new(false);
    let report_drained = || {
        if link.state() == LinkState::Drained && !drained.replace(true) {
            send(&FromFront::Drained { worker });
        }
    };
    let reading = reader::read(Rc::clone(&link), |event| match event {
        LinkEvent::Open => match &pool {
            Some(pool) if link.state() == LinkState::Open => {
                pool.add(Rc::clone(&link));
                front.link_opened.notify_one();
            }
            Some(_) => {}
            None => link.drain(),
        },
        LinkEvent::Completed | LinkEvent::Returned => {
            if let Some(pool) = &pool {
                pool.pump();
            }
        }
        // The front of one worker goes on giving it requests until that worker's main thread says `Stop`, which this wakes.
        LinkEvent::Leaving(_) if link.info.is_this_process() => send(&FromFront::Drained { worker }),
        LinkEvent::Leaving(reason) => {
            front.tell(&ToAdmin::Leaving { worker, reason });
            leave(&front, &link);
        }
    });
    let mut reading = std::pin::pin!(reading);
    let ending = loop {
        tokio::select! {
            ending = &mut reading => break ending,
            () = link.drained.notified() => report_drained(),
        }
    };
    let refused = link.state() == LinkState::Greeting;
    report_drained();
    let was_drained = link.state() == LinkState::Drained;
    let lost = link.died();
    if let Some(pool) = &pool {
        pool.remove(&link);
    }
    // The worker sees the end, too, whatever it does now.
    link.watch.end();
    let fault = fault(&ending);
    let closed = fault == LinkFault::Closed;
    if refused && !closed {
        send(&FromFront::LinkRefused { worker, why: ending.to_string() });
    } else if !(link.is_exit_known() || closed && was_drained) {
        // Nobody else knows whether the process ends, too.
        send(&FromFront::LinkEnded { worker, fault, why: ending.to_string() });
    }
    if !refused && (!closed || lost > 0) {
        let text = format!(
            "the link to worker {} of process group '{}' ended with {lost} request{} being served: {ending}",
            link.info.pid,
            link.info.process_group,
            if lost == 1 { "" } else { "s" }
        );
        crate::note(Level::Error, None, &text);
    }
    // Without the exit the link stays: the supervisor may still report it to requests that wait for it.
    if link.is_exit_known() {
        front.links.borrow_mut().remove(&worker);
    }
}

/// The meaning of a link's end for the supervisor.
fn fault(ending: &LinkEnd) -> LinkFault {
    match ending {
        LinkEnd::Closed => LinkFault::Closed,
        LinkEnd::Io(_) | LinkEnd::Wire(_) | LinkEnd::Protocol(_) => LinkFault::Broken,
        LinkEnd::Descriptors | LinkEnd::Damaged => LinkFault::Abused,
    }
}

/// Takes a worker out of service once its requests are done. A group that a reload took out of the configuration has no other workers, so
/// its own serve the requests that were routed to it before and wait or are still being sent; the supervisor bounds that.
fn leave(front: &Rc<Front>, link: &Rc<Link>) {
    if !front.is_left_over(&link.info.process_group) {
        return leave_now(front, link);
    }
    let (front, link) = (Rc::clone(front), Rc::clone(link));
    gk_sys::event_loop::spawn(async move {
        while front.is_left_over(&link.info.process_group) && link.state() == LinkState::Open {
            tokio::time::sleep(LEFT_OVER).await;
        }
        leave_now(&front, &link);
    });
}

fn leave_now(front: &Front, link: &Link) {
    link.drain();
    if let Some(pool) = front.pool(&link.info.process_group) {
        pool.check_workers();
    }
}

/// The event for a request that became slow.
fn slow_request(worker: u64, stack: &RequestStack) -> Happened {
    let RequestStack { method, path, seconds, thread, stack: frames, id, .. } = stack;
    let named = if id.is_empty() { String::new() } else { format!(" (request {id})") };
    Happened {
        at: gk_sys::clock::epoch_seconds(),
        what: What::SlowRequest,
        worker: Some(worker),
        text: format!(
            "{method} {path}{named} has been running for {seconds:.1} s in thread {thread}\n{frames}"
        ),
        ..Happened::default()
    }
}
