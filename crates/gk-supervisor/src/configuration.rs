//! A configuration, checked as far as possible without starting anything: Pythons exist and are supported, users exist. The
//! [`Loader`] of the command line reads its text.

pub mod identity;
pub mod python;

use crate::StartError;
use crate::certificates::{self, Reading};
use crate::plan::event::ConfigurationOutline;
use gk_config::FreeThreading;
use gk_config::site::{Listen, LogForm, ProcessGroup, Site};
use gk_sys::child::identity::Identity;
use gk_wire::log::{Area, Form, Level};
use gk_wire::setup::LogSetup;
use python::{PythonBuild, PythonRuntime, Pythons};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A configuration as loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The site.
    pub site: Site,
    /// Warnings, one line each.
    pub warnings: Vec<String>,
    /// The folder that the server was started in, by the name it had then. It may lead elsewhere by now, or be gone.
    pub directory: PathBuf,
    /// Variables that the environment of the workers has beside ours.
    pub environment: Vec<(String, String)>,
}

/// Reads the configuration; called again at each reload. The error is one text for the user.
pub type Loader = Arc<dyn Fn() -> Result<Loaded, String> + Send + Sync>;

/// A configuration that can be started.
#[derive(Debug)]
pub struct Configuration {
    /// Its number, used by the plan.
    pub number: u64,
    /// The site. Its server root is the real folder, which stays when a link on the way is switched.
    pub site: Site,
    /// The server root as the configuration has it.
    server_root: PathBuf,
    /// The folder that the server was started in.
    pub directory: PathBuf,
    /// Variables that the environment of the workers has beside ours.
    pub environment: Vec<(String, String)>,
    /// Python, GIL mode and user of each process group.
    groups: BTreeMap<String, ResolvedGroup>,
    /// User and groups of the front; `None`: ours.
    pub front_identity: Option<Identity>,
    /// The certificates as they were when it was read.
    pub certificates: Arc<Reading>,
    /// Remarks for the user, one sentence each.
    pub remarks: Vec<String>,
}

/// A process group with its names resolved: Python, build, user.
#[derive(Debug, Clone)]
pub struct ResolvedGroup {
    /// The Python that runs it.
    pub executable: PathBuf,
    /// Its build.
    pub build: PythonBuild,
    /// Whether it runs with the GIL.
    pub gil: bool,
    /// User and groups of its workers; `None`: ours.
    pub identity: Option<Identity>,
}

impl Configuration {
    /// Checks a site. `pythons` remembers the executables asked before.
    pub fn new(
        number: u64,
        loaded: Loaded,
        runtime: &PythonRuntime,
        pythons: &mut Pythons,
    ) -> Result<Self, StartError> {
        let Loaded { site, warnings, directory, environment } = loaded;
        if site.groups.is_empty() {
            return Err(StartError::new(
                "the configuration has no WSGIDaemonProcess, so nothing would run the application",
            ));
        }
        let mut groups = BTreeMap::new();
        for group in &site.groups {
            let executable = python::executable(&site, group, runtime)?;
            let build = pythons.build(&executable)?;
            let gil = gil(&site, group, build)?;
            let what = format!("process group '{}'", group.name);
            let user = group.user.as_deref().or(site.user.as_deref());
            let name = group.group.as_deref().or(site.group.as_deref().filter(|_| group.user.is_none()));
            let identity = identity::resolve(&what, user, name, group.supplementary_groups.as_deref())?;
            groups.insert(group.name.clone(), ResolvedGroup { executable, build, gil, identity });
        }
        let front_identity =
            identity::resolve("User/Group", site.user.as_deref(), site.group.as_deref(), None)?;
        let server_root = site.server_root.clone();
        let now = gk_sys::clock::epoch_seconds() as i64;
        let certificates = certificates::read(&site, now).map_err(|bad| certificates::refusal(&bad))?;
        let remarks = warnings.into_iter().chain(certificates.remarks.iter().cloned()).collect();
        let certificates = Arc::new(certificates);
        Ok(Self {
            number,
            site,
            server_root,
            directory,
            environment,
            groups,
            front_identity,
            certificates,
            remarks,
        })
    }

    /// A site without anything that would be looked up on this machine, for tests.
    #[cfg(test)]
    pub fn of_site(number: u64, site: Site, certificates: Reading) -> Self {
        Self {
            number,
            server_root: site.server_root.clone(),
            site,
            directory: PathBuf::from("/"),
            environment: Vec::new(),
            groups: BTreeMap::new(),
            front_identity: None,
            certificates: Arc::new(certificates),
            remarks: Vec::new(),
        }
    }

    /// The server root of the running server is there.
    pub fn settle(&mut self, server_root: &Path) {
        self.site.server_root = server_root.to_owned();
    }

    /// Keeps the server root of the configuration before, unless this one has another.
    pub fn settle_like(&mut self, before: &Self) {
        if self.server_root == before.server_root {
            self.settle(&before.site.server_root);
        }
    }

    /// Python, GIL mode and user of a group.
    ///
    /// # Panics
    /// When the site has no such group.
    pub fn about(&self, group: &str) -> &ResolvedGroup {
        self.groups.get(group).expect("each group of the site was looked at when the configuration was made")
    }

    /// The group of that name.
    pub fn group(&self, name: &str) -> Option<&ProcessGroup> {
        self.site.groups.iter().find(|g| g.name == name)
    }

    /// Whether any process runs as another user.
    pub fn has_other_users(&self) -> bool {
        self.front_identity.is_some() || self.groups.values().any(|a| a.identity.is_some())
    }

    /// A warning when processes run as root.
    pub fn as_root(&self) -> Option<String> {
        if gk_sys::child::identity::effective_uid() != 0 {
            return None;
        }
        let front = self.front_identity.is_none().then(|| "the front".to_owned());
        let groups = self.groups.iter().filter(|(_, about)| about.identity.is_none());
        let who: Vec<String> =
            front.into_iter().chain(groups.map(|(name, _)| format!("process group '{name}'"))).collect();
        (!who.is_empty()).then(|| {
            format!(
                "running as root: {}; a hole in the application opens the whole machine, so name a user with User or serve --user, \
                 or with user= of the process group",
                who.join(", ")
            )
        })
    }

    /// Log thresholds and form.
    pub fn log(&self) -> LogSetup {
        let log = &self.site.error_log;
        let own = |(area, level): (&String, &String)| Some((Area::parse(area)?, Level::parse(level)?));
        let form = match log.form {
            LogForm::Text => Form::Text,
            LogForm::Json => Form::Json,
            LogForm::Logfmt => Form::Logfmt,
        };
        let level = Level::parse(&log.level).unwrap_or(Level::Warn);
        LogSetup { level, areas: log.areas.iter().filter_map(own).collect(), form }
    }

    /// The part that the plan needs.
    pub fn outline(&self) -> ConfigurationOutline {
        ConfigurationOutline {
            configuration: self.number,
            groups: self.site.groups.clone(),
            keep_trying: self.site.supervision.keep_trying,
            front_timeout: self.site.supervision.front_timeout,
            remarks: self.remarks.clone(),
        }
    }

    /// Changes since `before` that take effect only at the next start of the server, one sentence each.
    pub fn needs_restart(&self, before: &Configuration) -> Vec<String> {
        let (new, old) = (&self.site, &before.site);
        let changed = [
            ("Listen", new.listen != old.listen),
            ("the admin address", new.admin != old.admin),
            ("token= of GilkeeperAdmin", new.measurements.admin_token != old.measurements.admin_token),
            ("where figures are sent", new.measurements.export != old.measurements.export),
            ("GilkeeperAdminTLS", new.measurements.admin_tls != old.measurements.admin_tls),
            ("ServerRoot", self.server_root != before.server_root),
            ("PidFile", new.pid_file != old.pid_file),
        ];
        let said = changed.into_iter().filter(|(_, changed)| *changed);
        let mut said: Vec<String> = said
            .map(|(what, _)| format!("{what} changed: that takes effect when the server is restarted"))
            .collect();
        if (&new.user, &new.group) != (&old.user, &old.group) {
            said.push(
                "User or Group changed: new workers run as the new one, the front only when the server is restarted"
                    .to_owned(),
            );
        }
        said
    }

    /// Why this configuration may not follow `before`: the same processes have to accept connections. A front process that has closed the
    /// listening sockets gets them back only when it is started.
    pub fn accepts_elsewhere(&self, before: &Configuration) -> Option<String> {
        let (new, old) = (Acceptors::of(&self.site), Acceptors::of(&before.site));
        (new != old).then(|| {
            format!(
                "GilkeeperEmbedded or GilkeeperFronts changed, from {} to {}, which takes effect only when the server is restarted: restart \
                 it, or use `gilkeeper upgrade`",
                old.words(),
                new.words()
            )
        })
    }

    /// Why this configuration may not follow `before`: sockets stay open until the server is restarted, and one that speaks TLS would speak
    /// plain HTTP, without a `Listen` that asks for it.
    pub fn opens_in_plain(&self, before: &Configuration) -> Option<String> {
        let (new, old) = (&self.site, &before.site);
        let mut left = old.listen.iter().filter(|listen| !new.listen.contains(listen)).filter_map(address);
        let plain = |address: &SocketAddr| old.speaks_tls(Some(*address)) && !new.speaks_tls(Some(*address));
        let address = left.find(plain)?;
        Some(format!(
            "Listen changed, and the socket {address}, which speaks TLS, would speak plain HTTP until the server is restarted: restart it \
             instead"
        ))
    }
}

/// The processes that accept connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acceptors {
    Front,
    Fronts,
    Embedded,
}

impl Acceptors {
    fn of(site: &Site) -> Self {
        match site.groups.iter().find(|group| group.embedded) {
            None => Self::Front,
            Some(group) if group.is_front() => Self::Fronts,
            Some(_) => Self::Embedded,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Front => "one front",
            Self::Fronts => "several fronts",
            Self::Embedded => "embedded mode",
        }
    }
}

/// The address of a listening socket, where it is known before.
fn address(listen: &Listen) -> Option<SocketAddr> {
    match listen {
        Listen::Tcp { host, port, .. } if *port != 0 => {
            let every = IpAddr::from([0, 0, 0, 0]);
            let ip = host.as_ref().map_or(Some(every), |host| host.trim_matches(['[', ']']).parse().ok());
            Some(SocketAddr::new(ip?, *port))
        }
        _ => None,
    }
}

/// Whether the group runs with the GIL: yes, unless free threading is requested on a build that supports it. Reading the
/// configuration reports requests that cannot be met.
fn gil(site: &Site, group: &ProcessGroup, build: PythonBuild) -> Result<bool, StartError> {
    match site.free_threading(&group.name) {
        FreeThreading::Off => Ok(true),
        _ if build.free_threaded => Ok(false),
        FreeThreading::On => Ok(true),
        FreeThreading::Required => Err(StartError(format!(
            "process group '{}' must run free-threaded, but its Python 3.{} was not built for that; name a \
             free-threaded build (3.14t) with python=",
            group.name, build.minor
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(text: &str) -> Site {
        let around = gk_config::Surroundings { directory: "/".into(), ..gk_config::Surroundings::default() };
        let text = format!("WSGIDaemonProcess one\n{text}\n");
        let loaded = gk_config::load_text("site.conf", &text, &gk_config::source::Memory::new(), &around);
        loaded.site.unwrap()
    }

    fn configuration(text: &str) -> Configuration {
        Configuration::of_site(1, site(text), Reading::default())
    }

    #[test]
    fn a_change_that_needs_a_restart_is_named() {
        let plain = "Listen 8000\nServerRoot /srv\n";
        let cases = [
            ("Timeout 3", None),
            ("Listen 8001", Some("Listen changed")),
            ("GilkeeperAdmin 127.0.0.1:9000", Some("the admin address changed")),
            ("GilkeeperAdmin 127.0.0.1:8001 token=always", Some("token= of GilkeeperAdmin changed")),
            ("PidFile other.pid", Some("PidFile changed")),
            // The logs follow a reload.
            ("ErrorLog other.log", None),
            ("User nobody", Some("User or Group changed")),
        ];
        for (line, wanted) in cases {
            let said = configuration(&format!("{plain}{line}")).needs_restart(&configuration(plain));
            let said: Vec<&str> = said.iter().filter_map(|text| text.split(':').next()).collect();
            assert_eq!(said, Vec::from_iter(wanted), "{line}");
        }
    }

    /// Reported: a reload with another port for TLS made the old one speak plain HTTP, until the server was restarted. Met when the port of
    /// `Listen` and its host was changed.
    #[test]
    fn a_socket_that_speaks_tls_does_not_change_to_plain_http_by_a_change_of_listen() {
        let tls = |listen: &str, port: &str, engine: &str| {
            let host = format!("SSLEngine {engine}\nSSLCertificateFile /c");
            format!("Listen 80\nListen {listen}\n<VirtualHost *:{port}>\n{host}\n</VirtualHost>")
        };
        let cases = [
            (tls("8443", "8443", "On"), tls("9443", "9443", "On"), Some("0.0.0.0:8443")),
            (tls("[::1]:8443", "8443", "On"), tls("9443", "9443", "On"), Some("[::1]:8443")),
            (tls("127.0.0.1:8443", "8443", "On"), "Listen 80".to_owned(), Some("127.0.0.1:8443")),
            // Plain HTTP is asked for.
            (tls("8443", "8443", "On"), tls("8443", "8443", "Off"), None),
            (tls("8443", "8443", "Off"), tls("9443", "9443", "Off"), None),
            (tls("8443", "8443", "Off"), tls("9443", "9443", "On"), None),
        ];
        for (before, after, wanted) in cases {
            let refused = configuration(&after).opens_in_plain(&configuration(&before));
            let names = |address: &str| {
                refused.as_ref().is_some_and(|said| said.contains(&format!("socket {address},")))
            };
            assert!(wanted.map_or(refused.is_none(), names), "{before}\n---\n{after}: {refused:?}");
        }
    }

    #[test]
    fn free_threading_is_refused_only_where_it_is_required() {
        let build = |free_threaded| PythonBuild { minor: 14, free_threaded };
        let cases = [
            ("", true, Some(true)),
            ("WSGIFreeThreading On", false, Some(true)),
            ("WSGIFreeThreading On", true, Some(false)),
            ("WSGIDaemonProcess two free-threading=required", true, Some(false)),
            ("WSGIDaemonProcess two free-threading=required", false, None),
        ];
        for (text, free_threaded, wanted) in cases {
            let site = site(text);
            let group = site.groups.last().unwrap();
            assert_eq!(gil(&site, group, build(free_threaded)).ok(), wanted, "{text} {free_threaded}");
        }
    }
}
