#!/usr/bin/env bash
# prometheus_client 0.26.0's multiprocess mode loses and mixes counts where two interpreters live in one process.
#
# PROMETHEUS_MULTIPROC_DIR makes each process keep its values in a file named for its process id, so that workers do not
# meet. Two sub-interpreters (two sites under one server process, or CPython's own concurrent.interpreters) have one process
# id: both map the same file, each believes that it alone fills it, and each appends at its own idea of the end. A new series
# of one site takes the place of the other's; with names of equal length, as here, the other's next total then appears under
# the new name. Nothing raises, and the other site itself still sees its own number; only the collected ones are wrong. The
# same steps in two processes give the right ones.
#
# Seen with CPython 3.14.7, after a 5 of one site, b 3 of the other, c 1 of the first, 2 more b of the other:
#   two processes, 2 files       collected: a 5, b 3   a 5, b 3, c 1   a 5, b 5, c 1
#   two interpreters, 1 file     collected: a 5, b 3   a 5, c 1        a 5, c 5         the other site itself sees b 5
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.14)" prometheus_client==0.26.0
cat >collect.py <<'PY'
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

registry = CollectorRegistry()
MultiProcessCollector(registry)
series = {sample.labels["of"]: int(sample.value) for family in registry.collect() for sample in family.samples}
print(", ".join(f"{of} {count}" for of, count in sorted(series.items())))
PY
cat >sites.py <<'PY'
import os
import subprocess
import sys
from concurrent import interpreters

os.environ["PROMETHEUS_MULTIPROC_DIR"] = values = os.path.abspath(sys.argv[1])
os.mkdir(values)
SITE = "import prometheus_client; pages = prometheus_client.Counter('pages', 'Pages.', ['of'])"
made = []
# Another process that runs line by line, and says when one is done.
LOOP = "import sys\nfor line in sys.stdin:\n    exec(line)\n    print('done', flush=True)"


def interpreter():
    made.append(interpreters.create())
    return made[-1].exec


def process():
    child = subprocess.Popen([sys.executable, "-c", LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(line):
        print(line, file=child.stdin, flush=True)
        answer = child.stdout.readline()
        if answer != "done\n":
            raise SystemExit(f"{line}: {answer}")

    return run


def collected():
    done = subprocess.run([sys.executable, "collect.py"], capture_output=True, text=True, check=True)
    assert not done.stderr, done.stderr
    return done.stdout.strip()


make = {"interpreters": interpreter, "processes": process}[sys.argv[1]]
first, second = make(), make()
for site in (first, second):
    site(SITE)
first("pages.labels('a').inc(5)")
second("pages.labels('b').inc(3)")
seen = [collected()]
first("pages.labels('c').inc(1)")
seen.append(collected())
second("pages.labels('b').inc(2)")
second("value = pages.labels('b')._value.get(); assert value == 5, value")
seen.append(collected())
files = sorted(os.listdir(values))
print(f"two {sys.argv[1]}, {len(files)} file(s) {files}, collected:", *seen, sep="   ")
if sys.argv[1] == "processes":
    assert seen == ["a 5, b 3", "a 5, b 3, c 1", "a 5, b 5, c 1"] and len(files) == 2, seen
else:
    assert seen == ["a 5, b 3", "a 5, c 1", "a 5, c 5"], seen
    assert files == [f"counter_{os.getpid()}.db"], files
for one in made:
    one.close()
PY
venv/bin/python sites.py processes
venv/bin/python sites.py interpreters
