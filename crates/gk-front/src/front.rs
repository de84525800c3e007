//! What the tasks of the data thread share: the site in force, the pools, the connections, the counters. Owned through
//! `Rc`, one thread only. What happens with it is in `server`, `control` and `service`.

use gk_config::place::{Compiled, Files, Kind};
use gk_config::site::Site;
use gk_wire::control::FrontStatus;
use gk_wire::feed::{FrontFigures, ToAdmin};
use gk_wire::response::Headers;
use gk_wire::setup::ListenerSetup;
use http::request::Parts;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;

use crate::answer::reply::Refusal;
use crate::client::connection::Conn;
use crate::log::access_log::AccessLogs;
use crate::process::admin::Admin;
use crate::process::clock::Clock;
use crate::process::descriptors::Seldom;
use crate::request::limits;
use crate::request::owner::Owner;
use crate::request::route::{self, Question, Target, What};
use crate::request::route_cache::Known;
use crate::worker::link::Link;
use crate::worker::pool::{Limits, Pool};
use crate::worker::profiles::{Numbered, Profiles};

/// The site in force; a reload replaces it whole.
pub struct Current {
    /// The site, prepared.
    pub compiled: Compiled,
    /// Counts up with each reload.
    pub generation: u64,
    /// Access logs by host.
    pub logs: AccessLogs,
    known: Known<Rc<Routed>>,
}

/// A target with what this front has for it.
pub struct Routed {
    /// Decoded, normalised path.
    pub path: Vec<u8>,
    /// What answers.
    pub target: Target,
    /// For a script: its group's pool and its profile.
    pub app: Option<(Rc<Pool>, Rc<Numbered>)>,
    /// For a script: environ entries that are in no header.
    pub extra: Headers,
    /// Whose the script must be.
    pub owner: Option<Owner>,
}

/// The front's shared state.
pub struct Front {
    /// Clocks.
    pub clock: Clock,
    /// The site.
    pub current: RefCell<Rc<Current>>,
    /// The listeners' addresses.
    pub listeners: Vec<ListenerSetup>,
    /// Pools by name of the process group.
    pub pools: RefCell<BTreeMap<String, Rc<Pool>>>,
    /// Links by worker number, from their handshake to their end.
    pub links: RefCell<BTreeMap<u64, Rc<Link>>>,
    /// Open connections.
    pub conns: RefCell<HashMap<u64, Rc<Conn>>>,
    /// Requests finished.
    pub finished: Cell<u64>,
    /// Last request id given.
    pub last_request: Cell<u64>,
    /// Last connection id given.
    pub last_connection: Cell<u64>,
    /// The listeners are closed or closing.
    pub stopping: Cell<bool>,
    /// A connection took one of the last descriptors; cleared when a connection ends.
    pub short: Cell<bool>,
    /// When the log was told that connections have to wait.
    pub told_short: Seldom,
    /// Told when `stopping` is set.
    pub stop: Notify,
    /// Told when a connection ends.
    pub conn_ended: Notify,
    /// Told when there is a connection to watch.
    pub conn_began: Notify,
    /// The admin process, if there is one.
    pub admin: OnceCell<Rc<Admin>>,
    /// What it was told last of [`Front::is_ready`].
    told_ready: Cell<bool>,
    profiles: Profiles,
    pid: u32,
    /// The key of the last look-up; kept for its memory.
    key: RefCell<Vec<u8>>,
}

impl Front {
    /// For a site and its listeners.
    pub fn new(site: Site, generation: u64, listeners: Vec<ListenerSetup>) -> Result<Rc<Self>, String> {
        let clock = Clock::default();
        let logs = AccessLogs::open(&site)?;
        let compiled = Compiled::new(Arc::new(site))?;
        let current = Current { compiled, generation, logs, known: Known::default() };
        let front = Rc::new(Self {
            clock,
            current: RefCell::new(Rc::new(current)),
            listeners,
            pools: RefCell::default(),
            links: RefCell::default(),
            conns: RefCell::default(),
            finished: Cell::new(0),
            last_request: Cell::new(0),
            last_connection: Cell::new(0),
            stopping: Cell::new(false),
            short: Cell::new(false),
            told_short: Seldom::default(),
            stop: Notify::new(),
            conn_ended: Notify::new(),
            conn_began: Notify::new(),
            admin: OnceCell::new(),
            told_ready: Cell::new(false),
            profiles: Profiles::default(),
            pid: std::process::id(),
            key: RefCell::default(),
        });
        front.fit_pools();
        Ok(front)
    }

    /// Puts another site in force. Requests under way keep the one they began with.
    pub fn replace(&self, site: Site, generation: u64) -> Result<(), String> {
        let logs = AccessLogs::open(&site)?;
        let compiled = Compiled::new(Arc::new(site))?;
        self.current().logs.flush();
        *self.current.borrow_mut() = Rc::new(Current { compiled, generation, logs, known: Known::default() });
        self.fit_pools();
        Ok(())
    }

    /// The site in force.
    pub fn current(&self) -> Rc<Current> {
        Rc::clone(&self.current.borrow())
    }

    /// A pool for each process group; the limits of those that are there already follow the site.
    fn fit_pools(&self) {
        let current = self.current();
        let site = current.compiled.site();
        let mut pools = self.pools.borrow_mut();
        for group in site.groups.iter().filter(|g| !g.service()) {
            let limits = Limits::of(group, site.http.timeout);
            match pools.get(&group.name) {
                Some(pool) => pool.set_limits(limits),
                None => {
                    pools.insert(group.name.clone(), Pool::new(&group.name, limits, self.clock.clone()));
                }
            }
        }
    }

    /// Every pool. One of a group that no site names any more is forgotten when no worker, no request and no place has it.
    pub fn each_pool(&self) -> Vec<Rc<Pool>> {
        let current = self.current();
        let named = |name: &str| current.compiled.site().groups.iter().any(|group| group.name == name);
        let mut pools = self.pools.borrow_mut();
        pools.retain(|name, pool| Rc::strong_count(pool) > 1 || named(name));
        pools.values().map(Rc::clone).collect()
    }

    /// The pool of a group, also of one that no site names any more.
    pub fn pool(&self, name: &str) -> Option<Rc<Pool>> {
        self.pools.borrow().get(name).map(Rc::clone)
    }

    /// What answers a request; remembered by its raw target, so that the same address is looked up once. `parts` has
    /// passed `limits::check`, which gave `host`.
    pub fn route(
        &self,
        current: &Current,
        conn: &Conn,
        host: Option<&[u8]>,
        parts: &Parts,
    ) -> Result<Rc<Routed>, Refusal> {
        let mut key = self.key.borrow_mut();
        key.clear();
        key.extend_from_slice(&conn.ends.listener.to_ne_bytes());
        key.push(u8::from(host.is_some()));
        key.extend_from_slice(host.unwrap_or_default());
        key.push(0);
        key.extend_from_slice(parts.uri.path().as_bytes());
        // A wildcard listener has many local addresses, and address-based hosts tell them apart.
        if current.compiled.site().hosts.len() > 1 {
            key.push(0);
            key.extend_from_slice(conn.ends.local.as_bytes());
        }
        if let Some(known) = current.known.get(&key) {
            return Ok(known);
        }
        limits::host(host)?;
        let path = &limits::path(parts)?;
        let question = Question {
            local: conn.ends.local.parse::<IpAddr>().ok().map(|ip| (ip, conn.ends.local_port).into()),
            host,
            path,
            https: conn.ends.https,
            listener: self.listeners.get(conn.ends.listener).map_or("", |l| &l.address),
            pid: self.pid,
        };
        let target = route::target(&current.compiled, &question, &Disk);
        let app = match &target.what {
            What::App(app) => {
                let pool = self.pool(&app.group);
                pool.map(|pool| (pool, self.profiles.number(app.profile.clone())))
            }
            _ => None,
        };
        let owner = match &target.what {
            What::App(app) if !app.profile.module => {
                let groups = &current.compiled.site().groups;
                groups.iter().find(|group| group.name == app.group).and_then(Owner::of)
            }
            _ => None,
        };
        let mut extra = Headers::default();
        if let What::App(app) = &target.what {
            extra.push(b"mod_wsgi.script_name", &app.script_name);
            extra.push(b"mod_wsgi.path_info", &app.path_info);
        }
        let fleeting = target.fleeting;
        let routed = Rc::new(Routed { target, app, extra, owner, path: path.clone() });
        if !fleeting {
            current.known.keep(&key, &routed);
        }
        Ok(routed)
    }

    /// The figures for the supervisor and the admin page.
    pub fn status(&self) -> FrontStatus {
        let pools = self.pools.borrow();
        let links = self.links.borrow();
        FrontStatus {
            connections: self.conns.borrow().len() as u64,
            requests: self.finished.get(),
            queued: pools.iter().map(|(name, pool)| (name.clone(), pool.queued() as u64)).collect(),
            in_flight: links.iter().map(|(worker, link)| (*worker, u64::from(link.in_flight()))).collect(),
        }
    }

    /// Tells the admin process the present.
    pub fn tell_figures(&self) {
        let Some(admin) = self.admin.get() else { return };
        let current = self.current();
        let links = self.links.borrow();
        let ready = self.is_ready();
        self.told_ready.set(ready);
        admin.tell_figures(&ToAdmin::Figures(FrontFigures {
            ready,
            generation: current.generation,
            status: self.status(),
            lost_log_lines: current.logs.lost(),
            remarks: links.values().filter_map(|link| link.remark()).collect(),
        }));
    }

    /// Whether the admin process was told something else of readiness.
    pub fn became_ready_or_not(&self) -> bool {
        self.admin.get().is_some() && self.told_ready.get() != self.is_ready()
    }

    /// Tells the admin process.
    pub fn tell(&self, message: &ToAdmin) {
        if let Some(admin) = self.admin.get() {
            admin.tell(message);
        }
    }

    /// Whether every process group that takes requests has a worker that does so, in the GIL mode it is required to have.
    pub fn is_ready(&self) -> bool {
        let current = self.current();
        let mut groups = current.compiled.site().groups.iter().filter(|g| !g.service());
        !self.stopping.get() && groups.all(|g| self.pool(&g.name).is_some_and(|p| p.has_ready_worker()))
    }
}

struct Disk;

impl Files for Disk {
    fn kind(&self, path: &Path) -> Kind {
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_file() => Kind::File,
            Ok(meta) if meta.is_dir() => Kind::Directory,
            _ => Kind::Missing,
        }
    }
}
