//! The site in force, with all that is made of it once.

use gk_config::place::Compiled;
use gk_config::site::Site;
use gk_wire::certificates::Certificates;
use http::StatusCode;
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::{Front, RoutedRequest};
use crate::answer::files::disk::FileSystem;
use crate::answer::files::recent::RecentFiles;
use crate::answer::withheld::Withheld;
use crate::client::tls::Tls;
use crate::log::access_log::AccessLogs;
use crate::log::host_log::HostLogs;
use crate::log::rate_limited::RateLimited;
use crate::request::identity::Identities;
use crate::request::refusal::Refusal;
use crate::request::route::{App, Destination};
use crate::request::route_cache::RouteCache;
use crate::worker::profiles::ChosenGroups;

/// The site in force; a reload replaces it whole.
pub struct CurrentSite {
    /// The site, prepared.
    pub compiled: Arc<Compiled>,
    /// Counts up with each reload.
    pub generation: u64,
    /// Access logs by host.
    pub logs: AccessLogs,
    /// Error logs by host.
    pub host_logs: HostLogs,
    /// The ids of requests, if they have any.
    pub identities: Option<Identities>,
    /// Application groups whose names requests have chosen.
    chosen_groups: ChosenGroups,
    /// Limits the log lines about patterns of rules that gave up.
    pub patterns_noted: RateLimited,
    /// Files that are not served.
    pub withheld: Arc<Withheld>,
    /// Files that were served a moment ago.
    pub recent: RecentFiles,
    /// TLS of its hosts, if any speaks it; replaced alone when certificates change.
    tls: RefCell<Option<Rc<Tls>>>,
    /// Routes of requests so far.
    pub(super) routes: RouteCache<Rc<RoutedRequest>>,
}

/// Sites that were in force before. Requests under way keep the one that routed them.
#[derive(Default)]
pub(super) struct EarlierSites(RefCell<Vec<Weak<CurrentSite>>>);

impl EarlierSites {
    /// Remembers one for as long as requests keep it.
    pub(super) fn keep(&self, site: &Rc<CurrentSite>) {
        let mut sites = self.0.borrow_mut();
        sites.retain(|site| site.strong_count() > 0);
        sites.push(Rc::downgrade(site));
    }
}

impl Front {
    /// Whether only requests under way need the workers of a group: the site in force does not have it, and one that routed them has.
    pub fn is_left_over(&self, group: &str) -> bool {
        let earlier = self.earlier.0.borrow();
        !self.current().has_group(group)
            && earlier.iter().filter_map(Weak::upgrade).any(|site| site.has_group(group))
    }
}

impl CurrentSite {
    /// Whether it has this process group.
    fn has_group(&self, name: &str) -> bool {
        self.compiled.site().groups.iter().any(|group| group.name == name)
    }

    /// With what is made of a site: its logs, its paths, its TLS.
    pub(super) fn new(
        site: Site,
        generation: u64,
        logs: Vec<OwnedFd>,
        certificates: &Certificates,
    ) -> Result<Self, String> {
        let tls = RefCell::new(Tls::new(&site, certificates)?.map(Rc::new));
        let logs = AccessLogs::open(&site, logs)?;
        let host_logs = HostLogs::of(&site);
        let identities = Identities::of(&site);
        let compiled = Arc::new(Compiled::new(Arc::new(site), &FileSystem)?);
        let withheld = Arc::new(Withheld::of(&compiled));
        Ok(Self {
            compiled,
            generation,
            logs,
            host_logs,
            identities,
            chosen_groups: ChosenGroups::default(),
            patterns_noted: RateLimited::default(),
            withheld,
            recent: RecentFiles::default(),
            tls,
            routes: RouteCache::default(),
        })
    }

    /// Whether some host speaks TLS.
    pub fn has_tls(&self) -> bool {
        self.tls.borrow().is_some()
    }

    /// TLS of its hosts.
    pub fn tls(&self) -> Option<Rc<Tls>> {
        self.tls.borrow().as_ref().map(Rc::clone)
    }

    /// Puts other certificates in force. Connections that are open keep theirs.
    pub(super) fn certify(&self, certificates: &Certificates) -> Result<(), String> {
        let tls = Tls::new(self.compiled.site(), certificates)?;
        *self.tls.borrow_mut() = tls.map(Rc::new);
        Ok(())
    }

    /// The refusal of a request that chooses one application group too many.
    pub(super) fn too_many_groups(&self, app: &App) -> Option<Destination> {
        let groups = &self.compiled.site().groups;
        let most = groups.iter().find(|group| group.name == app.group)?.chosen_interpreters;
        let name = &app.profile.application_group;
        if self.chosen_groups.admit(&app.group, &app.profile.script, name, most as usize) {
            return None;
        }
        let text = format!(
            "application group '{name}' would be one more for {} than chosen-interpreters={most} of process group '{}' allows",
            app.profile.script, app.group
        );
        let refusal = Refusal::Status(StatusCode::SERVICE_UNAVAILABLE);
        Some(Destination::Refused(refusal, Some(("GK0070", text))))
    }
}
