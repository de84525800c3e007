//! Signals sent to the worker itself, by an operator or by the application, and the action each asks for. They arrive through
//! `gk_sys::signal::handler`.

use gk_sys::signal::handler::SignalHandler;
use gk_sys::signal::{self, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
use gk_wire::setup::ProcessGroup;

/// The action that a signal asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SignalAction {
    /// Leave gracefully, within this many seconds (0: no limit).
    Leave(&'static str, f64),
    /// Pass the signal on to the application's subscribers.
    Tell(i32),
}

/// The signals of this worker.
pub(crate) struct Signals(pub(crate) SignalHandler);

impl Signals {
    /// Catches the signals from now on. Until then they end the process, so that a worker deep in an import can be ended.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self(SignalHandler::new(&[SIGTERM, SIGINT, SIGUSR1, SIGXCPU, SIGHUP, SIGUSR2])?))
    }

    /// Actions for the signals that have come since the last call.
    pub(crate) fn take(&self, options: &ProcessGroup) -> Vec<SignalAction> {
        self.0.take().into_iter().filter_map(|signal| action(signal, options)).collect()
    }
}

fn action(signal: i32, options: &ProcessGroup) -> Option<SignalAction> {
    Some(match signal {
        SIGTERM | SIGINT => SignalAction::Leave("shutdown_signal", options.shutdown_timeout),
        SIGUSR1 if options.eviction_timeout > 0.0 => {
            SignalAction::Leave("eviction_signal", options.eviction_timeout)
        }
        SIGUSR1 => SignalAction::Leave("graceful_signal", options.graceful_timeout()),
        SIGXCPU => SignalAction::Leave("cpu_time_limit", options.graceful_timeout()),
        SIGHUP | SIGUSR2 => SignalAction::Tell(signal),
        _ => return None,
    })
}

/// Name of a signal as applications know it, such as `SIGHUP`.
pub(crate) fn name(number: i32) -> String {
    signal::name(number).map_or_else(|| number.to_string(), |name| format!("SIG{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_has_its_action() {
        let options =
            ProcessGroup { shutdown_timeout: 5.0, graceful_timeout: Some(15.0), ..ProcessGroup::default() };
        assert_eq!(action(SIGTERM, &options), Some(SignalAction::Leave("shutdown_signal", 5.0)));
        assert_eq!(action(SIGINT, &options), Some(SignalAction::Leave("shutdown_signal", 5.0)));
        assert_eq!(action(SIGUSR1, &options), Some(SignalAction::Leave("graceful_signal", 15.0)));
        assert_eq!(action(SIGXCPU, &options), Some(SignalAction::Leave("cpu_time_limit", 15.0)));
        assert_eq!(action(SIGUSR2, &options), Some(SignalAction::Tell(SIGUSR2)));
        let evicted = ProcessGroup { eviction_timeout: 3.0, ..options };
        assert_eq!(action(SIGUSR1, &evicted), Some(SignalAction::Leave("eviction_signal", 3.0)));
        assert_eq!(name(SIGHUP), "SIGHUP");
    }
}
