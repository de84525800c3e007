//! Processes of other servers, which `gilkeeper telemetry serve` is told of: mod_wsgi's and other Gilkeepers'. Each is followed like
//! a worker, under the name of its host and its instance: process ids mean nothing beyond one container.
//!
//! What is told is not believed blindly: a datagram that cannot be read is counted and skipped, processes and texts are
//! bounded, and who has not been heard of for a while is gone.

use crate::heard::pushes;
use crate::heard::worker::{Origin, Told, Tracked};
use crate::kept::events::Event;
use crate::kept::hub::{Hub, Kept};
use crate::note;
use gk_telemetry::datagram::receive::{Process, Said};
use gk_telemetry::datagram::{Datagram, Kind, fields};
use gk_wire::control::{Happened, What};
use gk_wire::feed::LinkFigures;
use gk_wire::log::Level;
use std::collections::HashMap;

/// Most processes at a time.
const MOST: usize = 4096;
/// Numbers of these processes begin here; those of a supervisor's workers stay below.
const FIRST: u64 = 1 << 40;
/// Seconds of silence after which a process is gone, at least.
const SILENCE: f64 = 10.0;
/// The same of a process that has not told how often it reports.
const SILENCE_UNKNOWN: f64 = 300.0;

/// Letters of a host's name that tell processes apart.
const HOST: usize = 255;

/// What tells processes apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// The sender as the kernel sees it from here, and the process that the datagram is about. Where the kernel does not see
    /// the sender, the host that the datagram names.
    Datagrams { sender: Option<u32>, host: String, pid: u32 },
    /// What an OTLP resource is called, and a process group of it.
    Pushed { host: String, instance: String, group: String },
}

/// What has been received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Intake {
    /// Datagrams that were read.
    pub datagrams: u64,
    /// Datagrams that could not be read.
    pub refused: u64,
    /// Datagrams that were sent and never came.
    pub lost: u64,
    /// OTLP requests that were taken.
    pub pushes: u64,
    /// OTLP requests that could not be read.
    pub pushes_refused: u64,
    /// What belonged to processes beyond the bound.
    pub crowded: u64,
}

/// Who was heard of.
#[derive(Default)]
pub struct Fleet {
    numbers: HashMap<Key, u64>,
    last: u64,
    /// Processes that have not said their host yet.
    unnamed: HashMap<Key, Process>,
    /// What has been received.
    pub intake: Intake,
    events: Vec<Event>,
}

fn event(tracked: &Tracked, what: What, reason: Option<&str>, text: &str, now: f64) -> Event {
    let happened = Happened {
        at: now,
        what,
        process_group: Some(tracked.link.process_group.clone()),
        worker: Some(tracked.link.worker),
        pid: Some(tracked.link.pid),
        reason: reason.map(str::to_owned),
        text: format!("process {} of process group '{}' {text}", tracked.name, tracked.link.process_group),
    };
    Event { happened, requests: Vec::new() }
}

impl Hub {
    /// Whom a datagram is about; `None` when that cannot be told. Not all kinds name a host, but these follow others that do.
    fn key(&self, datagram: &Datagram, sender: Option<u32>) -> Option<Key> {
        let pid = datagram.pid;
        if sender.is_some() {
            return Some(Key::Datagrams { sender, host: String::new(), pid });
        }
        if let Some(host) = datagram.get_text(fields::HOSTNAME) {
            let host = host.chars().take(HOST).collect();
            return Some(Key::Datagrams { sender, host, pid });
        }
        let mut alike =
            self.fleet.numbers.keys().filter(
                |key| matches!(key, Key::Datagrams { sender: None, pid: other, .. } if *other == pid),
            );
        alike.next().filter(|_| alike.next().is_none()).cloned()
    }

    /// Takes a datagram in. `sender`: the sending process's id as the kernel says, as far as it does.
    pub fn datagram(&mut self, bytes: &[u8], sender: Option<u32>, now: f64) {
        let datagram = match Datagram::decode(bytes) {
            Ok(datagram) => datagram,
            Err(why) => {
                self.fleet.intake.refused += 1;
                if self.fleet.intake.refused.is_power_of_two() {
                    let text = format!(
                        "a datagram cannot be read and is skipped: {why} ({} so far)",
                        self.fleet.intake.refused
                    );
                    note(Level::Warn, &text);
                }
                return;
            }
        };
        self.fleet.intake.datagrams += 1;
        let Some(key) = self.key(&datagram, sender) else { return };
        if datagram.kind == Kind::ProcessStarted {
            self.end_predecessor(&key, datagram.stamp, now);
        }
        let known = self.fleet.numbers.get(&key).and_then(|number| self.workers.get_mut(number));
        let Some(tracked) = known else { return self.introduce(key, &datagram, now) };
        let Some(Told::Process(process)) = &mut tracked.told else { return };
        tracked.heard = now;
        let lost = process.lost;
        let said = process.take(&datagram, now);
        self.fleet.intake.lost += process.lost - lost;
        if !process.ended {
            (tracked.gone, tracked.closed) = (None, false);
        }
        let number = tracked.link.worker;
        self.said(number, said, now);
    }

    /// The kernel gives process ids again: who starts under a known one is another process.
    fn end_predecessor(&mut self, key: &Key, started: f64, now: f64) {
        let Some(number) = self.fleet.numbers.get(key).copied() else { return };
        let same = self.workers.get(&number).and_then(|tracked| match &tracked.told {
            Some(Told::Process(process)) => Some((process.started() - started).abs() < 1.0),
            _ => None,
        });
        if same != Some(true) {
            self.lose(number, now);
            self.fleet.numbers.remove(key);
        }
    }

    /// A process that is not known yet: it is followed as soon as it has said who it is.
    fn introduce(&mut self, key: Key, datagram: &Datagram, now: f64) {
        if self.fleet.numbers.len() + self.fleet.unnamed.len() >= MOST {
            self.fleet.intake.crowded += 1;
            self.fleet.unnamed.clear();
            return;
        }
        let mut process = self.fleet.unnamed.remove(&key).unwrap_or_default();
        let said = process.take(datagram, now);
        if process.host.is_empty() && datagram.kind != Kind::RequestMetrics {
            self.fleet.unnamed.insert(key, process);
            return;
        }
        let sender = match &key {
            Key::Datagrams { sender, .. } => *sender,
            Key::Pushed { .. } => None,
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
        let group = format!("{host}/{group}");
        let name = self.free_name(format!("{host}:{}", datagram.pid), &origin.instance);
        let link = LinkFigures { pid: datagram.pid, process_group: group, ..LinkFigures::default() };
        let number = self.follow(key, link, name, origin, Told::Process(Box::new(process)), now);
        self.said(number, said, now);
    }

    /// Follows another process from now on.
    fn follow(
        &mut self,
        key: Key,
        mut link: LinkFigures,
        name: String,
        origin: Origin,
        told: Told,
        now: f64,
    ) -> u64 {
        self.fleet.last += 1;
        let number = FIRST + self.fleet.last;
        link.worker = number;
        self.fleet.numbers.insert(key, number);
        let mut tracked = Tracked::new(link, None, now);
        (tracked.name, tracked.origin, tracked.told, tracked.heard) = (name, Some(origin), Some(told), now);
        self.workers.insert(number, tracked);
        number
    }

    /// `wanted`, or with more of it where another living process has that name.
    fn free_name(&self, wanted: String, instance: &str) -> String {
        let taken = |name: &str| self.workers.values().any(|w| w.gone.is_none() && w.name == name);
        if !taken(&wanted) {
            return wanted;
        }
        let longer = format!("{wanted} of {instance}");
        if taken(&longer) { format!("{longer} ({})", self.fleet.last + 1) } else { longer }
    }

    fn said(&mut self, number: u64, said: Option<Said>, now: f64) {
        let Some(tracked) = self.workers.get_mut(&number) else { return };
        match said {
            None => {}
            Some(Said::Started) => {
                self.fleet.events.push(event(tracked, What::WorkerReady, None, "started", now));
            }
            Some(Said::Stopping { reason }) => {
                tracked.leaving.get_or_insert(reason);
            }
            Some(Said::Stopped { reason, active }) => {
                let text = match active {
                    0 => format!("ended: {}", reason.replace('_', " ")),
                    n => format!("ended with {n} requests being served: {}", reason.replace('_', " ")),
                };
                let mut event = event(tracked, What::WorkerLeft, Some(&reason), &text, now);
                if active > 0 {
                    event.requests = tracked.running(now);
                }
                tracked.gone.get_or_insert(now);
                self.fleet.events.push(event);
            }
            Some(Said::Finished(finished)) => {
                let (process_group, pid) = (tracked.link.process_group.clone(), tracked.link.pid);
                self.keep(Kept { process_group, pid, finished: *finished });
            }
        }
    }

    /// Takes what another Gilkeeper pushed by OTLP.
    pub fn pushed(&mut self, pushed: Vec<pushes::Push>, now: f64) {
        self.fleet.intake.pushes += 1;
        for push in pushed {
            let pushes::Push { host, instance, group, figures } = push;
            let key = Key::Pushed { host: host.clone(), instance: instance.clone(), group: group.clone() };
            let number = match self.fleet.numbers.get(&key) {
                Some(number) if self.workers.contains_key(number) => *number,
                _ if self.fleet.numbers.len() >= MOST => {
                    self.fleet.intake.crowded += 1;
                    continue;
                }
                _ => {
                    let origin = Origin { host: host.clone(), instance: instance.clone(), kind: "otlp" };
                    let name = self.free_name(format!("{host}:{group}"), &instance);
                    let process_group = format!("{host}/{group}");
                    let link = LinkFigures { process_group, ..LinkFigures::default() };
                    self.follow(key, link, name, origin, Told::Server(Box::default()), now)
                }
            };
            let Some(tracked) = self.workers.get_mut(&number) else { continue };
            (tracked.heard, tracked.gone, tracked.closed) = (now, None, false);
            if let Some(Told::Server(server)) = &mut tracked.told {
                server.take(figures, now);
            }
        }
    }

    /// A turn of the hub: who fell silent is gone. Gives what happened since the last turn.
    pub(crate) fn listen(&mut self, now: f64) -> Vec<Event> {
        let silent = |tracked: &Tracked| {
            let Some(told) = &tracked.told else { return false };
            let longest = told.interval().map_or(SILENCE_UNKNOWN, |interval| (3.0 * interval).max(SILENCE));
            tracked.gone.is_none() && now - tracked.heard > longest
        };
        let silent: Vec<u64> = self.workers.iter().filter(|(_, w)| silent(w)).map(|(n, _)| *n).collect();
        for number in silent {
            self.lose(number, now);
        }
        let workers = &self.workers;
        self.fleet.numbers.retain(|_, number| workers.contains_key(number));
        std::mem::take(&mut self.fleet.events)
    }

    fn lose(&mut self, number: u64, now: f64) {
        if let Some(tracked) = self.workers.get_mut(&number)
            && tracked.gone.is_none()
        {
            tracked.gone = Some(now);
            let mut event = event(tracked, What::WorkerGone, Some("gone"), "is not heard of any more", now);
            event.requests = tracked.running(now);
            self.fleet.events.push(event);
        }
    }
}
