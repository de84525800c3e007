//! What the service manager (systemd) is told of the server's life: that it is ready, reloads, stops and lives. Where there is none,
//! nothing is said.
//!
//! ```text
//! start ── EXTEND… ──▶ READY ── reload ──▶ RELOADING ── EXTEND… ──▶ READY ── stop ──▶ STOPPING ── EXTEND… ──▶ (gone)
//!                      WATCHDOG… as long as the front gives signs of life
//! ```

use super::Plan;
use super::action::{Action, Notice};
use super::front::FrontState;
use super::liveness::signs::TOLD;
use std::time::Duration;

/// Between two requests for more time while the server starts, reloads or stops.
const EXTEND_EVERY: Duration = Duration::from_secs(10);
/// The time that each of them asks for.
const EXTENSION: Duration = Duration::from_secs(30);
/// Longest pause before another look at a front that gave no sign of life.
const LOOK: Duration = Duration::from_secs(1);

/// The service manager in the plan.
#[derive(Debug, Default)]
pub(super) struct Notices {
    /// There is one, and it listens to this process.
    wanted: bool,
    /// It expects signs of life at least this often.
    watchdog: Option<Duration>,
    /// When the next sign of life is due.
    sign_due: Duration,
    /// When more time is asked for.
    extension_due: Duration,
}

impl Plan {
    /// There is a service manager. `watchdog`: how often it expects signs of life.
    #[must_use]
    pub fn with_service_manager(mut self, watchdog: Option<Duration>) -> Self {
        self.notices = Notices { wanted: true, watchdog, ..Notices::default() };
        self
    }

    /// Tells the service manager.
    pub(super) fn notify(&mut self, notice: Notice) {
        if self.notices.wanted && self.is_main_process() {
            self.out.push(Action::Notify(notice));
        }
    }

    /// The same of a reload. Before the server serves, and when it ends, a reload is no news.
    pub(super) fn notify_of_reload(&mut self, notice: Notice) {
        if self.announced && !self.stop.begun() {
            self.notify(notice);
        }
    }

    /// Whether the service manager waits for something to be done.
    fn is_waited_for(&self) -> bool {
        !self.announced || self.is_reloading() || self.stop.begun()
    }

    /// When something is to be said.
    pub(super) fn notices_due(&self) -> Option<Duration> {
        if !self.notices.wanted || !self.is_main_process() || self.stop.is_done() {
            return None;
        }
        let extension = self.is_waited_for().then_some(self.notices.extension_due);
        let sign = self.notices.watchdog.map(|_| self.notices.sign_due);
        extension.into_iter().chain(sign).min()
    }

    pub(super) fn tick_notices(&mut self, now: Duration) {
        if self.notices_due().is_none_or(|due| due > now) {
            return;
        }
        if self.is_waited_for() && self.notices.extension_due <= now {
            self.notices.extension_due = now + EXTEND_EVERY;
            self.notify(Notice::Extend(EXTENSION));
        }
        let Some(longest) = self.notices.watchdog.filter(|_| self.notices.sign_due <= now) else { return };
        if self.is_front_alive(now) {
            // Half of the time, as systemd advises.
            self.notices.sign_due = now + longest / 2;
            self.notify(Notice::Watchdog);
        } else {
            self.notices.sign_due = now + LOOK.min(longest / 10).max(Duration::from_millis(1));
        }
    }

    /// This process lives, as it asks; the front lives if it answers. While the server ends, its own deadlines bound it.
    fn is_front_alive(&self, now: Duration) -> bool {
        match self.front.state {
            FrontState::Ready => self.front.signs.silence(now) < TOLD && !self.front.hung,
            FrontState::Starting | FrontState::Down => !self.announced || self.stop.begun(),
            FrontState::Stopping => true,
        }
    }
}
