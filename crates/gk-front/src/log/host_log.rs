//! The error log of the host whose request a task serves. Lines that name a client go there; all others go to the server's log.

use gk_config::site::Site;
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

tokio::task_local! {
    /// Path of the log; `None`: the server's.
    static LOG: RefCell<Option<Rc<str>>>;
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
        // A task without a log of its own uses the server's.
        let _ = LOG.try_with(|log| *log.borrow_mut() = path);
    }

    /// Does something about a request of that host in another task.
    pub fn about<T>(&self, host: usize, f: impl FnOnce() -> T) -> T {
        LOG.sync_scope(RefCell::new(self.path(Some(host))), f)
    }

    fn path(&self, host: Option<usize>) -> Option<Rc<str>> {
        self.paths.get(host?).cloned().flatten()
    }
}

/// A task that serves requests.
pub fn serving<F: Future>(task: F) -> impl Future<Output = F::Output> {
    LOG.scope(RefCell::new(None), task)
}

/// Calls a function with the present log.
pub(crate) fn with<T>(f: impl FnOnce(Option<&str>) -> T) -> T {
    let log = LOG.try_with(|log| log.borrow().clone()).ok().flatten();
    f(log.as_deref())
}
