//! `gilkeeper serve`: options become directive text, which takes the same way as a configuration file. So `serve`
//! can do nothing a file cannot, and `check` can show what it would do. Parsing the command line is not done here;
//! judging the values is.

mod script;
mod services;
mod text;
mod writer;

use crate::diagnostic::Diagnostic;
use crate::site::Site;
use crate::source::Memory;
use crate::{Surroundings, load_text};
pub use script::script;
pub use text::generate;

/// What `serve` was asked for. Values are as typed: an option that was not given is `None` or empty. Names are those
/// of the options, with `_` for `-`.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(
    missing_docs,
    reason = "each field is the option of the same name; the command line's help describes it"
)]
pub struct ServeOptions {
    /// A file (`wsgi.py`, `site.wsgi`) or `package.module[:callable]`.
    pub script: String,
    pub host: Option<String>,
    pub port: Option<String>,
    pub socket: Option<String>,
    pub server_name: Option<String>,
    pub server_alias: Vec<String>,
    pub https_port: Option<String>,
    pub ssl_certificate_file: Option<String>,
    pub ssl_certificate_key_file: Option<String>,
    pub server_backlog: Option<String>,
    pub keep_alive_timeout: Option<String>,
    pub header_timeout: Option<String>,
    pub body_timeout: Option<String>,
    pub max_clients: Option<String>,
    pub limit_request_body: Option<String>,
    pub mount_point: Option<String>,
    pub callable_object: Option<String>,
    pub process_group: Option<String>,
    pub application_group: Option<String>,
    /// Pairs of URL and path.
    pub url_alias: Vec<(String, String)>,
    pub document_root: Option<String>,
    pub processes: Option<String>,
    pub threads: Option<String>,
    pub interpreters: Option<String>,
    pub per_interpreter_gil: bool,
    pub free_threading: bool,
    pub switch_interval: Option<String>,
    pub python: Option<String>,
    pub python_home: Option<String>,
    pub python_path: Vec<String>,
    pub python_warnings: Vec<String>,
    pub working_directory: Option<String>,
    pub lang: Option<String>,
    pub locale: Option<String>,
    pub user: Option<String>,
    pub group: Option<String>,
    pub umask: Option<String>,
    pub maximum_requests: Option<String>,
    pub maximum_requests_jitter: Option<String>,
    pub restart_interval: Option<String>,
    pub startup_timeout: Option<String>,
    pub shutdown_timeout: Option<String>,
    pub graceful_timeout: Option<String>,
    pub eviction_timeout: Option<String>,
    pub deadlock_timeout: Option<String>,
    pub inactivity_timeout: Option<String>,
    pub request_timeout: Option<String>,
    pub interrupt_timeout: Option<String>,
    pub connect_timeout: Option<String>,
    pub socket_timeout: Option<String>,
    pub queue_timeout: Option<String>,
    pub response_socket_timeout: Option<String>,
    pub cpu_time_limit: Option<String>,
    /// `--daemon-backlog`.
    pub daemon_backlog: Option<String>,
    pub ignore_activity: Vec<String>,
    pub error_override: bool,
    pub enable_sendfile: bool,
    pub reload_on_changes: bool,
    pub disable_reloading: bool,
    pub orphan_interpreter: bool,
    pub debug_mode: bool,
    /// Pairs of name and value.
    pub setenv: Vec<(String, String)>,
    pub passenv: Vec<String>,
    pub trust_proxy_header: Vec<String>,
    pub trust_proxy: Vec<String>,
    pub access_log: bool,
    pub access_log_format: Option<String>,
    pub access_log_name: Option<String>,
    pub error_log_name: Option<String>,
    pub error_log_format: Option<String>,
    pub log_directory: Option<String>,
    pub log_to_terminal: bool,
    pub log_level: Option<String>,
    pub server_root: Option<String>,
    pub pid_file: Option<String>,
    pub admin: Option<String>,
    pub telemetry_service: Option<String>,
    pub telemetry_interval: Option<String>,
    pub slow_requests: Option<String>,
    /// Pairs of name and path.
    pub service_script: Vec<(String, String)>,
    /// `--set 'Directive args'`, in order.
    pub set: Vec<String>,
}

/// Name of the generated text in diagnostics.
pub const NAME: &str = "serve options";

/// Reads `serve`'s options: the site with its warnings, or what is wrong, as text to print.
pub fn load(options: &ServeOptions, surroundings: &Surroundings) -> Result<(Site, Vec<Diagnostic>), String> {
    let text = generate(options, surroundings)?;
    let loaded = load_text(NAME, &text, &Memory::new(), surroundings);
    loaded.into_result().map_err(|said| crate::diagnostic::render_all(&said))
}
