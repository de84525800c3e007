//! Once a second: turns the hub and hands what it gave to the streams, the history and the exports.

use crate::heard::feed::Feed;
use crate::note;
use crate::pages::api;
use crate::pages::server::Shared;
use crate::told::emitter::Emitter;
use crate::told::families::Families;
use crate::told::otlp::{self, Identity, Pushes};
use crate::told::outbox::Outbox;
use crate::told::statsd::{self, Packets};
use gk_config::measurements::{Measurements, Otlp, Statsd};
use gk_wire::log::Level;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How long the last datagrams of a server that ends may take, and the last rows of its history.
const LAST: Duration = Duration::from_millis(300);

/// What figures are sent to.
#[derive(Clone, Default)]
pub(crate) struct Exports {
    emitter: Option<(Arc<Mutex<Emitter>>, Outbox)>,
}

impl Exports {
    /// `supervisor`: the process id that datagrams give as the server's.
    pub(crate) fn start(
        measurements: &Measurements,
        server_root: &Path,
        supervisor: u32,
        shared: &Arc<Shared>,
    ) -> Self {
        let mut exports = Self::default();
        if let Some(wanted) = &measurements.export.datagrams {
            let outbox = Outbox::open(&wanted.socket);
            shared.hub().sent.datagrams = Some(outbox.counts());
            let front = shared.hub().front;
            let emitter =
                Emitter::new(wanted, measurements.slow_requests, (supervisor, front), outbox.clone());
            let emitter = Arc::new(Mutex::new(emitter));
            tokio::spawn(tell(Arc::clone(&emitter), Arc::clone(shared), wanted.interval));
            exports.emitter = Some((emitter, outbox));
        }
        if let Some(wanted) = &measurements.export.otlp {
            let pushes = Arc::new(Pushes::default());
            shared.hub().sent.otlp = Some(Arc::clone(&pushes));
            let identity = Identity {
                host: crate::hostname(),
                instance: server_root.display().to_string(),
                started: gk_sys::clock::epoch_micros() * 1000,
            };
            tokio::spawn(push_otlp(wanted.clone(), identity, pushes, Arc::clone(shared)));
        }
        if let Some(wanted) = &measurements.export.statsd {
            let packets = Arc::new(Packets::default());
            shared.hub().sent.statsd = Some(Arc::clone(&packets));
            tokio::spawn(send_statsd(wanted.clone(), packets, Arc::clone(shared)));
        }
        exports
    }
}

fn locked(emitter: &Mutex<Emitter>) -> std::sync::MutexGuard<'_, Emitter> {
    emitter.lock().unwrap_or_else(PoisonError::into_inner)
}

fn every(seconds: f64) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(Duration::from_secs_f64(seconds.clamp(0.1, 86_400.0)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Sends mod_wsgi's datagrams at their interval.
async fn tell(emitter: Arc<Mutex<Emitter>>, shared: Arc<Shared>, seconds: f64) {
    let mut interval = every(seconds);
    interval.tick().await;
    loop {
        interval.tick().await;
        locked(&emitter).tell(&shared.hub(), gk_sys::clock::epoch_seconds());
    }
}

/// Pushes metrics at their interval.
async fn push_otlp(wanted: Otlp, identity: Identity, pushes: Arc<Pushes>, shared: Arc<Shared>) {
    let mut interval = every(wanted.interval);
    interval.tick().await;
    loop {
        interval.tick().await;
        let message = {
            let families = Families::of(&shared.hub());
            otlp::message(&families, &identity, gk_sys::clock::epoch_micros() * 1000)
        };
        otlp::push(&wanted, &message, &pushes).await;
    }
}

/// Sends metrics to statsd at their interval.
async fn send_statsd(wanted: Statsd, packets: Arc<Packets>, shared: Arc<Shared>) {
    let mut interval = every(wanted.interval);
    let mut before = statsd::Before::default();
    for first in std::iter::once(true).chain(std::iter::repeat(false)) {
        interval.tick().await;
        let all = before.packets(&Families::of(&shared.hub()), &wanted.prefix, first);
        statsd::send(&wanted, &all, &packets).await;
    }
}

/// Turns the hub once a second.
pub(crate) async fn turn(shared: Arc<Shared>, feed: Feed, exports: Exports) {
    let mut interval = every(1.0);
    let mut lost = 0u64;
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = feed.woken() => {}
        }
        let now = gk_sys::clock::epoch_seconds();
        let (turn, status) = {
            let mut hub = shared.hub();
            let turn = hub.turn(now);
            if let Some((emitter, _)) = &exports.emitter {
                let mut emitter = locked(emitter);
                emitter.follow(&hub, &turn, now);
                if turn.end {
                    emitter.finish(&hub, now);
                }
            }
            let status = shared.is_read().then(|| api::status(&hub, now));
            (turn, status)
        };
        if let Some(status) = status {
            shared.publish("tick", &status);
        }
        if let Some(history) = &shared.history {
            for event in &turn.events {
                shared.publish("happened", &serde_json::to_value(event).unwrap_or_default());
                history.event(event.clone());
            }
            if !history.push(turn.tick) {
                lost += 1;
                if lost.is_power_of_two() {
                    let text = format!("the history's disk does not keep up: {lost} seconds are missing");
                    note(Level::Warn, &text);
                }
            }
        }
        if turn.end {
            if let Some((_, outbox)) = &exports.emitter {
                outbox.empty(LAST).await;
            }
            if let Some(history) = &shared.history {
                // What a slow disk does not get now is made of finer rows at the next start.
                let _ = tokio::time::timeout(LAST, history.write()).await;
            }
            feed.said();
        }
    }
}
