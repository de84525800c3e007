"""The registry of probes, and how they read a query and answer. The probes themselves are in the modules beside this one."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Environ = dict[str, Any]
Start = Callable[..., Any]
Probe = Callable[[Environ, Start], Any]

PROBES: dict[str, Probe] = {}
closed: dict[str, int] = {}


def probe(path: str) -> Callable[[Probe], Probe]:
    """Registers what answers `path`."""

    def register(function: Probe) -> Probe:
        PROBES[path] = function
        return function

    return register


def query(environ: Environ) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))


def answer(start: Start, value: Any, status: str = "200 OK") -> Iterable[bytes]:
    """`value` as JSON, with a length."""
    body = json.dumps(value, sort_keys=True).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def text(start: Start, *blocks: bytes, status: str = "200 OK", headers: Iterable[tuple[str, str]] = ()) -> list[bytes]:
    start(status, [("Content-Type", "text/plain"), *headers])
    return list(blocks)


class Counted:
    """Counts its close() under `key`; fails where asked to."""

    def __init__(self, key: str, blocks: Iterable[Any], fail_after: int | None = None, fail_in_close: bool = False) -> None:
        self.key, self.blocks, self.fail_after, self.fail_in_close = key, blocks, fail_after, fail_in_close

    def __iter__(self) -> Iterator[Any]:
        for number, block in enumerate(self.blocks):
            if number == self.fail_after:
                raise RuntimeError("the iterator failed, as it was told to")
            yield block
        if self.fail_after is not None:
            raise RuntimeError("the iterator failed, as it was told to")

    def close(self) -> None:
        closed[self.key] = closed.get(self.key, 0) + 1
        if self.fail_in_close:
            raise RuntimeError("close() failed, as it was told to")
