//! The configuration as the directives leave it: every scope by itself, nothing merged, names not yet looked up,
//! with the places that later complaints must point at.

mod tls;
pub use tls::{PlaceVerify, RawTls};

use crate::site::reach;
use crate::site::{
    EncodedSlashes, ErrorLog, HostAddress, Http2Patch, HttpLimits, ImportScript, InterpreterOptions, Listen,
    LogCondition, Mount, ProcessGroup, Protocols, PythonOptions, ReadTimeout, Section, SettingsPatch,
    StaticAlias, Supervision,
};
use crate::token::Word;
use gk_rules::access::{Methods, Tree};
use gk_rules::expr::Expression;
use gk_rules::remote::{Peers, Proxy, RemoteIp};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The whole configuration.
#[derive(Debug, Default)]
pub struct Raw {
    /// `ServerRoot`, else the directory of the file.
    pub base: PathBuf,
    /// `ServerRoot` was given.
    pub server_root: Option<PathBuf>,
    /// Addresses in order.
    pub listen: Vec<Listen>,
    /// Each `Listen` with the word `https`, and that word.
    pub https: Vec<(Listen, Word)>,
    /// `PidFile`.
    pub pid_file: Option<PathBuf>,
    /// `User`.
    pub user: Option<String>,
    /// `Group`.
    pub group: Option<String>,
    /// `ErrorLog`, `LogLevel`, `ErrorLogFormat`.
    pub error_log: ErrorLog,
    /// `GilkeeperLogConfig` with its word.
    pub log_config: Option<(PathBuf, Word)>,
    /// HTTP limits.
    pub http: HttpLimits,
    /// `WSGIPython*`.
    pub python: PythonOptions,
    /// Measurements.
    pub measurements: crate::measurements::Measurements,
    /// `GilkeeperFrontTimeout`, `GilkeeperKeepTrying`.
    pub supervision: Supervision,
    /// Embedded mode.
    pub embedded: RawEmbedded,
    /// `GilkeeperLazyImports` with its word.
    pub lazy_imports: Option<(String, Word)>,
    /// The word of `lazy-imports=` of each group that has it, by the group's name.
    pub lazy_words: BTreeMap<String, Word>,
    /// Daemon process groups with the word that names each.
    pub groups: Vec<(ProcessGroup, Word)>,
    /// Main server first.
    pub hosts: Vec<RawHost>,
    /// `WSGIImportScript`, with the host and the word of the path.
    pub imports: Vec<(ImportScript, usize, Word)>,
    /// Top level first, then the blocks in order.
    pub interpreters: Vec<InterpreterOptions>,
    /// The word that opened each block; the top level has an empty one.
    pub interpreter_words: Vec<Word>,
    /// The word of the `WSGISwitchInterval` that counts in each block, if any.
    pub switch_words: BTreeMap<usize, Word>,
    /// The word of the `WSGIFreeThreading` that counts in each block, if any.
    pub free_words: BTreeMap<usize, Word>,
    /// The word of the `WSGIPerInterpreterGIL` that counts in each block, if any.
    pub gil_words: BTreeMap<usize, Word>,
    /// `GilkeeperAdmin`; the outer `None`: not given.
    pub admin: Option<Option<String>>,
    /// Places that only clients with a certificate of an NSS database may enter.
    pub certificates: Vec<CertificateUse>,
    /// Sections that have an `SSLVerifyClient` of their own.
    pub verified: Vec<PlaceVerify>,
    /// `SecRuleEngine` of the main server is Off or DetectionOnly.
    pub firewall_off: bool,
    /// Expressions of the conditional sections that an `<ElseIf>` or `<Else>` may go on with, by host and section around.
    pub branches: BTreeMap<(usize, Option<usize>), Vec<Expression>>,
    /// The open sections of `Require` around, outermost first.
    pub require: Vec<Tree>,
    /// The methods of the `<Limit>` around.
    pub methods: Methods,
    /// What the machine is expected to have, with the word that says so.
    pub needs: Vec<(Need, Word)>,
    /// The first word of the first `WSGITrustedProxies`.
    pub trusted_proxies: Option<Word>,
    /// There is a `WSGITrustedProxyHeaders`.
    pub trusts_headers: bool,
    /// `RemoteIPProxyProtocolExceptions`.
    pub proxy_exceptions: Vec<Peers>,
    /// Uses of process group names, for checking them.
    pub group_uses: Vec<GroupUse>,
    /// Uses of handler names, for checking them.
    pub handler_uses: Vec<HandlerUse>,
}

/// `GilkeeperEmbedded`, and Apache's words for the processes of embedded mode.
#[derive(Debug, Default)]
pub struct RawEmbedded {
    /// `GilkeeperEmbedded On` or `Beside`: its word.
    pub on: Option<Word>,
    /// It is `Beside`.
    pub beside: bool,
    /// The options of `GilkeeperEmbedded` as a group, for the one that no `WSGIDaemonProcess` declares, and their words.
    pub options: Option<(ProcessGroup, Vec<Word>)>,
    /// `GilkeeperFronts`: its word and the number, 0 for `auto`.
    pub fronts: Option<(Word, u32)>,
    /// `WSGIRestrictEmbedded On`: its word.
    pub restricted: Option<Word>,
    /// `StartServers`.
    pub processes: Option<u32>,
    /// `ThreadsPerChild`.
    pub threads: Option<u32>,
    /// `MaxRequestsPerChild`.
    pub maximum_requests: Option<u64>,
}

/// What a configuration expects of its machine.
#[derive(Debug)]
pub enum Need {
    /// The script of a mount.
    Script(PathBuf),
    /// A script that is imported at the start.
    Import(PathBuf),
    /// A script that decides about requests.
    Guard(PathBuf),
    /// A file or directory that TLS needs.
    Certificate(PathBuf),
    /// A log: its folder has to be there.
    LogFile(PathBuf),
    /// The working directory of a process group.
    Home(PathBuf),
    /// A prefix or virtual environment with a Python.
    PythonHome(PathBuf),
    /// A user by name.
    User(String),
    /// A group by name.
    Group(String),
}

/// A place that names a handler.
#[derive(Debug)]
pub struct HandlerUse {
    /// The word.
    pub word: Word,
    /// The name, in lower case.
    pub name: String,
    /// `SetHandler`: it is about all files of its scope.
    pub all_files: bool,
}

/// `NSSVerifyClient require`.
#[derive(Debug)]
pub struct CertificateUse {
    /// The host it stands in.
    pub host: usize,
    /// The section of it.
    pub section: Option<usize>,
    /// The directive's word.
    pub word: Word,
}

/// A place that names a process group.
#[derive(Debug)]
pub struct GroupUse {
    /// The host it stands in.
    pub host: usize,
    /// The word.
    pub word: Word,
    /// The name.
    pub name: String,
    /// Requests would go there (a script to import would not).
    pub requests: bool,
}

impl Raw {
    /// The process group of requests that name none: the first that takes requests.
    pub fn first_group(&self) -> &str {
        let first = self.groups.iter().find(|(group, _)| !group.service()).or(self.groups.first());
        first.map_or("", |(group, _)| &group.name)
    }

    /// The process group of a host's requests that name none: the first that takes requests and that the host may use.
    pub fn default_group(&self, host: usize) -> &str {
        let groups = self.groups.iter().map(|(group, _)| group);
        reach::default_group(groups, |group| self.reaches(host, group)).map_or("", |group| &group.name)
    }

    /// Whether requests of the host may run in the group.
    pub fn reaches(&self, host: usize, group: &ProcessGroup) -> bool {
        let main = &self.hosts[0];
        reach::reaches(host, group, |index| {
            self.hosts.get(index)?.server_name.as_deref().or(main.server_name.as_deref())
        })
    }

    /// An empty configuration with a main server.
    pub fn new(base: PathBuf) -> Self {
        Self {
            base,
            hosts: vec![RawHost::default()],
            interpreters: vec![InterpreterOptions::default()],
            interpreter_words: vec![Word::default()],
            ..Self::default()
        }
    }
}

/// The main server or a virtual host.
#[derive(Debug, Default)]
pub struct RawHost {
    /// `ServerName`.
    pub server_name: Option<String>,
    /// Its port.
    pub server_port: Option<u16>,
    /// `ServerAlias`.
    pub aliases: Vec<String>,
    /// Addresses of `<VirtualHost>`.
    pub addresses: Vec<HostAddress>,
    /// The first of them.
    pub word: Word,
    /// `ServerAdmin`.
    pub server_admin: Option<String>,
    /// `DocumentRoot`.
    pub document_root: Option<PathBuf>,
    /// `SSLEngine`, and what belongs to it.
    pub tls: RawTls,
    /// Script aliases with what `resolve` must check.
    pub mounts: Vec<RawMount>,
    /// Static aliases.
    pub statics: Vec<StaticAlias>,
    /// Settings outside of sections.
    pub base: SettingsPatch,
    /// Sections in file order.
    pub sections: Vec<RawSection>,
    /// `RemoteIPHeader`, `RemoteIPProxiesHeader`; the list is filled by `resolve`.
    pub remote: RemoteIp,
    /// The word of `RemoteIPHeader`.
    pub remote_word: Option<Word>,
    /// The proxies that may say who the client is, in file order.
    pub proxies: Vec<RawProxies>,
    /// `RemoteIPProxyProtocol`, with its word.
    pub proxy_protocol: Option<(bool, Word)>,
    /// `CustomLog`.
    pub access_logs: Vec<RawLog>,
    /// `AllowEncodedSlashes`.
    pub encoded_slashes: Option<EncodedSlashes>,
    /// `ErrorLog` of a virtual host.
    pub error_log: Option<PathBuf>,
    /// `RequestReadTimeout handshake=`.
    pub handshake_timeout: Option<ReadTimeout>,
    /// `RequestReadTimeout header=`.
    pub header_timeout: Option<ReadTimeout>,
    /// `RequestReadTimeout body=`.
    pub body_timeout: Option<ReadTimeout>,
    /// `Protocols`.
    pub protocols: Option<Protocols>,
    /// `H2Direct` and its relatives.
    pub(crate) http2: Http2Patch,
    /// `LogFormat` nicknames.
    pub formats: BTreeMap<String, String>,
    /// The next alias's position.
    pub next_order: usize,
}

/// Proxies that may say who the client is.
#[derive(Debug)]
pub enum RawProxies {
    /// One, or a network of them.
    One(Proxy),
    /// Those of a file.
    List {
        /// The file.
        path: PathBuf,
        /// They are internal ones.
        internal: bool,
        /// The word of the file.
        word: Word,
    },
}

/// A script alias.
#[derive(Debug)]
pub struct RawMount {
    /// The mount.
    pub mount: Mount,
    /// The word of its URL.
    pub word: Word,
    /// How many process groups were declared above it.
    pub groups_above: usize,
}

/// A section.
#[derive(Debug)]
pub struct RawSection {
    /// The section.
    pub section: Section,
}

/// An access log whose format may be a nickname.
#[derive(Debug)]
pub struct RawLog {
    /// File, or standard output.
    pub path: Option<PathBuf>,
    /// Nickname or format.
    pub format: String,
    /// Its condition.
    pub when: Option<LogCondition>,
    /// Its word.
    pub word: Word,
}
