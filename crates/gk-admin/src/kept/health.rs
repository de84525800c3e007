//! The health of this server as the pages show it: whether it is ready, and who gives no sign of life.

use gk_wire::feed::FrontFigures;

/// Seconds of silence that are told.
const TOLD: u32 = 5;

/// Readiness and life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Every process group has a worker that imported its applications and takes requests, and the front lives.
    pub ready: bool,
    /// The front and the supervisor give signs of life.
    pub alive: bool,
    /// A line for each process that gives none.
    pub silent: Vec<String>,
    /// A line for each process group that is not ready.
    pub waiting: Vec<String>,
    /// A line for each worker that has a GIL although it is to run without.
    pub remarks: Vec<String>,
}

impl Health {
    /// From the front's last figures. `front`: its process id; `silent`: seconds since the figures came.
    pub fn new(figures: &FrontFigures, front: u32, silent: u32) -> Self {
        let mut lines = Vec::new();
        if silent >= TOLD {
            lines.push(format!("the front (pid {front}) gives no sign of life for {silent} s"));
        }
        if figures.supervisor_silent >= TOLD {
            lines.push(format!("the supervisor gives no sign of life for {} s", figures.supervisor_silent));
        }
        let alive = lines.is_empty();
        lines.extend(figures.silent.iter().cloned());
        let drains = figures.draining.then(|| "the server was told to drain (gilkeeper drain)".to_owned());
        Self {
            ready: figures.ready && silent < TOLD,
            alive,
            silent: lines,
            waiting: drains.into_iter().chain(figures.waiting.iter().cloned()).collect(),
            remarks: figures.remarks.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: the front was stopped for 18 s, and both health checks answered 200.
    #[test]
    fn silence_of_the_front_or_the_supervisor_is_no_health() {
        let table = [(0, 0, true, true), (4, 4, true, true), (5, 0, false, false), (0, 5, true, false)];
        for (front, supervisor_silent, ready, alive) in table {
            let figures = FrontFigures { ready: true, supervisor_silent, ..FrontFigures::default() };
            let health = Health::new(&figures, 7, front);
            assert_eq!((health.ready, health.alive), (ready, alive), "{front} {supervisor_silent}");
            assert_eq!(health.silent.is_empty(), alive);
        }
    }

    #[test]
    fn a_server_that_drains_is_not_ready_and_alive() {
        let figures = FrontFigures { draining: true, ..FrontFigures::default() };
        let health = Health::new(&figures, 7, 0);
        assert_eq!((health.ready, health.alive, health.waiting.len()), (false, true, 1));
    }

    #[test]
    fn a_silent_worker_is_told_and_its_server_is_alive() {
        let silent = vec!["worker 3 gives no sign of life for 9 s".to_owned()];
        let figures = FrontFigures {
            waiting: vec!["nobody".into()],
            silent: silent.clone(),
            ..FrontFigures::default()
        };
        let health = Health::new(&figures, 7, 0);
        assert_eq!((health.ready, health.alive, health.silent), (false, true, silent));
        assert_eq!(health.waiting, ["nobody"]);
    }
}
