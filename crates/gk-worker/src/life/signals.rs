//! Signals sent to the worker itself, by an operator or by the application: which one asks for what. How they arrive is
//! `gk_sys::signal::handler`'s.

use gk_sys::signal::handler::Caught;
use gk_sys::signal::{self, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
use gk_wire::setup::Timers;

/// What a signal asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wish {
    /// Leave gracefully, within so many seconds (0: as long as it takes).
    Leave(&'static str, f64),
    /// Tell the application, which may have subscribed.
    Tell(i32),
}

/// The signals of this worker.
pub(crate) struct Signals(pub(crate) Caught);

impl Signals {
    /// From now on; before that they end the process, as a worker deep in an import must be.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self(Caught::new(&[SIGTERM, SIGINT, SIGUSR1, SIGXCPU, SIGHUP, SIGUSR2])?))
    }

    /// What has been asked for since the last time.
    pub(crate) fn take(&self, timers: &Timers) -> Vec<Wish> {
        self.0.take().into_iter().filter_map(|signal| wish(signal, timers)).collect()
    }
}

fn wish(signal: i32, timers: &Timers) -> Option<Wish> {
    Some(match signal {
        SIGTERM | SIGINT => Wish::Leave("shutdown_signal", timers.shutdown_timeout),
        SIGUSR1 if timers.eviction_timeout > 0.0 => Wish::Leave("eviction_signal", timers.eviction_timeout),
        SIGUSR1 => Wish::Leave("graceful_signal", timers.graceful_timeout),
        SIGXCPU => Wish::Leave("cpu_time_limit", timers.graceful_timeout),
        SIGHUP | SIGUSR2 => Wish::Tell(signal),
        _ => return None,
    })
}

/// A signal's name as applications know it.
pub(crate) fn name(number: i32) -> String {
    signal::name(number).map_or_else(|| number.to_string(), |name| format!("SIG{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_signal_asks_for() {
        let timers = Timers { shutdown_timeout: 5.0, graceful_timeout: 15.0, ..Timers::default() };
        assert_eq!(wish(SIGTERM, &timers), Some(Wish::Leave("shutdown_signal", 5.0)));
        assert_eq!(wish(SIGINT, &timers), Some(Wish::Leave("shutdown_signal", 5.0)));
        assert_eq!(wish(SIGUSR1, &timers), Some(Wish::Leave("graceful_signal", 15.0)));
        assert_eq!(wish(SIGXCPU, &timers), Some(Wish::Leave("cpu_time_limit", 15.0)));
        assert_eq!(wish(SIGUSR2, &timers), Some(Wish::Tell(SIGUSR2)));
        let evicted = Timers { eviction_timeout: 3.0, ..timers };
        assert_eq!(wish(SIGUSR1, &evicted), Some(Wish::Leave("eviction_signal", 3.0)));
        assert_eq!(name(SIGHUP), "SIGHUP");
    }
}
