//! The seam to whoever measures: what the application asks for by `request_metrics()` and its relatives.

use std::sync::OnceLock;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `start_recording_metrics()`: a window begins.
    Start,
    /// `request_metrics()`.
    Requests,
    /// `process_metrics()`.
    Process,
}

/// Answers with JSON; `None`: there is nothing to say.
pub type Provider = fn(Question) -> Option<String>;

static PROVIDER: OnceLock<Provider> = OnceLock::new();

/// Sets who answers, once per process. Without one every answer is `None`.
pub fn provide(provider: Provider) {
    let _ = PROVIDER.set(provider);
}

pub(crate) fn ask(question: Question) -> Option<String> {
    PROVIDER.get()?(question)
}
