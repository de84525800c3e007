//! A request for unit tests.

use crate::{Env, Facts, Kind};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// A request whose parts a test sets.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: Vec<u8>,
    pub(crate) path: Vec<u8>,
    pub(crate) query: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) client: Option<IpAddr>,
    pub(crate) server_name: String,
    pub(crate) server_port: u16,
    pub(crate) https: bool,
    pub(crate) user: Option<String>,
    pub(crate) file: Option<PathBuf>,
    pub(crate) path_info: Vec<u8>,
    pub(crate) env: Env,
    pub(crate) files: BTreeMap<PathBuf, Kind>,
    pub(crate) now: f64,
    pub(crate) within: bool,
    pub(crate) vary: RefCell<Vec<String>>,
}

impl Asked {
    /// `GET` of a target on `example.org:8000`; its path is not decoded.
    pub(crate) fn get(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: "GET".into(),
            target: target.into(),
            path: path.into(),
            query: query.into(),
            headers: Vec::new(),
            client: "192.0.2.7".parse().ok(),
            server_name: "example.org".into(),
            server_port: 8000,
            https: false,
            user: None,
            file: None,
            path_info: Vec::new(),
            env: Env::default(),
            files: BTreeMap::new(),
            now: 0.0,
            within: false,
            vary: RefCell::default(),
        }
    }

    /// With another header field.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl Facts for Asked {
    fn is_subrequest(&self) -> bool {
        self.within
    }
    fn method(&self) -> &str {
        &self.method
    }
    fn target(&self) -> &[u8] {
        &self.target
    }
    fn path(&self) -> &[u8] {
        &self.path
    }
    fn query(&self) -> &[u8] {
        &self.query
    }
    fn protocol(&self) -> &str {
        "HTTP/1.1"
    }
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let found: Vec<&str> = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        (!found.is_empty()).then(|| found.join(", ").into_bytes().into())
    }
    fn vary(&self) -> Option<&RefCell<Vec<String>>> {
        Some(&self.vary)
    }
    fn header_names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }
    fn client(&self) -> Option<IpAddr> {
        self.client
    }
    fn client_port(&self) -> Option<u16> {
        Some(4711)
    }
    fn local(&self) -> Option<SocketAddr> {
        "127.0.0.1:8000".parse().ok()
    }
    fn server_name(&self) -> &str {
        &self.server_name
    }
    fn server_port(&self) -> u16 {
        self.server_port
    }
    fn server_admin(&self) -> &str {
        "admin@example.org"
    }
    fn document_root(&self) -> &Path {
        Path::new("/srv/www")
    }
    fn https(&self) -> bool {
        self.https
    }
    fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
    fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
    fn path_info(&self) -> &[u8] {
        &self.path_info
    }
    fn handler(&self) -> Option<&str> {
        None
    }
    fn env(&self) -> &Env {
        &self.env
    }
    fn kind(&self, path: &Path) -> Kind {
        self.files.get(path).copied().unwrap_or(Kind::Missing)
    }
    fn size(&self, path: &Path) -> u64 {
        u64::from(self.kind(path) == Kind::File)
    }
    fn now(&self) -> f64 {
        self.now
    }
}
