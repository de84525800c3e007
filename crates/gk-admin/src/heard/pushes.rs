//! A process group of another Gilkeeper, as it pushes its metrics by OTLP: readings like those of a scoreboard.

use gk_telemetry::datagram::receive::Reading;
use gk_telemetry::sample::{GroupSample, SlotSample, WorkerSample};
use gk_telemetry::{GilMode, State};

/// What one push said of a process group.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// `host.name`.
    pub host: String,
    /// `service.instance.id`.
    pub instance: String,
    /// Process group.
    pub group: String,
    /// Its figures, growing since the server began.
    pub figures: Pushed,
}

/// The figures of a push.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pushed {
    /// Application groups with their counters.
    pub groups: Vec<GroupSample>,
    /// CPU seconds of the processes.
    pub cpu: f64,
    /// Resident bytes.
    pub resident: u64,
    /// Request threads, and those that serve.
    pub threads: (u32, u32),
    /// Request threads' seconds with requests that ended.
    pub busy: f64,
    /// A GIL is in force in a process of it; `None` where none says.
    pub gil_enabled: Option<bool>,
    /// All its waits are exact.
    pub exact: bool,
    /// Nanoseconds.
    pub switch_interval: u64,
}

/// A process group that pushes. Counters begin where it was first heard of.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// The last push as it came.
    last: Option<Pushed>,
    before: Pushed,
    after: Pushed,
    came: f64,
    period: f64,
}

impl Server {
    /// Takes a push in. `now`: epoch seconds.
    pub fn take(&mut self, mut figures: Pushed, now: f64) {
        figures.resident = figures.resident.min(1 << 50);
        self.before = self.after.clone();
        let last = self.last.replace(figures.clone());
        if last.is_some() {
            self.period = (now - self.came).clamp(0.01, 3600.0);
        }
        self.came = now;
        // What it did before it was first heard of is no news; when its counters began anew, all of them is.
        let requests = |figures: &Pushed| figures.groups.iter().map(|g| g.figures.requests).sum::<u64>();
        let last = last.unwrap_or_else(|| figures.clone());
        let last = if requests(&figures) < requests(&last) { Pushed::default() } else { last };
        let Pushed { groups, cpu, busy, .. } = std::mem::take(&mut self.after);
        self.after = Pushed {
            cpu: cpu + (figures.cpu - last.cpu).max(0.0),
            busy: busy + (figures.busy - last.busy).max(0.0),
            groups: grown(groups, &figures.groups, &last.groups),
            ..figures
        };
    }

    /// Seconds between two pushes, known from the second on.
    pub fn interval(&self) -> Option<f64> {
        (self.period > 0.0).then(|| self.period.max(10.0))
    }

    /// Epoch seconds: all that was pushed is handed out.
    pub fn handed_out(&self) -> f64 {
        self.came + self.period
    }

    /// It has said whether a GIL is in force.
    pub fn tells_gil(&self) -> bool {
        self.after.gil_enabled.is_some()
    }

    /// The process group now: the last interval is handed out over the present one.
    pub fn reading(&self, now: f64) -> Reading {
        let share = if self.period > 0.0 { ((now - self.came) / self.period).clamp(0.0, 1.0) } else { 1.0 };
        let between = |a: f64, b: f64| a + (b - a).max(0.0) * share;
        let (before, after) = (&self.before, &self.after);
        let empty = GroupSample::default();
        let groups = after.groups.iter().map(|group| {
            let earlier = before.groups.iter().find(|one| one.name == group.name).unwrap_or(&empty);
            let mut figures = earlier.figures.clone();
            figures.merge(&group.figures.since(&earlier.figures).scaled(share));
            let mut gc = group.gc.clone();
            gc.pause = between(earlier.gc.pause as f64, group.gc.pause as f64) as u64;
            GroupSample { figures, gc, ..group.clone() }
        });
        let (threads, busy) = after.threads;
        let gil = after.gil_enabled.unwrap_or(true);
        let slot = |index: u32| {
            let state = if index < busy { State::Application } else { State::Idle };
            SlotSample { thread: index + 1, state, ..SlotSample::default() }
        };
        let sample = WorkerSample {
            threads,
            gil_mode: if gil { GilMode::Shared } else { GilMode::FreeThreading },
            gil_enabled: gil,
            exact: after.exact,
            why: if after.exact {
                String::new()
            } else {
                "a process of it measures a lower bound only".into()
            },
            switch_interval: after.switch_interval,
            groups: groups.collect(),
            slots: (0..threads.min(1024)).map(slot).collect(),
            ..WorkerSample::default()
        };
        Reading {
            sample,
            cpu: between(before.cpu, after.cpu),
            busy: between(before.busy, after.busy),
            resident: after.resident,
        }
    }
}

/// `sums` with what came on top from `last` to `now`.
fn grown(mut sums: Vec<GroupSample>, now: &[GroupSample], last: &[GroupSample]) -> Vec<GroupSample> {
    let empty = GroupSample::default();
    for group in now {
        let before = last.iter().find(|one| one.name == group.name).unwrap_or(&empty);
        if !sums.iter().any(|one| one.name == group.name) {
            sums.push(GroupSample { name: group.name.clone(), ..GroupSample::default() });
        }
        let Some(sum) = sums.iter_mut().find(|one| one.name == group.name) else { continue };
        sum.figures.merge(&group.figures.since(&before.figures));
        sum.gc.pause = sum.gc.pause.saturating_add(group.gc.pause.saturating_sub(before.gc.pause));
    }
    sums
}
