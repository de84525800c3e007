#!/usr/bin/env bash
# CPython 3.15.0rc2: a file of `profiling.sampling --pstats` can be opened neither by older Pythons nor by snakeviz, tuna or flameprof.
#
# The option names the format of cProfile, which decades of viewers read, and any viewer is fed with a file, so one expects to profile on
# the server with the new sampler and to look at it where the tools are. The file has one more entry, ("__sampled__",): True, among those of
# functions (_dump_stats() in profiling/sampling/pstats_collector.py). Only 3.15's pstats takes it out; 3.14's and older unpack it as a
# function: "cannot unpack non-iterable bool object". On 3.15 the next difference stops the viewers: a function's callers have a number each,
# as the old `profile` writes it, not the four of cProfile. gprof2dot 2025.4.14 knows both and is the one that works, on 3.15 only. The
# same program under cProfile is read by all.
#
# Seen:
#   cProfile:           3.15 read    3.14 read         snakeviz read         tuna read         flameprof read         gprof2dot read
#   profiling.sampling: 3.15 read    3.14 TypeError    snakeviz TypeError    tuna TypeError    flameprof TypeError    gprof2dot read
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.15)" snakeviz==2.2.2 tuna==0.5.15 flameprof==0.4 gprof2dot==2025.4.14
older=$(cpython 3.14)
cat >job.py <<'PY'
import time


def inner(until):
    while time.monotonic() < until:
        sum(range(100))


def outer():
    inner(time.monotonic() + 0.5)


outer()
PY
cat >pstats_reads.py <<'PY'
import pstats
import sys

assert any(function == "outer" for _, _, function in pstats.Stats(sys.argv[1]).stats)
PY
# What snakeviz's page is made of.
cat >snakeviz_reads.py <<'PY'
import pstats
import sys

from snakeviz.stats import json_stats

assert "outer" in str(json_stats(pstats.Stats(sys.argv[1])))
PY
cat >tuna_reads.py <<'PY'
import sys

from tuna.main import read

assert "outer" in str(read(sys.argv[1]))
PY
venv/bin/python -m cProfile -o called.pstats job.py
timeout 60 venv/bin/python -m profiling.sampling run --pstats -o sampled.pstats job.py >sampling.log 2>&1 || { cat sampling.log >&2; exit 1; }

# said NAME COMMAND...: `NAME read`, or the name of the exception at the end of the traceback.
said() {
    local name=$1
    if "${@:2}" >out 2>err; then
        echo "$name read"
    else
        echo "$name $(tail -1 err | cut -d: -f1)"
    fi
}
readers() {
    said 3.15 venv/bin/python pstats_reads.py "$1"
    said 3.14 "$older" pstats_reads.py "$1"
    said snakeviz venv/bin/python snakeviz_reads.py "$1"
    said tuna venv/bin/python tuna_reads.py "$1"
    said flameprof venv/bin/python -m flameprof --format log "$1"
    said gprof2dot venv/bin/gprof2dot -f pstats "$1"
}
called=$(readers called.pstats | paste -sd,)
sampled=$(readers sampled.pstats | paste -sd,)
echo "cProfile:           ${called//,/    }"
echo "profiling.sampling: ${sampled//,/    }"
[ "$called" = "3.15 read,3.14 read,snakeviz read,tuna read,flameprof read,gprof2dot read" ]
[ "$sampled" = "3.15 read,3.14 TypeError,snakeviz TypeError,tuna TypeError,flameprof TypeError,gprof2dot read" ]
