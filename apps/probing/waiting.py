"""Requests that take `?seconds=`."""

from __future__ import annotations

import time
from collections.abc import Iterable

from probing import Environ, Start, answer, probe, query, text


@probe("/sleep")
def sleep(environ: Environ, start: Start) -> Iterable[bytes]:
    """`?tell=` is logged first, as a sign that the request has begun."""
    given = query(environ)
    if "tell" in given:
        environ["wsgi.errors"].write(given["tell"] + "\n")
    time.sleep(float(given.get("seconds", "0.1")))
    return text(start, b"slept")


@probe("/spin")
def spin(environ: Environ, start: Start) -> Iterable[bytes]:
    """Runs Python for `?seconds=`, so that an injected exception can reach it."""
    end = time.monotonic() + float(query(environ).get("seconds", "0.1"))
    while time.monotonic() < end:
        pass
    return text(start, b"spun")


@probe("/hash")
def hash_(environ: Environ, start: Start) -> Iterable[bytes]:
    return answer(start, hash("a fixed text"))
