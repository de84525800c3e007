//! The seam to the measurements: questions of the application (`request_metrics()` and its relatives), garbage collections,
//! exceptions that leave the application, and threads that begin.

use std::sync::OnceLock;

/// A question of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `start_recording_metrics()`: start a window.
    Start,
    /// `request_metrics()`.
    Requests,
    /// `process_metrics()`.
    Process,
}

/// Answers with JSON, or `None` if nothing is recorded.
pub type MetricsProvider = fn(Question) -> Option<String>;

/// Called after a garbage collection: number of the application group, generation, nanoseconds, collected objects,
/// uncollectable objects.
pub type CollectionListener = fn(u16, u8, u64, u64, u64);

/// Called by the thread of a request in which an exception left the application, with the exception's type.
pub type ExceptionListener = fn(&str);

/// Called by each thread of the application that begins: the kernel's number of it, and its name.
pub type ThreadListener = fn(u32, &str);

static THREADS: OnceLock<ThreadListener> = OnceLock::new();
static LISTENER: OnceLock<CollectionListener> = OnceLock::new();
static EXCEPTIONS: OnceLock<ExceptionListener> = OnceLock::new();
static PROVIDER: OnceLock<MetricsProvider> = OnceLock::new();

/// Sets the provider, once per process. Without one every answer is `None`.
pub fn provide(provider: MetricsProvider) {
    let _ = PROVIDER.set(provider);
}

/// Sets the listener for garbage collections, once per process.
pub fn provide_collected(collected: CollectionListener) {
    let _ = LISTENER.set(collected);
}

/// Sets the listener for exceptions, once per process.
pub fn provide_raised(raised: ExceptionListener) {
    let _ = EXCEPTIONS.set(raised);
}

/// `name` makes the name of the exception's type.
pub(crate) fn raised(name: impl FnOnce() -> String) {
    if let Some(listener) = EXCEPTIONS.get()
        && !gk_sys::fork::is_child()
    {
        listener(&name());
    }
}

/// Sets the listener for threads that begin, once per process.
pub fn provide_started(started: ThreadListener) {
    let _ = THREADS.set(started);
}

pub(crate) fn started(thread: u32, name: &str) {
    if let Some(listener) = THREADS.get()
        && !gk_sys::fork::is_child()
    {
        listener(thread, name);
    }
}

pub(crate) fn collected(group: u16, generation: u8, pause: u64, collected: u64, uncollectable: u64) {
    // The figures of a forked child are not its parent's.
    if let Some(listener) = LISTENER.get()
        && !gk_sys::fork::is_child()
    {
        listener(group, generation, pause, collected, uncollectable);
    }
}

pub(crate) fn ask(question: Question) -> Option<String> {
    let provider = PROVIDER.get()?;
    if gk_sys::fork::is_child() { None } else { provider(question) }
}
