"""Four kinds of work, by path, each with a known remedy. The work is the same in every configuration.

`/waits`    10 ms of waiting, as for a database: threads help, cores do not.
`/python`   about 2 ms of Python: as much at once as there are GILs, at most one for each core.
`/hash`     about 2 ms inside an extension that lets go of the GIL: threads of one process use every core.
`/numpy`    about 2 ms of Python beside NumPy, which refuses interpreters with a GIL of their own; needs KINDS_NUMPY=1.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

if os.environ.get("KINDS_NUMPY"):
    import numpy

ZEROS = bytes(3 << 20)


def python() -> int:
    total = 0
    for number in range(25_000):
        total += number * number
    return total


def with_numpy() -> float:
    python()
    return float(numpy.arange(100.0).sum())


WORK: dict[str, Callable[[], object]] = {
    "/waits": lambda: time.sleep(0.01),
    "/python": python,
    "/hash": lambda: hashlib.sha256(ZEROS).digest(),
    "/numpy": with_numpy,
}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    work = WORK.get(environ["PATH_INFO"])
    if work is None:
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []
    work()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"done"]
