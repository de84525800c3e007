"""An application as sites are: one heavy route, light ones, one that waits for a database, and errors. It runs under mod_wsgi, too."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import Any


def spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    status = "200 OK"
    if path == "/report":
        spin(random.uniform(0.01, 0.03))
    elif path == "/checkout":
        spin(0.001)
        time.sleep(random.uniform(0.002, 0.006))
    elif path == "/wait":
        time.sleep(random.expovariate(20))
    elif path == "/oops" and random.random() < 0.1:
        # What a framework makes of an exception.
        status = "500 Internal Server Error"
    elif path == "/refused" and random.random() < 0.05:
        raise ValueError("the card was refused")
    start_response(status, [("Content-Type", "text/plain")])
    return [b"done"]
