//! A request as the rules of Apache's modules see and change it: its facts, its variables, its path. The phases are here in the
//! order of Apache; the rules themselves are in `gk_rules`. Only requests of a host with rules have one of these.

mod beside;
mod facts;
pub mod rewriting;

use gk_config::site::{EncodedSlashes, Host, Settings};
use gk_rules::content::compression::untagged;
use gk_rules::headers::{HeaderRule, Moment};
use gk_rules::redirects::Redirect;
use gk_rules::variables::Condition;
use gk_rules::{Env, Facts, Kind, TooLong};
use gk_wire::response::Headers;
use http::header::{
    CONTENT_LENGTH, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, RANGE, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{Method, StatusCode};
use rewriting::{Rewriting, Step};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use crate::access::decision::Caller;
use crate::client::endpoints::Endpoints;
use crate::front::{CurrentSite, RoutedRequest};
use crate::request::fields::MapFields;
use crate::request::proxy_trust::{self, Overlay};
use crate::request::refusal::Refusal;
use crate::request::route::{self, Destination, RuledPath};
use crate::request::{limits, path, target};

/// Entries of environ that the request itself gives: a variable of the same name does not replace them.
const OWN_NAMES: &[&str] = &[
    "AUTH_TYPE",
    "GATEWAY_INTERFACE",
    "PATH_INFO",
    "PATH_TRANSLATED",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "REMOTE_USER",
    "REMOTE_PORT",
    "REQUEST_METHOD",
    "REQUEST_SCHEME",
    "REQUEST_URI",
    "SCRIPT_FILENAME",
    "SCRIPT_NAME",
    "SERVER_ADDR",
    "SERVER_ADMIN",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
    "DOCUMENT_ROOT",
    "CONTEXT_PREFIX",
    "CONTEXT_DOCUMENT_ROOT",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
];

/// Fields of a request that say nothing about the document for its error.
const UNWANTED: [HeaderName; 8] = [
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
];

/// One request with its rules.
pub struct Asked {
    current: Rc<CurrentSite>,
    /// Index of its host.
    pub host: usize,
    /// Its head, with the headers as the rules left them.
    pub parts: Parts,
    /// The `Host` header, or the authority of an absolute target.
    authority: Option<Vec<u8>>,
    /// Path as it was sent.
    url: Vec<u8>,
    /// Decoded, normalised path; after a rewrite, the new one.
    pub path: Vec<u8>,
    /// The path is the one that the client sent.
    as_sent: bool,
    /// Query; after a rewrite, the new one.
    pub query: Vec<u8>,
    /// Its variables.
    pub env: Env,
    /// The settings of its place; before routing, those of its host.
    pub settings: Arc<Settings>,
    /// For environ: the entries of the place, and the variables.
    pub extra: Headers,
    /// A page about an error is asked for by GET, whatever the method was.
    pub shown_as_get: bool,
    /// The server itself asks about an entry of a list.
    within: bool,
    server_name: String,
    server_port: u16,
    ends: Endpoints,
    local: Option<SocketAddr>,
    overlay: Option<Overlay>,
    /// The user that was authenticated and is admitted.
    pub caller: Option<Caller>,
    /// The user's name as the client gave it, also where it was refused.
    pub tried: Option<String>,
    /// The access rules of the place, where they must be asked, admitted the request.
    pub admitted: bool,
    file: Option<PathBuf>,
    path_info: Vec<u8>,
    handler: Option<&'static str>,
    arrived: f64,
    /// Status of the response, as soon as there is one.
    pub status: Option<StatusCode>,
    /// What RewriteRule and conditional sections have left.
    pub rewriting: Rewriting,
}

impl Asked {
    /// For a request whose head was checked, and what is wrong with its address. `None`: its host has no rules.
    pub fn new(
        current: &Rc<CurrentSite>,
        ends: &Endpoints,
        parts: &Parts,
        host: Option<&[u8]>,
        arrived: f64,
    ) -> Result<Option<(Self, limits::Understood)>, Refusal> {
        limits::host(host)?;
        let local = ends.local_address();
        let index = current.compiled.host(local, host);
        if !current.compiled.host_has_rules(index) {
            return Ok(None);
        }
        let base = &current.compiled.site().hosts[index];
        let (server_name, server_port) = route::authority(base, host, local, ends.https);
        let (path, understood) = limits::shown_path(parts, base.encoded_slashes);
        let asked = Self {
            host: index,
            parts: parts.clone(),
            authority: host.map(<[u8]>::to_vec),
            url: target::path(parts).to_vec(),
            path,
            as_sent: true,
            query: target::query(parts).to_vec(),
            env: Env::default(),
            settings: current.compiled.base_settings(index),
            extra: Headers::default(),
            shown_as_get: false,
            within: false,
            server_name,
            server_port,
            ends: ends.clone(),
            local,
            overlay: proxy_trust::apply(&base.base, &ends.peer, &parts.headers),
            caller: None,
            tried: None,
            admitted: false,
            file: None,
            path_info: Vec::new(),
            handler: None,
            arrived,
            status: None,
            rewriting: Rewriting::default(),
            current: Rc::clone(current),
        };
        Ok(Some((asked, understood)))
    }

    fn site_host(&self) -> &Host {
        &self.current.compiled.site().hosts[self.host]
    }

    /// The path and variables for routing.
    pub fn route(&self) -> RuledPath<'_> {
        let decided = self.rewriting.decided();
        let as_sent = self.as_sent && decided.is_nothing();
        RuledPath { path: &self.path, as_sent, decided, variables: &self.env, chosen: None }
    }

    /// The phase before routing: the rules of the host that stand outside of sections.
    pub fn before_routing(&mut self) -> Result<(), Refusal> {
        let settings = Arc::clone(&self.settings);
        self.change_fields(&settings.rules.headers.request, true);
        let url = self.url.clone();
        self.set_variables(&settings.rules.variables.server, &url)?;
        self.rewrite_on_server()?;
        self.redirect(&settings.rules.redirects.server)
    }

    /// The request was routed: its place is known.
    pub fn routed(&mut self, routed: &RoutedRequest) {
        let target = &routed.target;
        self.settings = Arc::clone(&target.settings);
        self.overlay = proxy_trust::apply(&self.settings, &self.ends.peer, &self.parts.headers);
        self.server_name.clone_from(&target.server_name);
        self.server_port = target.server_port;
        self.path_info = match &target.destination {
            Destination::App(app) => app.path_info.clone(),
            _ => Vec::new(),
        };
        (self.file, self.handler) = match &target.destination {
            Destination::App(app) if !app.profile.module => {
                (Some(app.script.clone().into()), Some("wsgi-script"))
            }
            Destination::App(_) => (None, Some("wsgi-script")),
            Destination::File { path, .. } => (Some(path.clone()), None),
            Destination::Refused(..) => (None, None),
        };
    }

    /// The phase of the place, up to its access rules.
    pub fn in_place(&mut self) -> Result<(), Refusal> {
        let settings = Arc::clone(&self.settings);
        let url = self.path.clone();
        self.set_variables(&settings.rules.variables.place, &url)
    }

    /// The phase of the place from its access rules to its handler.
    pub fn after_access(&mut self) -> Result<Step, Refusal> {
        let settings = Arc::clone(&self.settings);
        let step = self.rewrite_in_place()?;
        if step != Step::Again {
            self.redirect(&settings.rules.redirects.place)?;
            self.change_fields(&settings.rules.headers.request, false);
            if !settings.rules.content.compression.is_empty() {
                self.strip_codings();
            }
        }
        Ok(step)
    }

    /// Adds to the entity tags that the client has those that the application gave: a compressed response has another.
    fn strip_codings(&mut self) {
        let Some(list) = self.parts.headers.get(IF_NONE_MATCH).and_then(|list| list.to_str().ok()) else {
            return;
        };
        if let Some(list) = untagged(list).and_then(|list| HeaderValue::try_from(list).ok()) {
            self.parts.headers.insert(IF_NONE_MATCH, list);
        }
    }

    /// Where a directory was asked for, the request is for its index file, whose own rules count, too. True if so.
    pub fn go_to_index(&mut self, routed: &RoutedRequest) -> bool {
        let index = routed.target.index.as_ref().filter(|(_, file)| self.kind(file) == Kind::File);
        let Some((url, _)) = index else { return false };
        self.begin_again(url.clone());
        true
    }

    /// `FallbackResource`: where a file is missing, the request is for another path. True if so.
    pub fn fall_back(&mut self, routed: &RoutedRequest) -> bool {
        let Some(to) = self.settings.rules.content.files.fallback.as_ref().filter(|to| !to.is_empty()) else {
            return false;
        };
        let there = match &routed.target.destination {
            Destination::File { path, .. } => self.kind(path) == Kind::File,
            Destination::Refused(refusal, _) => *refusal != Refusal::NotFound,
            Destination::App(_) => true,
        };
        let local = to.split('?').next().unwrap_or(to);
        let Ok(path) = path::normalise(local.as_bytes(), EncodedSlashes::Refused) else { return false };
        if there || path == self.path || self.settings.granted() == Some(false) {
            return false;
        }
        self.url.clone_from(&path);
        self.begin_again(path);
        true
    }

    /// The request becomes one for another path: nothing that the rules of its place have decided counts there.
    pub(super) fn begin_again(&mut self, path: Vec<u8>) {
        (self.path, self.as_sent) = (path, false);
        self.rewriting.leave_place();
        self.settings = self.current.compiled.base_settings(self.host);
    }

    /// The refusal of the first redirection that is about the path.
    fn redirect(&self, rules: &[Redirect]) -> Result<(), Refusal> {
        let mut moved = Ok(None);
        for rule in rules {
            moved = rule.answer(&self.path, &self.query);
            if moved != Ok(None) {
                break;
            }
        }
        let Some(moved) = moved.map_err(|too_long| self.gave_up(too_long))? else { return Ok(()) };
        let status = StatusCode::from_u16(moved.status).map_err(|_| Refusal::Internal)?;
        let Some(to) = moved.to else { return Err(Refusal::Status(status)) };
        Err(self.moved(status, &to).unwrap_or(Refusal::Internal))
    }

    /// The redirection to an address, or to a path of this server.
    pub fn moved(&self, status: StatusCode, to: &[u8]) -> Option<Refusal> {
        let to = match to.first() {
            Some(b'/') => [self.origin().as_bytes(), to].concat(),
            _ => to.to_vec(),
        };
        Some(Refusal::Moved(status, HeaderValue::from_bytes(&to).ok()?))
    }

    /// Scheme, name and port of this server, as the client asked for it.
    fn origin(&self) -> String {
        let https = self.overlay.as_ref().and_then(|overlay| overlay.https).unwrap_or(self.ends.https);
        let https = self.shown_https().unwrap_or(https);
        let (scheme, usual) = if https { ("https", 443) } else { ("http", 80) };
        match self.server_port {
            port if port == usual => format!("{scheme}://{}", self.server_name),
            port => format!("{scheme}://{}:{port}", self.server_name),
        }
    }

    /// `RequestHeader`.
    fn change_fields(&mut self, rules: &[HeaderRule], early: bool) {
        let mut rules = rules.iter().filter(|rule| rule.early == early).peekable();
        if rules.peek().is_none() {
            return;
        }
        let mut fields = self.parts.headers.clone();
        let variable = |name: &str| self.environ(name);
        let moment = Moment {
            facts: &*self,
            variable: &variable,
            began_micros: (self.arrived * 1e6) as u64,
            took_micros: 0,
        };
        for rule in rules {
            rule.apply(&mut MapFields(&mut fields), &moment);
        }
        self.parts.headers = fields;
    }

    /// The request within the server for the document about an error: a GET for another path, with the variables of the first request
    /// under names that begin with `REDIRECT_`. `None`: the path is malformed.
    pub fn for_document(&self, document: &str, status: StatusCode) -> Option<Self> {
        let (url, query) = document.split_once('?').unwrap_or((document, ""));
        let mut again = self.anew();
        if again.parts.method != Method::HEAD {
            again.parts.method = Method::GET;
        }
        let env = &mut again.env;
        for (name, value) in self.env.iter() {
            env.set(format!("REDIRECT_{name}"), value);
        }
        env.set("REDIRECT_STATUS", status.as_str());
        env.set("REDIRECT_URL", &*self.path);
        env.set("REDIRECT_REQUEST_METHOD", self.method());
        if !self.query.is_empty() {
            env.set("REDIRECT_QUERY_STRING", &*self.query);
        }
        again.url = url.as_bytes().to_vec();
        again.path = path::normalise(url.as_bytes(), EncodedSlashes::Refused).ok()?;
        again.query = query.as_bytes().to_vec();
        Some(again)
    }

    /// A request within the server by the same client, for no path yet.
    fn anew(&self) -> Self {
        let base = self.site_host();
        let mut parts = self.parts.clone();
        for name in UNWANTED {
            parts.headers.remove(name);
        }
        let (server_name, server_port) =
            route::authority(base, self.authority.as_deref(), self.local, self.ends.https);
        Self {
            current: Rc::clone(&self.current),
            host: self.host,
            overlay: proxy_trust::apply(&base.base, &self.ends.peer, &parts.headers),
            parts,
            authority: self.authority.clone(),
            url: Vec::new(),
            path: Vec::new(),
            as_sent: false,
            query: Vec::new(),
            env: Env::default(),
            settings: self.current.compiled.base_settings(self.host),
            extra: Headers::default(),
            shown_as_get: true,
            within: false,
            server_name,
            server_port,
            ends: self.ends.clone(),
            local: self.local,
            caller: None,
            tried: None,
            admitted: false,
            file: None,
            path_info: Vec::new(),
            handler: None,
            arrived: self.arrived,
            status: None,
            rewriting: Rewriting::default(),
        }
    }

    /// The `Host` header, or the authority of an absolute target.
    pub fn authority(&self) -> Option<&[u8]> {
        self.authority.as_deref()
    }

    fn set_variables(&mut self, rules: &[Condition], url: &[u8]) -> Result<(), Refusal> {
        for rule in rules {
            let changes = rule.changes(self, url).map_err(|too_long| self.gave_up(too_long))?;
            for (name, value) in changes {
                self.env.change(name, value);
            }
        }
        Ok(())
    }

    /// The refusal where a pattern gave up: what it protects stays closed.
    fn gave_up(&self, _: TooLong) -> Refusal {
        self.say_too_long("SetEnvIf or RedirectMatch");
        Refusal::Internal
    }

    /// All phases are over: puts the variables into environ. Those that `SetEnv` sets in the same place win, as it comes last.
    pub fn complete(&mut self, routed: &RoutedRequest) {
        self.extra.clone_from(&routed.extra);
        if let Some(caller) = &self.caller {
            self.extra.push(b"REMOTE_USER", caller.name.as_bytes());
            self.extra.push(b"AUTH_TYPE", caller.auth_type.as_bytes());
        }
        for (name, value) in self.env.iter() {
            let own = OWN_NAMES.contains(&name) || name.starts_with("wsgi.") || name.starts_with("mod_wsgi.");
            let header = || {
                // Apache leaves this one to the application's own server, so a rule may set it.
                name != "HTTP_AUTHORIZATION"
                    && name
                        .strip_prefix("HTTP_")
                        .is_some_and(|rest| self.header(&rest.replace('_', "-")).is_some())
            };
            if !own && name != "HTTPS" && !self.settings.env.contains_key(name) && !header() {
                self.extra.push(name.as_bytes(), value);
            }
        }
    }

    /// The scheme that the variable `HTTPS` says, as mod_wsgi takes it.
    pub fn shown_https(&self) -> Option<bool> {
        let value = self.env.get("HTTPS")?;
        Some(value.eq_ignore_ascii_case(b"on") || value == b"1")
    }
}
