//! A process group of another Gilkeeper that pushes its metrics by OTLP. Its readings have the form of a scoreboard's.

use gk_telemetry::datagram::receive::Reading;
use gk_telemetry::sample::{GroupSample, SlotSample, WorkerSample};
use gk_telemetry::{GilMode, ThreadStage};

/// One push, of one process group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupPush {
    /// `host.name`.
    pub host: String,
    /// `service.instance.id`.
    pub instance: String,
    /// Process group.
    pub group: String,
    /// Its figures; counters since the server started.
    pub figures: PushedFigures,
}

/// Figures of a process group in a push.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PushedFigures {
    /// Application groups with their counters.
    pub groups: Vec<GroupSample>,
    /// CPU seconds of the processes.
    pub cpu: f64,
    /// Resident bytes.
    pub resident: u64,
    /// Request threads, and how many of them are serving.
    pub threads: (u32, u32),
    /// Seconds that request threads spent on finished requests.
    pub busy: f64,
    /// A GIL is in force in one of its processes; `None` if the push does not contain it.
    pub gil_enabled: Option<bool>,
    /// GIL waits are exact in all its processes.
    pub exact: bool,
    /// Nanoseconds.
    pub switch_interval: u64,
}

/// A process group that pushes. Its counters begin at zero with its first push.
#[derive(Debug, Clone, Default)]
pub struct PushingGroup {
    /// The last push as it arrived.
    last: Option<PushedFigures>,
    /// Sums before the last interval, and after it.
    before: PushedFigures,
    after: PushedFigures,
    /// Epoch seconds of the last push, and the seconds since the one before.
    arrived: f64,
    period: f64,
}

impl PushingGroup {
    /// Takes in a push. `now`: epoch seconds.
    pub fn take(&mut self, mut figures: PushedFigures, now: f64) {
        figures.resident = figures.resident.min(1 << 50);
        self.before = self.after.clone();
        let last = self.last.replace(figures.clone());
        if last.is_some() {
            self.period = (now - self.arrived).clamp(0.01, 3600.0);
        }
        self.arrived = now;
        // Everything before the first push is left out. After a restart of the server its counters count in full.
        let requests =
            |figures: &PushedFigures| figures.groups.iter().map(|g| g.figures.requests).sum::<u64>();
        let last = last.unwrap_or_else(|| figures.clone());
        let last = if requests(&figures) < requests(&last) { PushedFigures::default() } else { last };
        let PushedFigures { groups, cpu, busy, .. } = std::mem::take(&mut self.after);
        self.after = PushedFigures {
            cpu: cpu + (figures.cpu - last.cpu).max(0.0),
            busy: busy + (figures.busy - last.busy).max(0.0),
            groups: grown(groups, &figures.groups, &last.groups),
            ..figures
        };
    }

    /// Seconds between two pushes; known from the second push on.
    pub fn interval(&self) -> Option<f64> {
        (self.period > 0.0).then(|| self.period.max(10.0))
    }

    /// Epoch seconds from which on a reading contains everything that was pushed.
    pub fn handed_out(&self) -> f64 {
        self.arrived + self.period
    }

    /// Whether a GIL is in force is part of its pushes.
    pub fn tells_gil(&self) -> bool {
        self.after.gil_enabled.is_some()
    }

    /// The process group at a moment. The figures of the last interval are spread over the present one.
    pub fn reading(&self, now: f64) -> Reading {
        let share =
            if self.period > 0.0 { ((now - self.arrived) / self.period).clamp(0.0, 1.0) } else { 1.0 };
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
            let state = if index < busy { ThreadStage::Application } else { ThreadStage::Idle };
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
                "one of its processes measures a lower bound only".into()
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

/// `sums` plus the growth from `last` to `now`.
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
