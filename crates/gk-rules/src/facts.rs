//! What rules may ask of a request.

use crate::Env;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// A request as rules see it. Paths are decoded and normalised, the rest is as the client sent it.
pub trait Facts {
    /// The method, as sent.
    fn method(&self) -> &str;
    /// The target, as sent.
    fn target(&self) -> &[u8];
    /// The path after decoding and normalising; after a rewrite, the new one.
    fn path(&self) -> &[u8];
    /// The query without `?`; after a rewrite, the new one.
    fn query(&self) -> &[u8];
    /// `HTTP/1.1`.
    fn protocol(&self) -> &str;
    /// A request header by name without regard to case; several of one name are joined by `, `.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;
    /// The names of the request headers.
    fn header_names(&self) -> Vec<&str>;
    /// The client: behind a trusted proxy the address that it names. `None` on a Unix socket.
    fn client(&self) -> Option<IpAddr>;
    /// The client's port.
    fn client_port(&self) -> Option<u16>;
    /// The server's end of the connection. `None` on a Unix socket.
    fn local(&self) -> Option<SocketAddr>;
    /// `SERVER_NAME`.
    fn server_name(&self) -> &str;
    /// `SERVER_PORT`.
    fn server_port(&self) -> u16;
    /// `ServerAdmin` and `DocumentRoot` of the host.
    fn server_admin(&self) -> &str;
    /// See `server_admin`.
    fn document_root(&self) -> &Path;
    /// Whether the client speaks TLS, or a trusted proxy says so.
    fn https(&self) -> bool;
    /// The user that was authenticated.
    fn user(&self) -> Option<&str>;
    /// `SCRIPT_FILENAME`: the script or file that the path leads to, as soon as it is known.
    fn file(&self) -> Option<&Path>;
    /// `PATH_INFO`: what of the path lies behind that script or file, as soon as it is known.
    fn path_info(&self) -> &[u8] {
        b""
    }
    /// The name of the handler, as soon as it is known (`wsgi-script`).
    fn handler(&self) -> Option<&str>;
    /// The variables.
    fn env(&self) -> &Env;
    /// Kind of the entry at a path of the file system, links followed.
    fn kind(&self, path: &Path) -> Kind;
    /// Whether the entry at a path of the file system is itself a symbolic link.
    fn is_link(&self, _path: &Path) -> bool {
        false
    }
    /// Whether the file at a path of the file system may be executed by anybody.
    fn is_executable(&self, _path: &Path) -> bool {
        false
    }
    /// Size of the file at a path of the file system; 0 where there is none.
    fn size(&self, path: &Path) -> u64;
    /// Seconds since the epoch.
    fn now(&self) -> f64;
}

/// Kind of an entry of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link that leads nowhere, a device, a socket.
    Other,
    /// Nothing.
    Missing,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A request of 192.0.2.7 to `example.org`, for tests of the families.
    pub(crate) struct Plain {
        pub(crate) method: String,
        pub(crate) target: String,
        pub(crate) path: String,
        pub(crate) headers: Vec<(String, String)>,
        pub(crate) https: bool,
        pub(crate) user: Option<String>,
        pub(crate) file: Option<std::path::PathBuf>,
        pub(crate) env: Env,
    }

    impl Plain {
        pub(crate) fn new(method: &str, target: &str) -> Self {
            let path = target.split('?').next().unwrap_or("").replace("%20", " ");
            Self {
                method: method.to_owned(),
                target: target.to_owned(),
                path,
                headers: Vec::new(),
                https: false,
                user: None,
                file: None,
                env: Env::default(),
            }
        }

        pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
            self.headers.push((name.to_owned(), value.to_owned()));
            self
        }
    }

    impl Facts for Plain {
        fn method(&self) -> &str {
            &self.method
        }
        fn target(&self) -> &[u8] {
            self.target.as_bytes()
        }
        fn path(&self) -> &[u8] {
            self.path.as_bytes()
        }
        fn query(&self) -> &[u8] {
            self.target.split_once('?').map_or(b"", |(_, query)| query.as_bytes())
        }
        fn protocol(&self) -> &str {
            "HTTP/1.1"
        }
        fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
            let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_bytes().into())
        }
        fn header_names(&self) -> Vec<&str> {
            self.headers.iter().map(|(name, _)| name.as_str()).collect()
        }
        fn client(&self) -> Option<IpAddr> {
            Some([192, 0, 2, 7].into())
        }
        fn client_port(&self) -> Option<u16> {
            Some(4711)
        }
        fn local(&self) -> Option<SocketAddr> {
            Some(([198, 51, 100, 1], 8000).into())
        }
        fn server_name(&self) -> &str {
            "example.org"
        }
        fn server_port(&self) -> u16 {
            8000
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
        fn handler(&self) -> Option<&str> {
            None
        }
        fn env(&self) -> &Env {
            &self.env
        }
        fn kind(&self, _: &Path) -> Kind {
            Kind::Missing
        }
        fn size(&self, _: &Path) -> u64 {
            0
        }
        fn now(&self) -> f64 {
            1_000_000_000.0
        }
    }
}
