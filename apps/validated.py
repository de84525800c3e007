"""An application inside the standard library's validator, which raises at whatever PEP 3333 forbids, on either side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.validate import validator


def plain(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Reads in each way the validator knows, and answers in one, many or no blocks, or through write()."""
    stream = environ["wsgi.input"]
    length = int(environ.get("CONTENT_LENGTH") or 0)
    seen = []
    if length:
        seen += [stream.readline(10), stream.read(5)]
        seen += stream.readlines(1)
        seen.append(stream.read(length))
    environ["wsgi.errors"].write("validated\n")
    environ["wsgi.errors"].flush()
    path = environ["PATH_INFO"]
    send = start_response("200 OK", [("Content-Type", "text/plain"), ("X-Path", path)])
    if path == "/write":
        send(b"written ")
        return [b"returned"]
    if path == "/many":
        return [b"one ", b"two ", b"three"]
    if path == "/none":
        return []
    return [b"".join(seen) or b"nothing sent"]


application = validator(plain)
