#!/usr/bin/env bash
# CPython since 3.12 (3.12.1, 3.13.0, 3.14.7, 3.15.0rc2): sys.settrace() in one thread slows the Python code of all threads, twice and more.
#
# The documents call it thread-specific, and up to 3.11 it costs the other threads nothing. Since 3.12 it is built on sys.monitoring, which
# rewrites the code objects of the interpreter: whoever runs them meets the hooks, finds that this thread has no tracer, and goes on. So a
# debugger that stands at its prompt in the main thread of a server (`python -m pdb -p PID`, 3.14) makes each request take twice as long,
# though it traces none of them. The same on builds without a GIL.
#
# Seen, CPU time of another thread for the same loop, with a tracer in the main thread : without:
# 3.11.7: 1.00    3.14.7: 2.10    3.14.7t: 2.29    3.15.0rc2: 2.69    (by hand: 3.12.1: 2.26    3.13.0: 2.24)
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

cat >traced.py <<'PY'
import sys
import threading
import time


def loop():
    begun = time.thread_time()
    for _ in range(20):
        sum(i * i for i in range(1000))
    return time.thread_time() - begun


def in_another_thread():
    found = []
    thread = threading.Thread(target=lambda: found.extend(loop() for _ in range(10)))
    thread.start()
    thread.join()
    return min(found)


# The least of many, taken in turns: a busy machine makes some of them longer.
without, traced = [], []
for _ in range(20):
    without.append(in_another_thread())
    sys.settrace(lambda frame, event, argument: None)
    traced.append(in_another_thread())
    sys.settrace(None)
ratio = min(traced) / min(without)
print(sys.version.split()[0] + sys.abiflags, f"{ratio:.2f}")
sys.exit((ratio > 1.3) != (sys.version_info >= (3, 12)))
PY
for name in 3.11 3.14 3.14t 3.15; do
    "$(cpython "$name")" traced.py
done
