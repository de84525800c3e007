//! What one request took. The wall time is known exactly; it is split into time on CPU, time waiting for a GIL, time on the
//! run queue outside those waits, and the rest, in which the thread was blocked.
//!
//! Clocks cost: a thread's CPU clock is a system call of some 300 ns, its run-queue delay one of 600 ns, and a small request
//! takes a few µs in all. So the CPU clock is carried on from a reading: it stands still between two batches of requests, in
//! which the thread sleeps, and goes with the wall clock within one, but for waits for a GIL. Requests that take long are
//! always read at both ends; [`CPU_EVERY`] and [`DELAY_OLD`] bound what the reading costs, and also the error.

use super::{Measure, pack};
use gk_python::gil::{self, ThreadWatch, Waited};
use gk_sys::clock::{self, Moment};
use gk_telemetry::{Begin, Record, Route, State, Wait};
use gk_wire::request::RequestView;
use gk_wsgi::call::Outcome;

/// Nanoseconds of work, not of sleep, after which the CPU clock is read again.
const CPU_EVERY: u64 = 200_000;
/// Nanoseconds from which on a request's run-queue delay is read.
const DELAY_FROM: u64 = 1_000_000;
/// Nanoseconds after which the reading that it is compared with is too old.
const DELAY_OLD: u64 = 4_000_000;

/// A request thread's measurements.
pub(crate) struct ThreadMeasure {
    measure: &'static Measure,
    slot: usize,
    watch: ThreadWatch,
    /// The CPU clock: when, and what it says, carried on since the last reading over so many nanoseconds of work.
    cpu: (u64, u64),
    carried: u64,
    /// The last reading of the run-queue delay: when, and what.
    delay: (u64, u64),
    /// What the monotonic clock lacks to be the wall clock, in nanoseconds.
    epoch: u64,
    /// The word of what it works on that waits are told of.
    work: u64,
    /// Mean nanoseconds of a request here (exponential).
    mean: u64,
}

/// A request that was begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    taken: u64,
    waited: Waited,
    cpu: u64,
    delay: u64,
    server: u64,
    queue: u64,
}

impl ThreadMeasure {
    /// For the calling thread, which serves requests in that slot.
    pub(crate) fn new(measure: &'static Measure, slot: usize) -> Self {
        measure.board.set_tid(slot, clock::thread_id());
        let watch = ThreadWatch::new();
        gil::set_work(pack(slot, 0));
        Self {
            measure,
            slot,
            watch,
            cpu: (0, 0),
            carried: u64::MAX,
            delay: (0, 0),
            epoch: 0,
            work: 0,
            mean: 0,
        }
    }

    /// A request was taken at that moment; the thread need not be attached yet. `slept`: it had nothing to do before.
    pub(crate) fn begin(
        &mut self,
        request: &RequestView<'_>,
        group: u16,
        taken: Moment,
        slept: bool,
    ) -> Begun {
        let now = taken.nanos();
        let worked = if slept { 0 } else { now.saturating_sub(self.cpu.0) };
        self.cpu = (now, self.cpu.1 + worked);
        self.carried = self.carried.saturating_add(worked);
        if self.mean > CPU_EVERY || self.carried > CPU_EVERY {
            (self.cpu.1, self.carried) = (clock::thread_cpu_nanos(), 0);
            // The two clocks drift apart only when the wall clock is set.
            self.epoch = (clock::epoch_micros() * 1000).saturating_sub(clock::monotonic_nanos());
        }
        if self.mean > DELAY_FROM || now.saturating_sub(self.delay.0) > DELAY_OLD {
            self.delay = (now, self.watch.run_delay().unwrap_or(0));
        }
        let numbers = &request.numbers;
        let (arrived, queued) = (nanos(numbers.request_start), nanos(numbers.queue_start));
        let begun = Begun {
            taken: now,
            waited: gil::waited(),
            cpu: self.cpu.1,
            delay: self.delay.1,
            server: queued.saturating_sub(arrived),
            queue: (self.epoch + now).saturating_sub(queued),
        };
        let uri = request.texts.uri;
        let path = &uri[..memchr::memchr(b'?', uri).unwrap_or(uri.len())];
        self.measure.board.begin(
            self.slot,
            &Begin {
                request: numbers.request_id,
                start: arrived,
                now,
                cpu: begun.cpu,
                queue: begun.queue,
                group,
                method: request.texts.method,
                path,
            },
        );
        let work = pack(self.slot, group);
        if self.work != work {
            self.work = work;
            gil::set_work(work);
        }
        begun
    }

    /// The thread is attached, the application's part begins.
    pub(crate) fn entered(&self) {
        self.measure.board.set_state(self.slot, State::Application);
    }

    /// The request is over.
    pub(crate) fn end(
        &mut self,
        begun: &Begun,
        entered: Moment,
        ended: Moment,
        outcome: &Outcome,
        group: u16,
    ) {
        let (entered, ended) = (outcome.application_start.unwrap_or(entered).nanos(), ended.nanos());
        let wall = ended.saturating_sub(begun.taken);
        self.mean = self.mean - self.mean / 8 + wall / 8;
        let waits = Waits::between(&begun.waited, &gil::waited());
        let gil = if self.measure.is_exact() { waits.nanos } else { waits.own };
        let most = wall.saturating_sub(gil);
        // Without a reading all of so short a request counts as on CPU.
        let mut on_cpu = most;
        self.carried += most;
        self.cpu = (ended, begun.cpu + most);
        if wall > CPU_EVERY / 4 || self.carried > CPU_EVERY {
            (self.cpu.1, self.carried) = (clock::thread_cpu_nanos(), 0);
            on_cpu = self.cpu.1.saturating_sub(begun.cpu).min(most);
        }
        let mut runnable = 0;
        if wall > DELAY_FROM {
            self.delay = (ended, self.watch.run_delay().unwrap_or(0));
            let outside = self.delay.1.saturating_sub(begun.delay).saturating_sub(waits.delay);
            runnable = outside.min(most - on_cpu);
        }
        let (gil_wait_server, gil_wait_app) = if self.measure.is_exact() {
            (waits.inside_own, waits.nanos - waits.inside_own)
        } else {
            (waits.own, 0)
        };
        if !self.measure.is_exact() && waits.own > 0 {
            // Nobody else tells the scoreboard of it.
            self.measure.board.waited(&Wait {
                slot: Some(self.slot),
                group,
                ns: waits.own,
                whole: Some(waits.own),
                server: true,
                culprit: Route::UNKNOWN,
            });
        }
        let (daemon, application) = (entered.saturating_sub(begun.taken), ended.saturating_sub(entered));
        self.measure.board.finish(
            self.slot,
            &Record {
                status: outcome.status,
                error: outcome.error,
                response: begun.server + begun.queue + daemon + application,
                server: begun.server,
                queue: begun.queue,
                daemon,
                application,
                on_cpu,
                gil_wait_app,
                gil_wait_server,
                waits: if self.measure.is_exact() { waits.count } else { waits.own_times },
                runnable,
                blocked: most - on_cpu - runnable,
                bytes_in: outcome.bytes_in,
                bytes_out: outcome.bytes_out,
                reads: outcome.reads,
                writes: outcome.writes,
                input: outcome.input,
                output: outcome.output,
            },
        );
    }
}

/// What a thread waited between two moments.
struct Waits {
    nanos: u64,
    count: u64,
    inside_own: u64,
    own: u64,
    own_times: u64,
    delay: u64,
}

impl Waits {
    fn between(before: &Waited, after: &Waited) -> Self {
        Self {
            nanos: after.nanos.wrapping_sub(before.nanos),
            count: after.waits.wrapping_sub(before.waits),
            inside_own: after.inside_own.wrapping_sub(before.inside_own),
            own: after.own.wrapping_sub(before.own),
            own_times: after.own_times.wrapping_sub(before.own_times),
            delay: after.delay.wrapping_sub(before.delay),
        }
    }
}

/// Epoch seconds as nanoseconds.
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}
