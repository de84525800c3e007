//! A reading of a scoreboard as plain values. Counters and histograms grow from the worker's start; the difference of two
//! readings is the time between them, and the differences of many workers add up.

use crate::figures::routes::RouteSample;
use crate::figures::{Figures, Record};
use serde::{Deserialize, Serialize};

/// Exclusion of other Python code by Python code of an interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u64)]
pub enum GilMode {
    /// One GIL for all interpreters of the process.
    #[default]
    Shared = 0,
    /// A GIL of the interpreter's own.
    Own = 1,
    /// None.
    FreeThreading = 2,
}

impl GilMode {
    pub(crate) fn from_word(word: u64) -> Self {
        match word {
            1 => Self::Own,
            2 => Self::FreeThreading,
            _ => Self::Shared,
        }
    }
}

/// Stage of a request thread in its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u64)]
pub enum ThreadStage {
    /// No request.
    #[default]
    Idle = 0,
    /// It has a request and enters the interpreter.
    Starting = 1,
    /// Inside the application.
    Application = 2,
}

impl ThreadStage {
    pub(crate) fn from_word(word: u64) -> Self {
        match word {
            1 => Self::Starting,
            2 => Self::Application,
            _ => Self::Idle,
        }
    }
}

/// A worker at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerSample {
    /// Process id.
    pub pid: u32,
    /// Its number.
    pub worker: u64,
    /// Its process group.
    pub process_group: String,
    /// Request threads.
    pub threads: u32,
    /// `3.14.2`, with `t` for a free-threaded build.
    pub python: String,
    /// Nanoseconds since the epoch.
    pub started: u64,
    /// Nanoseconds from the start until the imports were done; 0 before.
    pub import: u64,
    /// Of the main interpreter.
    pub gil_mode: GilMode,
    /// A GIL is in force.
    pub gil_enabled: bool,
    /// The module that turned the GIL on again; empty when none did.
    pub gil_module: String,
    /// The GIL waits are exact; otherwise a lower bound.
    pub exact: bool,
    /// Why they are not exact.
    pub why: String,
    /// Waits for locks are told apart; `None` where there is a GIL.
    #[serde(default)]
    pub locks: Option<bool>,
    /// Why they are not.
    #[serde(default)]
    pub locks_why: String,
    /// Nanoseconds; 0 without a GIL.
    pub switch_interval: u64,
    /// Waits for a GIL in threads that serve no request, nanoseconds.
    pub other_wait: u64,
    /// How many these were.
    pub other_waits: u64,
    /// Requests and pairs of routes without a place on the scoreboard.
    pub lost: u64,
    /// Application groups.
    pub groups: Vec<GroupSample>,
    /// Request threads.
    pub slots: Vec<SlotSample>,
    /// Routes and the application's own threads.
    pub routes: Vec<RouteSample>,
    /// Pairs of routes: one waited for the other.
    pub pairs: Vec<PairSample>,
    /// Places in the application that held a GIL while others waited.
    #[serde(default)]
    pub holds: Vec<HoldSample>,
    /// Slow and sampled requests that finished since the last reading.
    pub finished: Vec<Finished>,
    /// Ordinal of the last one, for the next reading.
    pub last: u64,
}

/// An application group's interpreter in one worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupSample {
    /// Its name; "" is the main interpreter.
    pub name: String,
    /// GIL mode of its interpreter.
    pub gil_mode: GilMode,
    /// Nanoseconds; 0 without a GIL.
    pub switch_interval: u64,
    /// Nanoseconds its imports took.
    pub import: u64,
    /// Garbage collection.
    pub gc: GcSample,
    /// Counters and histograms.
    pub figures: Figures,
}

/// Garbage collection of one interpreter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcSample {
    /// Nanoseconds of all pauses.
    pub pause: u64,
    /// Nanoseconds of the longest pause ever.
    pub longest: u64,
    /// Collections by generation.
    pub collections: [u64; 3],
    /// Objects collected.
    pub collected: u64,
    /// Objects that could not be.
    pub uncollectable: u64,
}

/// One garbage collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collection {
    /// Nanoseconds since the epoch.
    pub start: u64,
    /// Nanoseconds it took.
    pub pause: u64,
    /// 0 to 2.
    pub generation: u8,
    /// Objects collected.
    pub collected: u64,
    /// Objects that could not be.
    pub uncollectable: u64,
}

/// A request thread.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotSample {
    /// From 1.
    pub thread: u32,
    /// The operating system's number.
    pub tid: u32,
    /// Where it is.
    pub state: ThreadStage,
    /// Requests finished.
    pub completed: u64,
    /// Nanoseconds busy with finished requests.
    pub busy: u64,
    /// The request in flight.
    pub request: Option<InFlight>,
}

impl SlotSample {
    /// True while it serves a request; other servers do not always tell which.
    pub fn serves(&self) -> bool {
        self.state != ThreadStage::Idle
    }
}

/// A request in flight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// All fields are of this request; false when its thread stopped, or its process died, while it wrote them.
    pub whole: bool,
    /// The front's number.
    pub request: u64,
    /// Nanoseconds since the epoch: the front had its head.
    pub start: u64,
    /// Monotonic nanoseconds: a thread took it.
    pub begun: u64,
    /// Thread CPU clock at that moment, nanoseconds; 0 when it was not read.
    pub cpu_begun: u64,
    /// Nanoseconds in the queue.
    pub queue: u64,
    /// Nanoseconds it has waited for the GIL so far.
    pub gil_wait: u64,
    /// Waits so far.
    pub waits: u64,
    /// Application group.
    pub application_group: String,
    /// Route.
    pub route: String,
    /// Method.
    pub method: String,
    /// Path without query string, cut to 143 bytes.
    pub path: String,
    /// Its id; empty on a site without them.
    #[serde(default)]
    pub id: String,
}

/// Time that one route waited for another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairSample {
    /// Route that held the GIL.
    pub culprit: u16,
    /// Route that waited.
    pub victim: u16,
    /// Nanoseconds.
    pub ns: u64,
    /// Waits.
    pub waits: u64,
}

/// A place in the application that held a GIL while others waited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldSample {
    /// Qualified name of the function, or what stands for it in parentheses.
    pub function: String,
    /// File; empty for what is no function.
    pub file: String,
    /// Line; 0 for what is no function.
    pub line: u32,
    /// Route of the request, or thread, that held it.
    pub route: u16,
    /// Application group of the GIL.
    pub application_group: String,
    /// Nanoseconds that others waited.
    pub ns: u64,
    /// Waits.
    pub waits: u64,
    /// Nanoseconds of the longest wait ever.
    pub longest: u64,
}

/// A finished request that was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Its ordinal on this scoreboard.
    pub ordinal: u64,
    /// The front's number.
    pub request: u64,
    /// Nanoseconds since the epoch: the front had its head.
    pub start: u64,
    /// Thread, from 1.
    pub thread: u32,
    /// Application group.
    pub application_group: String,
    /// Route.
    pub route: String,
    /// Method.
    pub method: String,
    /// Path without query string, cut to 143 bytes.
    pub path: String,
    /// Its longest wait for the GIL, nanoseconds.
    pub longest_wait: u64,
    /// Who held it then.
    pub culprit: String,
    /// Type of the exception that left the application in it; empty for none.
    #[serde(default)]
    pub raised: String,
    /// Its id; empty on a site without them.
    #[serde(default)]
    pub id: String,
    /// Its figures.
    pub record: Record,
}

impl WorkerSample {
    /// All application groups together.
    pub fn total(&self) -> Figures {
        let mut total = Figures::default();
        self.groups.iter().for_each(|group| total.merge(&group.figures));
        total
    }

    /// The difference to an earlier reading of the same worker: counters and histograms become differences, all else stays.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut now = self.clone();
        now.other_wait = now.other_wait.saturating_sub(earlier.other_wait);
        now.other_waits = now.other_waits.saturating_sub(earlier.other_waits);
        now.lost = now.lost.saturating_sub(earlier.lost);
        for group in &mut now.groups {
            let Some(before) = earlier.groups.iter().find(|before| before.name == group.name) else {
                continue;
            };
            group.figures = group.figures.since(&before.figures);
            group.gc = group.gc.since(&before.gc);
        }
        for slot in &mut now.slots {
            let Some(before) = earlier.slots.iter().find(|before| before.thread == slot.thread) else {
                continue;
            };
            slot.completed = slot.completed.saturating_sub(before.completed);
            slot.busy = slot.busy.saturating_sub(before.busy);
        }
        for route in &mut now.routes {
            let before = earlier.routes.iter().find(|before| before.number == route.number);
            if let Some(before) = before {
                *route = route.since(before);
            }
        }
        for pair in &mut now.pairs {
            let same = |before: &&PairSample| (before.culprit, before.victim) == (pair.culprit, pair.victim);
            let Some(before) = earlier.pairs.iter().find(same).copied() else { continue };
            pair.ns = pair.ns.saturating_sub(before.ns);
            pair.waits = pair.waits.saturating_sub(before.waits);
        }
        for hold in &mut now.holds {
            let same = |before: &&HoldSample| {
                (before.line, before.route) == (hold.line, hold.route)
                    && (&before.function, &before.file) == (&hold.function, &hold.file)
                    && before.application_group == hold.application_group
            };
            let Some(before) = earlier.holds.iter().find(same) else { continue };
            (hold.ns, hold.waits) =
                (hold.ns.saturating_sub(before.ns), hold.waits.saturating_sub(before.waits));
        }
        now
    }

    /// The name of a route on this scoreboard.
    pub fn route_name(&self, number: u16) -> &str {
        self.routes.iter().find(|route| route.number == number).map_or("(unknown)", |route| &route.name)
    }
}

impl GcSample {
    fn since(&self, earlier: &Self) -> Self {
        let [a, b, c] = self.collections;
        let [x, y, z] = earlier.collections;
        Self {
            pause: self.pause.saturating_sub(earlier.pause),
            longest: self.longest,
            collections: [a.saturating_sub(x), b.saturating_sub(y), c.saturating_sub(z)],
            collected: self.collected.saturating_sub(earlier.collected),
            uncollectable: self.uncollectable.saturating_sub(earlier.uncollectable),
        }
    }
}
