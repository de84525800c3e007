//! The front's two clocks: a precise one in microseconds and a coarse one in milliseconds that the ticker moves on.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// Both clocks, counted from the start of the front.
#[derive(Clone)]
pub struct Clock {
    base: Instant,
    coarse: Rc<Cell<u64>>,
}

impl Default for Clock {
    fn default() -> Self {
        // The coarse clock starts above zero, so that "never" can be zero.
        Self { base: Instant::now(), coarse: Rc::new(Cell::new(1)) }
    }
}

impl Clock {
    /// Microseconds, read from the system.
    pub fn micros(&self) -> u64 {
        self.base.elapsed().as_micros() as u64
    }

    /// Milliseconds as of the last [`Clock::advance`].
    pub fn coarse(&self) -> u64 {
        self.coarse.get()
    }

    /// The coarse clock's cell, for those who only read it.
    pub fn coarse_cell(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.coarse)
    }

    /// Sets the coarse clock to the present.
    pub fn advance(&self) {
        self.coarse.set(1 + self.micros() / 1_000);
    }
}
