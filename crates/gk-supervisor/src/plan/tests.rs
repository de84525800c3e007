//! Table tests of the plan: events in, actions out, with the clock as an argument.

mod embedded;
mod faults;
mod imports;
mod liveness;
mod notices;
mod offers;
mod promises;
mod reloads;
mod running;
mod services;
mod stops;
mod upgrades;

use super::*;
use gk_wire::control::{FromFront, FromWorker, ImportFailure, ToFront, ToWorker};
use std::fmt::Write as _;

/// A plan with a clock and a short way to write events and expectations.
struct Table {
    plan: Plan,
    now: Duration,
    /// Actions since the last `said`, a few words each.
    said: Vec<String>,
    pids: u32,
    /// Workers that do not answer; 0 is the front.
    mute: Vec<u64>,
    /// A debugger holds those that do not answer.
    debugged: bool,
    /// Why the front takes no new configuration.
    refuses: Option<String>,
}

fn group(name: &str, processes: u32) -> ProcessGroup {
    ProcessGroup {
        processes,
        threads: 5,
        startup_timeout: 20.0,
        graceful_timeout: Some(15.0),
        eviction_timeout: 3.0,
        shutdown_timeout: 5.0,
        ..ProcessGroup::named(name)
    }
}

fn outline_of(configuration: u64, groups: Vec<ProcessGroup>) -> ConfigurationOutline {
    ConfigurationOutline {
        configuration,
        groups,
        keep_trying: true,
        front_timeout: 15.0,
        remarks: Vec::new(),
    }
}

fn outline(configuration: u64, groups: &[(&str, u32)]) -> ConfigurationOutline {
    let groups = groups.iter().map(|(name, processes)| group(name, *processes)).collect();
    outline_of(configuration, groups)
}

impl Table {
    /// Started, everything spawned, nothing ready.
    fn new(groups: &[(&str, u32)]) -> Self {
        Self::start(outline(1, groups), Duration::from_secs(100))
    }

    fn start(outline: ConfigurationOutline, now: Duration) -> Self {
        let (plan, said, mute) = (Plan::new(outline), Vec::new(), Vec::new());
        let mut table = Self { plan, now, said, pids: 1000, mute, debugged: false, refuses: None };
        table.event(Event::Start);
        table
    }

    /// Started, the front and every worker ready.
    fn serving(groups: &[(&str, u32)]) -> Self {
        let mut table = Self::new(groups);
        table.front_ready();
        let count: u32 = groups.iter().map(|(_, processes)| processes).sum();
        (1..=u64::from(count)).for_each(|worker| table.ready(worker));
        table.said.clear();
        table
    }

    /// Handles an event; spawned processes start at once, questions for a sign of life, new configurations and the end of
    /// what is accepted and given are answered.
    fn event(&mut self, event: Event) {
        let mut next = vec![event];
        while let Some(event) = next.pop() {
            for action in self.plan.handle(event, self.now) {
                self.pids += 1;
                let pid = self.pids;
                match &action {
                    Action::SpawnFront => next.push(Event::FrontStarted { pid }),
                    Action::SpawnWorker { worker, .. } => {
                        next.push(Event::WorkerStarted { worker: *worker, pid })
                    }
                    Action::ToFront(ToFront::Ping { .. }) if !self.mute.contains(&0) => {
                        next.push(Event::FromFront(FromFront::Alive));
                    }
                    Action::ToWorker { worker, message: ToWorker::Ping } if !self.mute.contains(worker) => {
                        next.push(Event::FromWorker { worker: *worker, message: FromWorker::Alive });
                    }
                    Action::ToFront(ToFront::DrainWorker { worker, .. }) => {
                        next.extend(self.given_no_more(*worker));
                    }
                    Action::ToFront(ToFront::Stop { .. }) if !self.mute.contains(&0) => {
                        next.push(Event::FromFront(FromFront::AcceptsNoMore));
                    }
                    Action::ToWorker { worker, message: ToWorker::Leave { .. } }
                        if !self.mute.contains(worker) =>
                    {
                        next.push(Event::FromWorker { worker: *worker, message: FromWorker::AcceptsNoMore });
                    }
                    Action::SendSite { configuration, .. } if !self.mute.contains(&0) => {
                        let (configuration, refused) = (*configuration, self.refuses.clone());
                        next.push(Event::FromFront(FromFront::Site { configuration, refused }));
                    }
                    Action::LookForDebugger { worker } => {
                        next.push(Event::LookedForDebugger { worker: *worker, found: self.debugged });
                    }
                    _ => {}
                }
                self.said.extend(words(&action));
            }
            // The front, which has a link with each worker.
            let front = &self.plan.front;
            if next.is_empty() && front.accepts() && !front.serves && self.plan.has_imported() {
                next.push(Event::FromFront(FromFront::Serving));
            }
        }
    }

    /// The front and all workers that speak HTTP give a worker nothing more.
    fn given_no_more(&self, worker: u64) -> Vec<Event> {
        let within = self.plan.workers.values().filter(|w| w.embedded && !self.mute.contains(&w.worker));
        let within = within
            .map(|w| Event::FromWorker { worker: w.worker, message: FromWorker::GivesNoMore { worker } });
        let front = Event::FromFront(FromFront::GivesNoMore { worker });
        within.chain((!self.mute.contains(&0)).then_some(front)).collect()
    }

    fn worker(&mut self, worker: u64, message: FromWorker) {
        self.event(Event::FromWorker { worker, message });
    }

    fn ready(&mut self, worker: u64) {
        self.worker(worker, ready(&[]));
    }

    fn broken(&mut self, worker: u64) {
        self.worker(worker, ready(&["site.wsgi"]));
    }

    fn front_ready(&mut self) {
        self.event(Event::FromFront(FromFront::Ready));
    }

    fn exit(&mut self, worker: u64, how: &str) {
        let ended = ended(how);
        self.event(Event::WorkerExited { worker, ended });
    }

    fn front_exit(&mut self, how: &str) {
        self.event(Event::FrontExited(ended(how)));
    }

    /// Lets time pass, stopping at every deadline on the way.
    fn pass(&mut self, seconds: f64) {
        let end = self.now + seconds_of(seconds);
        while let Some(deadline) = self.plan.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.event(Event::Tick);
            let next = self.plan.next_deadline();
            assert!(next.is_none_or(|next| next > deadline), "a deadline that is never dealt with: {next:?}");
        }
        self.now = end;
        self.event(Event::Tick);
    }

    /// Actions since the last call, without logs.
    fn said(&mut self) -> String {
        let mut said = std::mem::take(&mut self.said);
        said.retain(|words| !words.starts_with("log "));
        said.join(", ")
    }

    /// The log since the last call.
    fn logged(&mut self) -> String {
        let said = std::mem::take(&mut self.said);
        said.iter().filter_map(|words| words.strip_prefix("log ")).collect::<Vec<_>>().join("\n")
    }

    /// `worker:state` of all.
    fn states(&self) -> String {
        let mut out = String::new();
        for worker in self.plan.workers() {
            let _ = write!(
                out,
                "{}{}:{}",
                if out.is_empty() { "" } else { " " },
                worker.worker,
                worker.state.word()
            );
        }
        out
    }
}

fn seconds_of(value: f64) -> Duration {
    Duration::from_secs_f64(value)
}

fn ended(how: &str) -> crate::plan::event::ProcessEnd {
    let status = how.strip_prefix("exit status ").and_then(|n| n.parse().ok());
    crate::plan::event::ProcessEnd { how: how.into(), status, out_of_memory: how.contains("memory ran out") }
}

fn ready(failed: &[&str]) -> FromWorker {
    let failure = |script: &&str| ImportFailure {
        script: script.to_string(),
        application_group: String::new(),
        traceback: "SyntaxError: oh".into(),
    };
    FromWorker::Ready {
        python: "3.13.0".into(),
        gil_mode: "shared".into(),
        switch_interval: None,
        failed: failed.iter().map(failure).collect(),
        imported: 0,
    }
}

/// An action in a few words.
fn words(action: &Action) -> Option<String> {
    Some(match action {
        Action::SpawnFront => "front".into(),
        Action::SpawnWorker { worker, group, configuration, generation } => {
            format!("spawn {worker} {group} c{configuration} g{generation}")
        }
        Action::Link { worker, imported: true, .. } => format!("link {worker}"),
        Action::Link { worker, .. } => format!("link failed {worker}"),
        Action::ToFront(ToFront::DrainWorker { worker, .. }) => format!("drain {worker}"),
        Action::ToFront(ToFront::WorkerExited { worker, .. }) => format!("gone {worker}"),
        Action::ToFront(ToFront::Stop { timeout }) => format!("front stop {timeout}"),
        Action::ToFront(ToFront::Drain { on }) => format!("front drain {on}"),
        Action::ToFront(ToFront::Ping { silent }) if silent.is_empty() => return None,
        Action::ToFront(ToFront::Ping { silent }) => {
            let silent: Vec<String> =
                silent.iter().map(|s| format!("{} for {:.0} s", s.worker, s.seconds)).collect();
            format!("silent {}", silent.join(", "))
        }
        Action::ToFront(other) => format!("front {other:?}"),
        Action::SendSite { configuration, generation } => format!("site c{configuration} g{generation}"),
        Action::ToWorker { message: ToWorker::Ping, .. } | Action::LookForDebugger { .. } => return None,
        Action::ToWorker { worker, message: ToWorker::Leave { reason, timeout } } => {
            format!("leave {worker} {reason} {timeout}")
        }
        Action::ToWorker { worker, message: ToWorker::Stopping { .. } } => format!("hear {worker}"),
        Action::ToWorker { worker, message: ToWorker::Stop { reason } } => format!("stop {worker} {reason}"),
        Action::ToWorker { worker, message: ToWorker::Watch { files } } => {
            let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
            format!("watch {worker} {}", paths.join(" "))
        }
        Action::ToWorker { worker, message: ToWorker::ReloadRefused } => format!("keep {worker}"),
        Action::ToWorker { worker, message } => format!("worker {worker} {message:?}"),
        Action::SignalFront(signal) => format!("signal front {signal}"),
        Action::SignalWorker { worker, signal } => format!("signal {worker} {signal}"),
        Action::CloseListeners => return None,
        Action::ReadConfiguration => "read".into(),
        Action::Adopt { configuration, .. } => format!("adopt c{configuration}"),
        Action::Forget { configuration } => format!("forget c{configuration}"),
        Action::Log { level, text, .. } => format!("log {}: {text}", level.name()),
        Action::Tell { .. } => return None,
        Action::Answer { clients, ok, .. } if clients.is_empty() => return ok.then(|| "done".into()),
        Action::Answer { clients, ok, .. } => format!("answer {clients:?} {ok}"),
        Action::Announce => "announce".into(),
        Action::Notify(notice) => match notice {
            Notice::Reloading(why) => format!("notify reloading {why}"),
            Notice::Reloaded(text) => format!("notify reloaded {text}"),
            Notice::Status(text) => format!("notify status {text}"),
            Notice::Extend(time) => format!("notify extend {}", time.as_secs()),
            other => format!("notify {other:?}").to_lowercase(),
        },
        Action::SpawnSuccessor { program, .. } => format!("successor {}", program.join(" ")),
        Action::ToSuccessor(message) => format!("to successor {message:?}"),
        Action::SignalSuccessor(signal) => format!("signal successor {signal}"),
        Action::HandOver => "hand over".into(),
        Action::TakeOver => "take over".into(),
        Action::ToPredecessor(message) => format!("to predecessor {message:?}"),
        Action::Exit { code, why: None } => format!("exit {code}"),
        Action::Exit { code, why: Some(why) } => format!("exit {code} ({why})"),
    })
}
