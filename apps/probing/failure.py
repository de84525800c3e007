"""Failures before, in and after a response, and the death of the process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from probing import Environ, Start, Counted, probe, query, text


@probe("/raise")
def raise_(environ: Environ, start: Start) -> Iterable[bytes]:
    raise RuntimeError("before start_response, as it was told to")


@probe("/raise-after-start")
def raise_after_start(environ: Environ, start: Start) -> Iterable[bytes]:
    text(start, headers=[("X-Mine", "1")])
    raise RuntimeError("after start_response, as it was told to")


@probe("/exit")
def exit_(environ: Environ, start: Start) -> Iterable[bytes]:
    raise SystemExit(3)


@probe("/raise-in-body")
def raise_in_body(environ: Environ, start: Start) -> Iterable[bytes]:
    """Sends `?after=` blocks, then fails; with `?length=`, the length is declared."""
    given = query(environ)
    extra = [("Content-Length", given["length"])] if "length" in given else []
    text(start, headers=extra)
    return Counted(given.get("key", ""), [b"0123456789"] * 100, fail_after=int(given.get("after", "1")))


@probe("/die")
def die(environ: Environ, start: Start) -> Iterable[bytes]:
    """Ends the process on the spot; `?after=1` sends a block first."""
    if "after" in query(environ):
        send = start("200 OK", [("Content-Type", "text/plain")])
        send(b"then the process died\n" * 1000)
        time.sleep(float(query(environ)["after"]))
    os._exit(9)
