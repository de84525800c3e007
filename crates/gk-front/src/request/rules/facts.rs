//! The facts of a request that rules may ask for, and its entries of environ by their names.

use gk_rules::{Env, Facts, Kind};
use http::header::{HeaderName, HeaderValue};
use std::borrow::Cow;
use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Asked;
use crate::request::proxy_trust::Overlay;
use crate::request::{limits, target};

impl Asked {
    /// What a proxy says whose word counts for rules.
    fn believed(&self) -> Option<&Overlay> {
        self.overlay.as_ref().filter(|overlay| overlay.named_proxy)
    }

    /// A variable, or another entry of environ as rules may name it.
    pub fn environ(&self, name: &str) -> Option<Vec<u8>> {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        if let Some(value) = self.settings.env.get(name) {
            return text(value);
        }
        if let Some(value) = self.env.get(name) {
            return Some(value.to_vec());
        }
        match name {
            "REMOTE_ADDR" => text(&self.client()?.to_string()),
            "REMOTE_PORT" => text(&self.client_port()?.to_string()),
            "REMOTE_USER" => text(self.user()?),
            "REQUEST_METHOD" => text(self.method()),
            "REQUEST_URI" => Some(self.target().to_vec()),
            "REQUEST_SCHEME" => text(if self.https() { "https" } else { "http" }),
            "QUERY_STRING" => Some(self.query.clone()),
            "SERVER_NAME" => text(&self.server_name),
            "SERVER_PORT" => text(&self.server_port.to_string()),
            "SERVER_ADDR" => text(&self.local?.ip().to_canonical().to_string()),
            "SERVER_PROTOCOL" => text(self.protocol()),
            "SERVER_ADMIN" => text(self.server_admin()),
            "DOCUMENT_ROOT" => text(&self.document_root().to_string_lossy()),
            "SCRIPT_FILENAME" => text(&self.file()?.to_string_lossy()),
            _ => {
                let header = name.strip_prefix("HTTP_")?.replace('_', "-");
                Some(self.header(&header)?.into_owned())
            }
        }
    }
}

impl Facts for Asked {
    fn method(&self) -> &str {
        self.parts.method.as_str()
    }

    fn target(&self) -> &[u8] {
        match target::raw(&self.parts) {
            Some(raw) => raw.bytes(),
            None => self.parts.uri.path_and_query().map_or(&b"/"[..], |target| target.as_str().as_bytes()),
        }
    }

    fn path(&self) -> &[u8] {
        &self.path
    }

    fn query(&self) -> &[u8] {
        &self.query
    }

    fn protocol(&self) -> &str {
        limits::protocol(self.parts.version)
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut values = self.parts.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let first = values.next()?;
        let rest: Vec<&[u8]> = values.collect();
        if rest.is_empty() {
            return Some(first.into());
        }
        Some([&[first][..], &rest].concat().join(&b", "[..]).into())
    }

    fn vary(&self) -> Option<&RefCell<Vec<String>>> {
        Some(&self.rewriting.vary)
    }

    fn header_names(&self) -> Vec<&str> {
        self.parts.headers.keys().map(HeaderName::as_str).collect()
    }

    fn client(&self) -> Option<IpAddr> {
        match self.believed().and_then(|overlay| overlay.remote_addr.as_ref()) {
            // Behind a trusted proxy the proxy's own address says nothing about the client.
            Some(named) => named.parse().ok(),
            None => self.ends.address,
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        self.ends.socket_address()
    }

    fn client_port(&self) -> Option<u16> {
        self.ends.address.map(|_| self.ends.peer_port)
    }

    fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    fn server_name(&self) -> &str {
        &self.server_name
    }

    fn server_port(&self) -> u16 {
        self.server_port
    }

    fn server_admin(&self) -> &str {
        self.site_host().server_admin.as_deref().unwrap_or("")
    }

    fn document_root(&self) -> &Path {
        self.site_host().document_root.as_deref().unwrap_or(Path::new(""))
    }

    fn https(&self) -> bool {
        self.believed().and_then(|overlay| overlay.https).unwrap_or(self.ends.https)
    }

    fn tls_variable(&self, name: &str) -> Option<Cow<'_, str>> {
        self.ends.tls()?.variable(name, self.settings.ssl.legacy_names)
    }

    fn user(&self) -> Option<&str> {
        self.caller.as_ref().map(|caller| caller.name.as_str())
    }

    fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn handler(&self) -> Option<&str> {
        self.handler
    }

    fn env(&self) -> &Env {
        &self.env
    }

    fn status(&self) -> u16 {
        self.status.map_or(200, |status| status.as_u16())
    }

    fn kind(&self, path: &Path) -> Kind {
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_file() => Kind::File,
            Ok(meta) if meta.is_dir() => Kind::Directory,
            Ok(_) => Kind::Other,
            // A symbolic link that leads nowhere is there all the same.
            Err(_) if std::fs::symlink_metadata(path).is_ok() => Kind::Other,
            Err(_) => Kind::Missing,
        }
    }

    fn path_info(&self) -> &[u8] {
        &self.path_info
    }

    fn is_link(&self, path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink())
    }

    fn is_executable(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0)
    }

    fn size(&self, path: &Path) -> u64 {
        std::fs::metadata(path).map_or(0, |meta| meta.len())
    }

    fn is_subrequest(&self) -> bool {
        self.within
    }

    fn now(&self) -> f64 {
        self.arrived
    }
}
