//! The settings of a place, and a section's changes to them. `merge.rs` puts them together.

use crate::site::tls::{SslPatch, SslSettings};
use gk_rules::Rules;
use gk_rules::access::{Access, Script};
use gk_rules::content::served::Served;
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
    /// `WSGIRestrictProcess`; `None`: any.
    pub restrict_process: Option<Vec<String>>,
    /// `WSGITrustedProxyHeaders`, as CGI names (`HTTP_X_FORWARDED_FOR`), in order.
    pub trusted_proxy_headers: Vec<String>,
    /// `WSGITrustedProxies`: addresses or networks; empty: every peer.
    pub trusted_proxies: Vec<String>,
    /// `SetEnv`.
    pub env: BTreeMap<String, String>,
    /// Access control.
    #[serde(default, skip_serializing_if = "Access::is_empty")]
    pub access: Access,
    /// `WSGIDispatchScript`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<Script>,
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
    /// How files are served: links, listings, ranges, compressed neighbours. No rule of a request, so that a site that has these
    /// alone asks no rules.
    #[serde(default, skip_serializing_if = "Served::is_empty")]
    pub served: Served,
    /// The rules of Apache's modules.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub rules: Rules,
    /// What is asked of TLS, and told of it.
    #[serde(default, skip_serializing_if = "SslSettings::is_empty")]
    pub ssl: SslSettings,
}

impl Settings {
    /// Whether requests are served, where that is the same for all of them.
    pub fn granted(&self) -> Option<bool> {
        if self.closed { Some(false) } else { self.access.fixed() }
    }

    /// [`SettingsPatch::asks`] of the settings.
    pub fn asks(&self) -> bool {
        !self.rules.is_empty() || self.access.fixed().is_none() || self.dispatch.is_some()
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

impl SettingsPatch {
    /// Whether something here must be asked of each request: rules of Apache's modules, access rules that are not the same for all,
    /// a dispatch script.
    pub fn asks(&self) -> bool {
        !self.rules.is_empty() || self.access.fixed().is_none() || self.dispatch.is_some()
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
    pub restrict_process: Option<Vec<String>>,
    pub trusted_proxy_headers: Option<Vec<String>>,
    pub trusted_proxies: Option<Vec<String>>,
    pub env: Option<BTreeMap<String, String>>,
    /// `UnsetEnv`: names taken out of what is inherited.
    #[serde(default)]
    pub unset_env: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Access::is_empty")]
    pub access: Access,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<Script>,
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
    #[serde(default, skip_serializing_if = "Served::is_empty")]
    pub served: Served,
    /// The rules of Apache's modules that stand in this scope.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub rules: Rules,
    #[serde(default, skip_serializing_if = "SslPatch::is_empty")]
    pub ssl: SslPatch,
}
