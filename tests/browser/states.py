"""An application that can be brought into every state: requests that stay until a file is there, that raise, that kill their worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

GO = Path(__file__).resolve().parent / "go"


class CardRefused(Exception):
    """An error of the application's own."""


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/die":
        os.kill(os.getpid(), signal.SIGKILL)
    while path.startswith("/stay") and not GO.exists():
        time.sleep(0.02)
    if path == "/raise":
        raise CardRefused("on purpose")
    status = {"/oops": "500 Oops", "/missing": "404 Not Found"}.get(path, "200 OK")
    start_response(status, [("Content-Type", "text/plain")])
    return [b"done"]
