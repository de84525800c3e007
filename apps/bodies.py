"""Bodies of some size, for the comparison with other servers: /large, /post and /generator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

LARGE = b"x" * 1_000_000
PIECE, PIECES = b"y" * 1_000, 100


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    page = environ["PATH_INFO"]
    if page == "/generator":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (PIECE for _ in range(PIECES))
    if page == "/post":
        size = len(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        body = b"%d bytes came" % size
    else:
        body = LARGE
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
