"""What a client of HTTP/2 asks for when it looks at how a server treats its streams."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    body = [b"hello"]
    if path == "/body/length":
        body = [str(len(environ["wsgi.input"].read())).encode()]
    elif path == "/large":
        body = [b"x" * int(query)]
    elif path == "/sleep":
        time.sleep(float(query))
    elif path == "/environ":
        texts = {name: value for name, value in environ.items() if isinstance(value, str)}
        body = [json.dumps(texts).encode()]
    elif path == "/nothing":
        start_response("204 No Content", [])
        return []
    elif path == "/broken":
        start_response("200 OK", [("Content-Length", "1000000")])
        return iter([b"x" * 1000])
    elif path != "/tiny":
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"nothing"]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return body
