//! The settings of a place, and a section's changes to them. `merge.rs` puts them together.

use gk_rules::Rules;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Takes an inherited handler away, where `SetHandler` names it.
pub const NO_HANDLER: &str = "none";

/// Settings of a place in the URL or file space, after merging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `WSGIProcessGroup` (may hold an expansion); `None`: the default group.
    pub process_group: Option<String>,
    /// `WSGIApplicationGroup` (may hold an expansion); `None`: `%{RESOURCE}`.
    pub application_group: Option<String>,
    /// `WSGICallableObject`.
    pub callable_object: String,
    /// `WSGIPassAuthorization`.
    pub pass_authorization: bool,
    /// `WSGIScriptReloading`.
    pub script_reloading: bool,
    /// `WSGIErrorOverride`.
    pub error_override: bool,
    /// `WSGIChunkedRequest`.
    pub chunked_request: bool,
    /// `WSGIMapHEADToGET`: off, on, auto.
    pub map_head_to_get: String,
    /// `WSGIIgnoreActivity`.
    pub ignore_activity: bool,
    /// `WSGIEnableSendfile`.
    pub enable_sendfile: bool,
    /// `WSGIRestrictProcess`; `None`: any.
    pub restrict_process: Option<Vec<String>>,
    /// `WSGITrustedProxyHeaders`, as CGI names (`HTTP_X_FORWARDED_FOR`), in order.
    pub trusted_proxy_headers: Vec<String>,
    /// `WSGITrustedProxies`: addresses or networks; empty: every peer.
    pub trusted_proxies: Vec<String>,
    /// `SetEnv`.
    pub env: BTreeMap<String, String>,
    /// `Require all granted` (true) or `denied`.
    pub require: bool,
    /// The rule of `Order`, `Allow` and `Deny` for all clients.
    pub clients: bool,
    /// A rule that is not built yet stands here or around: nobody is served.
    pub closed: bool,
    /// `LimitRequestBody`, bytes, 0 = without bound.
    pub limit_request_body: u64,
    /// `SetHandler`; `None`: by extension, else the alias's own.
    pub handler: Option<String>,
    /// `AddHandler`: handlers by extension, lower case and without dot.
    pub handlers: BTreeMap<String, String>,
    /// `WSGIHandlerScript`: scripts by the name of the handler that they are, in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub handler_scripts: BTreeMap<String, HandlerScript>,
    /// `Options ExecCGI`: files of the handler `wsgi-script` may run.
    pub exec_cgi: bool,
    /// `DirectoryIndex`.
    pub directory_index: Vec<String>,
    /// `AcceptPathInfo`; `Off`: a URL path that goes on behind a script is answered 404.
    pub accept_path_info: bool,
    /// The rules of Apache's modules.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub rules: Rules,
}

impl Settings {
    /// Whether requests are served: every kind of rule must pass, as with Apache.
    pub fn granted(&self) -> bool {
        self.require && self.clients && !self.closed
    }
}

/// `WSGIHandlerScript`: a script that is the handler of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerScript {
    /// The script.
    pub path: PathBuf,
    /// `process-group=`.
    pub process_group: Option<String>,
    /// `application-group=`.
    pub application_group: Option<String>,
    /// `pass-authorization=`.
    pub pass_authorization: Option<bool>,
}

/// `Order`, `Allow` and `Deny` of one scope, as far as they are understood. Those of an inner scope replace them whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRules {
    /// `Order allow,deny`: who is not allowed is denied, and denials win.
    pub allow_first: bool,
    /// `Allow from all`.
    pub allow_all: bool,
    /// `Allow` from some.
    pub allow_some: bool,
    /// `Deny` from all or some.
    pub deny: bool,
}

impl ClientRules {
    /// Whether every client is admitted. Where it is only some, nobody is.
    pub fn admit(self) -> bool {
        match self.allow_first {
            true => self.allow_all && !self.deny,
            false => self.allow_all || !(self.allow_some || self.deny),
        }
    }
}

/// The same fields, each `None` where a section does not set it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "each field is the optional form of the field of `Settings` with the same name"
)]
pub struct SettingsPatch {
    pub process_group: Option<String>,
    pub application_group: Option<String>,
    pub callable_object: Option<String>,
    pub pass_authorization: Option<bool>,
    pub script_reloading: Option<bool>,
    pub error_override: Option<bool>,
    pub chunked_request: Option<bool>,
    pub map_head_to_get: Option<String>,
    pub ignore_activity: Option<bool>,
    pub enable_sendfile: Option<bool>,
    pub restrict_process: Option<Vec<String>>,
    pub trusted_proxy_headers: Option<Vec<String>>,
    pub trusted_proxies: Option<Vec<String>>,
    pub env: Option<BTreeMap<String, String>>,
    /// `UnsetEnv`: names taken out of what is inherited.
    #[serde(default)]
    pub unset_env: Option<Vec<String>>,
    pub require: Option<bool>,
    pub clients: Option<ClientRules>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    pub limit_request_body: Option<u64>,
    /// `none` takes an inherited one away.
    pub handler: Option<String>,
    pub add_handlers: Option<BTreeMap<String, String>>,
    /// `RemoveHandler`: extensions taken out of what is inherited and set here.
    pub remove_handlers: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler_scripts: Option<BTreeMap<String, HandlerScript>>,
    pub exec_cgi: Option<bool>,
    pub directory_index: Option<Vec<String>>,
    pub accept_path_info: Option<bool>,
    /// The rules of Apache's modules that stand in this scope.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub rules: Rules,
}
