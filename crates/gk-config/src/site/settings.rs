//! The settings of a place, and what a section changes of them. How they are laid over one another is in `merge`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// `LimitRequestBody`, bytes, 0 = without bound.
    pub limit_request_body: u64,
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
    pub limit_request_body: Option<u64>,
}
