//! Directives of Apache that stand in many a configuration and have nothing to do here. Each says why.

use crate::directive::{Contexts, Directive};

const ANY: Contexts = Contexts::ANY;
const GLOBAL: Contexts = Contexts::GLOBAL;
const MPM: &str =
    "the front serves any number of connections in one process; GilkeeperMaxConnections bounds them";
const NO_HTACCESS: &str = "no .htaccess files are read";

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::inert("LoadModule", "name path", GLOBAL, "there are no modules to load"),
    Directive::inert("ServerTokens", "level", GLOBAL, "the Server header names the product only"),
    Directive::inert("ServerSignature", "On|Off", ANY, "error pages carry no signature"),
    Directive::inert("ServerLimit", "number", GLOBAL, MPM),
    Directive::inert("StartServers", "number", GLOBAL, MPM),
    Directive::inert("MaxRequestWorkers", "number", GLOBAL, MPM),
    Directive::inert("MaxClients", "number", GLOBAL, MPM),
    Directive::inert("ThreadsPerChild", "number", GLOBAL, MPM),
    Directive::inert("ThreadLimit", "number", GLOBAL, MPM),
    Directive::inert("MinSpareThreads", "number", GLOBAL, MPM),
    Directive::inert("MaxSpareThreads", "number", GLOBAL, MPM),
    Directive::inert("MinSpareServers", "number", GLOBAL, MPM),
    Directive::inert("MaxSpareServers", "number", GLOBAL, MPM),
    Directive::inert("AsyncRequestWorkerFactor", "factor", GLOBAL, MPM),
    Directive::inert(
        "MaxConnectionsPerChild",
        "number",
        GLOBAL,
        "the front is one long-lived process; maximum-requests= is for workers",
    ),
    Directive::inert(
        "MaxRequestsPerChild",
        "number",
        GLOBAL,
        "the front is one long-lived process; maximum-requests= is for workers",
    ),
    Directive::inert(
        "GracefulShutdownTimeout",
        "seconds",
        GLOBAL,
        "graceful-timeout= of each group bounds its drain",
    ),
    Directive::inert("Mutex", "mechanism …", GLOBAL, "nothing is locked between processes"),
    Directive::inert("HostnameLookups", "On|Off|Double", ANY, "names of clients are never looked up"),
    Directive::inert("UseCanonicalName", "On|Off|DNS", ANY, "SERVER_NAME is the configured name"),
    Directive::inert("NameVirtualHost", "address", GLOBAL, "every address may have several hosts"),
    Directive::inert("AllowOverride", "types", ANY, NO_HTACCESS),
    Directive::inert("AccessFileName", "name …", ANY, NO_HTACCESS),
    Directive::inert("EnableSendfile", "On|Off", ANY, "the front chooses how it sends a file"),
    Directive::inert("EnableMMAP", "On|Off", ANY, "the front chooses how it sends a file"),
    Directive::inert("FileETag", "component …", ANY, "entity tags are made of size and time of change"),
    Directive::inert("TypesConfig", "path", GLOBAL, "media types are built in"),
    Directive::inert("AddType", "type extension …", ANY, "media types are built in"),
    Directive::inert("AddDefaultCharset", "On|Off|charset", ANY, "the application names its charset"),
];
