//! Configurations on their way to the front: offered, then adopted or forgotten.

use super::{World, log};
use crate::child::setup;
use crate::configuration::Configuration;
use crate::plan::event::Event;
use gk_sys::descriptors;
use gk_wire::control::{FromFront, ToFront};
use gk_wire::log::{Area, Level};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

impl World {
    /// Sends the front a configuration, with its certificates and the pipes to its logs: the one in force, or another one, which it may
    /// refuse.
    pub(super) fn send_site(&mut self, number: u64, generation: u64, now: Duration) {
        let Some(configuration) = self.configurations.get(&number).map(Arc::clone) else { return };
        let certificates = match number == self.current {
            true => self.certificates.message(),
            false => self.certificates.offer(&configuration, now),
        };
        if let Err(why) = self.pass_site(&configuration, generation, certificates) {
            let why = format!("it could not be passed on: {why}");
            let refused = FromFront::Site { configuration: number, refused: Some(why) };
            self.events.push_back(Event::FromFront(refused));
        }
    }

    fn pass_site(
        &mut self,
        configuration: &Configuration,
        generation: u64,
        certificates: gk_wire::certificates::Certificates,
    ) -> std::io::Result<()> {
        // The running front keeps its user and its folder, whatever the configuration now says.
        let (listeners, runtime) = (&self.listeners, &self.runtime);
        let setup =
            setup::front(configuration, listeners, runtime, generation, PathBuf::new(), certificates, &[]);
        self.logs.take_host_lines(&configuration.site)?;
        let mut pipes = self.logs.access_pipes(&configuration.site)?;
        let file = descriptors::memory_file("gilkeeper-site", &gk_messages::encode(&setup))?;
        while !pipes.is_empty() {
            let rest = pipes.split_off(pipes.len().min(descriptors::MAX_FDS));
            self.tell_front(&ToFront::AccessLogs, std::mem::replace(&mut pipes, rest));
        }
        self.tell_front(&ToFront::Site { configuration: configuration.number }, vec![file.into()]);
        Ok(())
    }

    /// Makes a configuration the current one and forgets all others.
    pub(super) fn adopt(&mut self, configuration: u64, generation: u64) {
        if !self.configurations.contains_key(&configuration) {
            return;
        }
        (self.current, self.generation) = (configuration, generation);
        self.configurations.retain(|number, _| *number == configuration);
        let current = self.configuration();
        gk_sys::log::configure(&current.log(), Area::Supervisor);
        self.logs.follow(&current.site);
        self.certificates.adopt(&current);
    }

    /// Forgets a configuration that will not be used. If the front was offered it, the logs of the present one are all that is kept.
    pub(super) fn forget(&mut self, configuration: u64) {
        self.configurations.retain(|number, _| *number != configuration || *number == self.current);
        if !self.certificates.withdraw(configuration) {
            return;
        }
        let current = self.configuration();
        if let Err(e) = self.logs.take_host_lines(&current.site) {
            log(Level::Error, None, &format!("the logs of virtual hosts cannot be kept: {e}"));
        }
        self.logs.follow(&current.site);
        // What a look at the files has found meanwhile.
        self.take_certificates();
    }
}
