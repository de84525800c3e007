#!/usr/bin/env bash
# prometheus_client 0.26.0's multiprocess mode loses counts where two interpreters live in one process.
#
# PROMETHEUS_MULTIPROC_DIR makes each process keep its values in a file named for its process id, so that workers do not
# meet. Two sub-interpreters (two sites under one server process, or CPython's own concurrent.interpreters) have one process
# id: both map the same file, each believes that it alone fills it, and each appends at its own idea of the end. A series
# of one site is overwritten by the other's; no error, and /metrics stays readable.
#
# Seen with CPython 3.14.7:  counted a 5, b 3    collected a 5, b 3    a adds series c 1    collected a 5, c 1
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.14)" prometheus_client==0.26.0
mkdir values
cat >collect.py <<'PY'
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

registry = CollectorRegistry()
MultiProcessCollector(registry)
series = {sample.labels["of"]: int(sample.value) for family in registry.collect() for sample in family.samples}
print(", ".join(f"{of} {count}" for of, count in sorted(series.items())))
PY
export PROMETHEUS_MULTIPROC_DIR=$work/values
venv/bin/python - <<'PY'
import subprocess
import sys
from concurrent import interpreters


def collected():
    return subprocess.run([sys.executable, "collect.py"], capture_output=True, text=True, check=True).stdout.strip()


first, second = interpreters.create(), interpreters.create()
for site in (first, second):
    site.exec("import prometheus_client; pages = prometheus_client.Counter('pages', 'Pages.', ['of'])")
first.exec("pages.labels('a').inc(5)")
second.exec("pages.labels('b').inc(3)")
seen = [collected()]
first.exec("pages.labels('c').inc()")
seen.append(collected())
print("counted a 5, b 3    collected", seen[0], "   a adds series c 1    collected", seen[1])
assert "b 3" not in seen[1] and "c 1" in seen[1], seen
first.close()
second.close()
PY
