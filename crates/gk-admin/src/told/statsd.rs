//! `GilkeeperStatsd`: the metrics of `/metrics` as statsd lines over UDP. Labels become parts of the name. The processes of a group
//! are added up, since no process id is used for long.
//!
//! Counters are sent as their growth, gauges as they are, histograms as the interval's count with its mean and percentiles in
//! milliseconds.

use crate::kept::deliveries::Deliveries;
use crate::note;
use crate::told::families::{Families, Form, Value};
use gk_config::measurements::Statsd;
use gk_telemetry::Histogram;
use gk_wire::log::Level;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tokio::net::UdpSocket;

/// Most bytes of a packet: small enough for every network to carry it in one piece.
const PACKET: usize = 1400;

/// Values of the packets sent so far.
#[derive(Debug, Default)]
pub struct LastValues {
    counters: BTreeMap<String, f64>,
    histograms: BTreeMap<String, Histogram>,
}

/// A value under its statsd name.
enum Summed {
    Counter(f64),
    Gauge(f64),
    Histogram(Histogram),
}

/// A label's value as part of a name.
fn part(value: &str) -> String {
    let sound = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let part: String = value.chars().map(sound).collect();
    // The main interpreter's application group has no name of its own.
    if part.is_empty() { "global".to_owned() } else { part }
}

/// Whether the values of several processes add up.
fn adds_up(name: &str) -> bool {
    !matches!(
        name,
        "gilkeeper_gil_enabled" | "gilkeeper_gil_wait_exact" | "gilkeeper_switch_interval_seconds"
    )
}

fn summed(families: &Families) -> BTreeMap<String, Summed> {
    let mut all = BTreeMap::new();
    for family in families.0.iter().filter(|family| family.name != "gilkeeper_build_info") {
        let short = family.name.trim_start_matches("gilkeeper_").trim_end_matches("_total");
        for point in &family.points {
            let mut name = short.to_owned();
            for (_, value) in point.labels.iter().filter(|(label, _)| *label != "pid") {
                name = format!("{name}.{}", part(value));
            }
            let fresh = || match (&point.value, family.form) {
                (Value::Histogram(_), _) => Summed::Histogram(Histogram::default()),
                (_, Form::Counter) => Summed::Counter(0.0),
                _ => Summed::Gauge(0.0),
            };
            match (all.entry(name).or_insert_with(fresh), &point.value) {
                (Summed::Histogram(sum), Value::Histogram(histogram)) => sum.merge(histogram),
                (Summed::Counter(sum), Value::Number(value)) => *sum += value,
                (Summed::Gauge(sum), Value::Number(value)) if adds_up(family.name) => *sum += value,
                (Summed::Gauge(most), Value::Number(value)) => *most = most.max(*value),
                _ => {}
            }
        }
    }
    all
}

impl LastValues {
    /// The packets of an interval. The first interval has no counters, since there is no value to compare them with.
    pub fn packets(&mut self, families: &Families, prefix: &str, first: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, value) in summed(families) {
            let name = format!("{prefix}.{name}");
            match value {
                Summed::Gauge(value) => lines.push(format!("{name}:{value}|g")),
                Summed::Counter(value) => {
                    let before = self.counters.insert(name.clone(), value).unwrap_or(0.0);
                    // A sum gets smaller when a process ends whose counters are gone.
                    let more = if value >= before { value - before } else { 0.0 };
                    if !first && more > 0.0 {
                        lines.push(format!("{name}:{}|c", rounded(more)));
                    }
                }
                Summed::Histogram(value) => {
                    let before = self.histograms.insert(name.clone(), value.clone()).unwrap_or_default();
                    let interval = value.since(&before);
                    if !first && interval.count() > 0 {
                        spread(&mut lines, &name, &interval);
                    }
                }
            }
        }
        let mut packets: Vec<String> = Vec::new();
        for line in lines.into_iter().filter(|line| line.len() <= PACKET) {
            match packets.last_mut().filter(|packet| packet.len() + line.len() < PACKET) {
                Some(packet) => {
                    let _ = write!(packet, "\n{line}");
                }
                None => packets.push(line),
            }
        }
        packets
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn spread(lines: &mut Vec<String>, name: &str, interval: &Histogram) {
    lines.push(format!("{name}.count:{}|c", interval.count()));
    lines.push(format!("{name}.mean_ms:{}|g", rounded(interval.mean() / 1e6)));
    for (word, share) in [("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)] {
        if let Some(ns) = interval.quantile(share) {
            lines.push(format!("{name}.{word}:{}|g", rounded(ns / 1e6)));
        }
    }
}

/// Sends the packets of an interval.
pub async fn send(wanted: &Statsd, all: &[String], deliveries: &Deliveries) {
    let outcome = async {
        let address = tokio::net::lookup_host(&wanted.address).await?.next();
        let address = address.ok_or_else(|| std::io::Error::other("the name has no address"))?;
        let own: std::net::SocketAddr = if address.is_ipv4() {
            (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = UdpSocket::bind(own).await?;
        for packet in all {
            socket.send_to(packet.as_bytes(), address).await?;
            deliveries.count_sent();
        }
        Ok::<(), std::io::Error>(())
    };
    match outcome.await {
        Ok(()) => drop(deliveries.end_failing()),
        Err(why) => {
            deliveries.count_lost();
            if deliveries.begin_failing() {
                note(Level::Warn, &format!("metrics cannot be sent to statsd at {}: {why}", wanted.address));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::told::families::{Family, Point};

    fn families(requests: f64, resident: [f64; 2]) -> Families {
        let point = |labels: &[(&'static str, &str)], value| Point {
            labels: labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            value,
        };
        let mut histogram = Histogram::default();
        (0..requests as u64).for_each(|_| histogram.record(8_000_000));
        let app = [("process_group", "my shop"), ("application_group", "")];
        let code = [app[0], app[1], ("code", "200")];
        let process = |pid| [("process_group", "my shop"), ("pid", pid)];
        Families(vec![
            Family {
                name: "gilkeeper_requests_total",
                form: Form::Counter,
                help: "",
                points: vec![point(&code, Value::Number(requests))],
            },
            Family {
                name: "gilkeeper_request_seconds",
                form: Form::Histogram,
                help: "",
                points: vec![point(&app, Value::Histogram(histogram))],
            },
            Family {
                name: "gilkeeper_process_resident_memory_bytes",
                form: Form::Gauge,
                help: "",
                points: vec![
                    point(&process("1"), Value::Number(resident[0])),
                    point(&process("2"), Value::Number(resident[1])),
                ],
            },
        ])
    }

    #[test]
    fn counters_are_sent_as_differences_and_processes_added_up() {
        let mut before = LastValues::default();
        let first = before.packets(&families(10.0, [1.0, 2.0]), "gk", true);
        assert_eq!(first, ["gk.process_resident_memory_bytes.my_shop:3|g"]);
        let [packet] = &before.packets(&families(14.0, [5.0, 2.0]), "gk", false)[..] else {
            panic!("one packet")
        };
        let lines: Vec<&str> = packet.lines().collect();
        assert!(lines.contains(&"gk.requests.my_shop.global.200:4|c"), "{lines:?}");
        assert!(lines.contains(&"gk.request_seconds.my_shop.global.count:4|c"), "{lines:?}");
        assert!(lines.contains(&"gk.process_resident_memory_bytes.my_shop:7|g"));
        let mean =
            lines.iter().find_map(|line| line.strip_prefix("gk.request_seconds.my_shop.global.mean_ms:"));
        assert_eq!(mean, Some("8|g"));
        assert!(before.packets(&families(14.0, [5.0, 2.0]), "gk", false)[0].lines().count() == 1);
    }

    #[test]
    fn packets_are_short() {
        let lines = (0..300).map(|n| Point {
            labels: vec![("process_group", format!("group{n}"))],
            value: Value::Number(1.0),
        });
        let family =
            Family { name: "gilkeeper_queue_length", form: Form::Gauge, help: "", points: lines.collect() };
        let packets = LastValues::default().packets(&Families(vec![family]), "gk", false);
        assert!(packets.len() > 5 && packets.iter().all(|packet| packet.len() <= PACKET));
        assert_eq!(packets.iter().map(|packet| packet.lines().count()).sum::<usize>(), 300);
    }
}
