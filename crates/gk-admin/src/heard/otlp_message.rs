//! Reads an OTLP message of another Gilkeeper: the figures of its process groups. Metrics of other programs and points without
//! a process group are skipped.

use crate::heard::pushes::{GroupPush, PushedFigures};
use gk_telemetry::figures::{FIGURES, Figure, Figures, Metric, Unit, Value as Sum};
use gk_telemetry::histogram::{Histogram, bucket_of};
use gk_telemetry::sample::GroupSample;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, NumberDataPoint};
use std::collections::BTreeMap;

/// Most process groups of one message.
const GROUPS: usize = 256;
/// Most application groups of a process group.
const APPLICATIONS: usize = 64;
/// Largest count that is accepted, so that no sum overflows.
const MOST: f64 = (1u64 << 40) as f64;

/// The process groups of a message.
pub fn read(message: &ExportMetricsServiceRequest) -> Vec<GroupPush> {
    let mut pushes = Vec::new();
    for resource in &message.resource_metrics {
        let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let host = text(attributes, "host.name").unwrap_or("(unknown host)").to_owned();
        let instance = text(attributes, "service.instance.id").or(text(attributes, "service.name"));
        let instance = instance.unwrap_or("").to_owned();
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let Some(name) = metric.name.strip_prefix("gilkeeper_") else { continue };
            match &metric.data {
                Some(Data::Sum(sum)) => sum.data_points.iter().for_each(|p| number(&mut groups, name, p)),
                Some(Data::Gauge(gauge)) => {
                    gauge.data_points.iter().for_each(|p| number(&mut groups, name, p))
                }
                Some(Data::Histogram(all)) => {
                    all.data_points.iter().for_each(|point| histogram(&mut groups, name, point));
                }
                _ => {}
            }
        }
        for (group, figures) in groups {
            let (host, instance) = (host.clone(), instance.clone());
            pushes.push(GroupPush { host, instance, group, figures: figures.finished() });
        }
    }
    pushes
}

/// A process group while its message is read.
#[derive(Default)]
struct Group {
    pushed: PushedFigures,
    applications: BTreeMap<String, GroupSample>,
    inexact: bool,
}

impl Group {
    fn application(&mut self, name: &str) -> Option<&mut GroupSample> {
        if self.applications.len() >= APPLICATIONS && !self.applications.contains_key(name) {
            return None;
        }
        let group = self.applications.entry(name.to_owned()).or_default();
        name.clone_into(&mut group.name);
        Some(group)
    }

    fn finished(self) -> PushedFigures {
        let mut pushed = self.pushed;
        pushed.exact = !self.inexact;
        pushed.groups = self.applications.into_values().collect();
        pushed.busy = pushed.groups.iter().map(|group| group.figures.application.sum as f64 / 1e9).sum();
        pushed
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) if text.len() <= 255 => Some(text),
        _ => None,
    }
}

/// The process group a point belongs to.
fn group<'g>(groups: &'g mut BTreeMap<String, Group>, attributes: &[KeyValue]) -> Option<&'g mut Group> {
    let name = text(attributes, "process_group")?;
    if groups.len() >= GROUPS && !groups.contains_key(name) {
        return None;
    }
    Some(groups.entry(name.to_owned()).or_default())
}

fn ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

fn number(groups: &mut BTreeMap<String, Group>, name: &str, point: &NumberDataPoint) {
    let value = match point.value {
        Some(Number::AsDouble(value)) if value.is_finite() => value,
        Some(Number::AsInt(value)) => value as f64,
        _ => return,
    };
    let value = value.clamp(0.0, MOST);
    let Some(group) = group(groups, &point.attributes) else { return };
    let pushed = &mut group.pushed;
    match name {
        "process_cpu_seconds_total" => pushed.cpu += value,
        "process_resident_memory_bytes" => pushed.resident = pushed.resident.saturating_add(value as u64),
        "threads" => pushed.threads.0 = pushed.threads.0.saturating_add(value as u32),
        "threads_busy" => pushed.threads.1 = pushed.threads.1.saturating_add(value as u32),
        "gil_enabled" => pushed.gil_enabled = Some(pushed.gil_enabled == Some(true) || value > 0.0),
        "gil_wait_exact" => group.inexact |= value == 0.0,
        "switch_interval_seconds" => pushed.switch_interval = pushed.switch_interval.max(ns(value.min(1e6))),
        _ => {}
    }
    let Some(application) = text(&point.attributes, "application_group") else { return };
    let Some(sample) = group.application(application) else { return };
    let figures: &mut Figures = &mut sample.figures;
    let count = value as u64;
    match name {
        "requests_total" => {
            let code = text(&point.attributes, "code").and_then(|code| code.parse::<u16>().ok());
            let code = code.filter(|code| (100..600).contains(code)).unwrap_or(0);
            let codes = figures.statuses.entry(code).or_default();
            *codes = codes.saturating_add(count);
            figures.requests = figures.requests.saturating_add(count);
        }
        "gc_pause_seconds_total" => sample.gc.pause = sample.gc.pause.saturating_add(ns(value.min(1e9))),
        _ => {
            let Some(row) = figure(name, &point.attributes) else { return };
            if let Sum::Counter { get_mut, .. } = row.value {
                *get_mut(figures) = if row.unit == Unit::Nanoseconds { ns(value.min(1e9)) } else { count };
            }
        }
    }
}

/// The figure with this name in `/metrics`, by its label where figures share the name; the first of them when no label tells.
fn figure(name: &str, attributes: &[KeyValue]) -> Option<&'static Figure> {
    let named = |metric: Metric| metric.name.strip_prefix("gilkeeper_") == Some(name);
    let labelled =
        |metric: Metric| metric.label.is_some_and(|(label, value)| text(attributes, label) == Some(value));
    let family = || FIGURES.iter().filter(|row| row.metric.is_some_and(named));
    family().find(|row| row.metric.is_some_and(labelled)).or_else(|| family().next())
}

fn histogram(groups: &mut BTreeMap<String, Group>, name: &str, point: &HistogramDataPoint) {
    let Some(group) = group(groups, &point.attributes) else { return };
    let application = text(&point.attributes, "application_group").unwrap_or("");
    let Some(sample) = group.application(application) else { return };
    if let Some(Sum::Durations { get_mut, .. }) = figure(name, &point.attributes).map(|row| &row.value) {
        get_mut(&mut sample.figures).merge(&spread(point));
    }
}

/// An OTLP histogram as one of ours: each count goes to the middle of its bucket.
fn spread(point: &HistogramDataPoint) -> Histogram {
    let mut histogram = Histogram::default();
    for (index, count) in point.bucket_counts.iter().enumerate().take(512) {
        let edge = |index: usize| point.explicit_bounds.get(index).copied().filter(|edge| edge.is_finite());
        let low = index.checked_sub(1).and_then(edge).unwrap_or(0.0).clamp(0.0, 1e6);
        let middle = edge(index).map_or(low, |high| (low + high.clamp(low, 1e6)) / 2.0);
        histogram.add_to(bucket_of(ns(middle)), (*count).min(MOST as u64));
    }
    let sum = point.sum.filter(|sum| sum.is_finite()).unwrap_or(0.0);
    histogram.sum = ns(sum.clamp(0.0, 1e9));
    histogram
}
