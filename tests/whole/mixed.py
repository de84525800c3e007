"""An application for mixed load: it computes, waits, reads bodies, gives long responses and fails."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from typing import Any


def spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    body = [b"done"]
    if path == "/spin":
        spin(0.004)
    elif path == "/wait":
        time.sleep(0.003)
    elif path == "/slow":
        time.sleep(1.2)
    elif path == "/echo":
        body = [environ["wsgi.input"].read()]
    elif path == "/long":
        body = [b"x" * 65536] * 8
    elif path == "/collect":
        gc.collect()
    elif path == "/fail":
        raise RuntimeError("as asked")
    status = "404 Not Found" if path == "/missing" else "200 OK"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(sum(map(len, body))))])
    return body
