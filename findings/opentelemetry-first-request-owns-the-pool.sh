#!/usr/bin/env bash
# CPython 3.14.7 without the GIL: every task of a shared thread pool belongs to the trace of the request that started its thread.
#
# A free-threaded CPython gives a new thread a copy of its starter's context (`thread_inherit_context`, off on builds with
# the GIL). ThreadPoolExecutor starts its threads in the first submit() and keeps them: opentelemetry-sdk 1.45.2, which keeps
# the current span in that context, hangs the tasks of all later requests under the first one, long ended. Request numbers
# of log lines, a decimal precision and Flask's `request` go the same way. `-X thread_inherit_context=0` restores the
# other build's way.
#
# Seen, task of the second request:  3.14: a trace of its own    3.14t: child of request-first    3.14t, option off: a trace of its own
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

cat >pool.py <<'PY'
import concurrent.futures

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

finished = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(finished))
tracer = trace.get_tracer("site")
pool = concurrent.futures.ThreadPoolExecutor(1)


def task(name):
    with tracer.start_as_current_span(f"task-{name}"):
        pass


for name in ("first", "second"):
    with tracer.start_as_current_span(f"request-{name}"):
        pool.submit(task, name).result()
spans = {span.name: span for span in finished.get_finished_spans()}
parent = spans["task-second"].parent
owner = [name for name, span in spans.items() if parent and span.context.span_id == parent.span_id]
print(f"child of {owner[0]}" if owner else "a trace of its own")
PY
for version in 3.14 3.14t; do
    python=$(cpython "$version")
    "$python" -c 'import sys; print(sys.version)'
    install_into "$version" "$python" opentelemetry-sdk==1.45.2
done
own="a trace of its own"
seen=("$(3.14/bin/python pool.py)" "$(3.14t/bin/python pool.py)" "$(3.14t/bin/python -X thread_inherit_context=0 pool.py)")
echo "3.14: ${seen[0]}    3.14t: ${seen[1]}    3.14t, option off: ${seen[2]}"
[ "${seen[0]}" = "$own" ] && [ "${seen[1]}" = "child of request-first" ] && [ "${seen[2]}" = "$own" ]
