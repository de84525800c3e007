//! Embedded mode: a worker that speaks HTTP itself. It has the [`front`]'s event loop, with the front's code as it is, and is the one worker
//! of that. The main thread is to it what the supervisor is to the front process. A request thread that waits for a request runs the loop meanwhile; a
//! thread of the loop's own stands by for when all are at work ([`gk_sys::event_loop`]).
//!
//! ```text
//! supervisor ── control ── main thread ── control ── event loop ══ link ══ request threads
//! ```

pub(crate) mod front;

use crate::life::worker::Worker;
use crate::serve::link::FrontPlace;
use front::EmbeddedFront;
use gk_sys::descriptors;
use gk_sys::log::plain;
use gk_sys::memory::SharedPage;
use gk_wire::control::{FromFront, FromWorker, LinkFault, ToFront};
use gk_wire::log::Level;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Least bytes of a request thread's stack with which it runs the front.
const DEEP_ENOUGH: u64 = 1 << 20;

impl Worker {
    /// Starts the front's work, or tells it the certificates if it is at work: the link to a new front process brings them, too.
    pub(crate) fn begin_front(&mut self, certificates: OwnedFd) -> Result<(), String> {
        let Some(front) = self.embedded.as_ref() else { return Ok(()) };
        if front.has_begun() {
            front.tell(&ToFront::Certificates, &[certificates]);
            return Ok(());
        }
        let failed = |e: io::Error| format!("A link within this process cannot be made: {e}");
        let (socket, own) = descriptors::stream_pair().map_err(failed)?;
        let page = SharedPage::create().map_err(failed)?;
        let event_loop = self.embedded.as_mut().map(|front| front.begin(certificates)).transpose()?.flatten();
        let group = &self.engine.setup.group;
        // Running the front takes more of a stack than an application may leave.
        let is_deep = group.stack_size.is_none_or(|bytes| bytes >= DEEP_ENOUGH);
        if let Some(event_loop) = event_loop.as_ref().filter(|_| !is_deep) {
            event_loop.stay();
        }
        let link = self.open_link(own, &page, FrontPlace::Here(event_loop.filter(|_| is_deep)))?;
        let message = ToFront::Worker {
            worker: self.engine.setup.worker,
            process_group: group.name.clone(),
            pid: std::process::id(),
            threads: group.threads,
            imported: true,
        };
        self.engine.intake.set(0, link);
        match &self.embedded {
            Some(front) => front.connect(&message, [socket, page]),
            None => Ok(()),
        }
    }

    /// Passes a message on to the front of this worker.
    pub(crate) fn tell_embedded(&self, message: &ToFront, descriptors: &[OwnedFd]) {
        if let Some(front) = &self.embedded {
            front.tell(message, descriptors);
        }
    }

    /// Handles messages of the front of this worker. Its unexpected end is that of the worker, whose clients are gone.
    pub(crate) fn hear_front(&mut self) {
        while let Some(message) = self.embedded.as_mut().and_then(EmbeddedFront::hear) {
            match message {
                FromFront::Alive => self.tell(&FromWorker::Alive),
                FromFront::LinkEnded { worker, fault, why } if worker != self.engine.setup.worker => {
                    self.tell(&FromWorker::LinkEnded { worker, fault, why });
                }
                FromFront::LinkRefused { worker, why } if worker != self.engine.setup.worker => {
                    self.tell(&FromWorker::LinkEnded { worker, fault: LinkFault::Broken, why });
                }
                FromFront::LinkRefused { why, .. } | FromFront::LinkEnded { why, .. }
                    if !self.is_front_stopping() =>
                {
                    let text = format!("the link within this process has ended: {why}");
                    plain(Level::Crit, "wsgi", None, &text);
                    self.die();
                }
                FromFront::Certificates { refused: Some(why), .. } => {
                    plain(Level::Error, "front", None, &format!("the certificates before stay: {why}"));
                }
                FromFront::EndsWithin { seconds } => self.ends_within(seconds),
                message => self.pass_on(message),
            }
        }
        let ended = self.embedded.as_ref().is_some_and(EmbeddedFront::has_ended);
        if ended && !self.is_front_stopping() {
            self.die();
        }
    }

    /// Requests that waited in the front of this worker have begun since it leaves.
    fn ends_within(&mut self, seconds: f64) {
        if let Some((_, Some(deadline))) = &mut self.leaving {
            *deadline = (*deadline).max(Instant::now() + Duration::from_secs_f64(seconds));
            self.tell(&FromWorker::EndsWithin { seconds });
        }
    }

    /// Passes on what the front of this worker tells the supervisor.
    fn pass_on(&self, message: FromFront) {
        match message {
            FromFront::EmbeddedFigures { figures } => self.tell(&FromWorker::EmbeddedFigures { figures }),
            FromFront::EmbeddedSpans(spans) => self.tell(&FromWorker::EmbeddedSpans(spans)),
            FromFront::AcceptsNoMore => self.tell(&FromWorker::AcceptsNoMore),
            FromFront::GivesNoMore { worker } => self.tell(&FromWorker::GivesNoMore { worker }),
            _ => {}
        }
    }

    /// Ends the front of this worker. Its last figures and spans go to the supervisor.
    pub(crate) fn end_front(&mut self) {
        let last_words = self.embedded.as_mut().map(EmbeddedFront::end);
        last_words.into_iter().flatten().for_each(|message| self.pass_on(message));
    }

    fn is_front_stopping(&self) -> bool {
        self.embedded.as_ref().is_some_and(EmbeddedFront::is_stopping)
    }

    /// Ends the process as a crash, so that the next one starts after a pause if this happens again and again.
    fn die(&mut self) -> ! {
        self.end_front();
        plain(
            Level::Crit,
            "wsgi",
            None,
            "The front of this process has ended, and with it the connections: the process ends",
        );
        gk_sys::own_process::exit_now(1);
    }
}
