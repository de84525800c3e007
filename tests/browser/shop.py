"""An application with a heavy route, a light one, one that waits, and one that stays until its release."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

ATTACK = "<img src=x onerror=document.title='attacked'>"
stay = threading.Event()


def spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


def work_beside() -> None:
    """A thread of the application's own, with a name that wants to be markup."""
    while not stay.wait(0.02):
        spin(0.005)


threading.Thread(target=work_beside, name=ATTACK, daemon=True).start()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/report":
        spin(0.02)
    elif path == "/checkout":
        spin(0.001)
    elif path.startswith("/<"):
        # Slow enough to be kept.
        time.sleep(0.2)
    elif path == "/stuck":
        stay.wait(120)
    start_response("404 Not Found" if path.startswith("/<") else "200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
