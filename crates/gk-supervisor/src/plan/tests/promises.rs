//! Promises that the plan keeps over any order of events: every client gets one final answer, nothing is sent to a process that
//! is gone, every configuration is adopted or forgotten, and a stopped server exits.

use super::*;
use crate::plan::event::Succession;
use gk_wire::control::LinkFault;
use gk_wire::handover::ToPredecessor;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The world around a plan, with everything it was promised.
struct World {
    plan: Plan,
    now: Duration,
    /// The listening sockets are closed.
    closed: bool,
    front: bool,
    successor: bool,
    workers: BTreeSet<u64>,
    /// Reads of the configuration under way.
    reads: u32,
    /// Configurations given to the plan and not yet adopted or forgotten.
    undecided: BTreeSet<u64>,
    /// The last configuration that the front got and has not answered.
    offered: Option<u64>,
    configurations: u64,
    /// Clients without a final answer.
    waiting: BTreeSet<u64>,
    clients: u64,
    announced: bool,
    exit: Option<i32>,
}

impl World {
    fn new(keep_trying: bool) -> Self {
        let mut service = group("service", 1);
        service.threads = 0;
        let groups = vec![group("a", 2), group("b", 1), service];
        let mut world = Self {
            plan: Plan::new(ConfigurationOutline { keep_trying, ..outline_of(1, groups) }),
            now: Duration::ZERO,
            closed: false,
            front: false,
            successor: false,
            workers: BTreeSet::new(),
            reads: 0,
            undecided: BTreeSet::new(),
            offered: None,
            configurations: 1,
            waiting: BTreeSet::new(),
            clients: 0,
            announced: false,
            exit: None,
        };
        world.event(Event::Start);
        world
    }

    fn event(&mut self, event: Event) {
        let mut next = vec![event];
        while let Some(event) = next.pop() {
            for action in self.plan.handle(event, self.now) {
                assert_eq!(self.exit, None, "{action:?} after the exit");
                next.extend(self.perform(action));
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match &action {
            Action::SpawnFront => {
                assert!(!self.closed, "a front without sockets");
                assert!(!std::mem::replace(&mut self.front, true), "a second front");
                return Some(Event::FrontStarted { pid: 1 });
            }
            Action::SpawnWorker { worker, .. } => {
                assert!(self.workers.insert(*worker), "worker {worker} twice");
                return Some(Event::WorkerStarted { worker: *worker, pid: 2 });
            }
            Action::Link { worker, .. } => assert!(self.front && self.workers.contains(worker), "{action:?}"),
            Action::ToFront(_) | Action::SignalFront(_) => {
                assert!(self.front, "{action:?} without a front");
            }
            Action::SendSite { configuration, .. } => {
                assert!(self.front, "{action:?} without a front");
                self.offered = Some(*configuration);
            }
            Action::ToWorker { worker, .. } | Action::SignalWorker { worker, .. } => {
                assert!(self.workers.contains(worker), "{action:?} to a worker that is gone");
            }
            Action::CloseListeners => self.closed = true,
            Action::ReadConfiguration => self.reads += 1,
            Action::Adopt { configuration, .. } | Action::Forget { configuration } => {
                assert!(self.undecided.remove(configuration), "{action:?} a second time");
            }
            Action::Tell { clients, .. } => {
                assert!(clients.iter().all(|client| self.waiting.contains(client)), "{action:?}");
            }
            Action::Answer { clients, .. } => {
                for client in clients {
                    assert!(self.waiting.remove(client), "a second answer: {action:?}");
                }
            }
            Action::Announce => {
                assert!(!std::mem::replace(&mut self.announced, true), "a second announcement")
            }
            Action::Exit { code, .. } => self.exit = Some(*code),
            Action::LookForDebugger { worker } => {
                return Some(Event::LookedForDebugger { worker: *worker, found: false });
            }
            Action::SpawnSuccessor { .. } => {
                assert!(!std::mem::replace(&mut self.successor, true), "a second successor");
                return Some(Event::Succession(Succession::Started { pid: 3 }));
            }
            Action::SignalSuccessor(_) => {
                assert!(std::mem::take(&mut self.successor), "{action:?} without a successor");
            }
            Action::HandOver => assert!(self.successor, "nobody to hand over to"),
            Action::TakeOver | Action::ToPredecessor(_) => panic!("{action:?} without a predecessor"),
            Action::Log { .. } | Action::Notify(_) | Action::ToSuccessor(_) => {}
        }
        None
    }

    /// One of the living workers.
    fn some_worker(&self, choice: u8) -> Option<u64> {
        self.workers.iter().copied().nth(usize::from(choice) % self.workers.len().max(1))
    }

    fn worker_exits(&mut self, worker: u64, how: &str) {
        self.workers.remove(&worker);
        self.event(Event::WorkerExited { worker, ended: ended(how) });
    }

    fn front_exits(&mut self, how: &str) {
        if std::mem::replace(&mut self.front, false) {
            self.offered = None;
            self.event(Event::FrontExited(ended(how)));
        }
    }

    fn client(&mut self) -> u64 {
        self.clients += 1;
        self.waiting.insert(self.clients);
        self.clients
    }

    fn configured(&mut self, groups: &[(&str, u32)]) {
        if self.reads > 0 {
            self.reads -= 1;
            self.configurations += 1;
            self.undecided.insert(self.configurations);
            self.event(Event::Configured(Ok(outline(self.configurations, groups))));
        }
    }

    fn step(&mut self, (what, choice): (u8, u8)) {
        let worker = self.some_worker(choice);
        let message = |message| worker.map(|worker| Event::FromWorker { worker, message });
        let event = match what {
            0..=3 => message(ready(&[])),
            4 => message(ready(&["site.wsgi"])),
            5 => return worker.into_iter().for_each(|worker| self.worker_exits(worker, "signal 9 (KILL)")),
            6 => return worker.into_iter().for_each(|worker| self.worker_exits(worker, "exit status 0")),
            7 => Some(Event::FromFront(FromFront::Ready)).filter(|_| self.front),
            8 => Some(Event::FromFront(FromFront::Serving)).filter(|_| self.front),
            9 => return self.front_exits("exit status 1"),
            10 => {
                self.now += Duration::from_millis(u64::from(choice) * 200);
                Some(Event::Tick)
            }
            11 => {
                let group =
                    ["a", "b", "service", "unknown"].get(usize::from(choice) % 8).map(|g| g.to_string());
                Some(Event::Reload { client: self.client(), group })
            }
            12 => return self.configured(&[("a", 1), ("c", 2)][..usize::from(choice % 2) + 1]),
            13 => {
                let read = self.reads > 0;
                self.reads = self.reads.saturating_sub(1);
                Some(Event::Configured(Err("line 1".into()))).filter(|_| read)
            }
            14 => message(FromWorker::Leaving { reason: "maximum_requests".into() }),
            15 => message(FromWorker::Stopping { reason: "cpu_time_limit".into() }),
            16 => message(FromWorker::ScriptChanged { script: "site.wsgi".into() }),
            17 => message(FromWorker::GilReturned { module: "x".into(), refused: choice % 2 == 0 }),
            18 => Some(if choice % 2 == 0 { Event::Hangup } else { Event::Evict }),
            19 => worker
                .map(|worker| Event::FromFront(FromFront::LinkRefused { worker, why: "version 2".into() }))
                .filter(|_| self.front),
            20 => worker.map(|worker| {
                let faults = [LinkFault::Closed, LinkFault::Broken, LinkFault::Abused];
                let (fault, why) = (faults[usize::from(choice / 16) % 3], "as chosen".into());
                Event::WorkerFault { worker, fault, why }
            }),
            22 => {
                let (client, program) = (self.client(), vec!["python".to_owned()]);
                Some(Event::Succession(Succession::Asked { client, program }))
            }
            23 if choice % 2 == 0 => Some(Succession::FromSuccessor(ToPredecessor::Serving))
                .filter(|_| self.successor)
                .map(Event::Succession),
            23 => Some(Event::Succession(Succession::Ended(ended("exit status 3"))))
                .filter(|_| std::mem::take(&mut self.successor)),
            24 | 25 => self.offered.take().map(|configuration| {
                let refused = (choice % 4 == 0).then(|| "as chosen".to_owned());
                Event::FromFront(FromFront::Site { configuration, refused })
            }),
            21 => Some(Event::Stop { client: self.client(), now: choice % 2 == 0 }),
            _ => Some(Event::Terminate),
        };
        event.into_iter().for_each(|event| self.event(event));
    }

    /// Three signals, and every process ends.
    fn stop(&mut self) {
        for _ in 0..3 {
            if self.exit.is_none() {
                self.event(Event::Terminate);
            }
        }
        self.front_exits("signal 9 (KILL)");
        while let Some(worker) = self.some_worker(0) {
            self.worker_exits(worker, "signal 9 (KILL)");
        }
        if self.exit.is_none() {
            self.event(Event::Tick);
        }
    }
}

proptest! {
    #[test]
    fn over_any_order_of_events(
        steps in proptest::collection::vec((0u8..27, any::<u8>()), 0..80),
        keep_trying in any::<bool>(),
    ) {
        let mut world = World::new(keep_trying);
        for step in steps {
            if world.exit.is_some() {
                break;
            }
            world.step(step);
        }
        world.stop();
        prop_assert!(world.exit.is_some(), "no exit");
        prop_assert!(world.waiting.is_empty(), "without an answer: {:?}", world.waiting);
        prop_assert!(world.undecided.is_empty(), "neither adopted nor forgotten: {:?}", world.undecided);
    }
}
