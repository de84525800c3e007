//! The defaults of the values that directives set. Those of WSGIDaemonProcess's options are in gk_options.

use crate::site::{
    ErrorLog, HttpLimits, InterpreterOptions, LIMIT_REQUEST_BODY, LogForm, Mount, MountTarget, PythonOptions,
    Settings, Supervision,
};
use gk_rules::access::Access;
use gk_rules::content::served::Served;
use std::collections::BTreeMap;

impl HttpLimits {
    /// The limits without any directive.
    pub const STANDARD: Self = Self {
        timeout: 60.0,
        keep_alive: true,
        keep_alive_timeout: 5.0,
        max_keep_alive_requests: 100,
        http2_requests: 0,
        limit_request_line: 8190,
        limit_request_fields: 100,
        limit_request_field_size: 8190,
        max_connections: 0,
        max_connections_per_address: 0,
        body_buffer_size: 128 * 1024,
        response_memory: 64 << 20,
        response_spool: 1 << 30,
        listen_backlog: 2048,
    };
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self::STANDARD
    }
}

impl Supervision {
    /// The values without any directive.
    pub const STANDARD: Self = Self { front_timeout: 15.0, keep_trying: false };
}

impl Default for Supervision {
    fn default() -> Self {
        Self::STANDARD
    }
}

impl Default for ErrorLog {
    fn default() -> Self {
        Self { path: None, level: "warn".to_owned(), areas: BTreeMap::new(), form: LogForm::Text }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            process_group: None,
            application_group: None,
            callable_object: "application".to_owned(),
            pass_authorization: false,
            script_reloading: true,
            error_override: false,
            chunked_request: true,
            map_head_to_get: "auto".to_owned(),
            ignore_activity: false,
            restrict_process: None,
            trusted_proxy_headers: Vec::new(),
            trusted_proxies: Vec::new(),
            env: BTreeMap::new(),
            access: Access::default(),
            dispatch: None,
            closed: false,
            limit_request_body: LIMIT_REQUEST_BODY,
            handler: None,
            handlers: BTreeMap::new(),
            handler_scripts: BTreeMap::new(),
            exec_cgi: false,
            directory_index: vec!["index.html".to_owned()],
            accept_path_info: true,
            served: Served::default(),
            rules: gk_rules::Rules::default(),
            ssl: crate::site::SslSettings::default(),
        }
    }
}

impl Default for PythonOptions {
    fn default() -> Self {
        Self {
            home: None,
            path: Vec::new(),
            optimize: 0,
            warnings: Vec::new(),
            hash_seed: None,
            dont_write_bytecode: false,
            destroy_interpreter: true,
            log_config: None,
        }
    }
}

impl InterpreterOptions {
    /// How many selectors the block has: the more, the stronger.
    pub fn specificity(&self) -> usize {
        usize::from(self.process_group.is_some()) + usize::from(self.application_group.is_some())
    }
}

impl Mount {
    /// A mount of a file or module without options.
    pub fn new(url: impl Into<String>, target: MountTarget) -> Self {
        Self {
            url: url.into(),
            regex: false,
            target,
            order: 0,
            process_group: None,
            application_group: None,
            callable_object: None,
            pass_authorization: None,
        }
    }
}
