//! What rules may ask of a request.

use crate::Env;
use std::borrow::Cow;
use std::cell::RefCell;
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
    /// Where the names of headers are noted that conditions ask for, so that caches can be told.
    fn vary(&self) -> Option<&RefCell<Vec<String>>> {
        None
    }
    /// The names of the request headers.
    fn header_names(&self) -> Vec<&str>;
    /// The client: behind a trusted proxy the address that it names. `None` on a Unix socket.
    fn client(&self) -> Option<IpAddr>;
    /// The other end of the connection itself. `None` on a Unix socket.
    fn peer(&self) -> Option<IpAddr> {
        self.client()
    }
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
    /// A variable of mod_ssl (`SSL_PROTOCOL`), where the client speaks TLS with this server.
    fn tls_variable(&self, _name: &str) -> Option<Cow<'_, str>> {
        None
    }
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
    /// The status of the response; 200 as long as there is none, as with Apache.
    fn status(&self) -> u16 {
        200
    }
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
    /// Whether the server itself asks, for an entry of a list: Apache's subrequest.
    fn is_subrequest(&self) -> bool {
        false
    }
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
