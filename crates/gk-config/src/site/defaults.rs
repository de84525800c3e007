//! The defaults of every value a directive can set: the one place they are written in Rust.

use crate::site::{
    ErrorLog, HttpLimits, InterpreterOptions, Mount, MountTarget, ProcessGroup, PythonOptions, Settings,
};
use std::collections::BTreeMap;

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            timeout: 60.0,
            header_timeout: 40.0,
            body_timeout: 20.0,
            keep_alive: true,
            keep_alive_timeout: 5.0,
            max_keep_alive_requests: 100,
            limit_request_line: 8190,
            limit_request_fields: 100,
            limit_request_field_size: 8190,
            max_connections: 0,
            body_buffer_size: 128 * 1024,
            listen_backlog: 511,
        }
    }
}

impl Default for ErrorLog {
    fn default() -> Self {
        Self { path: None, level: "warn".to_owned(), json: false }
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
            enable_sendfile: false,
            restrict_process: None,
            trusted_proxy_headers: Vec::new(),
            trusted_proxies: Vec::new(),
            env: BTreeMap::new(),
            require: true,
            clients: true,
            closed: false,
            limit_request_body: 1 << 30,
        }
    }
}

impl ProcessGroup {
    /// Whether it runs a service script and takes no requests.
    pub fn service(&self) -> bool {
        self.threads == 0
    }

    /// A group with every option at its default.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            processes: 1,
            multiprocess: false,
            threads: 15,
            host: None,
            user: None,
            group: None,
            supplementary_groups: None,
            umask: None,
            chroot: None,
            home: None,
            python: None,
            python_home: None,
            python_path: Vec::new(),
            python_eggs: None,
            lang: None,
            locale: None,
            display_name: None,
            stack_size: None,
            cpu_priority: 0,
            cpu_time_limit: 0,
            memory_limit: 0,
            virtual_memory_limit: 0,
            switch_interval: None,
            free_threading: None,
            interpreters: 1,
            maximum_requests: 0,
            maximum_requests_jitter: 0,
            restart_interval: 0.0,
            startup_timeout: 0.0,
            shutdown_timeout: 5.0,
            graceful_timeout: 15.0,
            eviction_timeout: 0.0,
            deadlock_timeout: 300.0,
            inactivity_timeout: 0.0,
            request_timeout: 0.0,
            interrupt_timeout: 0.0,
            connect_timeout: 15.0,
            socket_timeout: 0.0,
            queue_timeout: 0.0,
            listen_backlog: 100,
            response_socket_timeout: 0.0,
            header_buffer_size: 32768,
            script_user: None,
            script_group: None,
            server_metrics: false,
            reload_on_changes: false,
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
