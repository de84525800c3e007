//! The loop: wait for signals, children, clients and deadlines; turn them into events; let the plan decide; act.

mod relay;
pub mod start;
mod starting;

use crate::child::{BadPacket, Child};
use crate::memory::MemoryWatch;
use crate::perform::{World, log};
use crate::plan::Plan;
use crate::plan::action::Action;
use crate::plan::event::{Event, ProcessEnd, Succession};
use crate::service_manager::ServiceManager;
use crate::status::{self, StatusQuery};
use gk_sys::child::reap::{self, Exit};
use gk_sys::signal::{SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1, SIGUSR2, Signals};
use gk_wire::admin::{Answer, Command};
use gk_wire::control::{FromFront, FromWorker, LinkFault, ToFront, ToWorker};
use gk_wire::handover::{ToPredecessor, ToSuccessor};
use gk_wire::log::Level;
use gk_wire::setup::duration;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use starting::StartingWorkers;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Packets of one worker that are read before others get their turn: as many as its socket holds.
const TURN: usize = 300;

struct Supervisor {
    start: Instant,
    signals: Signals,
    plan: Plan,
    world: World,
    gathers: Vec<StatusQuery>,
    tokens: u64,
    memory: MemoryWatch,
    starting: StartingWorkers,
    buffer: Vec<u8>,
}

/// The owner of a polled descriptor.
#[derive(Clone, Copy)]
enum Polled {
    Signals,
    Door,
    Wake,
    Front,
    Worker(u64),
    Client(u64),
    Successor,
    Predecessor,
}

impl Supervisor {
    /// Returns the exit code, and why the server gave up.
    fn run(&mut self, first: Event) -> (i32, Option<String>) {
        self.happened(first);
        loop {
            if let Some(end) = self.world.exit.take() {
                self.farewell();
                return end;
            }
            for source in self.wait() {
                self.look(source);
            }
            self.happened(Event::Tick);
            self.world.clients.tick(self.now());
            self.world.manager.iter_mut().for_each(ServiceManager::flush);
            self.world.tend_certificates(self.now());
            self.answer_gathers();
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Lets the plan decide about an event and everything that follows from it.
    fn happened(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next {
            let now = self.now();
            self.starting.look(&mut self.plan, now);
            let actions: Vec<Action> = self.plan.handle(event, now);
            for action in actions {
                let announced = action == Action::Announce;
                self.world.perform(action, now);
                if announced && let Some(warning) = self.memory.after_start(self.world.workers.len()) {
                    log(Level::Warn, Some("GK0053"), &warning);
                }
            }
            for mut happened in self.plan.take_happened() {
                happened.at = gk_sys::clock::epoch_seconds();
                self.world.notify(happened);
            }
            next = self.world.events.pop_front();
        }
    }

    /// Waits for something to happen. Returns the owners of the ready descriptors.
    fn wait(&self) -> Vec<Polled> {
        let mut sources = vec![Polled::Signals, Polled::Wake];
        let mut fds = vec![
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::from_borrowed_fd(self.world.wake_fd(), PollFlags::IN),
        ];
        if self.world.clients.has_room() {
            sources.push(Polled::Door);
            fds.push(PollFd::new(&self.world.clients, PollFlags::IN));
        }
        let front = self.world.front.iter().map(|child| (Polled::Front, child));
        let workers = self.world.workers.iter().map(|(worker, child)| (Polled::Worker(*worker), child));
        let successor = self.world.handover.successor.iter().map(|child| (Polled::Successor, child));
        let predecessor = self.world.handover.predecessor.iter().map(|child| (Polled::Predecessor, child));
        for (source, child) in
            front.chain(workers).chain(successor).chain(predecessor).filter(|(_, child)| child.open())
        {
            sources.push(source);
            fds.push(PollFd::from_borrowed_fd(child.as_fd(), flags(child.waits())));
        }
        for (client, fd, waits) in self.world.clients.sockets() {
            sources.push(Polled::Client(client));
            fds.push(PollFd::from_borrowed_fd(fd, flags(waits)));
        }
        let certificates = self.world.certificates.due();
        let deadlines = [
            self.plan.next_deadline(),
            self.starting.due(),
            self.world.clients.next_deadline(),
            certificates,
        ];
        let gathers = self.gathers.iter().map(|g| g.deadline).min();
        let timeout = deadlines.into_iter().flatten().chain(gathers).min().map(|deadline| {
            // Rather a little late than a little early and a second time.
            let left = deadline.saturating_sub(self.now()) + Duration::from_millis(1);
            Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 60, tv_nsec: 0 })
        });
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return Vec::new();
        }
        let ready = fds.iter().map(|fd| !fd.revents().is_empty());
        sources.into_iter().zip(ready).filter(|(_, ready)| *ready).map(|(source, _)| source).collect()
    }

    fn look(&mut self, source: Polled) {
        match source {
            Polled::Signals => self.take_signals(),
            Polled::Door => self.world.clients.accept(self.now()),
            Polled::Wake => {
                self.world.take_readings();
                self.world.take_certificates();
                while let Some(event) = self.world.events.pop_front() {
                    self.happened(event);
                }
            }
            Polled::Front => self.read_front(),
            Polled::Successor => self.read_successor(),
            Polled::Predecessor => self.read_predecessor(),
            Polled::Worker(worker) => self.read_worker(worker, true),
            Polled::Client(client) => {
                self.world.clients.write(client);
                if let Some(command) = self.world.clients.read(client) {
                    self.command(client, command);
                }
            }
        }
    }

    fn take_signals(&mut self) {
        // Whoever watches this process means the server.
        let passes_on = self.world.handover.stays && self.plan.has_handed_over();
        for arrived in self.signals.take().unwrap_or_default() {
            if passes_on && matches!(arrived, SIGHUP | SIGUSR1 | SIGUSR2) {
                self.world.handover.signal_successor(arrived);
                continue;
            }
            if matches!(arrived, SIGHUP | SIGUSR1 | SIGUSR2) {
                // `logrotate` has renamed them, and sends the signal. USR2 asks for nothing else.
                self.world.logs.reopen();
            }
            match arrived {
                SIGTERM | SIGINT => self.happened(Event::Terminate),
                SIGHUP => self.happened(Event::Hangup),
                SIGUSR1 => self.happened(Event::Evict),
                _ => {}
            }
        }
        self.reap();
    }

    fn reap(&mut self) {
        self.memory.begin_turn();
        let workers: Vec<(u64, u32)> = self.world.workers.iter().map(|(w, c)| (*w, c.pid)).collect();
        for (worker, pid) in workers {
            if let Some(exit) = ended(pid) {
                // Its last messages come before its end, which says more than the end of its socket.
                self.read_worker(worker, false);
                self.world.bury(worker);
                self.gathers.iter_mut().for_each(|g| g.lost(Some(worker)));
                let ended = self.describe(exit);
                self.happened(Event::WorkerExited { worker, ended });
            }
        }
        if let Some(exit) = self.world.front.as_ref().and_then(|front| ended(front.pid)) {
            self.read_front();
            self.world.front = None;
            self.gathers.iter_mut().for_each(|g| g.lost(None));
            let ended = self.describe(exit);
            self.happened(Event::FrontExited(ended));
        }
        self.world.handover.dying.retain(|pid| ended(*pid).is_none());
        if let Some(exit) = self.world.handover.successor.as_ref().and_then(|new| ended(new.pid)) {
            self.read_successor();
            if !self.world.handover.follow() {
                self.world.handover.successor = None;
                let ended = self.describe(exit);
                self.happened(Event::Succession(Succession::Ended(ended)));
            }
        }
        if std::process::id() == 1 && !self.world.reading {
            let single = self.world.front.iter().chain(&self.world.handover.successor);
            let mut own: Vec<u32> =
                single.chain(self.world.workers.values()).map(|child| child.pid).collect();
            own.extend(&self.world.handover.dying);
            reap::adopted(|pid| own.contains(&pid));
        }
    }

    fn read_successor(&mut self) {
        let now = self.now();
        self.world.handover.successor.iter_mut().for_each(Child::flush);
        while let Some(message) = self
            .world
            .handover
            .successor
            .as_mut()
            .and_then(|new| new.receive::<ToPredecessor>(&mut self.buffer, now))
        {
            match message {
                Ok(ToPredecessor::Successor { pid }) => self.world.handover.next = Some(pid),
                Ok(message) => self.happened(Event::Succession(Succession::FromSuccessor(message))),
                Err(e) => {
                    log(Level::Error, None, &format!("a message of the new server was not understood: {e}"))
                }
            }
        }
    }

    fn read_predecessor(&mut self) {
        let now = self.now();
        self.world.handover.predecessor.iter_mut().for_each(Child::flush);
        while let Some(message) = self
            .world
            .handover
            .predecessor
            .as_mut()
            .and_then(|old| old.receive::<ToSuccessor>(&mut self.buffer, now))
        {
            match message {
                Ok(message) => self.happened(Event::Succession(Succession::FromPredecessor(message))),
                Err(e) => {
                    log(Level::Error, None, &format!("a message of the old server was not understood: {e}"))
                }
            }
        }
        if self.world.handover.predecessor.as_ref().is_some_and(|old| !old.open()) {
            self.world.handover.predecessor = None;
            self.happened(Event::Succession(Succession::PredecessorGone));
        }
    }

    fn describe(&mut self, exit: Exit) -> ProcessEnd {
        let mut how = exit.to_string();
        let status = match exit {
            Exit::Status(status) => Some(status),
            Exit::Signal(_) => None,
        };
        let why = (exit == Exit::Signal(SIGKILL)).then(|| self.memory.why()).flatten();
        let out_of_memory = why.is_some();
        if let Some(why) = why {
            how.push_str(&format!(", {why}"));
        }
        ProcessEnd { how, status, out_of_memory }
    }

    fn read_front(&mut self) {
        if let Some(front) = &mut self.world.front {
            front.flush();
        }
        let now = self.now();
        while let Some(message) =
            self.world.front.as_mut().and_then(|f| f.receive::<FromFront>(&mut self.buffer, now))
        {
            match message {
                Ok(FromFront::Status { token, status }) => {
                    self.gathers
                        .iter_mut()
                        .filter(|g| g.token == token)
                        .for_each(|g| g.front(status.clone()));
                }
                Ok(FromFront::Certificates { number, refused }) => {
                    self.world.certificates_answered(number, refused.as_deref());
                }
                Ok(message) => self.happened(Event::FromFront(message)),
                Err(e) => log(Level::Error, None, &format!("a message of the front was not understood: {e}")),
            }
        }
    }

    /// `alive`: the process has not ended as far as is known.
    fn read_worker(&mut self, worker: u64, alive: bool) {
        if let Some(child) = self.world.workers.get_mut(&worker) {
            child.flush();
        }
        let now = self.now();
        for _ in 0..TURN {
            let child = self.world.workers.get_mut(&worker);
            match child.and_then(|child| child.receive::<FromWorker>(&mut self.buffer, now)) {
                None if alive && self.world.workers.get(&worker).is_some_and(|child| !child.open()) => {
                    // No longer polled, so this comes once.
                    let (fault, why) = (LinkFault::Closed, "its control socket was closed".to_owned());
                    return self.happened(Event::WorkerFault { worker, fault, why });
                }
                None => return,
                Some(Ok(FromWorker::Status { token, status })) => {
                    let asked = self.gathers.iter_mut().filter(|g| g.token == token);
                    asked.for_each(|g| g.worker(worker, status.clone()));
                }
                Some(Ok(message)) => {
                    if matches!(message, FromWorker::Ready { .. }) {
                        self.forecast(worker);
                    }
                    self.happened(Event::FromWorker { worker, message });
                }
                Some(Err(BadPacket::Abuse(why))) => {
                    let fault = LinkFault::Abused;
                    return self.happened(Event::WorkerFault { worker, fault, why });
                }
                Some(Err(e)) => {
                    let text = format!("a message of worker {worker} was not understood: {e}");
                    log(Level::Error, None, &text);
                }
            }
        }
    }

    /// A worker is ready: whether all of them will fit into the memory.
    fn forecast(&mut self, worker: u64) {
        let all: Vec<u32> = self.world.workers.values().map(|child| child.pid).collect();
        let first = self.world.workers.get(&worker).map(|child| child.pid);
        if let Some(warning) = first.and_then(|first| self.memory.forecast(first, &all)) {
            log(Level::Warn, Some("GK0053"), &warning);
        }
    }

    fn command(&mut self, client: u64, command: Command) {
        // While this process did not run, the command may have told its user that it failed.
        if self.world.clients.has_left(client) {
            self.world.clients.forget(client);
            if command != Command::Status {
                let word = command.word();
                let text = format!(
                    "`gilkeeper {word}` is not carried out: that command had ended before it was begun"
                );
                log(Level::Notice, None, &text);
            }
            return;
        }
        match command {
            Command::Status => self.gather(client),
            Command::Reload { process_group: group } => {
                self.world.logs.reopen();
                self.happened(Event::Reload { client, group });
            }
            Command::Drain { wait, undo } => {
                self.happened(Event::Drain { client, wait: duration(wait), undo });
            }
            Command::Upgrade { program } => {
                self.happened(Event::Succession(Succession::Asked { client, program }));
            }
            Command::Stop { now } => self.happened(Event::Stop { client, now }),
        }
    }

    fn gather(&mut self, client: u64) {
        self.tokens += 1;
        let token = self.tokens;
        let front = self.plan.front().accepts() && self.world.front.is_some();
        if let Some(child) = self.world.front.as_mut().filter(|_| front) {
            child.mention(&ToFront::Status { token });
        }
        let answering = self.plan.workers().filter(|w| w.ready.is_some()).map(|w| w.worker);
        let answering = answering.filter(|w| self.world.workers.contains_key(w)).collect();
        for worker in &answering {
            if let Some(child) = self.world.workers.get_mut(worker) {
                child.mention(&ToWorker::Status { token });
            }
        }
        self.gathers.push(StatusQuery::new(client, token, self.now(), front, answering));
    }

    fn answer_gathers(&mut self) {
        let now = self.now();
        let (complete, waiting) =
            std::mem::take(&mut self.gathers).into_iter().partition(|g| g.complete(now));
        self.gathers = waiting;
        let complete: Vec<StatusQuery> = complete;
        for gather in complete {
            let configuration = self.world.configuration();
            let listeners = &self.world.listeners;
            let (listen, admin) = (listeners.urls(&configuration.site), listeners.admin());
            let mut status = gather.status(&self.plan, listen, admin, now);
            status.certificates = status::certificates(self.world.certificates.facts());
            let status = Box::new(status);
            self.world.clients.send(gather.client, &Answer::Status { status });
            self.world.clients.finish(gather.client, &Answer::Done { ok: true, text: String::new() }, now);
        }
    }

    /// Gives slow clients a moment to read their last answer.
    fn farewell(&mut self) {
        let end = self.now() + Duration::from_millis(200);
        loop {
            let late: Vec<u64> =
                self.world.clients.sockets().filter(|(_, _, waits)| *waits).map(|(id, _, _)| id).collect();
            let left = end.saturating_sub(self.now());
            if late.is_empty() || left.is_zero() {
                return;
            }
            let clients = self.world.clients.sockets().filter(|(_, _, waits)| *waits);
            let mut fds: Vec<_> =
                clients.map(|(_, fd, _)| PollFd::from_borrowed_fd(fd, PollFlags::OUT)).collect();
            let timeout = Timespec::try_from(left).ok();
            let _ = poll(&mut fds, timeout.as_ref());
            for client in late {
                self.world.clients.write(client);
            }
        }
    }
}

fn flags(waits: bool) -> PollFlags {
    if waits { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
}

/// The exit of a child, `None` while it runs. A process that is no longer our child gets status -1.
fn ended(pid: u32) -> Option<Exit> {
    reap::ended(pid).unwrap_or(Some(Exit::Status(-1)))
}
