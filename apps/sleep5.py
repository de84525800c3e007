"""Waits 5 ms and answers: four request threads can do 800 of these a second and not one more.

`/fast` does not wait, so that a fast route can be measured beside a slow one; `/slow` waits 200 ms.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

SECONDS = {"/fast": 0.0, "/slow": 0.2}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    seconds = SECONDS.get(environ["PATH_INFO"], 0.005)
    if seconds:
        time.sleep(seconds)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"waited"]
