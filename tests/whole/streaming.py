"""Streams that hold up a stop: one that never ends, one that ends when it hears of the stop, and a body for a slow reader."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gilkeeper

stopping = threading.Event()


@gilkeeper.subscribe_shutdown
def stop(name: str, shutdown_reason: str, **event: Any) -> None:
    print(f"the application hears {shutdown_reason}", file=sys.stderr, flush=True)
    stopping.set()


def endless() -> Iterator[bytes]:
    while True:
        yield b"data: on and on\n\n"
        time.sleep(0.05)


def heeding() -> Iterator[bytes]:
    yield b"data: begun\n\n"
    stopping.wait()
    yield b"data: ended\n\n"


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    answers: dict[str, Callable[[], Iterable[bytes]]] = {
        "/endless": endless,
        "/heeding": heeding,
        "/large": lambda: [b"x" * (1 << 20)] * 64,
        "/": lambda: [b"ok"],
    }
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return answers[environ["PATH_INFO"]]()
