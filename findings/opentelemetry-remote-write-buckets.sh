#!/usr/bin/env bash
# opentelemetry-exporter-prometheus-remote-write 0.66b1 sends histograms that no PromQL of a histogram finds or can add up.
#
# A histogram of Prometheus has series NAME_bucket whose label le is an upper bound and whose value counts all up to it; the +Inf bucket is
# NAME_count. The exporter writes what OpenTelemetry keeps: series NAME, without the suffix, each with the count of its own bucket alone, and
# the +Inf bucket is the rest above the last bound. A bound of 0, which OpenTelemetry's default bounds begin with, is taken for none: that
# series has no label le. The request is right in form and is accepted, counters and gauges arrive, sum and count are right, so that means
# are; histogram_quantile() of NAME_bucket is empty, and of NAME it is nonsense. opentelemetry-exporter-prometheus 0.66b2, on the same provider
# here, shows what a scrape gives. The cause is _parse_histogram_data_point(): `handle_bucket(data_point.bucket_counts[...])`, `if bound:`.
#
# Seen with CPython 3.11.7, after 0.05, 0.05, 0.5 and 5 with the bounds 0, 0.1, 1:
#   scrape:       latency_bucket le=0.0 0    latency_bucket le=0.1 2    latency_bucket le=1.0 3    latency_bucket le=+Inf 4    latency_count 4
#   remote write: latency 0    latency le=0.1 2    latency le=1.0 1    latency le=+Inf 1    latency_count 4
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install opentelemetry-exporter-prometheus-remote-write==0.66b1 opentelemetry-exporter-prometheus==0.66b2 opentelemetry-sdk==1.45.2 \
    protobuf==6.33.6 python-snappy==0.7.3 prometheus-client==0.26.0
cat >see.py <<'PY'
import http.server
import threading

import snappy
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.exporter.prometheus_remote_write import PrometheusRemoteWriteMetricsExporter
from opentelemetry.exporter.prometheus_remote_write.gen.remote_pb2 import WriteRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from prometheus_client import REGISTRY

bodies = []


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *ignored):
        pass


def line(name, labels, value):
    return f"{name} le={labels['le']} {value:g}" if "le" in labels else f"{name} {value:g}"


receiver = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
exporter = PrometheusRemoteWriteMetricsExporter(endpoint=f"http://127.0.0.1:{receiver.server_port}/write")
push = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
provider = MeterProvider([push, PrometheusMetricReader()])
histogram = provider.get_meter("site").create_histogram("latency", explicit_bucket_boundaries_advisory=[0.0, 0.1, 1.0])
for seconds in (0.05, 0.05, 0.5, 5):
    histogram.record(seconds)
push.collect()
wanted = ("latency", "latency_bucket", "latency_count")
scrape = [line(s.name, s.labels, s.value) for family in REGISTRY.collect() for s in family.samples if s.name in wanted]
request = WriteRequest.FromString(snappy.decompress(bodies[0]))
pushed = []
for series in request.timeseries:
    labels = {label.name: label.value for label in series.labels}
    if labels["__name__"] in wanted:
        pushed.append(line(labels["__name__"], labels, series.samples[-1].value))
print("scrape:      ", "    ".join(sorted(scrape, key=lambda text: "count" in text)))
print("remote write:", "    ".join(pushed))
assert set(scrape) == {"latency_count 4"} | {f"latency_bucket le={le}" for le in ("0.0 0", "0.1 2", "1.0 3", "+Inf 4")}, scrape
assert pushed == ["latency 0", "latency le=0.1 2", "latency le=1.0 1", "latency le=+Inf 1", "latency_count 4"], pushed
provider.shutdown()
receiver.shutdown()
PY
venv/bin/python see.py
