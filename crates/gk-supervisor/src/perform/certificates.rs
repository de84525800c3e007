//! Certificates that change: told to the front, the log and the pages.

use super::{World, log};
use crate::certificates::kept::Change;
use gk_sys::clock::epoch_seconds;
use gk_sys::descriptors;
use gk_wire::control::{Happened, ToFront, ToWorker, What};
use gk_wire::log::Level;
use std::time::Duration;

impl World {
    /// Looks at the files, makes new ticket keys and warns of ends that are near, when it is time.
    pub fn tend_certificates(&mut self, now: Duration) {
        if !self.certificates.any() {
            return;
        }
        if self.certificates.turn_tickets(now) {
            self.send_certificates();
        }
        for text in self.certificates.warnings(epoch_seconds() as i64) {
            self.tell_of_certificates(Level::Warn, What::CertificateExpires, text);
        }
        let configuration = self.configuration();
        let wake = &self.wake.1;
        self.certificates.look(&configuration, || wake.try_clone(), now);
    }

    /// Takes in what a look has found.
    pub fn take_certificates(&mut self) {
        match self.certificates.take(epoch_seconds() as i64) {
            None => {}
            Some(Change::Replaced) => self.send_certificates(),
            Some(Change::Refused(why)) => {
                let text = format!("the new certificates are not used, those before stay: {why}");
                self.tell_of_certificates(Level::Error, What::CertificatesRefused, text);
            }
        }
    }

    /// The front's answer.
    pub fn certificates_answered(&mut self, number: u64, refused: Option<&str>) {
        match self.certificates.answered(number, refused) {
            None => {}
            Some((true, text)) => self.tell_of_certificates(Level::Notice, What::CertificatesReplaced, text),
            Some((false, text)) => self.tell_of_certificates(Level::Error, What::CertificatesRefused, text),
        }
    }

    /// Hands those in force to the front; a new front gets them with its setup.
    fn send_certificates(&mut self) {
        let message = gk_messages::encode(&self.certificates.message());
        match descriptors::memory_file("gilkeeper-certificates", &message) {
            Ok(file) => {
                for child in self.workers.values_mut().filter(|child| child.embedded) {
                    // A worker without them would go on with those before; the next ones come to it, too.
                    if let Ok(file) = file.try_clone() {
                        child.send(&ToWorker::Certificates, vec![file.into()]);
                    }
                }
                self.tell_front(&ToFront::Certificates, vec![file.into()]);
            }
            Err(e) => {
                log(Level::Error, None, &format!("the front could not be given the new certificates: {e}"))
            }
        }
    }

    fn tell_of_certificates(&mut self, level: Level, what: What, text: String) {
        log(level, None, &text);
        self.notify(Happened { at: epoch_seconds(), what, text, ..Happened::default() });
    }
}
