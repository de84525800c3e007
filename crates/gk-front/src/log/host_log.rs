//! The error log of the host whose request a task serves. Lines that name a client go there; all others go to the server's log.

use gk_config::site::Site;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::rc::Rc;

thread_local! {
    /// Path of the log of the task that runs; `None`: the server's, and outside of tasks.
    static LOG: Cell<Option<Rc<str>>> = const { Cell::new(None) };
}

/// While it lives, a log is the present one. Then the task that had it has it back, with what became of it.
struct Entered<'a> {
    of: &'a mut Option<Rc<str>>,
    before: Option<Rc<str>>,
}

impl<'a> Entered<'a> {
    fn new(of: &'a mut Option<Rc<str>>) -> Self {
        let before = LOG.replace(of.take());
        Self { of, before }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        *self.of = LOG.replace(self.before.take());
    }
}

/// The logs of the hosts that have one of their own.
pub struct HostLogs {
    /// By host; empty when no host has one.
    paths: Vec<Option<Rc<str>>>,
}

impl HostLogs {
    /// Those of a site.
    pub fn of(site: &Site) -> Self {
        let path = |log: &std::path::PathBuf| Rc::from(log.to_string_lossy());
        let mut paths: Vec<Option<Rc<str>>> =
            site.hosts.iter().map(|host| host.error_log.as_ref().map(path)).collect();
        if paths.iter().all(Option::is_none) {
            paths.clear();
        }
        Self { paths }
    }

    /// From now on the task serves a request of that host; `None`: no host is known yet.
    pub fn enter(&self, host: Option<usize>) {
        if self.paths.is_empty() {
            return;
        }
        let path = self.path(host);
        LOG.set(path);
    }

    /// Does something about a request of that host in another task.
    pub fn about<T>(&self, host: usize, f: impl FnOnce() -> T) -> T {
        let mut log = self.path(Some(host));
        let _entered = Entered::new(&mut log);
        f()
    }

    fn path(&self, host: Option<usize>) -> Option<Rc<str>> {
        self.paths.get(host?).cloned().flatten()
    }
}

/// A task that serves requests. Behind a pointer, as the runtime moves what is spawned several times, and writes over all of it at the
/// end.
pub fn serving<F: Future>(task: F) -> impl Future<Output = F::Output> {
    let (mut task, mut log) = (Box::pin(task), None);
    poll_fn(move |cx| {
        let _entered = Entered::new(&mut log);
        task.as_mut().poll(cx)
    })
}

/// Calls a function with the present log.
pub(crate) fn with<T>(f: impl FnOnce(Option<&str>) -> T) -> T {
    let log = LOG.take();
    LOG.set(log.clone());
    f(log.as_deref())
}
