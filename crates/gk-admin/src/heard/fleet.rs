//! The processes of other servers, mod_wsgi's and other Gilkeepers', that report to `gilkeeper telemetry serve`. Each is tracked
//! like a worker, under the name of its host and its instance: process ids mean nothing beyond one container.
//!
//! No report is trusted: a datagram that cannot be read is counted and skipped, the number of processes and the length of
//! texts are bounded, and a process that has been silent for a while counts as gone.

use crate::heard::event::Event;
use crate::heard::pushes::GroupPush;
use crate::heard::reports::{Origin, Reports};
use crate::heard::requests::FinishedRequest;
use crate::heard::worker::{TrackedWorker, Workers};
use crate::note;
use gk_telemetry::datagram::receive::{Process, Said};
use gk_telemetry::datagram::{Datagram, Kind, fields};
use gk_wire::control::{Happened, What};
use gk_wire::feed::LinkFigures;
use gk_wire::log::Level;
use std::collections::HashMap;

/// Most processes at a time.
const PROCESSES: usize = 4096;
/// Numbers of these processes are above this one; those of a supervisor's workers stay below.
const FIRST: u64 = 1 << 40;
/// Shortest silence in seconds after which a process counts as gone.
const SILENCE: f64 = 10.0;
/// The same for a process whose reporting interval is unknown.
const SILENCE_UNKNOWN: f64 = 300.0;
/// Characters of a host's name that are compared.
const HOST: usize = 255;

/// Identity of a process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// The sender's process id as the kernel sees it from here, and the process id in the datagram. If the kernel does not see
    /// the sender, the host in the datagram takes its place.
    Datagrams { sender: Option<u32>, host: String, pid: u32 },
    /// Host and instance of an OTLP resource, and one of its process groups.
    Pushes { host: String, instance: String, group: String },
}

/// Counters of what has been received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Intake {
    /// Datagrams that were read.
    pub datagrams: u64,
    /// Datagrams that could not be read.
    pub refused: u64,
    /// Datagrams that were sent and did not arrive.
    pub lost: u64,
    /// OTLP requests that were accepted.
    pub pushes: u64,
    /// OTLP requests that could not be read.
    pub pushes_refused: u64,
    /// Reports of processes beyond the limit.
    pub crowded: u64,
}

/// Processes of other servers.
#[derive(Default)]
pub struct Fleet {
    numbers: HashMap<Key, u64>,
    last: u64,
    /// Processes that have not given their host yet.
    unnamed: HashMap<Key, Process>,
    intake: Intake,
    /// Events since the last second.
    events: Vec<Event>,
}

fn event(worker: &TrackedWorker, what: What, reason: Option<&str>, text: &str, now: f64) -> Event {
    let group = &worker.link.process_group;
    let happened = Happened {
        at: now,
        what,
        process_group: Some(group.clone()),
        worker: Some(worker.link.worker),
        pid: Some(worker.link.pid),
        reason: reason.map(str::to_owned),
        text: format!("process {} of process group '{group}' {text}", worker.name),
    };
    Event { happened, requests: Vec::new() }
}

impl Fleet {
    /// Counters of what has been received.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Takes in a datagram. `sender`: the sending process's id if the kernel gives it; `now`: epoch seconds. Returns the slow
    /// request that the datagram reports, if it is such a report.
    pub fn datagram(
        &mut self,
        workers: &mut Workers,
        bytes: &[u8],
        sender: Option<u32>,
        now: f64,
    ) -> Option<FinishedRequest> {
        let datagram = match Datagram::decode(bytes) {
            Ok(datagram) => datagram,
            Err(why) => {
                self.intake.refused += 1;
                if self.intake.refused.is_power_of_two() {
                    let refused = self.intake.refused;
                    let text = format!("a datagram cannot be read and is skipped: {why} ({refused} so far)");
                    note(Level::Warn, &text);
                }
                return None;
            }
        };
        self.intake.datagrams += 1;
        let key = self.key(&datagram, sender)?;
        if datagram.kind == Kind::ProcessStarted {
            self.end_predecessor(workers, &key, datagram.stamp, now);
        }
        let known = self.numbers.get(&key).and_then(|number| workers.get_mut(number));
        let Some(worker) = known else { return self.introduce(workers, key, &datagram, now) };
        let Some(Reports::Datagrams(process)) = &mut worker.reports else { return None };
        worker.reported = now;
        let lost = process.lost;
        let said = process.take(&datagram, now);
        self.intake.lost += process.lost - lost;
        if !process.ended {
            (worker.gone, worker.closed) = (None, false);
        }
        self.apply(worker, said?, now)
    }

    /// The process of a datagram; `None` if it cannot be determined. Some kinds of datagrams name no host, but they follow
    /// others that do.
    fn key(&self, datagram: &Datagram, sender: Option<u32>) -> Option<Key> {
        let pid = datagram.pid;
        if sender.is_some() {
            return Some(Key::Datagrams { sender, host: String::new(), pid });
        }
        if let Some(host) = datagram.get_text(fields::HOSTNAME) {
            let host = host.chars().take(HOST).collect();
            return Some(Key::Datagrams { sender, host, pid });
        }
        let same_pid =
            |key: &&Key| matches!(key, Key::Datagrams { sender: None, pid: other, .. } if *other == pid);
        let mut candidates = self.numbers.keys().filter(same_pid);
        candidates.next().filter(|_| candidates.next().is_none()).cloned()
    }

    /// Ends the process that had this key before: the kernel reuses process ids.
    fn end_predecessor(&mut self, workers: &mut Workers, key: &Key, started: f64, now: f64) {
        let Some(number) = self.numbers.get(key) else { return };
        if let Some(worker) = workers.get_mut(number) {
            if let Some(Reports::Datagrams(process)) = &worker.reports
                && (process.started() - started).abs() < 1.0
            {
                return;
            }
            self.events.extend(lose(worker, now));
        }
        self.numbers.remove(key);
    }

    /// Takes in a datagram of a process that is not tracked yet. Tracking begins once the process has given its host.
    fn introduce(
        &mut self,
        workers: &mut Workers,
        key: Key,
        datagram: &Datagram,
        now: f64,
    ) -> Option<FinishedRequest> {
        if self.numbers.len() + self.unnamed.len() >= PROCESSES {
            self.intake.crowded += 1;
            self.unnamed.clear();
            return None;
        }
        let mut process = self.unnamed.remove(&key).unwrap_or_default();
        let said = process.take(datagram, now);
        if process.host.is_empty() && datagram.kind != Kind::RequestMetrics {
            self.unnamed.insert(key, process);
            return None;
        }
        let sender = match &key {
            Key::Datagrams { sender, .. } => *sender,
            Key::Pushes { .. } => None,
        };
        let host = if process.host.is_empty() { "(unknown host)".to_owned() } else { process.host.clone() };
        let group = match process.group() {
            "" => "(embedded)",
            group => group,
        };
        let origin = Origin {
            host: host.clone(),
            instance: process.parent.or(sender).map_or_else(String::new, |pid| pid.to_string()),
            kind: "mod_wsgi",
        };
        let process_group = format!("{host}/{group}");
        let name = self.free_name(workers, format!("{host}:{}", datagram.pid), &origin.instance);
        let link = LinkFigures { pid: datagram.pid, process_group, ..LinkFigures::default() };
        let reports = Reports::Datagrams(Box::new(process));
        let worker = self.track(workers, key, TrackedWorker::remote(link, name, origin, reports, now));
        self.apply(worker, said?, now)
    }

    /// Gives a process its number and adds it to the workers.
    fn track<'w>(
        &mut self,
        workers: &'w mut Workers,
        key: Key,
        mut worker: TrackedWorker,
    ) -> &'w mut TrackedWorker {
        self.last += 1;
        let number = FIRST + self.last;
        worker.link.worker = number;
        self.numbers.insert(key, number);
        workers.entry(number).or_insert(worker)
    }

    /// `wanted`, made longer if another living process has that name.
    fn free_name(&self, workers: &Workers, wanted: String, instance: &str) -> String {
        let taken = |name: &str| workers.values().any(|worker| worker.is_alive() && worker.name == name);
        if !taken(&wanted) {
            return wanted;
        }
        let longer = format!("{wanted} of {instance}");
        if taken(&longer) { format!("{longer} ({})", self.last + 1) } else { longer }
    }

    /// Acts on what a datagram says beside figures.
    fn apply(&mut self, worker: &mut TrackedWorker, said: Said, now: f64) -> Option<FinishedRequest> {
        match said {
            Said::Started => self.events.push(event(worker, What::WorkerReady, None, "started", now)),
            Said::Stopping { reason } => worker.leave(reason),
            Said::Stopped { reason, active } => {
                let text = match active {
                    0 => format!("ended: {}", reason.replace('_', " ")),
                    n => format!("ended while serving {n} requests: {}", reason.replace('_', " ")),
                };
                let mut event = event(worker, What::WorkerLeft, Some(&reason), &text, now);
                if active > 0 {
                    event.requests = worker.running(now);
                }
                worker.end(now);
                self.events.push(event);
            }
            Said::Finished(finished) => {
                let (process_group, pid) = (worker.link.process_group.clone(), worker.link.pid);
                return Some(FinishedRequest { process_group, pid, finished: *finished });
            }
        }
        None
    }

    /// Takes in an OTLP push of another Gilkeeper; `now` in epoch seconds.
    pub fn push(&mut self, workers: &mut Workers, push: Vec<GroupPush>, now: f64) {
        self.intake.pushes += 1;
        for GroupPush { host, instance, group, figures } in push {
            let key = Key::Pushes { host: host.clone(), instance: instance.clone(), group: group.clone() };
            let known = self.numbers.get(&key).copied().filter(|number| workers.contains_key(number));
            if known.is_none() && self.numbers.len() >= PROCESSES {
                self.intake.crowded += 1;
                continue;
            }
            let worker = match known.and_then(|number| workers.get_mut(&number)) {
                Some(worker) => worker,
                None => {
                    let name = self.free_name(workers, format!("{host}:{group}"), &instance);
                    let process_group = format!("{host}/{group}");
                    let link = LinkFigures { process_group, ..LinkFigures::default() };
                    let origin = Origin { host, instance, kind: "otlp" };
                    let reports = Reports::Pushes(Box::default());
                    self.track(workers, key, TrackedWorker::remote(link, name, origin, reports, now))
                }
            };
            (worker.reported, worker.gone, worker.closed) = (now, None, false);
            if let Some(Reports::Pushes(group)) = &mut worker.reports {
                group.take(figures, now);
            }
        }
    }

    /// Counts an OTLP request that could not be read.
    pub fn refuse_push(&mut self) {
        self.intake.pushes_refused += 1;
    }

    /// Once a second: ends the processes that have fallen silent. Returns the events since the last call.
    pub fn advance(&mut self, workers: &mut Workers, now: f64) -> Vec<Event> {
        for worker in workers.values_mut() {
            let Some(reports) = &worker.reports else { continue };
            let silence =
                reports.interval().map_or(SILENCE_UNKNOWN, |interval| (3.0 * interval).max(SILENCE));
            if now - worker.reported > silence {
                self.events.extend(lose(worker, now));
            }
        }
        self.numbers.retain(|_, number| workers.contains_key(number));
        std::mem::take(&mut self.events)
    }
}

/// Ends a process that has stopped reporting, unless it has ended already.
fn lose(worker: &mut TrackedWorker, now: f64) -> Option<Event> {
    if !worker.is_alive() {
        return None;
    }
    worker.end(now);
    let mut event = event(worker, What::WorkerGone, Some("gone"), "has stopped reporting", now);
    event.requests = worker.running(now);
    Some(event)
}
