//! Carries out the plan's actions: spawning, linking, sending, signalling, logging. Each is done at once and without waiting; its
//! result comes back as an event.

mod banner;
mod certificates;
mod links;
mod reading;
mod site;
mod upgrade;

use crate::StartError;
use crate::certificates::kept::Kept;
use crate::child::conduct::Conduct;
use crate::child::{Child, command, setup, start};
use crate::clients::Clients;
use crate::configuration::python::{PythonRuntime, Pythons};
use crate::configuration::{Configuration, Loader};
use crate::handover::Handover;
use crate::logs::Logs;
use crate::plan::action::Action;
use crate::plan::event::Event;
use crate::root;
use crate::service_manager::ServiceManager;
use crate::sockets::Listeners;
use crate::sockets::passing::Passing;
use gk_config::site::ProcessGroup;
use gk_sys::child::spawn::{Limit, SpawnError};
use gk_sys::descriptors;
use gk_sys::memory::SharedWords;
use gk_wire::admin::{Answer, FRONT_FOLDER};
use gk_wire::control::{Happened, LinkFault, ToFront, ToWorker};
use gk_wire::log::Level;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Everything the plan's actions touch.
pub struct World {
    runtime: PythonRuntime,
    loader: Loader,
    /// Shared with the thread that reads a configuration at a reload.
    pythons: Arc<Mutex<Pythons>>,
    configurations: BTreeMap<u64, Arc<Configuration>>,
    current: u64,
    last: u64,
    /// Counts up with each reload, for the front's setup.
    generation: u64,
    /// The sockets.
    pub listeners: Listeners,
    /// In embedded mode with several processes.
    passing: Option<Passing>,
    /// The logs.
    pub logs: Logs,
    /// The certificates in force.
    pub certificates: Kept,
    /// The front, if there is one.
    pub front: Option<Child>,
    /// The workers by number.
    pub workers: BTreeMap<u64, Child>,
    /// The control socket's clients.
    pub clients: Clients,
    /// The limits on open descriptors that this process was started with: workers get the same.
    pub descriptors: (u64, u64),
    /// Events that result from actions.
    pub events: VecDeque<Event>,
    /// Set by `Action::Exit`: the code, and why the server gave up.
    pub exit: Option<(i32, Option<String>)>,
    /// Of the fronts ([`gk_wire::setup::FrontSetup`]).
    secret: Vec<u8>,
    /// A configuration is being read.
    pub reading: bool,
    read: (Sender<Reading>, Receiver<Reading>),
    wake: (OwnedFd, OwnedFd),
    /// Happenings not yet told to a front.
    untold: VecDeque<Happened>,
    /// The service manager, if one listens.
    pub manager: Option<ServiceManager>,
    /// An upgrade's processes, and what passes from one to the other.
    pub handover: Handover,
}

/// Bytes of the fronts' secret.
const SECRET: usize = 32;
/// Most happenings kept for the next front.
const UNTOLD: usize = 64;

/// Result of reading a configuration.
type Reading = Result<Configuration, String>;

impl World {
    /// With the first configuration.
    pub fn new(
        runtime: PythonRuntime,
        loader: Loader,
        pythons: Pythons,
        first: Configuration,
        listeners: Listeners,
        clients: Clients,
        logs: Logs,
    ) -> Result<Self, StartError> {
        let wake = descriptors::stream_pair().map_err(|e| StartError(format!("no socket pair: {e}")))?;
        for end in [&wake.0, &wake.1] {
            rustix::io::ioctl_fionbio(end, true).map_err(|e| StartError(format!("no socket pair: {e}")))?;
        }
        let current = first.number;
        let mut certificates = Kept::new(&first);
        // Its remarks say so.
        certificates.warned_at_start(gk_sys::clock::epoch_seconds() as i64);
        Ok(Self {
            runtime,
            certificates,
            loader,
            pythons: Arc::new(Mutex::new(pythons)),
            configurations: BTreeMap::from([(current, Arc::new(first))]),
            current,
            last: current,
            generation: 1,
            listeners,
            passing: None,
            logs,
            front: None,
            workers: BTreeMap::new(),
            clients,
            descriptors: descriptors::raise_limit(),
            events: VecDeque::new(),
            exit: None,
            secret: secret(),
            reading: false,
            read: channel(),
            wake,
            untold: VecDeque::new(),
            manager: None,
            handover: Handover::default(),
        })
    }

    /// The secret of the server that this one replaces is that of its fronts, too, if it is one.
    pub fn inherit_secret(&mut self, secret: Vec<u8>) {
        if secret.len() == SECRET {
            self.secret = secret;
        }
    }

    /// The current configuration.
    pub fn configuration(&self) -> Arc<Configuration> {
        Arc::clone(
            self.configurations.get(&self.current).expect("the current configuration is never forgotten"),
        )
    }

    /// Why a worker of that group did not start, with a hint for the user.
    fn why(&self, error: &SpawnError, configuration: u64, group: &str) -> String {
        match (self.configurations.get(&configuration), self.options(configuration, group)) {
            (Some(known), Some(options)) => start::why(error, options, known.about(group), &known.directory),
            _ => error.to_string(),
        }
    }

    /// The options of a process group in that configuration.
    fn options(&self, configuration: u64, group: &str) -> Option<&ProcessGroup> {
        self.configurations.get(&configuration)?.group(group)
    }

    /// Becomes readable when a configuration has been read.
    pub fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.0.as_fd()
    }

    /// Carries out an action.
    pub fn perform(&mut self, action: Action, now: Duration) {
        match action {
            Action::SpawnFront => match self.spawn_front() {
                Ok(pid) => self.events.push_back(Event::FrontStarted { pid }),
                Err(e) => self.events.push_back(Event::FrontNotStarted { why: e.to_string() }),
            },
            Action::SpawnWorker { worker, group, configuration, .. } => {
                let event = match self.spawn_worker(worker, &group, configuration) {
                    Ok(pid) => Event::WorkerStarted { worker, pid },
                    Err(e) => Event::WorkerNotStarted {
                        worker,
                        code: start::code_of(&e, self.options(configuration, &group)),
                        why: self.why(&e, configuration, &group),
                    },
                };
                self.events.push_back(event);
            }
            Action::Link { worker, group, threads, imported } => {
                if let Err(e) = self.link(worker, group, threads, imported) {
                    let (fault, why) =
                        (LinkFault::Broken, format!("it could not be linked with the front: {e}"));
                    self.events.push_back(Event::WorkerFault { worker, fault, why });
                }
            }
            Action::ToFront(message) => {
                self.tell_front(&message, Vec::new());
                self.tell_fronts_within(&message);
            }
            Action::SendSite { configuration, generation } => self.send_site(configuration, generation, now),
            Action::ToWorker { worker, message } => self.tell_worker(worker, &message),
            Action::SignalFront(signal) => {
                if let Some(front) = &self.front {
                    let _ = gk_sys::child::reap::signal(front.pid, signal);
                }
            }
            Action::SignalWorker { worker, signal } => {
                if let Some(child) = self.workers.get(&worker) {
                    let _ = gk_sys::child::reap::signal(child.pid, signal);
                }
            }
            Action::LookForDebugger { worker } => {
                let child = worker.map_or(self.front.as_ref(), |worker| self.workers.get(&worker));
                let found = child.is_some_and(|child| is_traced(child.pid));
                self.events.push_back(Event::LookedForDebugger { worker, found });
            }
            Action::CloseListeners => self.listeners.close(),
            Action::ReadConfiguration => self.read_configuration(),
            Action::Adopt { configuration, generation } => self.adopt(configuration, generation),
            Action::Forget { configuration } => self.forget(configuration),
            Action::Log { level, code, text } => log(level, code, &text),
            Action::Tell { clients, text } => {
                for client in clients {
                    self.clients.send(client, &Answer::Progress { text: text.clone() });
                }
            }
            Action::Answer { clients, ok, text } => {
                for client in clients {
                    self.clients.finish(client, &Answer::Done { ok, text: text.clone() }, now);
                }
            }
            Action::Announce => self.announce(),
            Action::Notify(notice) => {
                let serving = self.serving();
                self.manager.iter_mut().for_each(|manager| manager.tell(&notice, &serving));
            }
            Action::SpawnSuccessor { program, draining } => self.spawn_successor(&program, draining),
            Action::ToSuccessor(message) => self.handover.tell_successor(&message),
            Action::SignalSuccessor(signal) => self.handover.signal_successor(signal),
            Action::HandOver => self.hand_over(),
            Action::TakeOver => self.take_over(),
            Action::ToPredecessor(message) => self.handover.tell_predecessor(&message),
            Action::Exit { code, why } => self.exit = Some((code, why)),
        }
    }

    fn spawn_front(&mut self) -> Result<u32, SpawnError> {
        let configuration = self.configuration();
        let setup = setup::front(
            &configuration,
            &self.listeners,
            &self.runtime,
            self.generation,
            front_folder(&configuration),
            self.certificates.message(),
            &self.secret,
        );
        let line = command::front(&configuration, &self.runtime);
        self.logs.take_host_lines(&configuration.site).map_err(start::start_error)?;
        let told = self.logs.error_pipe(None).map_err(start::start_error)?;
        // The front has one thread. It counts the lines that its pipe has no room for; a worker's pipe also serves programs
        // that do not expect to be refused.
        rustix::io::ioctl_fionbio(&told, true).map_err(|e| start::start_error(e.into()))?;
        let access = self.logs.access_pipes(&configuration.site).map_err(start::start_error)?;
        let mut given: Vec<BorrowedFd<'_>> = self.listeners.fds().collect();
        given.extend(access.iter().map(AsFd::as_fd));
        given.push(self.logs.lost());
        let child = start::spawn(&line, &gk_messages::encode(&setup), &given, told.as_fd())?;
        let pid = child.pid;
        self.front = Some(child);
        Ok(pid)
    }

    fn spawn_worker(&mut self, worker: u64, group: &str, configuration: u64) -> Result<u32, SpawnError> {
        let found = self.configurations.get(&configuration);
        let Some((configuration, group)) = found.and_then(|c| Some((c, c.group(group)?))) else {
            return Err(start::start_error(io::Error::other("its configuration is gone")));
        };
        let mut line = command::worker(configuration, group, &self.runtime);
        line.limits.push((Limit::Descriptors, self.descriptors.0, self.descriptors.1));
        if let Some(remark) = &line.remark {
            log(Level::Warn, None, remark);
        }
        let mut setup = setup::worker(configuration, group, worker);
        let embedded = group.embedded;
        let mut access = Vec::new();
        if embedded {
            if group.processes > 1 && self.passing.is_none() {
                self.passing = Some(Passing::new().map_err(start::start_error)?);
            }
            let listeners = self.listeners.of_clients().map(|(described, _)| described.clone()).collect();
            let folder = front_folder(configuration);
            setup.embedded = Some(setup::embedded(
                configuration,
                listeners,
                group,
                configuration.number,
                folder,
                &self.secret,
            ));
            self.logs.take_host_lines(&configuration.site).map_err(start::start_error)?;
            access = self.logs.access_pipes(&configuration.site).map_err(start::start_error)?;
        }
        let own = configuration.site.group_error_log(group);
        let told = self.logs.error_pipe(own).map_err(start::start_error)?;
        let words = gk_telemetry::Layout::new(group.threads).words();
        let make = || SharedWords::create("gilkeeper-scoreboard", words).map_err(start::start_error);
        let board = setup.scoreboard.then(make).transpose()?;
        let setup = gk_messages::encode(&setup);
        let mut more: Vec<BorrowedFd<'_>> = board.iter().map(AsFd::as_fd).collect();
        if embedded {
            more.extend(self.listeners.of_clients().map(|(_, socket)| socket));
            more.extend(access.iter().map(AsFd::as_fd));
            more.push(self.logs.lost());
            more.extend(self.passing.iter().filter(|_| group.processes > 1).flat_map(Passing::fds));
        }
        let mut child = start::spawn(&line, &setup, &more, told.as_fd())?;
        child.scoreboard = board;
        child.embedded = embedded;
        child.passes_on = embedded && group.processes > 1;
        child.conduct = Some(Conduct::default());
        child.process_group.clone_from(&group.name);
        let pid = child.pid;
        self.workers.insert(worker, child);
        Ok(pid)
    }

    /// The process of a worker has ended.
    pub fn bury(&mut self, worker: u64) {
        self.workers.remove(&worker);
        self.passing.iter().for_each(|passing| passing.forget(worker));
        // Nobody would take what waits in it.
        self.passing.take_if(|_| !self.workers.values().any(|child| child.passes_on));
    }

    /// Tells the front what happened. Without a front the latest happenings are kept for the next one.
    pub fn notify(&mut self, happened: Happened) {
        self.untold.push_back(happened);
        if self.front.is_some() {
            while let Some(happened) = self.untold.pop_front() {
                self.tell_front(&ToFront::Happened(happened), Vec::new());
            }
        } else if self.untold.len() > UNTOLD {
            self.untold.pop_front();
        }
    }

    fn tell_front(&mut self, message: &ToFront, fds: Vec<OwnedFd>) {
        let Some(front) = &mut self.front else { return };
        match message {
            ToFront::Happened(_)
            | ToFront::Stack { .. }
            | ToFront::EmbeddedFigures { .. }
            | ToFront::EmbeddedSpans(_) => front.mention(message),
            _ => front.send(message, fds),
        }
    }

    fn tell_worker(&mut self, worker: u64, message: &ToWorker) {
        let Some(child) = self.workers.get_mut(&worker) else { return };
        child.leaves |= matches!(message, ToWorker::Leave { .. } | ToWorker::Stop { .. });
        match message {
            ToWorker::Stack { .. } | ToWorker::DumpStacks => child.mention(message),
            _ => child.send(message, Vec::new()),
        }
    }
}

/// Whether a debugger holds a process.
fn is_traced(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}

/// Random bytes; none where the system gives none: each front then asks for its own and says so.
fn secret() -> Vec<u8> {
    let mut secret = vec![0; SECRET];
    getrandom::fill(&mut secret).map(|()| secret).unwrap_or_default()
}

/// The folder for the front's files. When it cannot be made, the log says so, and the front serves what needs no file.
fn front_folder(configuration: &Configuration) -> PathBuf {
    let server_root = &configuration.site.server_root;
    root::front_folder(server_root, configuration.front_identity.as_ref()).unwrap_or_else(|e| {
        let text = format!("the front's folder in {} cannot be made: {e}", server_root.display());
        log(Level::Error, None, &text);
        server_root.join(FRONT_FOLDER)
    })
}

/// Writes a line to the error log.
pub fn log(level: Level, code: Option<&str>, text: &str) {
    gk_sys::log::plain(level, "supervisor", code, text);
}
