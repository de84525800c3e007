//! What the error log says of the request that a task serves: its id, where requests have one, and the log of its host. Lines that
//! name a client go there; all others go to the server's log.

use gk_config::site::Site;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::rc::Rc;

thread_local! {
    /// The request of the task that runs; `None`: nothing is to be said of it, and outside of tasks.
    static LOG: Cell<Option<Rc<LoggedRequest>>> = const { Cell::new(None) };
}

/// Whether a front's lines about requests have anything to say of them: some host has a log of its own, or requests have ids. Once they
/// have, that stays, as tasks may hold a request from before.
#[derive(Clone, Default)]
pub struct NamesRequests(Rc<Cell<bool>>);

impl NamesRequests {
    /// A site is in force that says it.
    pub fn set(&self, names: bool) {
        self.0.set(self.0.get() || names);
    }
}

/// What lines about a request need.
#[derive(Clone, Default)]
struct LoggedRequest {
    /// Path of the log of its host; `None`: the server's.
    log: Option<Rc<str>>,
    /// Its id.
    id: Option<Rc<str>>,
}

/// While it lives, a request is the present one. Then the task that had it has it back, with what became of it.
struct Entered<'a> {
    of: &'a mut Option<Rc<LoggedRequest>>,
    before: Option<Rc<LoggedRequest>>,
}

impl<'a> Entered<'a> {
    fn new(of: &'a mut Option<Rc<LoggedRequest>>) -> Self {
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
    paths: Vec<Option<Rc<LoggedRequest>>>,
}

impl HostLogs {
    /// Those of a site.
    pub fn of(site: &Site) -> Self {
        let path = |log: &std::path::PathBuf| {
            Rc::new(LoggedRequest { log: Some(Rc::from(log.to_string_lossy())), id: None })
        };
        let mut paths: Vec<Option<Rc<LoggedRequest>>> =
            site.hosts.iter().map(|host| host.error_log.as_ref().map(path)).collect();
        if paths.iter().all(Option::is_none) {
            paths.clear();
        }
        Self { paths }
    }

    /// Whether no host has a log of its own.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// From now on the task serves a request of that host; `None`: no host is known yet.
    #[inline]
    pub fn enter(&self, host: Option<usize>) {
        if !self.paths.is_empty() {
            self.change(host);
        }
    }

    fn change(&self, host: Option<usize>) {
        let path = self.path(host);
        let id = LOG.take().and_then(|present| present.id.clone());
        LOG.set(match id {
            None => path,
            id => Some(Rc::new(LoggedRequest { log: path.and_then(|path| path.log.clone()), id })),
        });
    }

    /// Does something about a request of that host in another task.
    pub fn about<T>(&self, host: usize, f: impl FnOnce() -> T) -> T {
        let mut log = self.path(Some(host));
        let _entered = Entered::new(&mut log);
        f()
    }

    fn path(&self, host: Option<usize>) -> Option<Rc<LoggedRequest>> {
        self.paths.get(host?).cloned().flatten()
    }
}

/// A task that serves requests. Behind a pointer, as the runtime moves what is spawned several times, and writes over all of it at the
/// end.
pub fn serving<F: Future>(names: &NamesRequests, task: F) -> impl Future<Output = F::Output> + use<F> {
    let (mut task, mut log, names) = (Box::pin(task), None, Rc::clone(&names.0));
    poll_fn(move |cx| {
        if !names.get() {
            return task.as_mut().poll(cx);
        }
        let _entered = Entered::new(&mut log);
        task.as_mut().poll(cx)
    })
}

/// The task serves a request with this id from now on, of a host that is not known yet; `None`: the request is over.
pub fn identify(id: Option<&Rc<str>>) {
    LOG.set(id.map(|id| Rc::new(LoggedRequest { log: None, id: Some(Rc::clone(id)) })));
}

/// The id of the present request, where requests have one.
pub fn request_id() -> Option<Rc<str>> {
    let present = LOG.take();
    let id = present.as_ref().and_then(|present| present.id.clone());
    LOG.set(present);
    id
}

/// Calls a function with the log and the id of the present request.
pub(crate) fn with<T>(f: impl FnOnce(Option<&str>, Option<&str>) -> T) -> T {
    let present = LOG.take();
    LOG.set(present.clone());
    let of = present.as_deref();
    f(of.and_then(|of| of.log.as_deref()), of.and_then(|of| of.id.as_deref()))
}
