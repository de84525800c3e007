#!/usr/bin/env bash
# opentelemetry-exporter-prometheus 0.66b2 writes values under the labels of another library's metric of the same name.
#
# Two libraries may use one instrument name (`http.server.active_requests` of two instrumentations); each has its own scope
# and its own attributes. The exporter makes one family, takes the label names of the first and puts the values of the second
# in their places: status paid becomes otel_scope_schema_url="paid", the scope's name a country. The text is valid and the sum
# over all labels right, so only a query by label shows it. A third value that finds no name is dropped.
#
# Seen with CPython 3.11.7:  orders{status="paid"} of scope wholesale -> country="wholesale", otel_scope_schema_url="paid"
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install opentelemetry-exporter-prometheus==0.66b2 opentelemetry-sdk==1.45.2 prometheus_client==0.26.0
venv/bin/python - <<'PY'
import prometheus_client
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider

provider = MeterProvider(metric_readers=[PrometheusMetricReader()])
provider.get_meter("shop").create_counter("orders").add(1, {"country": "de", "kind": "gift"})
provider.get_meter("wholesale").create_counter("orders").add(7, {"status": "paid"})
family = next(family for family in prometheus_client.REGISTRY.collect() if family.name == "orders")
first, second = ({name: value for name, value in sample.labels.items() if value} for sample in family.samples)
print('orders{status="paid"} of scope wholesale ->', ", ".join(f'{name}="{value}"' for name, value in second.items()))
assert first == {"country": "de", "kind": "gift", "otel_scope_name": "shop"}, first
assert second == {"country": "wholesale", "otel_scope_schema_url": "paid"}, second
PY
