//! Reading the configuration again, on a thread of its own: files and executables may be slow.

use super::{Reading, World};
use crate::certificates::facts;
use crate::configuration::python::{PythonRuntime, Pythons};
use crate::configuration::{Configuration, Loader};
use crate::logs;
use crate::plan::event::{ConfigurationOutline, Event};
use gk_wire::certificates::CertificateFacts;
use std::sync::{Arc, Mutex};

impl World {
    /// Reads the configuration on a thread of its own: files and executables may be slow.
    pub(super) fn read_configuration(&mut self) {
        self.last += 1;
        let number = self.last;
        let (loader, runtime) = (Arc::clone(&self.loader), self.runtime.clone());
        let (pythons, before) = (Arc::clone(&self.pythons), self.configuration());
        let facts = self.certificates.facts().to_vec();
        let sender = self.read.0.clone();
        let wake = self.wake.1.try_clone();
        let work = move || {
            let _ = sender.send(read(number, &loader, &runtime, &pythons, &before, &facts));
            // The byte only wakes the loop; the configuration is in the channel.
            let _ = wake.map(|fd| rustix::io::write(&fd, b"."));
        };
        match std::thread::Builder::new().name("configuration".into()).spawn(work) {
            Ok(_) => self.reading = true,
            Err(e) => self.events.push_back(Event::Configured(Err(e.to_string()))),
        }
    }

    /// Takes in configurations that have been read.
    pub fn take_readings(&mut self) {
        let mut buffer = [0; 64];
        while rustix::io::read(&self.wake.0, &mut buffer).is_ok_and(|count| count > 0) {}
        while let Ok(reading) = self.read.1.try_recv() {
            self.reading = false;
            let result: Result<ConfigurationOutline, String> = reading.map(|configuration| {
                let outline = configuration.outline();
                self.configurations.insert(configuration.number, Arc::new(configuration));
                outline
            });
            self.events.push_back(Event::Configured(result));
        }
    }
}

fn read(
    number: u64,
    loader: &Loader,
    runtime: &PythonRuntime,
    pythons: &Mutex<Pythons>,
    before: &Configuration,
    valid: &[CertificateFacts],
) -> Reading {
    let loaded = loader()?;
    let mut known = pythons.lock().map_or_else(|e| e.into_inner().clone(), |known| known.clone());
    let mut configuration = Configuration::new(number, loaded, runtime, &mut known).map_err(|e| e.0)?;
    let now = gk_sys::clock::epoch_seconds() as i64;
    facts::worse(valid, &configuration.certificates.facts, now).map_or(Ok(()), Err)?;
    configuration.settle_like(before);
    configuration.opens_in_plain(before).map_or(Ok(()), Err)?;
    configuration.accepts_elsewhere(before).map_or(Ok(()), Err)?;
    logs::check(&configuration.site)?;
    if let Ok(mut pythons) = pythons.lock() {
        *pythons = known;
    }
    configuration.remarks.extend(configuration.needs_restart(before));
    Ok(configuration)
}
