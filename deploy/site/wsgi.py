"""A small site that is ready for containers: it keeps nothing on its own disk, and its streams end when the server stops."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gilkeeper

stopping = threading.Event()


@gilkeeper.subscribe_shutdown
def stop(name: str, shutdown_reason: str, **event: Any) -> None:
    """Called as soon as the server is told to stop, while requests still run."""
    stopping.set()


def events() -> Iterator[bytes]:
    """Server-sent events, until the client goes or the server stops. The browser connects again by itself, to another replica."""
    yield b"retry: 1000\n\n"
    while not stopping.wait(1.0):
        yield b": still here\n\n"


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/events":
        start_response("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")])
        return events()
    body = f"Hello from {os.environ.get('HOSTNAME', 'this machine')}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
