//! A process of mod_wsgi from its datagrams: readings like those of a scoreboard, as far as the format goes.
//!
//! A record sums up an interval that is over. [`Process::reading`] hands it out over the following interval; otherwise a process
//! that reports every five seconds would seem to work in one second of five. Figures without a field in the format are left out,
//! or put where their sum is right: CPU and blocked time of single requests are known as means only.

use super::{Datagram, Kind, fields};
use crate::figures::{Figures, Record};
use crate::histogram::{self, Histogram};
use crate::mod_wsgi_buckets;
use crate::sample::{Finished, GroupSample, InFlight, SlotSample, ThreadStage, WorkerSample};
use std::collections::BTreeMap;

/// Most interpreters with garbage collectors of their own.
const INTERPRETERS: usize = 64;
/// Most request threads that are believed.
const THREADS: usize = 1024;

/// News from a datagram beside its figures.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// The process began to serve.
    Started,
    /// It takes no more requests.
    Stopping {
        /// Why.
        reason: String,
    },
    /// It ended.
    Stopped {
        /// Why.
        reason: String,
        /// Requests that ended with it.
        active: u64,
    },
    /// A slow request finished.
    Finished(Box<Finished>),
}

/// Counters at one moment.
#[derive(Debug, Clone, Default)]
struct Counters {
    figures: Figures,
    /// Nanoseconds on CPU of the process, and busy in request threads.
    cpu: f64,
    busy: f64,
    completed: Vec<u64>,
    pause: u64,
}

/// A process.
#[derive(Debug, Clone, Default)]
pub struct Process {
    /// The machine's name as the process says it; empty until it has.
    pub host: String,
    /// Process id of the server that started it.
    pub parent: Option<u32>,
    /// Seconds between two records, as configured.
    pub interval: f64,
    /// Datagrams that were sent and did not arrive.
    pub lost: u64,
    /// It has said that it ended.
    pub ended: bool,
    /// It belongs to another Gilkeeper.
    ours: bool,
    /// Its identity, and all values that are no counters.
    facts: WorkerSample,
    resident: u64,
    before: Counters,
    after: Counters,
    /// When `after` came, and over how long it is handed out.
    came: f64,
    period: f64,
    seq: Option<u32>,
    elapsed: Vec<f64>,
    /// Slow requests in flight by thread, and when the thread took each, in epoch seconds.
    slow: BTreeMap<u32, (f64, InFlight)>,
    collections: BTreeMap<String, [u64; 3]>,
    longest_pause: u64,
    ordinal: u64,
}

/// A reading of a process.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// As of a scoreboard; counters since the process was first heard of.
    pub sample: WorkerSample,
    /// CPU seconds.
    pub cpu: f64,
    /// Thread-seconds busy.
    pub busy: f64,
    /// Resident bytes.
    pub resident: u64,
}

/// Beyond this no count and no number of seconds is believed, so that nothing overflows.
const MOST: u64 = 1 << 40;

fn ns(seconds: f64) -> u64 {
    (seconds.clamp(0.0, 1e10) * 1e9) as u64
}

/// The nanoseconds of a duration.
fn duration(seconds: f64) -> u64 {
    ns(seconds.min(1e6))
}

/// Longest text that is taken, in bytes: what mod_wsgi has room for.
const TEXT: usize = 512;

fn text(datagram: &Datagram, id: u16) -> Option<String> {
    let mut text = datagram.get_text(id)?;
    if text.len() > TEXT {
        text.truncate((0..=TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
    }
    Some(text)
}

fn count(datagram: &Datagram, id: u16) -> u64 {
    datagram.get_count(id).unwrap_or(0).min(MOST)
}

fn row(datagram: &Datagram, id: u16) -> Vec<f64> {
    let mut row = datagram.get_row(id).unwrap_or_default();
    row.iter_mut().for_each(|number| *number = number.clamp(0.0, MOST as f64));
    row
}

impl Process {
    /// Takes a datagram of this process in. `now`: epoch seconds.
    pub fn take(&mut self, datagram: &Datagram, now: f64) -> Option<Said> {
        // All kinds count up together; a number that is not above the last one belongs to datagrams that overtook others.
        if let Some(last) = self.seq
            && datagram.seq > last
        {
            self.lost += u64::from(datagram.seq - last - 1);
        }
        self.seq = Some(datagram.seq.max(self.seq.unwrap_or(0)));
        self.identify(datagram);
        let reason = || text(datagram, fields::SHUTDOWN_REASON).unwrap_or_else(|| "shutdown".into());
        match datagram.kind {
            Kind::RequestMetrics => {
                self.interval_over(datagram, now);
                None
            }
            Kind::SlowRequest => self.slow(datagram, now),
            Kind::ProcessStarted => {
                self.facts.started = ns(datagram.stamp);
                Some(Said::Started)
            }
            Kind::ProcessStopping => Some(Said::Stopping { reason: reason() }),
            Kind::ProcessStopped => {
                self.ended = true;
                let active = datagram.get_count(fields::ACTIVE_AT_EXIT).unwrap_or(0);
                Some(Said::Stopped { reason: reason(), active })
            }
            Kind::GcSnapshot => {
                let name = text(datagram, fields::INTERPRETER_NAME).unwrap_or_default();
                if self.collections.len() < INTERPRETERS || self.collections.contains_key(&name) {
                    let counts = std::array::from_fn(|n| count(datagram, fields::GC_COLLECTIONS0 + n as u16));
                    self.collections.insert(name, counts);
                }
                None
            }
            Kind::GcEvent => {
                let pause = duration(datagram.get_number(fields::GC_EVENT_DURATION).unwrap_or(0.0));
                self.after.pause = self.after.pause.saturating_add(pause);
                self.longest_pause = self.longest_pause.max(pause);
                None
            }
        }
    }

    /// Its process group; empty: embedded in the server's own processes.
    pub fn group(&self) -> &str {
        &self.facts.process_group
    }

    /// Epoch seconds of its beginning, or of the first record of it.
    pub fn started(&self) -> f64 {
        self.facts.started as f64 / 1e9
    }

    fn identify(&mut self, datagram: &Datagram) {
        self.facts.pid = datagram.pid;
        for (id, to) in [
            (fields::HOSTNAME, &mut self.host),
            (fields::PROCESS_GROUP, &mut self.facts.process_group),
            (fields::PYTHON_VERSION, &mut self.facts.python),
        ] {
            if let Some(text) = text(datagram, id) {
                *to = text;
            }
        }
        if let Some(version) = datagram.get_text(fields::MOD_WSGI_VERSION) {
            self.ours = version.starts_with("gilkeeper");
        }
        if let Some(parent) = datagram.get_count(fields::PARENT_PID) {
            self.parent = u32::try_from(parent).ok();
        }
        if let Some(interval) = datagram.get_number(fields::SWITCH_INTERVAL) {
            self.facts.switch_interval = ns(interval);
        }
    }

    fn interval_over(&mut self, datagram: &Datagram, now: f64) {
        let count = |id| count(datagram, id);
        let number = |id| datagram.get_number(id).unwrap_or(0.0).clamp(0.0, MOST as f64);
        let period = number(fields::SAMPLE_PERIOD).clamp(0.0, 3600.0);
        self.interval = datagram.get_number(fields::TELEMETRY_INTERVAL).unwrap_or(period).clamp(0.0, 3600.0);
        self.resident = count(fields::MEMORY_RSS);
        self.facts.threads = count(fields::THREADS_MAXIMUM).min(THREADS as u64) as u32;
        if self.facts.started == 0 {
            self.facts.started = ns(datagram.stamp - period);
        }
        let row = |id| row(datagram, id);
        let sum = |id| row(id).iter().sum::<f64>();
        self.before = self.after.clone();
        let after = &mut self.after;
        after.figures.merge(&figures(datagram, sum(fields::THREADS_CPU_TIME)));
        after.cpu += (number(fields::CPU_UTILIZATION) * period).min(1e9);
        after.busy += sum(fields::THREADS_BUSY_TIME).min(1e9);
        let completed = row(fields::THREADS_COMPLETED);
        after.completed.resize(completed.len().min(THREADS).max(after.completed.len()), 0);
        after
            .completed
            .iter_mut()
            .zip(&completed)
            .for_each(|(mine, more)| *mine = mine.saturating_add(*more as u64));
        self.elapsed = row(fields::THREADS_CURRENT_ELAPSED);
        self.elapsed.truncate(THREADS);
        (self.came, self.period) = (now, period.max(0.01));
    }

    fn slow(&mut self, datagram: &Datagram, now: f64) -> Option<Said> {
        let number = |id| datagram.get_number(id).unwrap_or(0.0);
        let count = |id| count(datagram, id);
        let text = |id| text(datagram, id).unwrap_or_default();
        let time = |id| duration(number(id));
        let thread = count(fields::SLOW_THREAD_ID) as u32;
        let path = text(fields::SLOW_SCRIPT_NAME) + &text(fields::SLOW_PATH_INFO);
        let (server, queue) = (time(fields::SLOW_SERVER_TIME), time(fields::SLOW_QUEUE_TIME));
        // Its own clock may be another machine's: what counts is how long it has been running.
        let lasted = time(fields::SLOW_DURATION);
        let start = ns(now).saturating_sub(lasted).saturating_sub(server).saturating_sub(queue);
        let mut name = [0; crate::route::LONGEST];
        let length = crate::route::of(path.as_bytes(), &mut name);
        let route = String::from_utf8_lossy(&name[..length]).into_owned();
        if count(fields::SLOW_RECORD_STATE) == 0 {
            let request = InFlight {
                whole: true,
                start,
                queue,
                gil_wait: time(fields::SLOW_GIL_WAIT_TIME),
                waits: count(fields::SLOW_GIL_WAIT_COUNT),
                route,
                method: text(fields::SLOW_METHOD),
                path,
                ..InFlight::default()
            };
            if self.slow.len() < THREADS || self.slow.contains_key(&thread) {
                self.slow.insert(thread, (now - number(fields::SLOW_DURATION), request));
            }
            return None;
        }
        self.slow.remove(&thread);
        self.ordinal += 1;
        let (daemon, application) = (time(fields::SLOW_DAEMON_TIME), time(fields::SLOW_APPLICATION_TIME));
        let cpu = time(fields::SLOW_CPU_USER_TIME) + time(fields::SLOW_CPU_SYSTEM_TIME);
        let gil = time(fields::SLOW_GIL_WAIT_TIME);
        let record = Record {
            status: count(fields::SLOW_STATUS) as u16,
            response: server + queue + daemon + application,
            server,
            queue,
            daemon,
            application,
            cpu,
            gil_server: gil,
            waits: count(fields::SLOW_GIL_WAIT_COUNT),
            blocked: lasted.saturating_sub(cpu).saturating_sub(gil),
            bytes_in: count(fields::SLOW_INPUT_BYTES),
            bytes_out: count(fields::SLOW_OUTPUT_BYTES),
            reads: count(fields::SLOW_INPUT_READS),
            writes: count(fields::SLOW_OUTPUT_WRITES),
            input: time(fields::SLOW_INPUT_READ_TIME),
            output: time(fields::SLOW_OUTPUT_WRITE_TIME),
            ..Record::default()
        };
        let finished = Finished {
            ordinal: self.ordinal,
            start,
            thread,
            route,
            method: text(fields::SLOW_METHOD),
            path,
            record,
            ..Finished::default()
        };
        Some(Said::Finished(Box::new(finished)))
    }

    /// Epoch seconds: the last interval is handed out.
    pub fn handed_out(&self) -> f64 {
        self.came + self.period
    }

    /// The process now, in epoch seconds.
    pub fn reading(&self, now: f64) -> Reading {
        let share = ((now - self.came) / self.period.max(0.01)).clamp(0.0, 1.0);
        // The clock was put back: counters do not go back with it.
        let share = if now + 1.0 < self.came { 1.0 } else { share };
        let between = |a: f64, b: f64| a + (b - a) * share;
        let (before, after) = (&self.before, &self.after);
        let mut figures = before.figures.clone();
        figures.merge(&after.figures.since(&before.figures).scaled(share));
        let mut group = GroupSample { figures, ..GroupSample::default() };
        group.gc.pause = between(before.pause as f64, after.pause as f64) as u64;
        group.gc.longest = self.longest_pause;
        group.gc.collections =
            self.collections.values().fold([0; 3], |[a, b, c], [x, y, z]| [a + x, b + y, c + z]);
        group.switch_interval = self.facts.switch_interval;
        let idle = now - self.came > 2.0 * self.period + 1.0;
        let slot = |index: usize| {
            let thread = index as u32 + 1;
            let elapsed = self.elapsed.get(index).copied().unwrap_or(0.0);
            let since = now - self.came + elapsed;
            let request = (elapsed > 0.0 && !idle).then(|| match self.slow.get(&thread) {
                // A record of a request that has ended unseen does not name the one that runs now: its thread took it earlier.
                Some((taken, slow)) if now - taken <= since + 2.0 * self.period + 1.0 => slow.clone(),
                _ => InFlight { start: ns(now - since), route: "(unknown)".into(), ..InFlight::default() },
            });
            let state = if request.is_some() { ThreadStage::Application } else { ThreadStage::Idle };
            let completed = after.completed.get(index).copied().unwrap_or(0);
            SlotSample { thread, state, completed, request, ..SlotSample::default() }
        };
        let sample = WorkerSample {
            slots: (0..self.facts.threads as usize).map(slot).collect(),
            groups: vec![group],
            gil_enabled: true,
            why: if self.ours {
                "the datagrams do not say whether they are exact".into()
            } else {
                "mod_wsgi measures the waits at its own acquire points only".into()
            },
            ..self.facts.clone()
        };
        Reading {
            sample,
            cpu: between(before.cpu, after.cpu),
            busy: between(before.busy, after.busy),
            resident: self.resident,
        }
    }
}

/// The figures of an interval. `cpu`: CPU seconds of its request threads.
fn figures(datagram: &Datagram, cpu: f64) -> Figures {
    let count = |id| count(datagram, id);
    let row =
        |id| Some(row(datagram, id)).filter(|row| row.len() == mod_wsgi_buckets::BUCKETS).unwrap_or_default();
    let recorded: f64 = row(fields::REQUEST_TIME_BUCKETS).iter().sum();
    let requests = count(fields::REQUEST_COUNT);
    // Means are over the requests that came as far as the record.
    let means_of = if recorded > 0.0 { recorded } else { requests as f64 };
    let sum = |id| ns((datagram.get_number(id).unwrap_or(0.0) * means_of).min(1e9));
    let histogram = |buckets, mean| mod_wsgi_buckets::to_histogram(&row(buckets), sum(mean));
    let class = |class: u16| (class * 100, count(fields::STATUS_1XX + class - 1));
    let gil = sum(fields::GIL_WAIT_TIME);
    let inside = sum(fields::APPLICATION_TIME) + sum(fields::DAEMON_TIME);
    let on_cpu = ns(cpu);
    Figures {
        requests,
        bytes_in: count(fields::INPUT_BYTES),
        bytes_out: count(fields::OUTPUT_BYTES),
        reads: count(fields::INPUT_READS),
        writes: count(fields::OUTPUT_WRITES),
        input: sum(fields::INPUT_READ_TIME),
        output: sum(fields::OUTPUT_WRITE_TIME),
        server: sum(fields::SERVER_TIME),
        daemon: sum(fields::DAEMON_TIME),
        gil_server: gil,
        statuses: (1..=5).map(class).filter(|(_, count)| *count > 0).collect(),
        response: histogram(fields::REQUEST_TIME_BUCKETS, fields::REQUEST_TIME),
        queue: histogram(fields::QUEUE_TIME_BUCKETS, fields::QUEUE_TIME),
        application: histogram(fields::APPLICATION_TIME_BUCKETS, fields::APPLICATION_TIME),
        gil_wait: histogram(fields::GIL_WAIT_TIME_BUCKETS, fields::GIL_WAIT_TIME),
        cpu: alike(requests, on_cpu),
        blocked: alike(requests, inside.saturating_sub(on_cpu).saturating_sub(gil)),
        ..Figures::default()
    }
}

/// A histogram of `requests` requests, each with the same share of `sum`.
fn alike(requests: u64, sum: u64) -> Histogram {
    let mut histogram = Histogram::default();
    histogram.add_to(histogram::bucket_of(sum / requests.max(1)), requests);
    histogram.sum = sum;
    histogram
}
