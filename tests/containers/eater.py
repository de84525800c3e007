"""An application that uses memory: some of it from its import on ($BALLAST MiB), and without end at /eat."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

MIB = 1 << 20
ballast = b"x" * (MIB * int(os.environ.get("BALLAST", "0")))


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    eaten = []
    while environ["PATH_INFO"] == "/eat":
        eaten.append(b"x" * MIB)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
