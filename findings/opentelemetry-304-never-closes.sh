#!/usr/bin/env bash
# opentelemetry-instrumentation-wsgi 0.66b2 leaves the application unclosed when the middleware around it answers 304.
#
# PEP 3333: close() of the iterable is called at the end of every request, also when nobody iterated. The instrumentation
# returns a generator that closes the application and ends the span in `finally`. A generator that was never started has
# no `finally` to run: close() on it does nothing. WebOb 1.8.11 answers If-None-Match so (and HEAD): it takes the ETag,
# calls close() and reads no block. Database sessions that the application gives back in close() stay out, the span is
# missing, and only requests of returning visitors do it.
#
# Seen with CPython 3.11.7:  200: closed, span GET /    304: not closed, no span
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install opentelemetry-instrumentation-wsgi==0.66b2 opentelemetry-sdk==1.45.2 WebOb==1.8.11
venv/bin/python - <<'PY'
from opentelemetry import trace
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from webob import Request

spans = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(spans))
closed = []


class Page(list):
    def close(self):
        closed.append(True)


def application(environ, start_response):
    start_response("200 OK", [("ETag", '"1"'), ("Content-Type", "text/plain")])
    return Page([b"page"])


def conditional(inner):
    def outer(environ, start_response):
        answer = Request(environ).get_response(inner)
        answer.conditional_response = True
        return answer(environ, start_response)

    return outer


def ask(site, **headers):
    closed.clear()
    spans.clear()
    answer = Request.blank("/", headers=headers).get_response(site)
    answer.body  # reads to the end and closes, as a server does
    return answer.status_int, bool(closed), [span.name for span in spans.get_finished_spans()]


match = {"If-None-Match": '"1"'}
assert ask(conditional(application), **match) == (304, True, [])
traced = conditional(OpenTelemetryMiddleware(application))
seen = [ask(traced), ask(traced, **match)]
for status, ended, names in seen:
    print(f"{status}: {'closed' if ended else 'not closed'}, {'span ' + names[0] if names else 'no span'}")
assert seen == [(200, True, ["GET /"]), (304, False, [])]
PY
