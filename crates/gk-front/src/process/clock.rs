//! The front's two clocks: a precise one in microseconds and a coarse one in milliseconds that the ticker advances.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// Both clocks, counted from the start of the front.
#[derive(Clone)]
pub struct Clock {
    base: Instant,
    coarse: Rc<Cell<u64>>,
    /// Epoch seconds at `base`, by the wall clock of the last [`Clock::advance`].
    epoch: Rc<Cell<f64>>,
}

impl Default for Clock {
    fn default() -> Self {
        let epoch = gk_sys::clock::epoch_seconds();
        Self { base: Instant::now(), coarse: Rc::default(), epoch: Rc::new(Cell::new(epoch)) }
    }
}

impl Clock {
    /// Microseconds, read from the system.
    pub fn micros(&self) -> u64 {
        self.base.elapsed().as_micros() as u64
    }

    /// A time of [`Clock::micros`] as seconds since the epoch, so that one system call serves both.
    pub fn epoch(&self, micros: u64) -> f64 {
        self.epoch.get() + micros as f64 / 1e6
    }

    /// Milliseconds as of the last [`Clock::advance`].
    pub fn coarse(&self) -> u64 {
        self.coarse.get()
    }

    /// The coarse clock's cell, for readers.
    pub fn coarse_cell(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.coarse)
    }

    /// Sets the coarse clock to the present and follows changes of the wall clock.
    pub fn advance(&self) {
        let micros = self.micros();
        self.coarse.set(micros / 1_000);
        self.epoch.set(gk_sys::clock::epoch_seconds() - micros as f64 / 1e6);
    }
}
