//! Once a second: reads all workers, and passes the second on to the stream, the history and the exports.

use crate::heard::front_socket::FrontSocket;
use crate::kept::history::History;
use crate::kept::hub::SharedHub;
use crate::note;
use crate::pages::api;
use crate::pages::stream::Stream;
use crate::told::exports::Exports;
use gk_wire::feed::FromAdmin;
use gk_wire::log::Level;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

/// Time limit for the last datagrams of a server that ends, and for the last rows of its history.
const LAST: Duration = Duration::from_millis(300);

/// Tells [`run`] that the server ends; the answer comes when the last second has been passed on.
pub(crate) type Ending = oneshot::Sender<()>;

/// Everything that gets the seconds.
pub(crate) struct Receivers {
    pub(crate) stream: Arc<Stream>,
    pub(crate) history: Option<History>,
    pub(crate) exports: Exports,
    /// Keeps counters for the process after this one; `None` where there is no front.
    pub(crate) front: Option<FrontSocket>,
}

/// Passes on the seconds until its task is dropped.
pub(crate) async fn run(hub: SharedHub, receivers: Receivers, mut endings: mpsc::Receiver<Ending>) {
    let mut interval = tokio::time::interval(Duration::from_secs(1));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lost = 0u64;
    loop {
        let ending = tokio::select! {
            _ = interval.tick() => None,
            Some(ending) = endings.recv() => Some(ending),
        };
        let Receivers { stream, history, exports, front } = &receivers;
        let now = gk_sys::clock::epoch_seconds();
        let second = hub.lock().advance(now);
        let handed_on = front.as_ref().and_then(|front| Some((front, hub.lock().hand_on()?)));
        if let Some((front, (file, workers))) = handed_on {
            let message = FromAdmin::Kept { workers };
            if !front.send_file(&message, &file)
                && let FromAdmin::Kept { workers } = message
            {
                hub.lock().hand_on_again(workers);
            }
        }
        exports.follow(&hub, &second, now);
        if stream.has_readers() {
            stream.publish("tick", &api::status(&hub.lock(), now));
            for event in &second.events {
                stream.publish("happened", &serde_json::to_value(event).unwrap_or_default());
            }
        }
        if let Some(history) = history {
            second.events.into_iter().for_each(|event| history.event(event));
            if !history.push(second.tick) {
                lost += 1;
                if lost.is_power_of_two() {
                    let text = format!("the history's disk does not keep up: {lost} seconds are missing");
                    note(Level::Warn, &text);
                }
            }
        }
        if let Some(ending) = ending {
            exports.finish(&hub, now, LAST).await;
            if let Some(history) = history {
                // Rows that a slow disk does not get now are made from finer ones at the next start.
                let _ = tokio::time::timeout(LAST, history.write()).await;
            }
            let _ = ending.send(());
        }
    }
}
