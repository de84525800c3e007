//! The resolved site: what the rest of the server reads of a configuration. Plain immutable values that can be
//! written as JSON (the supervisor hands them to the front that way). Nothing here parses, merges or touches a file.
//!
//! Durations are seconds as `f64` where a directive takes seconds; `0.0` means "off" only where the field says so.

mod access_log;
mod defaults;
mod encoded_slashes;
mod json;
pub mod measurements;
mod merge;
mod protocols;
mod proxy_protocol;
pub(crate) mod reach;
mod read_timeouts;
mod settings;
mod tls;
pub use access_log::{AccessLog, LogCondition, LogForm};
pub use encoded_slashes::EncodedSlashes;
pub use gk_options::{FRONTS, ProcessGroup};
pub(crate) use protocols::Http2Patch;
pub use protocols::{Http2, Protocols};
pub use proxy_protocol::ProxyProtocol;
pub use read_timeouts::{ReadTimeout, ReadTimeouts};
pub use settings::{HandlerScript, NO_HANDLER, Settings, SettingsPatch};
pub use tls::{
    CertificateFiles, ClientCertificates, HostTls, RevocationCheck, SslPatch, SslSettings, TlsVersions,
    VerifyClient,
};

use gk_rules::expr::Expression;
use gk_rules::remote::RemoteIp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Standard error, where a virtual host names it.
pub const TERMINAL: &str = "/dev/stderr";
/// Address of the admin pages without an option or directive.
pub(crate) const ADMIN: &str = "127.0.0.1:8001";
/// Longest request body in bytes without `LimitRequestBody`.
pub(crate) const LIMIT_REQUEST_BODY: u64 = 1 << 30;

/// One configuration, completely resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Directory for the control socket, pid file, database and temporary files.
    pub server_root: PathBuf,
    /// Addresses to listen on, in configuration order.
    pub listen: Vec<Listen>,
    /// Where the pid of the supervisor is written.
    pub pid_file: Option<PathBuf>,
    /// `User` / `Group` of the front and the default of the workers; needs root.
    pub user: Option<String>,
    /// See `user`.
    pub group: Option<String>,
    /// The error log.
    pub error_log: ErrorLog,
    /// Nobody wrote where to listen: sockets that the service manager gives are taken in place of `listen`.
    #[serde(default)]
    pub listen_implied: bool,
    /// HTTP limits and timeouts of the front.
    pub http: HttpLimits,
    /// Interpreter settings that concern whole processes (`WSGIPython*`).
    pub python: PythonOptions,
    /// Daemon process groups; the first one that a host may use is the default of its requests.
    pub groups: Vec<ProcessGroup>,
    /// Hosts: index 0 is the main server, the rest are the virtual hosts in order.
    pub hosts: Vec<Host>,
    /// Scripts imported when a process of the named group starts (`WSGIImportScript`, preloaded aliases).
    pub imports: Vec<ImportScript>,
    /// `<WSGIInterpreterOptions>` blocks and the top level as the block with no selector, in file order.
    pub interpreters: Vec<InterpreterOptions>,
    /// Where `HOST:PORT` of the admin pages is, `None` for off.
    pub admin: Option<String>,
    /// Nobody has named that address: it is the default.
    #[serde(default)]
    pub admin_implied: bool,
    /// Measurements.
    pub measurements: crate::measurements::Measurements,
    /// The files of the configuration itself.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// How the supervisor watches over the processes.
    pub supervision: Supervision,
    /// The processes of one of the groups speak HTTP themselves, and the front process serves no client.
    #[serde(default)]
    pub embedded: bool,
    /// `RemoteIPProxyProtocol`; `None`: no connection begins with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// How the supervisor watches over the processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Supervision {
    /// `GilkeeperFrontTimeout`: seconds without a sign of life after which the front is replaced (0 = off).
    pub front_timeout: f64,
    /// `GilkeeperKeepTrying`: a server whose first workers cannot import their applications goes on.
    pub keep_trying: bool,
}

impl Site {
    /// The files of all access logs, each once, in the order of their first mention; `None`: standard output. The front gets
    /// descriptors for them in this order.
    pub fn access_log_files(&self) -> Vec<Option<&Path>> {
        let mut files = Vec::new();
        for log in self.hosts.iter().flat_map(|host| &host.access_logs) {
            let path = log.path.as_deref();
            if !files.contains(&path) {
                files.push(path);
            }
        }
        files
    }

    /// The error logs of virtual hosts that have their own, each once.
    pub fn host_error_logs(&self) -> BTreeSet<&Path> {
        self.hosts.iter().filter_map(|host| host.error_log.as_deref()).collect()
    }

    /// The error log of a process group: that of the virtual host that declares it, where this has its own.
    pub fn group_error_log(&self, group: &ProcessGroup) -> Option<&Path> {
        self.hosts.get(group.host?)?.error_log.as_deref()
    }
}

/// One listening address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listen {
    /// `Listen 8000`, `Listen 127.0.0.1:8000`, `Listen [::]:8000`; no host = all interfaces; port 0 = any free port.
    Tcp {
        /// Numeric address, `None` for all interfaces.
        host: Option<String>,
        /// Port.
        port: u16,
        /// `ipv6only=on`: a socket for every address of IPv6 takes no client of IPv4.
        #[serde(default)]
        ipv6_only: bool,
    },
    /// `Listen systemd:NAME`: every socket that the service manager gives by this name.
    Given {
        /// Name (`FileDescriptorName=` of the unit).
        name: String,
    },
    /// `Listen unix:/path` or `--socket PATH`.
    Unix {
        /// Path of the socket file.
        path: PathBuf,
        /// Its permissions; `None`: everybody may connect.
        #[serde(default)]
        mode: Option<u32>,
        /// Its owner, a name or `#id`; `None`: the user that starts the server.
        #[serde(default)]
        owner: Option<String>,
        /// Its group.
        #[serde(default)]
        group: Option<String>,
    },
}

/// The error log's place, threshold and form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorLog {
    /// File, or `None` for the terminal (standard error).
    pub path: Option<PathBuf>,
    /// Lowest level written: emerg alert crit error warn notice info debug trace.
    pub level: String,
    /// Lowest levels of the areas that have one of their own: `supervisor`, `front`, `admin`, `worker`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub areas: BTreeMap<String, String>,
    /// Written form.
    #[serde(default)]
    pub form: LogForm,
}

/// Limits and timeouts of the HTTP front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpLimits {
    /// `Timeout`: seconds a read or write of the client may stall.
    pub timeout: f64,
    /// `KeepAlive`.
    pub keep_alive: bool,
    /// `KeepAliveTimeout`, seconds.
    pub keep_alive_timeout: f64,
    /// `MaxKeepAliveRequests`, 0 = without bound.
    pub max_keep_alive_requests: u64,
    /// The same for HTTP/2, where the configuration says it; 0 = without bound.
    #[serde(default)]
    pub http2_requests: u64,
    /// `LimitRequestLine`, bytes.
    pub limit_request_line: usize,
    /// `LimitRequestFields`, number of headers.
    pub limit_request_fields: usize,
    /// `LimitRequestFieldSize`, bytes.
    pub limit_request_field_size: usize,
    /// Most connections at once (0 = without bound).
    pub max_connections: usize,
    /// Most connections at once of one client address (0 = without bound).
    pub max_connections_per_address: usize,
    /// Body bytes kept in memory before a temporary file is used.
    pub body_buffer_size: usize,
    /// Bytes in memory that all responses to slow clients may hold.
    pub response_memory: u64,
    /// Bytes on disk that they may hold.
    pub response_spool: u64,
    /// `ListenBacklog` of the TCP sockets.
    pub listen_backlog: u32,
}

/// `WSGIPythonHome` and its relatives: the defaults of every process group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonOptions {
    /// `WSGIPythonHome`: prefix or virtual environment.
    pub home: Option<PathBuf>,
    /// `WSGIPythonPath` entries.
    pub path: Vec<PathBuf>,
    /// `WSGIPythonOptimize` 0, 1 or 2.
    pub optimize: u8,
    /// `WSGIPythonWarnings` filters in order.
    pub warnings: Vec<String>,
    /// `WSGIPythonHashSeed`: `random` or a number, as text.
    pub hash_seed: Option<String>,
    /// `WSGIDontWriteBytecode`.
    pub dont_write_bytecode: bool,
    /// `WSGIDestroyInterpreter` (default true).
    pub destroy_interpreter: bool,
    /// What the file of `GilkeeperLogConfig` says, as JSON: applications' own logging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_config: Option<String>,
}

/// One interpreter-options block.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InterpreterOptions {
    /// `process-group=` selector.
    pub process_group: Option<String>,
    /// `application-group=` selector; "" is the main interpreter.
    pub application_group: Option<String>,
    /// `WSGIPerInterpreterGIL`.
    pub per_interpreter_gil: Option<bool>,
    /// `WSGIFreeThreading`.
    pub free_threading: Option<bool>,
    /// `WSGISwitchInterval`, seconds.
    pub switch_interval: Option<f64>,
    /// `WSGIPythonPath` of a block (additive).
    pub python_path: Vec<PathBuf>,
    /// `WSGIRestrictStdin`.
    pub restrict_stdin: Option<bool>,
    /// `WSGIRestrictStdout`.
    pub restrict_stdout: Option<bool>,
    /// `WSGIRestrictSignal`.
    pub restrict_signal: Option<bool>,
}

/// The main server or one `<VirtualHost>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// `ServerName` without port.
    pub server_name: Option<String>,
    /// Port of `ServerName`, if it names one.
    pub server_port: Option<u16>,
    /// `ServerAlias` patterns (`*` and `?`), lower case.
    pub aliases: Vec<String>,
    /// Addresses of the `<VirtualHost …>` line; empty for the main server.
    pub addresses: Vec<HostAddress>,
    /// `ServerAdmin`.
    pub server_admin: Option<String>,
    /// `DocumentRoot`.
    pub document_root: Option<PathBuf>,
    /// Script aliases of this host in order; the main server's come after a virtual host's own (already appended).
    pub mounts: Vec<Mount>,
    /// Static `Alias`es, in order, tried before the script aliases.
    pub statics: Vec<StaticAlias>,
    /// The settings that hold where no section matches.
    pub base: Settings,
    /// Location, Directory and Files sections in merge order.
    pub sections: Vec<Section>,
    /// Access logs.
    pub access_logs: Vec<AccessLog>,
    /// `AllowEncodedSlashes`.
    #[serde(default, skip_serializing_if = "EncodedSlashes::are_refused")]
    pub encoded_slashes: EncodedSlashes,
    /// `ErrorLog` of a virtual host; `None`: the server's. [`TERMINAL`] is the terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_log: Option<PathBuf>,
    /// `RequestReadTimeout`.
    #[serde(default)]
    pub read_timeouts: ReadTimeouts,
    /// `RemoteIPHeader` and its relatives.
    #[serde(default, skip_serializing_if = "RemoteIp::is_empty")]
    pub remote: RemoteIp,
    /// `Protocols`.
    #[serde(default)]
    pub protocols: Protocols,
    /// `H2Direct` and its relatives.
    #[serde(default)]
    pub http2: Http2,
    /// `SSLEngine On`, and what belongs to it.
    #[serde(default)]
    pub tls: Option<HostTls>,
}

/// One address of `<VirtualHost>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAddress {
    /// Numeric address; `None` for `*`.
    pub host: Option<String>,
    /// Port; `None` for `*` or none.
    pub port: Option<u16>,
}

/// What a mount serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountTarget {
    /// A script file.
    File(PathBuf),
    /// A directory of scripts, or a script with an empty rest (target with a trailing slash).
    Directory(PathBuf),
    /// `WSGIScriptAliasMatch`: the pattern of the file with `$N`.
    Pattern(String),
    /// `package.module` given to `serve`.
    Module(String),
}

impl MountTarget {
    /// The file of a target, where it names one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Directory(path) => Some(path),
            Self::Module(_) | Self::Pattern(_) => None,
        }
    }
}

/// `WSGIScriptAlias` or `WSGIScriptAliasMatch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// URL path (`""` for the root; a slash at its end counts), or the regular expression of a match.
    pub url: String,
    /// `url` is a regular expression.
    pub regex: bool,
    /// What it serves.
    pub target: MountTarget,
    /// Position among all aliases of the host: the first mount that matches wins.
    pub order: usize,
    /// `process-group=`.
    pub process_group: Option<String>,
    /// `application-group=`.
    pub application_group: Option<String>,
    /// `callable-object=`.
    pub callable_object: Option<String>,
    /// `pass-authorization=`.
    pub pass_authorization: Option<bool>,
}

/// `Alias URL PATH` or `--url-alias`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticAlias {
    /// URL path (a slash at its end counts), or the regular expression of `AliasMatch`.
    pub url: String,
    /// File or directory; what the URL has more goes on behind it. The whole path with `$N` for `AliasMatch`.
    pub path: PathBuf,
    /// Position among all aliases of the host.
    pub order: usize,
    /// `url` is a regular expression.
    #[serde(default)]
    pub regex: bool,
    /// `ScriptAlias`: its files are CGI programs, which are not run here.
    #[serde(default)]
    pub program: bool,
}

/// Which requests a section is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// `<Location /x>`: URL path prefix on component borders (`*` and `?` allowed).
    Location(String),
    /// `<LocationMatch re>`.
    LocationMatch(String),
    /// `<Directory /x>`: prefix of the script's or file's directory.
    Directory(String),
    /// `<DirectoryMatch re>`.
    DirectoryMatch(String),
    /// `<Files name>`: glob over the last component.
    Files(String),
    /// `<FilesMatch re>`.
    FilesMatch(String),
    /// `<If>`, `<ElseIf>`, `<Else>`.
    If(Branch),
}

/// When a conditional section holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// The expressions of the sections before it: all are false.
    pub not: Vec<Expression>,
    /// Its own expression is true; `None`: `<Else>`.
    pub is: Option<Expression>,
}

/// One section with the settings it changes. Sections stand in Apache's merge order:
/// Directory (shortest first), DirectoryMatch, Files, then Location in file order, then If.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Which requests.
    pub scope: Scope,
    /// For `<Files>` inside a `<Directory>` or `<DirectoryMatch>`: the directories it is limited to.
    pub within: Option<Scope>,
    /// For `<If>` inside of other sections: those, outermost first, each with its directories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub around: Vec<(Scope, Option<Scope>)>,
    /// What it sets; `None` fields are inherited.
    pub set: SettingsPatch,
}

/// A script to import when a process starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportScript {
    /// Script file or `package.module`.
    pub target: MountTarget,
    /// Process group's name.
    pub process_group: String,
    /// Application group; "" is the main interpreter.
    pub application_group: String,
    /// Callable that must exist, where the import stands for a mount.
    pub callable_object: Option<String>,
    /// Nobody named a callable: without `application` the script's `app` will do.
    pub lone_app: bool,
    /// `WSGIScriptReloading` of the mount it stands for; a script without a mount is never reloaded.
    pub reloading: bool,
}
