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

/// Is told of a garbage collection: number of the application group, generation, nanoseconds, objects collected, objects that
/// could not be.
pub type Collected = fn(u16, u8, u64, u64, u64);

static COLLECTED: OnceLock<Collected> = OnceLock::new();
static PROVIDER: OnceLock<Provider> = OnceLock::new();

/// Sets who answers, once per process. Without one every answer is `None`.
pub fn provide(provider: Provider) {
    let _ = PROVIDER.set(provider);
}

/// Sets who is told of garbage collections, once per process.
pub fn provide_collected(collected: Collected) {
    let _ = COLLECTED.set(collected);
}

pub(crate) fn collected(group: u16, generation: u8, pause: u64, collected: u64, uncollectable: u64) {
    if let Some(told) = COLLECTED.get() {
        told(group, generation, pause, collected, uncollectable);
    }
}

pub(crate) fn ask(question: Question) -> Option<String> {
    PROVIDER.get()?(question)
}
