//! Directives of Apache's core and processing modules that stand in many a configuration and have nothing to do here. Each
//! says why. Those of its other modules are in `tolerated/`: harmless ones, ones that protect, ones for a web server in front.

pub mod modules;
pub mod protective;
pub mod proxied;

use crate::directive::{Contexts, Directive};

/// Rows that share everything but the name: `row => "Name" "Name"; …`.
macro_rules! rows {
    ($($like:expr => $($name:literal)+;)+) => {
        &[$($(Directive { name: $name, ..$like },)+)+]
    };
}
pub(crate) use rows;

const ANY: Contexts = Contexts::ANY;
const SERVER: Contexts = Contexts::SERVER;
const MPM: &str = "the front serves all connections in one process; GilkeeperMaxConnections limits them";
const FRONT: &str = "the front is one long-lived process; maximum-requests= is for workers";
const NO_HTACCESS: &str = "no .htaccess files are read";
const STATIC: &str = "folders are served as with mod_dir's defaults";
const SOCKETS: &str = "the front configures its sockets itself; only ListenBacklog can be set";
const FILES: &str = "the front chooses how it sends a file";
const PROTOCOLS: &str = "Protocols lists the protocols, and the server chooses";
const CHILDREN: &str =
    "no CGI programs run here; memory-limit=, cpu-time-limit= and similar options limit workers";
const OLD: &str = "it belongs to an older version of Apache";

/// A row without effect.
const fn inert(contexts: Contexts, why: &'static str) -> Directive {
    Directive::inert("", "…", contexts, why)
}

/// Rows of this area.
#[rustfmt::skip]
pub const ROWS: &[Directive] = rows! {
    inert(SERVER, "there are no modules to load") => "LoadModule" "LoadFile" "ClearModuleList" "AddModule";
    inert(SERVER, "the Server header names only the product") => "ServerTokens";
    inert(ANY, "error pages have no signature") => "ServerSignature";
    inert(SERVER, MPM) => "ServerLimit" "MaxRequestWorkers" "MaxClients" "ThreadLimit"
        "MinSpareThreads" "MaxSpareThreads" "MinSpareServers" "MaxSpareServers" "AsyncRequestWorkerFactor"
        "ListenCoresBucketsRatio" "MaxThreads" "StartThreads" "NumServers";
    inert(SERVER, FRONT) => "MaxRequestsPerThread";
    inert(SERVER, "graceful-timeout= of each group limits how long requests may still run") => "GracefulShutdownTimeout";
    inert(SERVER, "there are no locks between processes") => "Mutex" "AcceptMutex" "LockFile" "SSLMutex" "RewriteLock";
    inert(SERVER, SOCKETS) => "AcceptFilter" "SendBufferSize" "ReceiveBufferSize" "ListenTCPDeferAccept";
    inert(SERVER, "processes keep no files outside the server root")
        => "DefaultRuntimeDir" "ScoreBoardFile" "CoreDumpDirectory";
    inert(SERVER, "the system decides about memory, stacks and core files")
        => "MaxMemFree" "ThreadStackSize" "EnableExceptionHook";
    inert(SERVER, "`gilkeeper status`, `gilkeeper top` and the admin pages show what runs")
        => "ExtendedStatus" "SeeRequestTail" "ProxyStatus" "AddModuleInfo" "CoreDumpInfo" "LogIOTrackTTFB" "WatchdogInterval";
    inert(ANY, "client host names are never looked up") => "HostnameLookups" "IdentityCheck" "IdentityCheckTimeout";
    inert(ANY, "SERVER_NAME is the configured name") => "UseCanonicalName" "UseCanonicalPhysicalPort";
    inert(SERVER, "every address may have several hosts") => "NameVirtualHost";
    inert(ANY, NO_HTACCESS) => "AllowOverride" "AllowOverrideList" "AccessFileName";
    inert(ANY, STATIC) => "DirectorySlash" "DirectoryIndexRedirect" "DirectoryCheckHandler";
    inert(ANY, FILES) => "EnableSendfile" "EnableMMAP" "ReadBufferSize" "FlushMaxThreshold" "FlushMaxPipelined"
        "CacheFile" "MMapFile";
    inert(ANY, "responses have no checksum of their content") => "ContentDigest";
    inert(SERVER, "media types are built in") => "TypesConfig";
    inert(SERVER, PROTOCOLS) => "Protocol" "ProtocolsHonorOrder" "ProtocolEcho";
    inert(SERVER, "requests are read strictly, as HttpProtocolOptions Strict does")
        => "HttpProtocolOptions" "RegisterHttpMethod" "MergeTrailers" "StrictHostCheck";
    inert(SERVER, "repeated slashes count as one") => "MergeSlashes";
    inert(SERVER, "TRACE is always answered 405") => "TraceEnable";
    inert(ANY, "internal redirects cannot go on endlessly") => "LimitInternalRecursion" "QualifyRedirectURL";
    inert(ANY, "no request body is parsed as XML") => "LimitXMLRequestBody";
    inert(ANY, CHILDREN) => "RLimitCPU" "RLimitMEM" "RLimitNPROC";
    inert(ANY, "no CGI programs run here") => "CGIPassAuth" "CGIVar" "ScriptLog" "ScriptLogLength" "ScriptLogBuffer"
        "ScriptSock" "CGIScriptTimeout" "CGIDScriptTimeout" "Suexec" "SuexecUserGroup";
    inert(SERVER, "regular expressions have only the options that they contain") => "RegexDefaultOptions";
    inert(SERVER, OLD) => "Port" "ServerType" "ServerPath" "BindAddress" "ResourceConfig" "AccessConfig" "KeptBodySize"
        "LogFormatVersion" "AgentLog" "RefererLog" "CookieLog";
    inert(ANY, OLD) => "DefaultType" "DefaultMode";
};
