//! The exports that are configured: a task for each, which sends at its interval.

use crate::kept::deliveries::{Deliveries, ExportCounters};
use crate::kept::hub::{Second, SharedHub};
use crate::kept::traces::TracedRequest;
use crate::told::emitter::Emitter;
use crate::told::families::{EDGES, Families};
use crate::told::otlp::{self, ServerIdentity};
use crate::told::outbox::Outbox;
use crate::told::spans::{self, SpanExport, SpansEnding};
use crate::told::statsd;
use gk_config::measurements::{Measurements, Otlp, Statsd};
use gk_wire::setup::duration;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The exports.
#[derive(Clone, Default)]
pub(crate) struct Exports {
    datagrams: Option<(Arc<Mutex<Emitter>>, Outbox)>,
    traces: Option<TraceExport>,
}

/// The way to the task that pushes spans.
#[derive(Clone)]
struct TraceExport {
    sender: Sender<TracedRequest>,
    deliveries: Arc<Deliveries>,
    ending: Arc<SpansEnding>,
}

impl Exports {
    /// Starts the tasks. `supervisor`: the process id that stands for the server in datagrams.
    pub(crate) fn start(
        measurements: &Measurements,
        server_root: &Path,
        supervisor: u32,
        hub: &SharedHub,
    ) -> Self {
        let mut exports = Self::default();
        let mut counters = ExportCounters::default();
        if let Some(export) = &measurements.export.datagrams {
            let outbox = Outbox::open(&export.socket);
            counters.datagrams = Some(outbox.deliveries());
            let processes = (supervisor, hub.lock().front());
            let emitter = Emitter::new(export, measurements.slow_requests, processes, outbox.clone());
            let emitter = Arc::new(Mutex::new(emitter));
            tokio::spawn(send_datagrams(Arc::clone(&emitter), hub.clone(), export.interval));
            exports.datagrams = Some((emitter, outbox));
        }
        let identity = || ServerIdentity {
            host: crate::hostname(),
            instance: server_root.display().to_string(),
            started: gk_sys::clock::epoch_micros() * 1000,
        };
        if let Some(export) = &measurements.export.traces {
            let deliveries = counters.traces.insert(Arc::default());
            let (sender, receiver) = channel(spans::WAITING);
            let (deliveries, ending) = (Arc::clone(deliveries), Arc::<SpansEnding>::default());
            let export = SpanExport {
                wanted: export.clone(),
                identity: identity(),
                deliveries: Arc::clone(&deliveries),
            };
            tokio::spawn(export.push(receiver, Arc::clone(&ending)));
            exports.traces = Some(TraceExport { sender, deliveries, ending });
            hub.lock().traces.begin(EDGES.iter().map(|(_, edge)| *edge).collect());
        }
        if let Some(export) = &measurements.export.otlp {
            let deliveries = counters.otlp.insert(Arc::default());
            let identity = identity();
            tokio::spawn(push_otlp(export.clone(), identity, Arc::clone(deliveries), hub.clone()));
        }
        if let Some(export) = &measurements.export.statsd {
            let deliveries = counters.statsd.insert(Arc::default());
            tokio::spawn(send_statsd(export.clone(), Arc::clone(deliveries), hub.clone()));
        }
        hub.lock().set_exports(counters);
        exports
    }

    /// After each second: reports workers that have started or ended.
    pub(crate) fn follow(&self, hub: &SharedHub, second: &Second, now: f64) {
        if let Some((emitter, _)) = &self.datagrams {
            locked(emitter).follow(&hub.lock(), second, now);
        }
        if let Some(TraceExport { sender, deliveries, .. }) = &self.traces {
            let unsent = second.traced.iter().filter(|one| sender.try_send((*one).clone()).is_err()).count();
            deliveries.add_lost(unsent as u64 + hub.lock().traces.take_lost());
        }
    }

    /// The server ends: sends the last datagrams, within `longest`.
    pub(crate) async fn finish(&self, hub: &SharedHub, now: f64, longest: Duration) {
        if let Some((emitter, outbox)) = &self.datagrams {
            locked(emitter).finish(&hub.lock(), now);
            outbox.empty(longest).await;
        }
        if let Some(traces) = &self.traces {
            let waiting = hub.lock().traces.take_waiting().into_iter();
            let unsent = waiting.filter_map(|one| traces.sender.try_send(one).err()).count();
            traces.deliveries.add_lost(unsent as u64);
            let _ = tokio::time::timeout(longest, traces.ending.ask()).await;
        }
    }
}

fn locked(emitter: &Mutex<Emitter>) -> MutexGuard<'_, Emitter> {
    emitter.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An interval whose first tick is due at once.
fn every(seconds: f64) -> Interval {
    let mut interval = interval(duration(seconds.clamp(0.1, 86_400.0)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Sends mod_wsgi's datagrams.
async fn send_datagrams(emitter: Arc<Mutex<Emitter>>, hub: SharedHub, seconds: f64) {
    let mut interval = every(seconds);
    interval.tick().await;
    loop {
        interval.tick().await;
        locked(&emitter).report(&hub.lock(), gk_sys::clock::epoch_seconds());
    }
}

/// Pushes metrics by OTLP.
async fn push_otlp(export: Otlp, identity: ServerIdentity, deliveries: Arc<Deliveries>, hub: SharedHub) {
    let mut interval = every(export.interval);
    interval.tick().await;
    loop {
        interval.tick().await;
        let families = Families::of(&hub.lock());
        let message =
            otlp::message(&families, &export.service, &identity, gk_sys::clock::epoch_micros() * 1000);
        otlp::push(&export, &message, &deliveries).await;
    }
}

/// Sends metrics to statsd.
async fn send_statsd(export: Statsd, deliveries: Arc<Deliveries>, hub: SharedHub) {
    let mut interval = every(export.interval);
    let mut last = statsd::LastValues::default();
    for first in std::iter::once(true).chain(std::iter::repeat(false)) {
        interval.tick().await;
        let families = Families::of(&hub.lock());
        let packets = last.packets(&families, &export.prefix, first);
        statsd::send(&export, &packets, &deliveries).await;
    }
}
