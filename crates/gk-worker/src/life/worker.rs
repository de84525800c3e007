//! The main thread of a worker while request threads serve: messages of the supervisor, signals, timers, and leaving.

use crate::life::embedded::front::EmbeddedFront;
use crate::life::signals::{self, SignalAction, Signals};
use crate::measure;
use crate::serve::engine::Engine;
use crate::serve::link::{FrontPlace, Link};
use crate::serve::thread;
use crate::watch::ending::Ending;
use crate::watch::python_thread::{Order, PythonThread, lazy_imports, running};
use crate::watch::script_changes::ScriptChanges;
use crate::watch::slow_requests::{self, SlowRequests};
use crate::watch::watchdog::{Action, Observation, Watchdog};
use gk_python::debugger::Waiting;
use gk_python::{Interpreter, ThreadStates};
use gk_sys::descriptors;
use gk_sys::fork::Withheld;
use gk_sys::log::plain;
use gk_wire::control::{self, FromWorker, SourceFile, ToFront, ToWorker, WorkerFigures};
use gk_wire::frame::Welcome;
use gk_wire::log::Level;
use gk_wire::setup::duration;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Interval at which timers and script files are checked.
const TICK: Duration = Duration::from_millis(250);
/// Longest wait for the interpreters' own figures when the supervisor asks for the status.
const REFRESH: Duration = Duration::from_millis(100);
/// Time that a worker waits for a new link after its own broke.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Worker {
    pub(crate) engine: Arc<Engine>,
    pub(crate) ending: Arc<Ending>,
    /// Children that the application forks do not get `control`. Dropped before it.
    pub(crate) _withheld: Withheld,
    pub(crate) control: OwnedFd,
    pub(crate) signals: Signals,
    pub(crate) python: String,
    pub(crate) threads: Vec<JoinHandle<()>>,
    pub(crate) python_thread: Option<PythonThread>,
    pub(crate) watchdog: Watchdog,
    pub(crate) watched: ScriptChanges,
    /// Channel to the thread that watches imported modules.
    pub(crate) more_to_watch: Option<Sender<Vec<SourceFile>>>,
    /// The supervisor knows that the GIL is back on.
    pub(crate) gil_told: bool,
    pub(crate) last_ping: Instant,
    /// Time at which the link broke.
    pub(crate) broken: Option<Instant>,
    pub(crate) slow: SlowRequests,
    /// While leaving: the reason, and the time at which it stops anyway.
    pub(crate) leaving: Option<(String, Option<Instant>)>,
    /// The thread that tells the application of the server's stop.
    pub(crate) announcing: Option<JoinHandle<()>>,
    /// Embedded mode: the front of this worker.
    pub(crate) embedded: Option<EmbeddedFront>,
    /// Embedded mode: the link to the front process, which sends no request and is told that this worker leaves.
    pub(crate) told: Option<Arc<Link>>,
}

/// Why serving ends.
enum ServingEnd {
    Stop(String),
    SupervisorGone,
}

impl Worker {
    /// Serves until the worker has to stop; returns the reason. Meanwhile this thread has a Python frame in each interpreter that it made.
    pub(crate) fn serve_framed(&mut self, states: &mut ThreadStates) -> String {
        let main = self.engine.groups.main();
        let mut all: Vec<Interpreter> =
            self.engine.groups.all().iter().map(|(_, group)| group.interpreter.clone()).collect();
        all.retain(|interpreter| interpreter.id() != main.id());
        self.serve_within(states, &main, &all)
    }

    fn serve_within(
        &mut self,
        states: &mut ThreadStates,
        main: &Interpreter,
        others: &[Interpreter],
    ) -> String {
        match others.split_first() {
            None => self.serve(states, main),
            Some((other, rest)) => states.within(other, |states| self.serve_within(states, main, rest)),
        }
    }

    fn serve(&mut self, states: &mut ThreadStates, main: &Interpreter) -> String {
        let from_outside = states.attach(main, Waiting::new);
        let end = loop {
            let timeout = if self.leaving.is_some() { TICK / 10 } else { TICK.min(self.slow.every()) };
            if let Some(end) = self.listen(timeout) {
                break end;
            }
            from_outside.run(states, main);
            self.handle_signals();
            self.tell_of_gil();
            for script in
                self.watched.changed(&self.engine).into_iter().filter(|_| !self.engine.reloads.ended())
            {
                plain(
                    Level::Info,
                    "wsgi",
                    None,
                    &format!("Reloading WSGI script '{script}': it has changed"),
                );
                self.tell(&FromWorker::ScriptChanged { script });
            }
            if measure::get().is_some_and(|measure| measure.unnamed()) {
                self.order(Order::NameHolders);
            }
            if measure::get().is_some_and(|measure| measure.profiling()) {
                self.order(Order::Profile);
            }
            for (slot, since) in self.slow.crossed(&self.engine) {
                self.order(Order::Stack { slot, since, slow: true });
            }
            if let Some(end) = self.check() {
                break end;
            }
        };
        match end {
            ServingEnd::Stop(reason) => reason,
            // Nobody else would ever end a process without a supervisor.
            ServingEnd::SupervisorGone => "shutdown_signal".to_owned(),
        }
    }

    /// Handles messages of the supervisor; waits at most `timeout` for the first one.
    fn listen(&mut self, timeout: Duration) -> Option<ServingEnd> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() };
        let mut polled =
            vec![PollFd::new(&self.control, PollFlags::IN), PollFd::new(&self.signals.0, PollFlags::IN)];
        if let Some(front) = self.embedded.as_ref().filter(|front| !front.has_ended()) {
            polled.push(PollFd::from_borrowed_fd(front.control(), PollFlags::IN));
        }
        if matches!(poll(&mut polled, Some(&timeout)), Ok(0) | Err(_)) {
            return None;
        }
        self.hear_front();
        let mut packet = vec![0; control::MAX_PACKET];
        loop {
            let received = match descriptors::receive(&self.control, &mut packet, false) {
                Ok(received) if received.bytes == 0 => return Some(ServingEnd::SupervisorGone),
                Ok(received) => received,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
                Err(error) if closed_here(&error) => {
                    let text = "The control socket of this process was closed, as by os.closerange in the application: the process ends";
                    plain(Level::Error, "wsgi", None, text);
                    return Some(ServingEnd::Stop("link_lost".to_owned()));
                }
                Err(_) => return Some(ServingEnd::SupervisorGone),
            };
            match gk_messages::decode::<ToWorker>(&packet[..received.bytes]) {
                Ok(message) => {
                    if let Some(end) = self.handle(message, received.fds) {
                        return Some(end);
                    }
                }
                Err(error) => {
                    plain(
                        Level::Error,
                        "wsgi",
                        None,
                        &format!("A message of the supervisor is malformed: {error}"),
                    );
                }
            }
        }
    }

    /// Tells the supervisor once that a module turned the GIL back on.
    pub(crate) fn tell_of_gil(&mut self) {
        if !self.gil_told
            && let Some(module) = gk_wsgi::gil::returned()
        {
            self.gil_told = true;
            self.engine.groups.gil_returned();
            self.order(Order::GilReturned);
            let (module, refused) = (module.to_owned(), self.engine.setup.gil_refused);
            self.tell(&FromWorker::GilReturned { module, refused });
        }
    }

    fn handle_signals(&mut self) {
        for action in self.signals.take(&self.engine.setup.group) {
            match action {
                SignalAction::Leave(reason, timeout) => {
                    if reason == "cpu_time_limit" {
                        let limit = self.engine.setup.group.cpu_time_limit;
                        let text = format!(
                            "This process has used its CPU time (cpu-time-limit={limit}) and is replaced"
                        );
                        self.order(Order::Stacks(Level::Warn, text));
                    }
                    self.tell(&FromWorker::Leaving { reason: reason.to_owned() });
                    self.leave(reason, timeout);
                }
                SignalAction::Tell(number) => {
                    self.order(Order::Signal { number, name: signals::name(number) })
                }
            }
        }
    }

    fn handle(&mut self, message: ToWorker, fds: Vec<OwnedFd>) -> Option<ServingEnd> {
        match message {
            ToWorker::Link { front } => {
                if let Err(why) = self.take_link(front, fds) {
                    plain(Level::Error, "wsgi", None, &why);
                }
            }
            ToWorker::Leave { reason, timeout } => self.leave(&reason, timeout),
            ToWorker::Stopping { reason } => self.announce_stop(&reason),
            ToWorker::Stop { reason } => return Some(ServingEnd::Stop(reason)),
            ToWorker::ReloadRefused => {
                ScriptChanges::keep(&self.engine);
                self.engine.reloads.refuse();
            }
            ToWorker::NoSuccessors => self.engine.reloads.end(),
            ToWorker::DumpStacks => {
                self.order(Order::Stacks(Level::Notice, "Stacks of the busy request threads".to_owned()))
            }
            ToWorker::Watch { files } => {
                if let Some(more) = &self.more_to_watch {
                    let _ = more.send(files);
                }
            }
            ToWorker::Stack { request } => {
                if let Some((slot, since)) = slow_requests::find(&self.engine, request) {
                    self.order(Order::Stack { slot, since, slow: false });
                }
            }
            // Its front answers for both.
            ToWorker::Ping => {
                match self.embedded.as_ref().filter(|front| front.has_begun() && !front.has_ended()) {
                    Some(front) => front.tell(&ToFront::Ping { silent: Vec::new() }, &[]),
                    None => self.tell(&FromWorker::Alive),
                }
            }
            ToWorker::Certificates => self.tell_embedded(&ToFront::Certificates, &fds),
            ToWorker::Drain { on } => self.tell_embedded(&ToFront::Drain { on }, &[]),
            ToWorker::ForFront { message } => self.tell_embedded(&message, &fds),
            ToWorker::Status { token } => {
                let importing =
                    self.python_thread.as_ref().map(|thread| thread.refresh(REFRESH)).unwrap_or_default();
                let interpreters = self.engine.groups.figures(&self.engine.busy_interpreters());
                let mut names: Vec<String> =
                    interpreters.iter().map(|i| i.application_group.clone()).collect();
                names.dedup();
                let status = WorkerFigures {
                    requests: self.engine.finished(),
                    busy: self.engine.busy(),
                    application_groups: names,
                    gil_mode: self.engine.groups.gil_mode().to_owned(),
                    interpreters,
                    lazy_imports: lazy_imports(&self.engine),
                    importing,
                };
                self.tell(&FromWorker::Status { token, status });
            }
        }
        None
    }

    fn take_link(&mut self, front: u64, fds: Vec<OwnedFd>) -> Result<(), String> {
        let mut fds = fds.into_iter();
        let (Some(socket), Some(page)) = (fds.next(), fds.next()) else {
            return Err("A link came without its two descriptors".to_owned());
        };
        let link = self.open_link(socket, &page, FrontPlace::Elsewhere)?;
        if let Some((reason, _)) = &self.leaving {
            thread::announce(&link, reason);
        }
        if !self.engine.embedded {
            self.engine.intake.set(front, link);
            return Ok(());
        }
        self.told = Some(link);
        let certificates = fds.next().ok_or("A link came without certificates")?;
        self.begin_front(certificates)
    }

    /// Takes over a socket and its page.
    pub(crate) fn open_link(
        &self,
        socket: OwnedFd,
        page: &OwnedFd,
        front: FrontPlace,
    ) -> Result<Arc<Link>, String> {
        let welcome = Welcome {
            protocol: gk_wire::PROTOCOL_VERSION,
            package: gk_wire::PACKAGE_VERSION.to_owned(),
            python: self.python.clone(),
            gil_mode: self.engine.groups.gil_mode().to_owned(),
            pid: std::process::id(),
            threads: self.engine.setup.group.threads,
            process_group: self.engine.setup.group.name.clone(),
        };
        Link::open(socket, page, &welcome, self.engine.groups.parallel(), front)
            .map_err(|e| format!("A link cannot be opened: {e}"))
    }

    /// Starts to leave: tells the front, serves the requests it has sent, and is done when the front says `Drain`.
    fn leave(&mut self, reason: &str, timeout: f64) {
        let deadline = (timeout > 0.0).then(|| Instant::now() + duration(timeout));
        if let Some((_, before)) = &mut self.leaving {
            // The first reason stays; the earlier deadline counts.
            *before = [*before, deadline].into_iter().flatten().min();
            return;
        }
        plain(Level::Info, "wsgi", None, &format!("This worker is leaving: {reason}"));
        self.leaving = Some((reason.to_owned(), deadline));
        self.announce_leave(reason);
        if let Some(front) = &mut self.embedded {
            // Who stops the server has told the clients, or their load balancer.
            front.leave(timeout, reason != "shutdown_signal");
        }
        // Afterwards, so that the front does not send the requests that come back here again.
        self.engine.reloads.leave();
    }

    /// Checks timers and whether the drain is over.
    fn check(&mut self) -> Option<ServingEnd> {
        let seen = self.observe();
        if let Some(frozen) = self.watchdog.notice_freeze(&seen) {
            self.forgive(duration(frozen));
        }
        if let Some((reason, deadline)) = &self.leaving {
            let links = self.engine.intake.links();
            let done = match &self.embedded {
                Some(front) => front.has_ended() || !front.has_begun(),
                None => links.iter().all(|link| link.finished()),
            };
            let drained = !links.is_empty() && links.iter().all(|link| link.drained());
            let only_stale = drained && self.watchdog.all_stale(&seen);
            if done || only_stale || deadline.is_some_and(|d| Instant::now() > d) {
                return Some(ServingEnd::Stop(reason.clone()));
            }
        }
        if let Some(reason) = self.link_lost() {
            self.tell(&FromWorker::Leaving { reason: reason.to_owned() });
            self.leave(reason, self.engine.setup.group.graceful_timeout());
        }
        let deadlock = self.engine.setup.group.deadlock_timeout;
        // Often enough that a healthy process always answers well within the timeout.
        if deadlock > 0.0 && self.last_ping.elapsed().as_secs_f64() > (deadlock / 4.0).min(1.0) {
            self.last_ping = Instant::now();
            self.order(Order::Ping);
        }
        for act in self.watchdog.tick(&seen) {
            match act {
                Action::Interrupt { slot, since } => {
                    // The inverse of `observe`: the value that the slot holds.
                    let since = (since * 1e6).round() as u64 + 1;
                    self.order(Order::Interrupt { slot, since });
                }
                Action::Stacks(sentence) => self.order(Order::Stacks(Level::Warn, sentence)),
                Action::Deadlock(sentence) => {
                    let text = format!("{sentence}; in the request threads: {}", running(&self.engine));
                    plain(Level::Warn, "wsgi", None, &text);
                }
                Action::Leave(reason, timeout) => {
                    self.tell(&FromWorker::Leaving { reason: reason.to_owned() });
                    self.leave(reason, timeout);
                }
                Action::Stop(reason) => {
                    self.tell(&FromWorker::Leaving { reason: reason.to_owned() });
                    return Some(ServingEnd::Stop(reason.to_owned()));
                }
            }
        }
        None
    }

    /// Nobody could do anything in that time: what is due is due later.
    fn forgive(&mut self, time: Duration) {
        let text =
            format!("This process did not run for {:.0} s: its timers do not count them", time.as_secs_f64());
        plain(Level::Notice, "wsgi", None, &text);
        if let Some((_, Some(deadline))) = &mut self.leaving {
            *deadline += time;
        }
        self.broken = None;
    }

    /// Returns a reason if the link broke and no new one came, as it does at once when the front has crashed: no request would come.
    fn link_lost(&mut self) -> Option<&'static str> {
        if self.engine.embedded {
            // The end of its front says more.
            return None;
        }
        let broken = self.leaving.is_none() && self.engine.link().is_some_and(|link| link.broken());
        if !broken {
            self.broken = None;
            return None;
        }
        let since = *self.broken.get_or_insert_with(Instant::now);
        (since.elapsed() > PATIENCE).then_some("link_lost")
    }

    fn observe(&self) -> Observation {
        let seconds = |micros: u64| (micros as f64 - 1.0) / 1e6;
        let at = |micros: u64| (micros != 0).then(|| seconds(micros));
        let counters = self.engine.counters();
        Observation {
            now: seconds(self.engine.now()),
            busy_since: self.engine.slots.iter().map(|s| at(s.since.load(Ordering::Acquire))).collect(),
            started: counters.started,
            finished: counters.finished,
            last_activity: at(counters.last_activity),
            loaded: self.watched.any() || self.engine.loaded.load(Ordering::Relaxed),
            python_alive: self.python_thread.as_ref().map_or(f64::MAX, |p| seconds(p.stamp())),
        }
    }

    /// Tells the fronts that this worker leaves.
    pub(crate) fn announce_leave(&self, reason: &str) {
        if self.engine.embedded {
            self.told.iter().for_each(|link| thread::announce(link, reason));
        } else {
            self.engine.intake.links().iter().for_each(|link| thread::announce(link, reason));
        }
    }

    pub(crate) fn order(&self, order: Order) {
        if let Some(thread) = &self.python_thread {
            thread.send(order);
        }
    }

    pub(crate) fn tell(&self, message: &FromWorker) {
        // `listen` notices when the supervisor is gone.
        let _ = descriptors::send(&self.control, &gk_messages::encode(message), &[]);
    }
}

/// Whether a descriptor is no socket of ours any more: this process has closed it.
fn closed_here(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    Errno::from_io_error(error).is_some_and(|errno| matches!(errno, Errno::BADF | Errno::NOTSOCK))
}
