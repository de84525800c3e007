//! The time of one request. The wall time is exact; it is split into time on CPU, time waiting for a GIL, time on the run
//! queue outside those waits, and the rest, in which the thread was blocked.
//!
//! Clocks cost: reading a thread's CPU clock is a system call of some 300 ns, its run-queue delay one of 600 ns, and a
//! small request takes a few µs in all. So the CPU clock is extrapolated from its last reading: it stands still between two
//! batches of requests, while the thread sleeps, and goes with the wall clock within a batch, except for waits for a GIL.
//! Long requests are read at both ends. The gap between two requests of a batch counts as CPU time only below [`MOMENT`].
//! [`CPU_EVERY`] and [`OLD`] bound the cost of reading and the error.

use super::measurements::{Measurements, pack, serve_in};
use gk_python::gil::parking::{self, Parkings};
use gk_python::gil::{self, ThreadWatch, Waited};
use gk_sys::clock::{self, Moment};
use gk_sys::memory::SharedWords;
use gk_telemetry::{Begin, Plain, Record, Route, SlotWriter, ThreadStage, Wait};
use gk_wire::request::RequestView;
use gk_wsgi::Outcome;

/// Nanoseconds above which a request, or the gap between two requests of a batch, may have been off CPU.
const MOMENT: u64 = 50_000;
/// Mean nanoseconds of a request above which the next one is read at both ends.
const LONG: u64 = 200_000;
/// Nanoseconds of extrapolated work after which the CPU clock is read again.
const CPU_EVERY: u64 = 2_000_000;
/// Nanoseconds of a request above which its run-queue delay is read.
const DELAY_FROM: u64 = 1_000_000;
/// Nanoseconds after which occasional readings are repeated: the run-queue delay to compare with; the wall clock, which
/// drifts only when it is set; the request of the scoreboard's reader, who comes once a second.
const OLD: u64 = 10_000_000;

/// A request thread's measurements.
pub(crate) struct ThreadMeasure {
    measure: &'static Measurements,
    writer: SlotWriter<'static, SharedWords>,
    watch: ThreadWatch,
    /// Waits of this thread so far, and [`ThreadWatch::changes`] at that time.
    waited: Waited,
    changes: u64,
    /// Its waits for locks so far, where there is no GIL.
    parked: Parkings,
    /// The CPU clock: (monotonic time, CPU time), extrapolated since the last reading over `carried` nanoseconds of work.
    /// While a request runs: the values when it was taken.
    cpu: (u64, u64),
    carried: u64,
    /// Time of the next occasional readings; 0: at every request.
    due: u64,
    /// Run-queue delay at the last reading.
    delay: u64,
    /// Wall clock minus monotonic clock in nanoseconds, and the time of that reading.
    ahead: u64,
    looked: u64,
    /// The application group that waits of this thread carry.
    told: Option<u16>,
    /// Mean nanoseconds of a request in this thread (exponential).
    mean: u64,
    /// Between batches the thread runs the front, so its CPU clock has gone on when the next one begins.
    runs_front: bool,
    /// Nanoseconds of the current request before the queue, and in it.
    server: u64,
    queue: u64,
}

/// Proof that [`ThreadMeasure::begin`] was called, for [`ThreadMeasure::end`].
#[derive(Debug)]
pub(crate) struct MeasuredRequest(());

impl ThreadMeasure {
    /// For the calling thread, which serves requests in that slot. `runs_front`: it does so between requests. `None` if the scoreboard has no
    /// such slot.
    pub(crate) fn new(measure: &'static Measurements, slot: usize, runs_front: bool) -> Option<Self> {
        let writer = measure.board.writer(slot)?;
        measure.board.set_tid(slot, clock::thread_id());
        let watch = ThreadWatch::new();
        gil::set_work(pack(slot, 0));
        serve_in(slot);
        Some(Self {
            measure,
            writer,
            changes: watch.changes(),
            waited: gil::waited(),
            parked: parking::parkings(),
            watch,
            cpu: (0, 0),
            carried: CPU_EVERY + 1,
            due: 0,
            delay: 0,
            ahead: 0,
            looked: 0,
            told: None,
            mean: 0,
            runs_front,
            server: 0,
            queue: 0,
        })
    }

    /// Begins a request that was taken at `taken`. `slept`: the thread was idle before and is not attached yet; otherwise
    /// it enters the application at once.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        request: &RequestView<'_>,
        group: u16,
        taken: Moment,
        slept: bool,
    ) -> MeasuredRequest {
        let now = taken.nanos();
        let between = now.saturating_sub(self.cpu.0);
        // Taking the next request takes a microsecond: a longer gap was spent off CPU.
        let worked = if slept || between > MOMENT { 0 } else { between };
        self.cpu = (now, self.cpu.1 + worked);
        self.carried += worked;
        if slept && self.runs_front {
            self.read_cpu();
        }
        if self.carried > CPU_EVERY || now >= self.due {
            self.look(now);
        }
        self.waits();
        let numbers = &request.numbers;
        let arrived = nanos(numbers.request_start);
        // Mostly the front gives both the same value.
        let same = numbers.queue_start.to_bits() == numbers.request_start.to_bits();
        let queued = if same { arrived } else { other_nanos(numbers.queue_start) };
        self.server = queued.saturating_sub(arrived);
        self.queue = (self.ahead + now).saturating_sub(queued);
        self.writer.begin(&Begin {
            request: numbers.request_id,
            start: arrived,
            now,
            cpu: self.cpu.1,
            queue: self.queue,
            group,
            method: request.texts.method,
            uri: request.texts.uri,
            target: request.target,
            state: if slept { ThreadStage::Starting } else { ThreadStage::Application },
            id: request.texts.id,
            traced: numbers.traced,
        });
        if self.told != Some(group) {
            self.tell_group(group);
        }
        MeasuredRequest(())
    }

    /// The thread is attached; the application's part begins.
    pub(crate) fn entered(&self) {
        self.writer.set_state(ThreadStage::Application);
    }

    /// The request goes back to the front: it counts where it is answered.
    pub(crate) fn forget(&self) {
        self.writer.set_state(ThreadStage::Idle);
    }

    /// Ends the request.
    #[inline]
    pub(crate) fn end(
        &mut self,
        _begun: &MeasuredRequest,
        entered: Moment,
        ended: Moment,
        outcome: &Outcome,
        group: u16,
    ) {
        let taken = self.cpu.0;
        let wall = ended.nanos().saturating_sub(taken);
        self.mean = self.mean - self.mean / 8 + wall / 8;
        let waits = self.waits();
        let moment = wall <= MOMENT && self.carried + wall <= CPU_EVERY;
        if moment && waits.is_none() && self.server == 0 && is_plain(outcome) {
            self.carried += wall;
            self.cpu = (ended.nanos(), self.cpu.1 + wall);
            // Both are below `MOMENT`, so they fit.
            let daemon = entered.nanos().saturating_sub(taken).min(wall);
            return self.writer.finish_plain(Plain {
                queue: self.queue,
                daemon: daemon as u32,
                application: (wall - daemon) as u32,
                bytes_out: outcome.bytes_out,
            });
        }
        self.end_otherwise(entered, ended, outcome, group, waits);
    }

    /// Ends a batch: the thread has no further request for now.
    pub(crate) fn end_batch(&mut self) {
        self.writer.end_batch();
    }

    #[inline(never)]
    fn end_otherwise(
        &mut self,
        entered: Moment,
        ended: Moment,
        outcome: &Outcome,
        group: u16,
        waits: Option<Waits>,
    ) {
        let (entered, ended) = (outcome.application_start.unwrap_or(entered).nanos(), ended.nanos());
        let ((taken, cpu), delay) = (self.cpu, self.delay);
        let wall = ended.saturating_sub(taken);
        let (gil_server, gil_application, times) = match waits {
            None => (0, 0, 0),
            Some(waits) if self.measure.is_exact() => {
                (waits.inside_own, waits.nanos - waits.inside_own, waits.count)
            }
            Some(waits) => {
                self.tell(&waits, group);
                (waits.own, 0, waits.own_times)
            }
        };
        let most = wall.saturating_sub(gil_server + gil_application);
        // Without a reading, all of such a short request counts as on CPU.
        let mut on_cpu = most;
        self.carried += most;
        self.cpu = (ended, cpu + most);
        if wall > MOMENT || self.carried > CPU_EVERY {
            self.read_cpu();
            on_cpu = self.cpu.1.saturating_sub(cpu).min(most);
        }
        let mut runnable = 0;
        if wall > DELAY_FROM {
            self.read_delay();
            let inside = waits.map_or(0, |waits| waits.delay);
            runnable = self.delay.saturating_sub(delay).saturating_sub(inside).min(most - on_cpu);
        }
        if self.mean > LONG {
            self.due = 0;
        }
        let (daemon, application) = (entered.saturating_sub(taken), ended.saturating_sub(entered));
        let blocked = most - on_cpu - runnable;
        let [lock_dict, lock_list, lock_set, lock_object, lock_lock, lock_world, lock_import, lock_other] =
            waits.map_or_else(Parkings::default, |waits| within(waits.parked, blocked));
        self.writer.finish(&Record {
            status: outcome.status,
            error: outcome.error || outcome.status >= 500,
            exception: outcome.error,
            response: self.server + self.queue + daemon + application,
            server: self.server,
            queue: self.queue,
            daemon,
            application,
            cpu: on_cpu,
            gil_application,
            gil_server,
            waits: times,
            runnable,
            blocked,
            bytes_in: outcome.bytes_in,
            bytes_out: outcome.bytes_out,
            reads: outcome.reads,
            writes: outcome.writes,
            input: outcome.input,
            output: outcome.output,
            lock_dict,
            lock_list,
            lock_set,
            lock_object,
            lock_lock,
            lock_world,
            lock_import,
            lock_other,
        });
    }

    /// Waits of this thread since the last call; `None` if there were none, as mostly.
    #[inline]
    fn waits(&mut self) -> Option<Waits> {
        (self.watch.changes() != self.changes).then(|| self.new_waits())
    }

    #[cold]
    fn new_waits(&mut self) -> Waits {
        let before = std::mem::replace(&mut self.waited, gil::waited());
        self.changes = self.watch.changes();
        let parked = std::mem::replace(&mut self.parked, parking::parkings());
        Waits::between((&before, &parked), (&self.waited, &self.parked))
    }

    /// Books waits that were measured from outside, which nobody else writes onto the scoreboard.
    #[cold]
    fn tell(&self, waits: &Waits, group: u16) {
        if waits.own == 0 {
            return;
        }
        self.measure.board.waited(&Wait {
            slot: Some(self.writer.index()),
            victim: self.measure.between,
            group,
            ns: waits.own,
            whole: Some(waits.own),
            server: true,
            culprit: Route::UNKNOWN,
        });
    }

    #[cold]
    #[inline(never)]
    fn tell_group(&mut self, group: u16) {
        self.told = Some(group);
        gil::set_work(pack(self.writer.index(), group));
    }

    /// Makes the occasional readings that are due.
    #[cold]
    fn look(&mut self, now: u64) {
        let long = self.mean > LONG;
        if long || self.carried > CPU_EVERY {
            self.read_cpu();
        }
        let old = now.saturating_sub(self.looked) >= OLD;
        if old || self.mean > DELAY_FROM {
            self.read_delay();
        }
        if old {
            self.looked = now;
            self.ahead = (clock::epoch_micros() * 1000).saturating_sub(clock::monotonic_nanos());
            self.writer.look();
        }
        self.due = if long { 0 } else { self.looked + OLD };
    }

    #[cold]
    fn read_cpu(&mut self) {
        (self.cpu.1, self.carried) = (clock::thread_cpu_nanos(), 0);
    }

    #[cold]
    fn read_delay(&mut self) {
        self.delay = self.watch.run_delay().unwrap_or(0);
    }
}

/// Returns true if [`Plain`] says everything about the response and the body.
#[inline]
fn is_plain(outcome: &Outcome) -> bool {
    let Outcome { status, error, application_start, bytes_in, reads, input, bytes_out: _, writes, output } =
        *outcome;
    status == 200
        && writes == 1
        && !error
        && application_start.is_none()
        && bytes_in | reads | input | output == 0
}

/// Waits of a thread between two moments.
#[derive(Clone, Copy)]
struct Waits {
    nanos: u64,
    count: u64,
    inside_own: u64,
    own: u64,
    own_times: u64,
    delay: u64,
    parked: Parkings,
}

impl Waits {
    fn between((before, parked): (&Waited, &Parkings), (after, parked_since): (&Waited, &Parkings)) -> Self {
        Self {
            parked: std::array::from_fn(|kind| parked_since[kind].wrapping_sub(parked[kind])),
            nanos: after.nanos.wrapping_sub(before.nanos),
            count: after.waits.wrapping_sub(before.waits),
            inside_own: after.inside_own.wrapping_sub(before.inside_own),
            own: after.own.wrapping_sub(before.own),
            own_times: after.own_times.wrapping_sub(before.own_times),
            delay: after.delay.wrapping_sub(before.delay),
        }
    }
}

/// Waits for locks as parts of the time that the thread was blocked: what it was runnable at their ends is not theirs.
fn within(mut parked: Parkings, blocked: u64) -> Parkings {
    let sum: u64 = parked.iter().fold(0, |sum, ns| sum.saturating_add(*ns));
    if sum > blocked {
        for ns in &mut parked {
            *ns = (u128::from(*ns) * u128::from(blocked) / u128::from(sum)) as u64;
        }
    }
    parked
}

/// Epoch seconds as nanoseconds.
fn nanos(seconds: f64) -> u64 {
    // Through a signed integer, which the processor converts in one instruction.
    ((seconds * 1e9) as i64).max(0) as u64
}

/// [`nanos`] for the rare case, kept out of the common path.
#[cold]
#[inline(never)]
fn other_nanos(seconds: f64) -> u64 {
    nanos(seconds)
}
