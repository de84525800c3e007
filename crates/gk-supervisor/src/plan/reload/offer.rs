//! The last step before the new workers take over: the front is offered the new configuration. What it refuses replaces nothing, so
//! the workers that serve stay until it has taken it. Without a front there is nobody to ask: the next one starts with the new
//! configuration.

use super::super::action::Action;
use super::super::event::ConfigurationOutline;
use super::super::{Plan, front::FrontState};
use std::time::Duration;

/// Time that the front has for its answer. One that hangs is replaced before, where it is watched (`GilkeeperFrontTimeout`).
const ANSWER: Duration = Duration::from_secs(30);

impl Plan {
    /// Offers the front the configuration that was read, if there is one and it was not offered yet. `false`: nobody is to be asked.
    pub(super) fn offer(&mut self, now: Duration) -> bool {
        let listens = self.front.listens();
        let Some(reload) = &mut self.reload else { return false };
        let Some(ConfigurationOutline { configuration, .. }) = reload.outline else { return false };
        if !reload.offered {
            if !listens {
                return false;
            }
            reload.offered = true;
            reload.deadline = Some(now + ANSWER);
            self.out.push(Action::SendSite { configuration, generation: reload.generation });
        }
        true
    }

    /// The front's answer.
    pub(in crate::plan) fn site_answered(
        &mut self,
        configuration: u64,
        refused: Option<&str>,
        now: Duration,
    ) {
        let asked = |outline: &ConfigurationOutline| outline.configuration == configuration;
        let Some(reload) =
            self.reload.as_mut().filter(|r| r.offered && r.outline.as_ref().is_some_and(asked))
        else {
            return;
        };
        match refused {
            None => self.finish_reload(now),
            Some(why) => {
                // It has kept the one before, and need not be given that again.
                reload.offered = false;
                let why = format!("the front cannot use the new configuration: {why}");
                self.refuse_reload(&why, &[], now);
            }
        }
    }

    /// The front has ended before its answer. `served`: it had accepted connections; else the new configuration may be what lets the next
    /// one start.
    pub(in crate::plan) fn offer_unanswered(&mut self, served: bool, now: Duration) {
        if !self.reload.as_ref().is_some_and(|reload| reload.offered) {
            return;
        }
        if served {
            self.refuse_reload("the front ended before it had taken the new configuration", &[], now);
        } else {
            self.finish_reload(now);
        }
    }

    /// The configuration that was offered is not wanted any more: one that the front may have taken, or may yet take, is followed by the
    /// one in force.
    pub(super) fn take_back_offer(&mut self, offered: bool) {
        if offered && self.front.state != FrontState::Down {
            let (configuration, generation) = (self.configuration, self.generation);
            self.out.push(Action::SendSite { configuration, generation });
        }
    }
}
