//! The logs: the supervisor alone has them open, and every other process writes into a pipe to it. So a log that takes nothing (a
//! full disk, a terminal or pipe that nobody reads) loses lines and stops nobody, a reopened file is the file of all processes, and
//! none of them needs a right to it.
//!
//! ```text
//! worker ─ pipe ┐                       ┌ queue ─ thread ─▶ error log
//! front ── pipe ┼─ one thread, lines ───┤
//! front ── pipe ┘  ([`reader`])         └ queue ─ thread ─▶ access log   ([`sink`])
//! ```
//!
//! A line that is addressed to the error log of a virtual host goes there ([`hosts`]).

mod colours;
pub(crate) mod frames;
mod hosts;
mod place;
mod reader;
mod sink;
mod terminal;

use crate::StartError;
use gk_config::site::Site;
use gk_sys::memory::SharedWords;
use hosts::HostLogs;
use place::Place;
use reader::Reader;
use sink::{Role, Sink};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that the pipe of an access log should hold; a kernel that refuses gives less.
const ACCESS_PIPE: usize = 1 << 20;
/// Number of this process among the sources of lines.
const OWN: u64 = 0;
/// Longest wait for a log that takes nothing when the server ends.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The logs of the server.
pub struct Logs {
    error: Arc<Sink>,
    error_place: Place,
    /// Access logs, and error logs of virtual hosts, by place.
    others: BTreeMap<Place, Arc<Sink>>,
    hosts: HostLogs,
    reader: Reader,
    /// Shared with the front, which passes the figures on: [`gk_wire::setup::LOST_ERROR_LINES`] and the next.
    lost: (OwnedFd, Arc<SharedWords>),
}

impl Logs {
    /// Begins with the error log of a site, and takes the lines of this process. Threads start here, so signals must be
    /// blocked before.
    pub fn start(site: &Site) -> Result<Self, StartError> {
        check(site).map_err(StartError)?;
        let failed = |e: io::Error| StartError(format!("the logs cannot be kept: {e}"));
        let fd = SharedWords::create("gilkeeper-lost-lines", gk_wire::setup::LOST_LINES).map_err(failed)?;
        let lost = Arc::new(SharedWords::map(&fd).map_err(failed)?);
        let error_place = Place::of_error_log(site.error_log.path.as_deref());
        let error = Sink::start(error_place.clone(), Role::Error, Arc::clone(&lost)).map_err(failed)?;
        let error = Arc::new(error);
        let own = Arc::clone(&error);
        gk_sys::log::divert(move |line| own.push(OWN, line.as_bytes()));
        let reader = Reader::start().map_err(failed)?;
        let (others, hosts) = (BTreeMap::new(), HostLogs::default());
        Ok(Self { error, error_place, others, hosts, reader, lost: (fd, lost) })
    }

    /// The writing end of a pipe to the error log: descriptors 1 and 2 of a child. One for each child, so that their lines never mix.
    /// `own`: the log of the child's lines that are addressed to none, if it is another than the server's.
    pub fn error_pipe(&mut self, own: Option<&Path>) -> io::Result<OwnedFd> {
        let sink = match own {
            Some(path) => self.sink(Place::of_host_log(path), Role::Host, &self.error_place.clone())?,
            None => Arc::clone(&self.error),
        };
        self.reader.pipe(&sink, Some(&self.hosts))
    }

    /// Takes lines for the error logs of a site's virtual hosts, from before the front knows the site.
    pub fn take_host_lines(&mut self, site: &Site) -> io::Result<()> {
        let path = |path: &Path| path.as_os_str().as_bytes().to_vec();
        let error = Place::of_error_log(site.error_log.path.as_deref());
        let logs = site.host_error_logs().into_iter();
        let logs = logs.map(|log| Ok((path(log), self.sink(Place::of_host_log(log), Role::Host, &error)?)));
        let logs = logs.collect::<io::Result<_>>()?;
        self.hosts.follow(logs);
        Ok(())
    }

    /// Writing ends of pipes to the access logs of a site, in the order of [`Site::access_log_files`]. They never make the front
    /// wait, not even when this process is stopped.
    pub fn access_pipes(&mut self, site: &Site) -> io::Result<Vec<OwnedFd>> {
        let mut pipes = Vec::new();
        let error = Place::of_error_log(site.error_log.path.as_deref());
        for path in site.access_log_files() {
            let sink = self.sink(Place::of_access_log(path), Role::Access, &error)?;
            let pipe = self.reader.pipe(&sink, None)?;
            let _ = rustix::pipe::fcntl_setpipe_size(&pipe, ACCESS_PIPE);
            rustix::io::ioctl_fionbio(&pipe, true)?;
            pipes.push(pipe);
        }
        Ok(pipes)
    }

    /// The counts of lost lines, for the front.
    pub fn lost(&self) -> BorrowedFd<'_> {
        self.lost.0.as_fd()
    }

    /// Writes a line to standard output.
    pub fn say(&mut self, line: &str) {
        // A closed standard output is no reason to stop serving.
        if let Ok(sink) = self.sink(Place::of_access_log(None), Role::Access, &self.error_place.clone()) {
            sink.push(OWN, format!("{line}\n").as_bytes());
        }
    }

    /// Opens every file anew: the old ones were perhaps renamed.
    pub fn reopen(&self) {
        self.error.reopen();
        self.others.values().for_each(|sink| sink.reopen());
    }

    /// Follows another configuration. Lines of responses still under way go to the logs of their time.
    pub fn follow(&mut self, site: &Site) {
        let place = Place::of_error_log(site.error_log.path.as_deref());
        if place != self.error_place {
            self.error.move_to(place.clone());
            self.error_place = place;
        }
        let access = site.access_log_files().into_iter().map(Place::of_access_log);
        let places: Vec<Place> =
            access.chain(site.host_error_logs().into_iter().map(Place::of_host_log)).collect();
        self.others.retain(|place, _| places.contains(place));
    }

    /// The log at a place. `error`: where the error log is, or will be when the configuration that asks is adopted.
    fn sink(&mut self, place: Place, role: fn(String) -> Role, error: &Place) -> io::Result<Arc<Sink>> {
        if place.same(error) {
            return Ok(Arc::clone(&self.error));
        }
        if let Some(known) = self.others.get(&place) {
            return Ok(Arc::clone(known));
        }
        let sink = Sink::start(place.clone(), role(place.to_string()), Arc::clone(&self.lost.1))?;
        let sink = Arc::new(sink);
        self.others.insert(place, Arc::clone(&sink));
        Ok(sink)
    }

    /// Writes what the processes have said to their end. A log that takes nothing is waited for only shortly.
    pub fn finish(self) {
        self.reader.finish();
        let end = Instant::now() + LAST_LINES;
        std::iter::once(&self.error).chain(self.others.values()).for_each(|sink| sink.finish(end));
    }
}

/// Whether the logs of a site can be written; the sentence names the one that cannot. Missing files are made.
pub fn check(site: &Site) -> Result<(), String> {
    let told = |what: &str, place: &Place| match place.open() {
        Ok(_) => Ok(()),
        Err(e) => Err(format!("the {what} log {place} cannot be opened: {e}")),
    };
    told("error", &Place::of_error_log(site.error_log.path.as_deref()))?;
    site.host_error_logs().into_iter().try_for_each(|path| told("error", &Place::of_host_log(path)))?;
    let files: Vec<Option<&Path>> = site.access_log_files();
    files.into_iter().try_for_each(|path| told("access", &Place::of_access_log(path)))
}

#[cfg(test)]
mod tests;
