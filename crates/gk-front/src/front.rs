//! The state that the tasks of the data thread share: the site in force, pools, links, connections, counters. One thread only.

mod connections;
mod embedded;
mod figures;
mod site;

use gk_config::site::Site;
use gk_sys::memory::SharedWords;
use gk_wire::certificates::Certificates;
use gk_wire::request::Profile;
use gk_wire::response::Headers;
use gk_wire::setup::ListenerSetup;
use http::HeaderMap;
use http::request::Parts;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use tokio::sync::Notify;

use crate::access::AccessMemory;
use crate::answer::files::disk::FileSystem;
use crate::client::accept::passing::Passing;
use crate::client::addresses::Addresses;
use crate::client::connection::Conn;
use crate::client::endpoints::Endpoints;
use crate::client::http2::streams::Http2Connections;
use crate::client::idle::IdleQueue;
use crate::client::tls::turns::HelloTurns;
use crate::log::answers::AnswerTally;
use crate::log::host_log::{self, NamesRequests};
use crate::log::rate_limited::{RateLimited, Repeated};
use crate::process::admin::Admin;
use crate::process::clock::Clock;
use crate::process::descriptor_limit::DescriptorRoom;
use crate::process::leftovers::Leftovers;
use crate::process::life::Life;
use crate::request::identity::{Identities, Identity, Seed};
use crate::request::limits;
use crate::request::owner::RequiredOwner;
use crate::request::refusal::Refusal;
use crate::request::route::{self, Destination, RouteQuery, RuledPath, Target};
use crate::worker::dispatcher::PoolLimits;
use crate::worker::link::Link;
use crate::worker::pool::Pool;
use crate::worker::profiles::{NumberedProfile, Profiles};
use crate::worker::share::{Bounds, Share, Space};
use crate::worker::sleep::Sleep;

pub use embedded::EmbeddedFronts;
pub use site::CurrentSite;
use site::EarlierSites;

/// The result of routing, with the pool, profile and owner that this front has for it.
pub struct RoutedRequest {
    /// Decoded, normalised path.
    pub path: Vec<u8>,
    /// The place in the configuration.
    pub target: Rc<Target>,
    /// For a script: its group's pool and its profile.
    pub app: Option<(Rc<Pool>, Rc<NumberedProfile>)>,
    /// For a script: environ entries that are in no header.
    pub extra: Headers,
    /// Required owner of the script.
    pub owner: Option<RequiredOwner>,
}

/// What the front gets for its logs.
#[derive(Default)]
pub struct Logs {
    /// The access logs' files, in the order of [`Site::access_log_files`].
    pub access: Vec<OwnedFd>,
    /// The supervisor's counts of lines that it could not write.
    pub lost: Option<OwnedFd>,
}

/// The front's shared state.
pub struct Front {
    /// Clocks.
    pub clock: Clock,
    /// The site.
    pub current: RefCell<Rc<CurrentSite>>,
    /// Sites before it, by which requests under way were routed.
    earlier: EarlierSites,
    /// Whether lines of the error log about requests tell them apart.
    pub names_requests: NamesRequests,
    /// The listeners' addresses.
    pub listeners: Vec<ListenerSetup>,
    /// Folder of the temporary files.
    pub folder: PathBuf,
    /// The supervisor's counts of log lines that it could not write.
    lost_lines: Option<SharedWords>,
    /// Lines that the access logs of earlier sites lost.
    lost_before: Cell<u64>,
    /// Pools by name of the process group.
    pub pools: RefCell<BTreeMap<String, Rc<Pool>>>,
    /// Links by worker number, from their handshake to their end.
    pub links: RefCell<BTreeMap<u64, Rc<Link>>>,
    /// The links that are checked before the event loop sleeps.
    pub sleep: Rc<Sleep>,
    /// Open connections.
    pub conns: RefCell<HashMap<u64, Rc<Conn>>>,
    /// Those of them that speak HTTP/2.
    pub http2: Http2Connections,
    /// Requests answered.
    pub finished: Cell<u64>,
    /// Last request id given.
    pub last_request: Cell<u64>,
    /// What ids are made of, on sites that want them.
    pub seed: OnceCell<Seed>,
    /// Last connection id given.
    pub last_connection: Cell<u64>,
    /// The listeners are closed or closing.
    pub stopping: Cell<bool>,
    /// Load balancers are to send their requests elsewhere.
    pub draining: Cell<bool>,
    /// Another server has the listeners, so nothing hurries: an idle connection may send one more request, and is closed after it.
    pub is_patient: Cell<bool>,
    /// Connections that descriptors allow.
    pub room: DescriptorRoom,
    /// Limits the log lines about it.
    pub descriptors_noted: RateLimited,
    /// Idle connections that give way.
    pub idle: IdleQueue,
    /// Places for answers to hellos of TLS.
    pub hello_turns: HelloTurns,
    /// Connections by client address.
    pub addresses: Rc<Addresses>,
    /// Connections closed because they did not begin with the header of the PROXY protocol.
    pub unproxied: Repeated,
    /// Requests refused as malformed, longer than allowed, or with a head that came too late.
    pub malformed: Cell<u64>,
    /// The memory that ended connections leave behind.
    pub leftovers: Leftovers,
    /// Notified when `stopping` is set.
    pub stop: Notify,
    /// Tasks that bring connections: one for each listener, and one for those that other processes pass on.
    pub accepting: Cell<usize>,
    /// Notified when a connection ends.
    pub conn_ended: Notify,
    /// Notified when a connection begins.
    pub conn_began: Notify,
    /// Notified when a worker's link opens.
    pub link_opened: Notify,
    /// Signs of life of the supervisor and the workers.
    pub life: Life,
    /// The admin process, if there is one.
    pub admin: OnceCell<Rc<Admin>>,
    /// It is the HTTP side of a worker, and of that one only.
    pub embedded: Cell<bool>,
    /// The process group of the worker that it is the HTTP side of; "" in the front process.
    pub own_group: RefCell<String>,
    /// The queue of connections between processes of embedded mode.
    pub passing: OnceCell<Passing>,
    /// What workers tell that speak HTTP themselves.
    pub others: EmbeddedFronts,
    /// Memory and disk for responses of slow clients.
    space: Rc<Space>,
    /// [`Front::is_ready`] as last sent to the admin process.
    sent_ready: Cell<bool>,
    /// The admin process that was told of all answers.
    told: Cell<u32>,
    /// Answers to requests of no process group.
    pub answers: Rc<AnswerTally>,
    /// What access control keeps between requests.
    pub access: AccessMemory,
    profiles: Profiles,
    pid: u32,
    /// Buffer for the key of the route cache.
    key: RefCell<Vec<u8>>,
}

impl Front {
    /// For a site, its listeners, the folder of temporary files, and the logs.
    pub fn new(
        site: Site,
        generation: u64,
        listeners: Vec<ListenerSetup>,
        folder: PathBuf,
        logs: Logs,
        certificates: &Certificates,
        sleep: Rc<Sleep>,
    ) -> Result<Rc<Self>, String> {
        let clock = Clock::default();
        let lost_lines = logs.lost.map(SharedWords::map).transpose();
        let lost_lines = lost_lines.map_err(|e| format!("the counts of lost lines cannot be read: {e}"))?;
        let current = CurrentSite::new(site, generation, logs.access, certificates)?;
        let answers = AnswerTally::new(&clock, "");
        let front = Rc::new(Self {
            clock,
            current: RefCell::new(Rc::new(current)),
            earlier: EarlierSites::default(),
            names_requests: NamesRequests::default(),
            listeners,
            folder,
            lost_lines,
            lost_before: Cell::new(0),
            pools: RefCell::default(),
            links: RefCell::default(),
            sleep,
            conns: RefCell::default(),
            http2: Http2Connections::default(),
            finished: Cell::new(0),
            last_request: Cell::new(0),
            seed: OnceCell::new(),
            last_connection: Cell::new(0),
            stopping: Cell::new(false),
            draining: Cell::new(false),
            is_patient: Cell::new(false),
            room: DescriptorRoom::default(),
            descriptors_noted: RateLimited::default(),
            idle: IdleQueue::default(),
            hello_turns: HelloTurns::default(),
            addresses: Rc::default(),
            unproxied: Repeated::default(),
            malformed: Cell::new(0),
            leftovers: Leftovers::default(),
            stop: Notify::new(),
            accepting: Cell::new(0),
            conn_ended: Notify::new(),
            conn_began: Notify::new(),
            link_opened: Notify::new(),
            life: Life::default(),
            admin: OnceCell::new(),
            embedded: Cell::new(false),
            own_group: RefCell::default(),
            passing: OnceCell::new(),
            others: EmbeddedFronts::default(),
            space: Rc::default(),
            sent_ready: Cell::new(false),
            told: Cell::new(0),
            answers,
            access: AccessMemory::default(),
            profiles: Profiles::default(),
            pid: std::process::id(),
            key: RefCell::default(),
        });
        front.update_pools();
        Ok(front)
    }

    /// Puts another site in force. Requests under way keep theirs.
    pub fn replace(
        &self,
        site: Site,
        generation: u64,
        logs: Vec<OwnedFd>,
        certificates: &Certificates,
    ) -> Result<(), String> {
        let before = self.current();
        if site.embedded != before.compiled.site().embedded {
            return Err("whether other processes than the front accept connections (GilkeeperEmbedded, GilkeeperFronts) changes only when the server is restarted".to_owned());
        }
        let current = CurrentSite::new(site, generation, logs, certificates)?;
        before.logs.flush();
        self.lost_before.set(self.lost_before.get() + before.logs.lost());
        *self.current.borrow_mut() = Rc::new(current);
        self.earlier.keep(&before);
        self.update_pools();
        Ok(())
    }

    /// Puts other certificates in force for the same site. Connections that are open keep theirs.
    pub fn replace_certificates(&self, certificates: &Certificates) -> Result<(), String> {
        self.current().certify(certificates)
    }

    /// The site in force.
    pub fn current(&self) -> Rc<CurrentSite> {
        Rc::clone(&self.current.borrow())
    }

    /// Makes a pool for each new process group, gives the present pools their new limits, and tells what else hangs on the site.
    fn update_pools(&self) {
        let current = self.current();
        let site = current.compiled.site();
        self.space.set(&site.http, &self.folder);
        self.names_requests.set(!current.host_logs.is_empty() || current.identities.is_some());
        let mut pools = self.pools.borrow_mut();
        let several = site.groups.iter().find(|group| group.embedded).map_or(1, |group| group.processes);
        for group in site.groups.iter().filter(|g| !g.service()) {
            let fronts = if group.embedded { 1 } else { several };
            let limits = PoolLimits::of(group, site.http.timeout, fronts);
            let bounds = Bounds::of(group);
            match pools.get(&group.name) {
                Some(pool) => {
                    pool.set_limits(limits);
                    pool.share.set_bounds(bounds);
                }
                None => {
                    let share = Share::new(Rc::clone(&self.space), bounds);
                    let pool = Pool::new(&group.name, limits, self.clock.clone(), share);
                    pools.insert(group.name.clone(), pool);
                }
            }
        }
    }

    /// From now on requests have numbers that no front within another worker gives: the pages and traces of all fronts know a request by
    /// its number.
    pub fn number_requests_of(&self, worker: u64) {
        self.last_request.set(self.last_request.get().max(worker << 32));
    }

    /// The number of the next request.
    pub fn next_request(&self) -> u64 {
        let number = self.last_request.get() + 1;
        self.last_request.set(number);
        number
    }

    /// Gives a request that begins its id; what its task writes into the error log has it from now on.
    pub fn identify(&self, identities: &Identities, ends: &Endpoints, headers: &HeaderMap) -> Rc<Identity> {
        let seed = *self.seed.get_or_init(Seed::new);
        let identity = Rc::new(identities.begin(seed, self.next_request(), ends, headers));
        host_log::identify(Some(&identity.id));
        identity
    }

    /// The share that a group's responses have of memory and disk.
    pub fn share(&self, group: &str) -> Rc<Share> {
        match self.pool(group) {
            Some(pool) => Rc::clone(&pool.share),
            // Its links are drained at once.
            None => Rc::default(),
        }
    }

    /// Every pool. The pool of a removed group is dropped once no worker, request or route holds it.
    pub fn each_pool(&self) -> Vec<Rc<Pool>> {
        let current = self.current();
        let named = |name: &str| current.compiled.site().groups.iter().any(|group| group.name == name);
        let mut pools = self.pools.borrow_mut();
        pools.retain(|name, pool| Rc::strong_count(pool) > 1 || named(name));
        pools.values().map(Rc::clone).collect()
    }

    /// The pool of a group, also of a removed one that still has workers.
    pub fn pool(&self, name: &str) -> Option<Rc<Pool>> {
        self.pools.borrow().get(name).map(Rc::clone)
    }

    /// Routes a request; cached by its raw target, so that an address is routed once. `parts` has passed `limits::check`, which
    /// gave `host`. `ruled`: the path as the rules left it.
    pub fn route(
        &self,
        current: &CurrentSite,
        ends: &Endpoints,
        host: Option<&[u8]>,
        parts: &Parts,
        ruled: Option<RuledPath<'_>>,
    ) -> Result<Rc<RoutedRequest>, Refusal> {
        if let Some(ruled) = ruled.filter(|ruled| !ruled.as_sent) {
            let routed = self.fresh(current, ends, host, ruled.path.to_vec(), Some(ruled));
            current.host_logs.enter(Some(routed.target.host));
            return Ok(Rc::new(routed));
        }
        let mut key = self.key.borrow_mut();
        key.clear();
        key.extend_from_slice(&ends.listener.to_ne_bytes());
        key.push(u8::from(host.is_some()));
        key.extend_from_slice(host.unwrap_or_default());
        key.push(0);
        key.extend_from_slice(parts.uri.path().as_bytes());
        // A wildcard listener has many local addresses, and address-based hosts tell them apart.
        if current.compiled.site().hosts.len() > 1 {
            key.push(0);
            key.extend_from_slice(ends.local.as_bytes());
        }
        if let Some(routed) = current.routes.get(&key) {
            current.host_logs.enter(Some(routed.target.host));
            return Ok(routed);
        }
        limits::host(host)?;
        let slashes = current.compiled.encoded_slashes(ends.local_address(), host);
        let path = limits::path(parts, slashes)?;
        let routed = Rc::new(self.fresh(current, ends, host, path, ruled));
        current.host_logs.enter(Some(routed.target.host));
        if !routed.target.uncacheable {
            current.routes.insert(&key, &routed);
        }
        Ok(routed)
    }

    /// Routes a path.
    fn fresh(
        &self,
        current: &CurrentSite,
        ends: &Endpoints,
        host: Option<&[u8]>,
        path: Vec<u8>,
        ruled: Option<RuledPath<'_>>,
    ) -> RoutedRequest {
        let query = RouteQuery {
            local: ends.local_address(),
            host,
            path: &path,
            variables: ruled.map(|ruled| ruled.variables),
            decided: ruled.map(|ruled| ruled.decided).unwrap_or_default(),
            chosen: ruled.and_then(|ruled| ruled.chosen),
            https: ends.https,
            listener: self.listeners.get(ends.listener).map_or("", |l| &l.address),
            pid: self.pid,
        };
        let mut target = route::target(&current.compiled, &query, &FileSystem);
        if let Destination::App(app) = &target.destination
            && app.group_is_chosen
            && let Some(refused) = current.too_many_groups(app)
        {
            (target.destination, target.uncacheable) = (refused, true);
        }
        let app = match &target.destination {
            Destination::App(app) => {
                let pool = self.pool(&app.group);
                pool.map(|pool| (pool, self.profiles.number(app.profile.clone())))
            }
            _ => None,
        };
        let owner = match &target.destination {
            Destination::App(app) if !app.profile.module => {
                let groups = &current.compiled.site().groups;
                groups.iter().find(|group| group.name == app.group).and_then(RequiredOwner::of)
            }
            _ => None,
        };
        let mut extra = Headers::default();
        if let Destination::App(app) = &target.destination {
            extra.push(b"mod_wsgi.script_name", &app.script_name);
            extra.push(b"mod_wsgi.path_info", &app.path_info);
            if let Some(file) = &app.filename {
                extra.push(b"SCRIPT_FILENAME", file.as_bytes());
            }
        }
        RoutedRequest { target: Rc::new(target), app, extra, owner, path }
    }

    /// The numbered form of a profile.
    pub fn number_profile(&self, profile: Profile) -> Rc<NumberedProfile> {
        self.profiles.number(profile)
    }
}
