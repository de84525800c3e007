//! The supervisor: one loop that starts, watches, replaces and stops the front and the workers. It runs no Python, speaks
//! no HTTP and never blocks on another process, so that little can end it.
//!
//! ```text
//! signals, control sockets, clients, deadlines ─▶ supervisor ─▶ Event ─▶ plan ─▶ Action* ─▶ perform ─▶ the world
//! ```
//!
//! [`plan`] decides and is pure; [`supervisor`] waits; [`perform`] acts. Only the [`logs`] have threads of their own. Reading a configuration
//! or [`certificates`] takes another thread, for as long as it reads.
#![forbid(unsafe_code)]

pub mod certificates;
pub mod child;
pub mod clients;
pub mod configuration;
pub mod handover;
pub mod links;
pub mod logs;
pub mod memory;
pub mod perform;
pub mod plan;
pub mod root;
pub mod service_manager;
pub mod sockets;
pub mod status;
pub mod supervisor;

pub use configuration::python::{self, PythonBuild, PythonRuntime, Pythons, build_of};
pub use configuration::{Loaded, Loader};
pub use supervisor::start::run;

/// Why the server does not start: one sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

impl StartError {
    /// From a sentence.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
