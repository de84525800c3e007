"""The published switch-interval workload: about 3 ms of Python, a wait of 1 ms, a body of 1 KB. Two forms, by path:

`/wall`  spins until the wall clock says 3 ms: the work shrinks when the thread waits for the GIL.
`/cpu`   spins until the thread itself has had 3 ms of CPU: the same work in every configuration.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

WORK_SECONDS = 0.003
WAIT_SECONDS = 0.001
BODY = b"x" * 1024


def spin(clock: Callable[[], float]) -> int:
    """Adds numbers up until `clock` has gone on by the work's length."""
    end = clock() + WORK_SECONDS
    total = 0
    while clock() < end:
        for number in range(50):
            total += number * number
    return total


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    spin(time.thread_time if environ["PATH_INFO"] == "/cpu" else time.perf_counter)
    time.sleep(WAIT_SECONDS)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))])
    return [BODY]
