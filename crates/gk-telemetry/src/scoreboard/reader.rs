//! Reading a scoreboard while its worker writes it, or after the worker's death. The reader trusts nothing on the page: it bounds
//! indexes and repairs texts, since the worker may have been killed while it wrote.

use crate::figures::routes::{self, RouteSample};
use crate::figures::{COUNTER_WORDS, Figures, Record, Timed, counter};
use crate::histogram;
use crate::sample::{
    Finished, GcSample, GilMode, GroupSample, InFlight, PairSample, SlotSample, ThreadStage, WorkerSample,
};
use crate::scoreboard::board::Board;
use crate::scoreboard::cell::{Cell, counted};
use crate::scoreboard::layout::{self, Layout, SLOT, entry, group, header, pair, route, slot};
use crate::scoreboard::plain::{Plain, PlainSums};
use crate::scoreboard::times;
use crate::scoreboard::words::{self, Words};
use std::ops::Deref;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicU64, fence};
use std::time::{Duration, Instant};

/// Attempts to read words that are being written, before the processor is left to the writer.
const ATTEMPTS: usize = 64;
/// Time after which the words are taken as they are: their writer may be dead, or never meant to finish. For one reading of a
/// whole scoreboard.
const PATIENCE: Duration = Duration::from_millis(20);

/// Time that a reading has waited for words that are being written.
#[derive(Default)]
struct Waited(std::cell::Cell<Duration>);

impl<W: Deref<Target = Words>> Board<W> {
    /// Reads everything. `after`: ordinal of the last finished request that was read before.
    pub fn sample(&self, after: u64) -> WorkerSample {
        let at = |index: usize| self.word(index).load(Relaxed);
        let waited = Waited::default();
        let mut groups = self.read_groups();
        for index in 0..self.layout.private() {
            if let Some((home, own)) = self.home(index, &waited)
                && let Some((_, group)) = groups.iter_mut().find(|(number, _)| *number == home)
            {
                group.figures.merge(&own.figures());
            }
        }
        // The entry of all other groups is left out until it is used.
        groups.retain(|(index, group)| index + 1 < layout::GROUPS || group.figures != Figures::default());
        let routes = self.read_routes(&waited);
        let finished = self.read_ring(after, &routes);
        let last = finished.last().map_or(after, |entry| entry.ordinal);
        let names: Vec<(usize, String)> = groups.iter().map(|(n, g)| (*n, g.name.clone())).collect();
        WorkerSample {
            pid: at(header::PID) as u32,
            worker: at(header::WORKER),
            process_group: words::text(self.range(header::PROCESS_GROUP)),
            threads: self.layout.threads() as u32,
            python: words::text(self.range(header::PYTHON)),
            started: at(header::STARTED),
            import: at(header::IMPORT),
            gil_mode: GilMode::from_word(at(header::GIL_MODE)),
            gil_enabled: self.word(header::GIL_ENABLED).load(Acquire) != 0,
            gil_module: words::text(self.range(header::GIL_MODULE)),
            exact: self.word(header::EXACT).load(Acquire) != 0,
            why: words::text(self.range(header::WHY)),
            locks: match self.word(header::LOCKS).load(Acquire) {
                1 => Some(true),
                2 => Some(false),
                _ => None,
            },
            locks_why: words::text(self.range(header::LOCKS_WHY)),
            switch_interval: at(header::SWITCH_INTERVAL),
            other_wait: at(header::OTHER_WAIT),
            other_waits: at(header::OTHER_WAITS),
            lost: at(header::LOST),
            slots: (0..self.layout.threads())
                .filter_map(|index| {
                    let own = self.home(index, &waited).map(|(_, own)| own);
                    let words: (&Words, &Words) = (self.slot(index)?, self.id(index));
                    Some(read_slot(words, own, index, (&names, &routes), &waited))
                })
                .collect(),
            groups: groups.into_iter().map(|(_, group)| group).collect(),
            pairs: self.read_pairs(),
            holds: self.read_holds(),
            routes,
            finished,
            last,
        }
    }

    /// Application group and counts of a thread's own cell; `None` before its first request.
    fn home<'a>(&'a self, index: usize, waited: &'a Waited) -> Option<(usize, Own<'a>)> {
        let slot = self.slot(index)?;
        let home = slot[slot::HOME].load(Relaxed) as usize;
        Some((home.checked_sub(1)?, Own { slot, cell: self.own_cell(index)?, waited }))
    }

    fn read_groups(&self) -> Vec<(usize, GroupSample)> {
        let read = |index: usize| {
            let words = self.group_words(index as u16);
            if words[group::READY].load(Acquire) == 0 {
                return None;
            }
            let at = |index: usize| words[index].load(Relaxed);
            let mut figures = Figures::default();
            read_cell(self.shared_cell(index as u16), &[], &mut figures);
            self.read_kinds(index, &mut figures);
            let collections = std::array::from_fn(|n| at(group::COLLECTIONS.start + n));
            let gc = GcSample {
                pause: at(group::GC_PAUSE),
                longest: at(group::GC_LONGEST),
                collections,
                collected: at(group::COLLECTED),
                uncollectable: at(group::UNCOLLECTABLE),
            };
            let sample = GroupSample {
                name: words::text(&words[group::NAME]),
                gil_mode: GilMode::from_word(at(group::GIL_MODE)),
                switch_interval: at(group::SWITCH_INTERVAL),
                import: at(group::IMPORT),
                gc,
                figures,
            };
            Some((index, sample))
        };
        (0..layout::GROUPS).filter_map(read).collect()
    }

    /// Routes, with the counts that slots have not given them yet. When a slot gives its counts between the two looks, this
    /// reading misses them and the next one has them: too few requests of one route now, too many then.
    fn read_routes(&self, waited: &Waited) -> Vec<RouteSample> {
        let read = |index: usize| {
            let words = self.route_words(index);
            if words[route::READY].load(Acquire) == 0 {
                return None;
            }
            let name = words::text(&words[route::NAME]);
            let thread = words[route::KIND].load(Relaxed) == 1;
            Some(RouteSample::read(index as u16, name, thread, |at| words[at].load(Relaxed)))
        };
        let mut routes: Vec<RouteSample> = (0..layout::ROUTES).filter_map(read).collect();
        for route in routes.iter_mut().filter(|route| !route.thread) {
            route.times = self.read_times(route.number);
        }
        for index in 0..self.layout.private() {
            let Some((_, own)) = self.home(index, waited) else { continue };
            let Unsettled { route: number, counted, here, later } = own.unsettled();
            let Some(route) = routes.iter_mut().find(|route| route.number == number) else { continue };
            here.into_iter().for_each(|(bucket, count)| times::count_here(&mut route.times, bucket, count));
            later.into_iter().for_each(|ns| times::count_later(&mut route.times, ns));
            for (sum, more) in route.counted_mut().into_iter().zip(counted) {
                *sum = sum.wrapping_add(more);
            }
        }
        routes
    }

    fn read_pairs(&self) -> Vec<PairSample> {
        let read = |index: usize| {
            let at = Layout::pair(index);
            let words = self.range(at..at + layout::PAIR);
            let key = words[pair::KEY].load(Relaxed);
            (key != 0).then(|| PairSample {
                culprit: (key >> 16) as u16,
                victim: key as u16,
                ns: words[pair::NS].load(Relaxed),
                waits: words[pair::WAITS].load(Relaxed),
            })
        };
        (0..layout::PAIRS).filter_map(read).collect()
    }

    fn read_ring(&self, after: u64, routes: &[RouteSample]) -> Vec<Finished> {
        let head = self.word(header::RING_HEAD).load(Relaxed);
        let first = after.saturating_add(1).max(head.saturating_sub(layout::RING as u64 - 1));
        let at = |ordinal: u64| Layout::entry(ordinal as usize % layout::RING);
        (first..=head).filter_map(|ordinal| self.read_entry(at(ordinal), ordinal, routes)).collect()
    }

    /// The requests that were kept for traces after that ordinal, the ordinal of the last one, and how many came and went unread.
    /// `routes`: of the same scoreboard.
    pub fn traced(&self, after: u64, routes: &[RouteSample]) -> (Vec<Finished>, u64, u64) {
        let head = self.word(header::TRACED_HEAD).load(Relaxed);
        let wanted = after.saturating_add(1);
        let first = wanted.max(head.saturating_sub(layout::TRACED as u64 - 1));
        let at = |ordinal: u64| self.layout.traced(ordinal as usize % layout::TRACED);
        let read: Vec<Finished> =
            (first..=head).filter_map(|ordinal| self.read_entry(at(ordinal), ordinal, routes)).collect();
        (read, head, first - wanted)
    }

    fn read_entry(&self, at: usize, ordinal: u64, routes: &[RouteSample]) -> Option<Finished> {
        let words = self.range(at..at + layout::ENTRY);
        let guard = words[entry::GUARD].load(Acquire);
        let load = |index: usize| words[index].load(Relaxed);
        let place = load(entry::PLACE);
        let finished = Finished {
            ordinal: load(entry::ORDINAL),
            request: load(entry::REQUEST),
            start: load(entry::START),
            thread: load(entry::THREAD) as u32,
            application_group: words::text(&self.group_words(place as u16)[group::NAME]),
            route: name_of(routes, (place >> 16) as u16),
            method: words::text(&words[entry::METHOD]),
            path: words::text(&words[entry::PATH]),
            longest_wait: load(entry::LONGEST_WAIT),
            culprit: name_of(routes, load(entry::CULPRIT) as u16),
            raised: self.kind_name(load(entry::RAISED)),
            id: words::text(&words[entry::ID]),
            record: Record::of_words(|word| load(entry::RECORD.start + word)),
        };
        fence(Acquire);
        let whole = guard & 1 == 0 && words[entry::GUARD].load(Relaxed) == guard;
        (whole && finished.ordinal == ordinal).then_some(finished)
    }
}

fn name_of(routes: &[RouteSample], number: u16) -> String {
    routes.iter().find(|route| route.number == number).map_or_else(|| "(unknown)".into(), |r| r.name.clone())
}

/// Adds a cell's counters and histograms, and the plain requests `later` that are not in it yet. Unused doublings are skipped,
/// so that reading does not make the kernel provide memory for them.
fn read_cell(cell: &Cell, later: &[Plain], figures: &mut Figures) {
    let load = |at: usize| cell[at].load(Relaxed);
    let sums = sums(later);
    let counted = |at: usize| counted(cell, &sums, at);
    if counted(counter::REQUESTS) == 0 && load(Timed::SingleWait.bitmap()) == 0 {
        return;
    }
    for (at, sum) in COUNTER_WORDS.into_iter().zip(figures.counters_mut()) {
        *sum += counted(at);
    }
    let mut add_status = |status: u16, count: u64| {
        if count > 0 {
            let there = figures.statuses.entry(status).or_default();
            *there = there.saturating_add(count);
        }
    };
    add_status(200, counted(counter::OK));
    for index in 0..layout::STATUSES {
        add_status(if index == 0 { 0 } else { index as u16 + 99 }, load(layout::STATUSES_AT + index));
    }
    for (index, word) in cell[layout::LONG_AT..].iter().enumerate() {
        let count = word.load(Relaxed);
        if count > 0 {
            figures.add_long(index, count);
        }
    }
    for (which, histogram) in Timed::ALL.into_iter().zip(figures.histograms_mut()) {
        histogram.sum = histogram.sum.saturating_add(counted(which.sum()));
        if let Some(zeros) = which.zeros() {
            histogram.add_to(histogram::bucket_of(0), counted(zeros));
        }
        for ns in later.iter().filter_map(|r| r.timed(which)) {
            histogram.add_to(histogram::bucket_of(ns), 1);
        }
        let used = load(which.bitmap());
        for octave in (0..histogram::OCTAVES).filter(|octave| used & (1 << octave) != 0) {
            for bucket in histogram::octave_buckets(octave) {
                histogram.add_to(bucket, load(which.at() + which.word(bucket)));
            }
        }
    }
}

/// The counts of one thread: its own cell, and the plain requests in its slot that are not in the cell yet.
struct Own<'a> {
    slot: &'a [AtomicU64; SLOT],
    cell: &'a Cell,
    waited: &'a Waited,
}

/// What a thread has counted for a route and not given to it yet.
struct Unsettled {
    route: u16,
    /// In the order of [`routes::COUNTED`].
    counted: [u64; routes::COUNTED.len()],
    /// Buckets and counts of response times in the slot.
    here: Vec<(usize, u64)>,
    /// Response times of the plain requests that wait in the slot.
    later: Vec<u64>,
}

impl Own<'_> {
    /// Calls `read` with the plain requests in the slot, until it ran while none of them moved to the cell.
    fn read<T>(&self, read: impl Fn(&[Plain]) -> T) -> T {
        let once = || {
            let guard = self.slot[slot::SETTLING].load(Acquire);
            let (places, _) = self.slot[slot::PLAIN].as_chunks::<{ slot::PLAIN_WORDS }>();
            let later: Vec<Plain> = places
                .iter()
                .take(self.slot[slot::LATER].load(Acquire) as usize)
                .map(|place| Plain::of_words(place.each_ref().map(|word| word.load(Relaxed))))
                .collect();
            let made = read(&later);
            fence(Acquire);
            (guard & 1 == 0 && self.slot[slot::SETTLING].load(Relaxed) == guard, made)
        };
        whole(once, self.waited).1
    }

    /// All counts.
    fn figures(&self) -> Figures {
        self.read(|later| {
            let mut figures = Figures::default();
            read_cell(self.cell, later, &mut figures);
            figures
        })
    }

    /// Some words of the cell's head.
    fn counters<const COUNT: usize>(&self, which: [usize; COUNT]) -> [u64; COUNT] {
        self.read(|later| which.map(|at| counted(self.cell, &sums(later), at)))
    }

    /// What no route has been given yet.
    fn unsettled(&self) -> Unsettled {
        self.read(|later| {
            let load = |at: usize| self.slot[at].load(Relaxed);
            let settled: [u64; routes::COUNTED.len()] =
                std::array::from_fn(|index| load(slot::SETTLED.start + index));
            let (route, sums) = (load(slot::ROUTE) as u16, sums(later));
            // The cell is read after `SETTLED`, so it holds at least as much.
            fence(Acquire);
            let unsettled = |index: usize| {
                counted(self.cell, &sums, routes::COUNTED[index].0).saturating_sub(settled[index])
            };
            Unsettled {
                route,
                counted: std::array::from_fn(unsettled),
                here: times::times_here(self.slot).collect(),
                later: later.iter().map(Plain::response).collect(),
            }
        })
    }
}

fn sums(requests: &[Plain]) -> PlainSums {
    let mut sums = PlainSums::default();
    requests.iter().for_each(|r| sums.add(*r));
    sums
}

/// Reads again while the words are being written; `once` returns false for words that were.
fn whole<T>(once: impl Fn() -> (bool, T), waited: &Waited) -> (bool, T) {
    let (since, before) = (Instant::now(), waited.0.get());
    let mut attempts = 0;
    loop {
        let read = once();
        if attempts > 0 || !read.0 {
            waited.0.set(before + since.elapsed());
        }
        if read.0 || waited.0.get() > PATIENCE {
            return read;
        }
        attempts += 1;
        if attempts < ATTEMPTS {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

fn read_slot(
    (words, id): (&Words, &Words),
    own: Option<Own<'_>>,
    index: usize,
    (groups, routes): (&[(usize, String)], &[RouteSample]),
    waited: &Waited,
) -> SlotSample {
    let load = |index: usize| words[index].load(Relaxed);
    let once = || {
        let guard = words[slot::GUARD].load(Acquire);
        let state = ThreadStage::from_word(load(slot::STATE));
        let place = load(slot::PLACE);
        let group = groups.iter().find(|(number, _)| *number == usize::from(place as u16));
        let request = (state != ThreadStage::Idle).then(|| InFlight {
            whole: false,
            request: load(slot::REQUEST),
            start: load(slot::START),
            begun: load(slot::BEGUN),
            cpu_begun: load(slot::CPU_BEGUN),
            queue: load(slot::QUEUE),
            gil_wait: load(slot::GIL),
            waits: load(slot::WAITS),
            application_group: group.map_or_else(|| "(others)".into(), |(_, name)| name.clone()),
            route: name_of(routes, (place >> 16) as u16),
            method: words::text(&words[slot::METHOD]),
            path: words::text(&words[slot::PATH]),
            id: words::text(id),
        });
        fence(Acquire);
        (guard & 1 == 0 && words[slot::GUARD].load(Relaxed) == guard, (state, request))
    };
    let (whole, (state, mut request)) = whole(once, waited);
    if let Some(request) = &mut request {
        request.whole = whole;
    }
    // Requests in the own cell are not in `COMPLETED` and `BUSY`.
    let own = own.map(|own| own.counters([counter::REQUESTS, counter::DAEMON, Timed::Application.sum()]));
    let [requests, daemon, application] = own.unwrap_or_default();
    let sum = |parts: &[u64]| parts.iter().fold(0u64, |sum, part| sum.saturating_add(*part));
    SlotSample {
        thread: index as u32 + 1,
        tid: load(slot::TID) as u32,
        state,
        completed: sum(&[load(slot::COMPLETED), requests]),
        busy: sum(&[load(slot::BUSY), daemon, application]),
        request,
    }
}
