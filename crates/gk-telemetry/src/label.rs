//! Labels: the limit of a process group, from the split of its requests' time, with a sentence of reasons and one of advice.

use crate::figures::Rates;
use crate::portion::Portion;
use crate::sample::GilMode;
use serde::{Deserialize, Serialize};

/// The limit of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Hardly any requests.
    #[default]
    Idle,
    /// Requests are refused for want of capacity.
    Overloaded,
    /// Clients get errors.
    Failing,
    /// Requests wait for a thread.
    Saturated,
    /// Requests wait for the GIL.
    GilBound,
    /// Requests compute.
    CpuBound,
    /// Requests wait for locks, where there is no GIL.
    LockBound,
    /// Requests wait for something outside.
    IoBound,
    /// Nothing dominates.
    Mixed,
}

/// A label with its reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The limit.
    pub kind: Kind,
    /// Reasons, with figures.
    pub why: String,
    /// Advice; empty when nothing needs a change.
    pub advice: String,
}

/// Facts about a group beside its figures.
#[derive(Debug, Clone, Copy, Default)]
pub struct About {
    /// GIL mode of its interpreters.
    pub gil: GilMode,
    /// A GIL is in force.
    pub gil_enabled: bool,
    /// The GIL waits are exact.
    pub exact: bool,
    /// Nanoseconds, 0 without a GIL.
    pub switch_interval: u64,
    /// Processes.
    pub processes: u32,
    /// CPUs this server may use.
    pub cpus: f64,
    /// There is no GIL, and waits for locks are told apart.
    pub locks_known: bool,
    /// There is no GIL, and they cannot be.
    pub locks_unknown: bool,
    /// Requests are refused for want of capacity, or were a moment ago.
    pub overloaded: bool,
}

/// Share of the answers from which on a group counts as failing.
const FAILING: f64 = 0.05;
/// Share of the request threads' time below which a group needs no change: a few requests show how they spend their time, and nothing that
/// would gain from more processes.
const LITTLE: f64 = 0.1;

/// The label of a group in this portion.
pub fn label(portion: &Portion, about: &About) -> Label {
    let point = portion.point();
    let busy = if portion.capacity > 0.0 { portion.busy / portion.capacity } else { 0.0 };
    let (answers, failed) = (portion.answered.total(), portion.answered.failed());
    if about.overloaded {
        let refused = match failed {
            0 => String::new(),
            failed => format!(" {failed} of {answers} answers were errors: {}.", portion.answered.failures()),
        };
        return Label {
            kind: Kind::Overloaded,
            why: format!("More requests come than the request threads can serve; the newest are answered 503.{refused}"),
            advice: "More request threads if the requests wait, more processes or machines if they compute; queue-timeout= and \
                     queue-memory= say how long and how many may wait."
                .into(),
        };
    }
    if failed as f64 > answers as f64 * FAILING {
        return Label {
            kind: Kind::Failing,
            why: format!("{failed} of {answers} answers were errors: {}.", portion.answered.failures()),
            advice: "The error log has the reasons.".into(),
        };
    }
    if point.rates.requests < 0.1 && point.answers < 0.1 && busy < 0.02 {
        return Label {
            kind: Kind::Idle,
            why: "Fewer than six requests a minute.".into(),
            advice: String::new(),
        };
    }
    // Requests that are in flight for long count, too. Old rows of the history have none of that.
    let spent = [point.spent_on_cpu, point.spent_gil_wait, point.spent_runnable, point.spent_blocked];
    let ended = [point.rates.on_cpu, point.gil_wait, point.rates.runnable, point.rates.blocked];
    let parts = if spent.iter().sum::<f64>() > 0.0 { spent } else { ended };
    let sum: f64 = parts.iter().sum();
    let share = |part: f64| if sum > 0.0 { part / sum } else { 0.0 };
    let [cpu, gil, runnable, blocked] = parts.map(share);
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let queue = point.rates.queue.mean.unwrap_or(0.0);
    let split = format!(
        "requests spend {} of their time on CPU, {} waiting for the GIL, {} runnable but not running, {} blocked",
        percent(cpu),
        percent(gil),
        percent(runnable),
        percent(blocked)
    );
    let bound = if about.exact || gil == 0.0 { "" } else { " (the GIL wait is a lower bound)" };
    let locks = Locks::of(&point.rates, ended.iter().sum()).filter(|_| !about.gil_enabled);
    let dominant = match &locks {
        Some(locks) if locks.share >= 0.25 && locks.share >= blocked * 0.5 => Kind::LockBound,
        _ => dominant(cpu, gil, runnable, blocked),
    };
    if busy > 0.85 && (queue > 0.01 || portion.queued > 0) {
        let why = format!(
            "The request threads are busy {} of the time and requests wait {} in the queue; {split}{bound}.",
            percent(busy),
            milliseconds(queue)
        );
        return Label { kind: Kind::Saturated, why, advice: for_saturated(dominant, about, point.cpu) };
    }
    let why = match dominant {
        Kind::GilBound => {
            format!("{}{bound}; {:.0} waits a second.", capitalised(&split), point.rates.gil_waits)
        }
        Kind::LockBound => {
            let locks = locks.as_ref().map(Locks::why).unwrap_or_default();
            format!("{}; {locks}.", capitalised(&split))
        }
        Kind::IoBound if about.locks_unknown => {
            format!(
                "{}; how much of that is for each other's locks is not established here.",
                capitalised(&split)
            )
        }
        _ => format!("{}{bound}.", capitalised(&split)),
    };
    let advice = match dominant {
        _ if busy < LITTLE => String::new(),
        Kind::GilBound => for_gil(about, point.cpu),
        Kind::CpuBound => for_cpu(about, runnable, point.cpu),
        Kind::LockBound => locks.as_ref().map(Locks::advice).unwrap_or_default(),
        Kind::IoBound => {
            "More threads cost little here; shorter waits for the database or the network gain most.".into()
        }
        _ => String::new(),
    };
    Label { kind: dominant, why, advice }
}

/// Waits for locks where there is no GIL, as shares of the time of requests.
struct Locks {
    share: f64,
    /// What is waited for most, as in the figures' names, and its share.
    most: &'static str,
    part: f64,
}

impl Locks {
    fn of(rates: &Rates, sum: f64) -> Option<Self> {
        let each = [
            ("dict", rates.lock_dict),
            ("list", rates.lock_list),
            ("set", rates.lock_set),
            ("object", rates.lock_object),
            ("lock", rates.lock_lock),
            ("world", rates.lock_world),
            ("import", rates.lock_import),
            ("other", rates.lock_other),
        ];
        let (most, part) = each.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let share: f64 = each.iter().map(|(_, part)| part / sum).sum();
        (sum > 0.0).then_some(Self { share, most, part: part / sum })
    }

    fn why(&self) -> String {
        let what = match self.most {
            "dict" => "the lock of a dict",
            "list" => "the lock of a list",
            "set" => "the lock of a set",
            "object" => "the lock of an object",
            "lock" => "a threading.Lock, or what is built on one",
            "world" => "pauses of all threads",
            "import" => "another thread's import",
            _ => "a lock of the interpreter or the end of a thread",
        };
        let (share, part) = (self.share * 100.0, self.part * 100.0);
        format!("{share:.0} % is waiting for each other, {part:.0} % for {what}")
    }

    fn advice(&self) -> String {
        let advice = match self.most {
            "dict" | "list" | "set" | "object" => {
                return format!(
                    "Your threads meet in one {} that all of them use while one changes it, such as a cache, a counter or a registry in \
                     a module: one for each thread, or several by key, lets them run side by side.",
                    self.most
                );
            }
            "lock" => {
                "Your threads meet at one lock of the application, or at a condition, event or queue built on one: hold it for less \
                 time, or more than one of them. Threads that wait for work at a queue are waiting there, too."
            }
            "world" => {
                "All threads are paused, mostly by the garbage collection: gc.freeze() after the imports and a higher \
                 gc.set_threshold() make that rare, and fewer objects that live long make it short."
            }
            "import" => {
                "Requests wait for modules that another one imports: import them at the head of the script."
            }
            _ => {
                "Threads that wait for other threads' ends can do something meanwhile; of locks of the interpreter, fewer threads in \
                 more processes wait less."
            }
        };
        advice.to_owned()
    }
}

fn dominant(cpu: f64, gil: f64, runnable: f64, blocked: f64) -> Kind {
    if gil >= 0.25 && gil >= blocked * 0.5 {
        Kind::GilBound
    } else if cpu + runnable >= 0.5 {
        Kind::CpuBound
    } else if blocked >= 0.5 {
        Kind::IoBound
    } else {
        Kind::Mixed
    }
}

fn spare(about: &About, used: f64) -> bool {
    about.cpus - used > 0.5
}

fn for_gil(about: &About, used: f64) -> String {
    let interval = about.switch_interval as f64 / 1e9;
    let mut advice = if spare(about, used) {
        format!(
            "{:.1} of {:.0} CPUs are in use: more processes with fewer threads each, WSGIPerInterpreterGIL or \
             WSGIFreeThreading would let requests run side by side.",
            used, about.cpus
        )
    } else {
        "All CPUs are in use, so more processes would only move the wait; faster Python code is what helps."
            .into()
    };
    if interval >= 0.002 {
        advice.push_str(&format!(
            " A smaller switch interval than {} makes short requests wait less behind long ones; the work does not get less.",
            milliseconds(interval)
        ));
    }
    advice
}

fn for_cpu(about: &About, runnable: f64, used: f64) -> String {
    if runnable >= 0.2 {
        return "Threads are ready to run but find no CPU: the machine, or this container's CPU limit, is the bound.".into();
    }
    if spare(about, used) && about.gil_enabled && about.gil == GilMode::Shared {
        return format!("{used:.1} of {:.0} CPUs are in use: more processes can use the rest.", about.cpus);
    }
    "The CPUs are used by the application itself: faster code, or more machines.".into()
}

fn for_saturated(dominant: Kind, about: &About, used: f64) -> String {
    match dominant {
        Kind::IoBound => "The threads mostly wait for something outside: more threads per process.".into(),
        Kind::GilBound => for_gil(about, used),
        Kind::CpuBound => for_cpu(about, 0.0, used),
        Kind::LockBound => {
            "The threads mostly wait for each other; the chart of waits for locks says where.".into()
        }
        _ => "More threads if the requests wait, more processes if they compute.".into(),
    }
}

fn milliseconds(seconds: f64) -> String {
    if seconds < 0.001 { format!("{:.0} µs", seconds * 1e6) } else { format!("{:.1} ms", seconds * 1e3) }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answered::Reason;
    use crate::figures::Figures;
    use std::collections::BTreeMap;

    const ABOUT: About = About {
        gil: GilMode::Shared,
        gil_enabled: true,
        exact: true,
        switch_interval: 5_000_000,
        processes: 1,
        cpus: 2.0,
        locks_known: false,
        locks_unknown: false,
        overloaded: false,
    };

    /// 10 s, 4 threads; seconds on CPU, waiting for the GIL, runnable, blocked.
    fn portion([cpu, gil, runnable, blocked]: [f64; 4], queue_ms: u64) -> Portion {
        let ns = |seconds: f64| (seconds * 1e9) as u64;
        let mut figures = Figures {
            requests: 100,
            gil_application: ns(gil),
            runnable: ns(runnable),
            waits: 50,
            ..Figures::default()
        };
        figures.cpu.record(ns(cpu));
        figures.blocked.record(ns(blocked));
        (0..100).for_each(|_| figures.queue.record(queue_ms * 1_000_000));
        let busy = cpu + gil + runnable + blocked;
        Portion {
            span: 10.0,
            applications: BTreeMap::from([(String::new(), figures)]),
            busy,
            capacity: 40.0,
            cpu,
            ..Portion::default()
        }
    }

    fn kind(parts: [f64; 4], queue_ms: u64) -> Kind {
        label(&portion(parts, queue_ms), &ABOUT).kind
    }

    #[test]
    fn the_split_decides() {
        assert_eq!(kind([1.0, 0.0, 0.0, 20.0], 0), Kind::IoBound, "sleeping is not waiting for the GIL");
        assert_eq!(kind([9.0, 9.0, 0.5, 0.5], 0), Kind::GilBound);
        assert_eq!(kind([9.0, 0.5, 0.5, 0.5], 0), Kind::CpuBound);
        assert_eq!(kind([9.0, 0.0, 9.0, 0.5], 0), Kind::CpuBound);
        assert_eq!(kind([4.0, 2.0, 0.5, 4.5], 0), Kind::Mixed);
        assert_eq!(kind([9.0, 29.0, 0.5, 0.5], 120), Kind::Saturated);
        assert_eq!(label(&Portion::default(), &ABOUT).kind, Kind::Idle);
    }

    #[test]
    fn waits_for_locks_are_a_limit_where_there_is_no_gil() {
        let mut portion = portion([4.0, 0.0, 0.0, 8.0], 0);
        let figures = portion.applications.get_mut("").unwrap();
        (figures.lock_dict, figures.lock_lock) = (6_000_000_000, 1_000_000_000);
        let free = About { gil: GilMode::FreeThreading, gil_enabled: false, ..ABOUT };
        let found = label(&portion, &free);
        assert_eq!(found.kind, Kind::LockBound);
        let why = "67 % blocked; 58 % is waiting for each other, 50 % for the lock of a dict.";
        assert!(found.why.ends_with(why), "{}", found.why);
        assert!(found.advice.starts_with("Your threads meet in one dict"), "{}", found.advice);
        assert_eq!(label(&portion, &ABOUT).kind, Kind::IoBound);
        portion.applications.get_mut("").unwrap().lock_dict = 0;
        assert_eq!(label(&portion, &free).kind, Kind::IoBound, "most of it is something else");
        let unknown = label(&portion, &About { locks_unknown: true, ..free });
        assert!(unknown.why.ends_with("is not established here."), "{}", unknown.why);
    }

    #[test]
    fn what_clients_see_comes_first() {
        let mut portion = portion([1.0, 0.0, 0.0, 20.0], 0);
        (0..4).for_each(|_| portion.answered.record(200, Reason::Application, 5_000_000));
        let overloaded = About { overloaded: true, ..ABOUT };
        assert_eq!(label(&portion, &ABOUT).kind, Kind::IoBound);
        assert_eq!(label(&portion, &overloaded).kind, Kind::Overloaded);
        (0..96).for_each(|_| portion.answered.record(503, Reason::Busy, 1_000));
        let failing = label(&portion, &ABOUT);
        assert_eq!(failing.kind, Kind::Failing);
        assert_eq!(failing.why, "96 of 100 answers were errors: 503 × 96 (no worker took the request).");
        assert!(label(&portion, &overloaded).why.contains("503 × 96"));
        // A group whose workers are all dead has no request of a worker.
        let dead = Portion { span: 10.0, answered: portion.answered.clone(), ..Portion::default() };
        assert_eq!(label(&dead, &ABOUT).kind, Kind::Failing);
    }

    #[test]
    fn a_few_requests_lead_to_no_advice() {
        let few = label(&portion([0.2, 0.0, 0.0, 0.0], 0), &ABOUT);
        assert_eq!((few.kind, few.advice.as_str()), (Kind::CpuBound, ""));
        assert!(few.why.starts_with("Requests spend 100 % of their time on CPU"), "{}", few.why);
        assert_ne!(label(&portion([6.0, 0.0, 0.0, 0.0], 0), &ABOUT).advice, "");
    }

    #[test]
    fn reasons_carry_figures() {
        let gil = label(&portion([10.0, 10.0, 0.0, 0.0], 0), &ABOUT);
        assert_eq!(
            gil.why,
            "Requests spend 50 % of their time on CPU, 50 % waiting for the GIL, 0 % runnable but not running, 0 % blocked; 5 waits a second."
        );
        assert!(gil.advice.contains("1.0 of 2 CPUs") && gil.advice.contains("5.0 ms"), "{}", gil.advice);
        let bound = label(&portion([10.0, 10.0, 0.0, 0.0], 0), &About { exact: false, ..ABOUT });
        assert!(bound.why.contains("lower bound"));
        let starved = label(&portion([9.0, 0.0, 9.0, 0.0], 0), &ABOUT);
        assert!(starved.advice.contains("find no CPU"));
        let full = label(&portion([2.0, 0.0, 0.0, 37.0], 50), &ABOUT);
        assert!(full.advice.contains("more threads"), "{}", full.advice);
    }
}
